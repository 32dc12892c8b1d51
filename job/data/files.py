"""Gives data files as local paths, wherever they are kept.

Readers open local files only. What lies below `data.root` on this machine is handed out as it
is; each path is held to that folder first::

    files = DataFiles.below(section.root, folder=folder)
    path = files.file("pairs/train.csv.gz", key="data.train")
"""

from dataclasses import dataclass
from pathlib import Path

from job.data.paths import data_file, data_folder, data_root


@dataclass(frozen=True)
class DataFiles:
    """The files below `data.root`.

    Args:
        root: The folder, links resolved.
    """

    root: Path

    @classmethod
    def below(cls, root: str | None, *, folder: Path) -> "DataFiles":
        """The files below a root.

        Args:
            root: `data.root`; None is the folder of the configuration file.
            folder: Absolute folder of the configuration file.

        Raises:
            ConfigError: The root is a URI of an unknown kind.
            DataError: There is no such folder.
            PermissionDeniedError: It may not be looked at.
        """
        return cls(data_root(root, folder=folder))

    def file(self, value: str, *, key: str) -> Path:
        """The regular file that a data path means; see `paths.data_file` for what is raised.

        Args:
            value: The path as the configuration, or a row of a file, gives it.
            key: Dotted key it was given under, for messages.
        """
        return data_file(value, key=key, root=self.root)

    def folder(self, value: str, *, key: str) -> Path:
        """The folder that a data path means; see `file`."""
        return data_folder(value, key=key, root=self.root)
