"""Object names in a run directory.

    HEAD.json                                   the only record that is replaced
    config.json                                 configuration the run was started with
    ckpt/<step>-<attempt>-<nonce>/*.npz         variables and meta.json; see shards.py
    ckpt/<same>/COMMIT.json                     written last
    results/<step>-<attempt>-<nonce>/...        what HEAD names as the newest results
    summary.json, history.json, export/...      copies of those under fixed names

A checkpoint directory carries the attempt and a random nonce, so no name is used twice: nothing
is overwritten, and a late write of a dead attempt cannot hit a live checkpoint.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from job.storage.object_store import ObjectStore

HEAD = "HEAD.json"
CONFIG = "config.json"
CHECKPOINTS = "ckpt/"
RESULTS = "results/"
COMMIT = "COMMIT.json"

DIR_PATTERN = r"^ckpt/([0-9]{12,15})-([0-9]{6,9})-([0-9a-f]{8})$"


@dataclass(frozen=True, order=True)
class CheckpointDir:
    """The parts of a checkpoint directory's name.

    Attributes:
        step: Optimizer steps taken.
        token: Attempt that wrote it.
        nonce: Eight hexadecimal digits, new for every save.
    """

    step: int
    token: int
    nonce: str

    @property
    def path(self) -> str:
        return f"{CHECKPOINTS}{self.step:012d}-{self.token:06d}-{self.nonce}"

    @classmethod
    def parse(cls, path: str) -> Self | None:
        """Splits a path; None if it is not the name of a checkpoint directory."""
        found = re.match(DIR_PATTERN, path)
        if found is None:
            return None
        parsed = cls(int(found[1]), int(found[2]), found[3])
        return parsed if parsed.path == path else None


@dataclass(frozen=True)
class DirListing:
    """The checkpoint directories in a store, oldest step first.

    Attributes:
        objects: Names of the objects in each directory.
    """

    objects: Mapping[str, Sequence[str]]

    @property
    def committed(self) -> list[CheckpointDir]:
        """Directories with a commit record."""
        return [one for one in self._dirs if COMMIT in self.objects[one.path]]

    @property
    def uncommitted(self) -> list[CheckpointDir]:
        """Directories without one."""
        return [one for one in self._dirs if COMMIT not in self.objects[one.path]]

    @property
    def newest_token(self) -> int:
        """The newest attempt that wrote anything, 0 if none did."""
        return max((one.token for one in self._dirs), default=0)

    @property
    def _dirs(self) -> list[CheckpointDir]:
        parsed = (CheckpointDir.parse(path) for path in self.objects)
        return sorted(one for one in parsed if one is not None)


def list_dirs(store: ObjectStore) -> DirListing:
    """Lists the checkpoint directories; other names below `ckpt/` are ignored."""
    objects: dict[str, list[str]] = {}
    for listed in store.list(CHECKPOINTS):
        path, _, name = listed.name.rpartition("/")
        if CheckpointDir.parse(path) is not None:
            objects.setdefault(path, []).append(name)
    return DirListing(objects)
