"""Object names in a run directory.

    HEAD.json                                   the only record that is replaced
    config.json                                 configuration the run was started with
    ckpt/<step>-<attempt>-<nonce>/state-00000-of-00001.npz
    ckpt/<same>/meta.json
    ckpt/<same>/COMMIT.json                     written last

A checkpoint directory carries the attempt and a random nonce, so no name is used twice: nothing
is overwritten, and a late write of a dead attempt cannot hit a live checkpoint.
"""

import re
from dataclasses import dataclass
from typing import Self

from job.storage.object_store import ObjectStore

HEAD = "HEAD.json"
CONFIG = "config.json"
CHECKPOINTS = "ckpt/"
COMMIT = "COMMIT.json"
META = "meta.json"
STATE = "state-00000-of-00001.npz"

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
        committed: Directories with a commit record.
        uncommitted: Directories without one.
    """

    committed: tuple[CheckpointDir, ...]
    uncommitted: tuple[CheckpointDir, ...]

    @property
    def newest_token(self) -> int:
        return max((one.token for one in self.committed + self.uncommitted), default=0)


def list_dirs(store: ObjectStore) -> DirListing:
    """Lists the checkpoint directories; other names below `ckpt/` are ignored."""
    committed: set[CheckpointDir] = set()
    seen: set[CheckpointDir] = set()
    for listed in store.list(CHECKPOINTS):
        path, _, name = listed.name.rpartition("/")
        found = CheckpointDir.parse(path)
        if found is not None:
            seen.add(found)
            if name == COMMIT:
                committed.add(found)
    return DirListing(tuple(sorted(committed)), tuple(sorted(seen - committed)))
