"""One file an epoch beside the checkpoints, of which the newest few are kept.

files = EpochArtifacts(manager, folder="activations", keep=3, key="keep_epochs")
files.write(7, data)  # activations/epoch-0007.npz; epoch-0004.npz goes
"""

import logging
import re

from job.checkpoints.commit import KEPT
from job.checkpoints.manager import CheckpointManager
from job.errors import DiskFullError

log = logging.getLogger(__name__)


class EpochArtifacts:
    """The files of a run that this attempt holds.

    Files of later epochs than the one written are left alone: an attempt that goes on from an
    earlier checkpoint replaces them when it gets there.

    Args:
        manager: Writes and removes, unless a newer attempt holds the run.
        folder: Where they lie in the run folder.
        keep: Newest files kept, >= 1.
        key: What says how many are kept, for messages.
    """

    def __init__(self, manager: CheckpointManager, *, folder: str, keep: int, key: str) -> None:
        self._manager = manager
        self._folder = folder
        self._keep = keep
        self._key = key
        self._pattern = re.compile(rf"{re.escape(folder)}/epoch-([0-9]{{4,}})\.npz")

    def write(self, epoch: int, data: bytes) -> str:
        """Writes the file of an epoch, counted from 1, then removes those that are too old.

        In this order, so that a process killed in between leaves one file too many, which the
        next write removes. A file that may not be removed costs space and nothing else, so it
        is logged and the run goes on.

        Returns:
            The file's name in the run folder.

        Raises:
            FencedError: A newer attempt holds the run; its files stay as they are.
            DiskFullError: There is no room for it.
            StorageOutageError: The store is away.
        """
        written = self._name(epoch)
        try:
            self._manager.write_result(written, data)
        except DiskFullError as error:
            raise DiskFullError(
                f"{error} Or keep fewer files of epochs ({self._key})."
            ) from error
        for old in self.epochs():
            if old <= epoch - self._keep:
                self._remove(self._name(old))
        return written

    def epochs(self) -> list[int]:
        """The epochs whose file is there, ascending."""
        names = self._manager.results(f"{self._folder}/")
        found = (self._pattern.fullmatch(name) for name in names)
        return sorted(int(match[1]) for match in found if match and self._is_own(match))

    def _name(self, epoch: int) -> str:
        return f"{self._folder}/epoch-{epoch:04d}.npz"

    def _is_own(self, match: re.Match[str]) -> bool:
        # Not one with more zeros in front than are written here.
        return self._name(int(match[1])) == match[0]

    def _remove(self, name: str) -> None:
        try:
            self._manager.delete_result(name)
        except KEPT as error:
            log.warning("object not deleted", extra={"object": name, "reason": str(error)})
