"""Names of a run's objects.

    HEAD.json                                   the only object that is ever replaced
    config.json                                 what the run was started with
    ckpt/<step>-<attempt>-<nonce>/state-00000-of-00001.npz
    ckpt/<same>/meta.json
    ckpt/<same>/COMMIT.json                     written last

A checkpoint's folder carries the attempt and a random nonce, so no name is ever used twice:
nothing is overwritten, and a late write of a dead attempt cannot hit anything alive.
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
    """One checkpoint's folder, and what its name says.

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
        """Returns the folder of this path, or None if no checkpoint is called like this."""
        found = re.match(DIR_PATTERN, path)
        if found is None:
            return None
        folder = cls(int(found[1]), int(found[2]), found[3])
        return folder if folder.path == path else None


@dataclass(frozen=True)
class DirListing:
    """What a store holds of checkpoints, committed or not.

    Attributes:
        committed: Folders with a commit record, oldest step first.
        uncommitted: Folders without one, oldest step first.
    """

    committed: tuple[CheckpointDir, ...]
    uncommitted: tuple[CheckpointDir, ...]

    @property
    def newest_token(self) -> int:
        return max((one.token for one in self.committed + self.uncommitted), default=0)


def list_dirs(store: ObjectStore) -> DirListing:
    """Finds every checkpoint folder; anything else below `ckpt/` is somebody's own."""
    committed: set[CheckpointDir] = set()
    seen: set[CheckpointDir] = set()
    for listed in store.list(CHECKPOINTS):
        path, _, name = listed.name.rpartition("/")
        folder = CheckpointDir.parse(path)
        if folder is not None:
            seen.add(folder)
            if name == COMMIT:
                committed.add(folder)
    return DirListing(tuple(sorted(committed)), tuple(sorted(seen - committed)))
