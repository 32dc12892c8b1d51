"""Gives data files as local paths, wherever they are stored.

Readers open local files only. A file below `data.root` on this machine is returned as it is;
one in a bucket is copied first. No path may leave the root::

    files = DataFiles.below(section.root, folder=folder, mirror=section.mirror, access=access)
    files.file("pairs/train.csv.gz", key="data.train")
    files.fetch(["images/1.png", "images/2.png"], key="data.train")
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from job.config.uris import is_in_bucket
from job.data.sources.paths import (
    data_file,
    data_folder,
    data_root,
    find_file,
    object_name,
)
from job.errors import DataError
from job.storage.mirror import FileProblem, Mirror, open_mirror
from job.storage.parallel import ParallelDownloader


@dataclass(frozen=True)
class DataFiles:
    """The files below `data.root`.

    Args:
        root: A folder of this machine, links resolved, or `gs://bucket/prefix`.
        takes_uris: Whether a path of the configuration may be a URI, as without `data.root`.
        mirror: Folder for copies of objects; None: one in the temporary folder.
        access: Reaches buckets.
    """

    root: Path | str
    takes_uris: bool = False
    mirror: str | None = None
    access: ParallelDownloader = field(default_factory=ParallelDownloader)
    _mirrors: dict[str, Mirror] = field(default_factory=dict, init=False, repr=False)

    @classmethod
    def below(
        cls,
        root: str | None,
        *,
        folder: Path,
        mirror: str | None = None,
        access: ParallelDownloader | None = None,
    ) -> "DataFiles":
        """The files below a root.

        Args:
            root: `data.root`; None is the folder of the configuration file.
            folder: Absolute folder of the configuration file.
            mirror: `data.mirror`.
            access: Reaches buckets; None: with the defaults.

        Raises:
            ConfigError: The root is a URI with an unknown scheme.
            DataError: There is no such folder.
            PermissionDeniedError: It may not be entered.
        """
        is_remote = root is not None and is_in_bucket(root)
        place = root if root is not None and is_remote else data_root(root, folder=folder)
        return cls(place, root is None, mirror, access or ParallelDownloader())

    @property
    def is_remote(self) -> bool:
        """Whether the root is in a bucket."""
        return not isinstance(self.root, Path)

    def is_copied(self, value: str) -> bool:
        """Whether the file of a path of the configuration is copied first."""
        return self.is_remote or (self.takes_uris and is_in_bucket(value))

    def file(self, value: str, *, key: str) -> Path:
        """Resolves a path of the configuration to a regular file, copied if necessary.

        Args:
            value: The path as the configuration gives it.
            key: Dotted key that holds it, for messages.

        Raises:
            ConfigError: It leaves the root, or is a URI that is not supported.
            DataError: There is no such file.
            PermissionDeniedError: It may not be read.
            JobError: A bucket or the mirror fails; see `Mirror.fetch`.
        """
        if self.takes_uris and is_in_bucket(value):
            uri, _, name = value.rpartition("/")
            if not is_in_bucket(uri):  # a bucket alone
                raise _no_file(value).error(key)
            return self._copied(uri, name, key=key)
        if isinstance(self.root, Path):
            return data_file(value, key=key, root=self.root)
        return self._copied(self.root, value, key=key)

    def folder(self, value: str, *, key: str) -> Path:
        """Resolves a path of the configuration to a folder with all files below it.

        Raises as `file` does, and DataError if a prefix holds no object.
        """
        if self.takes_uris and is_in_bucket(value):
            return self._copied_folder(value, "", key=key)
        if isinstance(self.root, Path):
            return data_folder(value, key=key, root=self.root)
        return self._copied_folder(self.root, value, key=key)

    def fetch(self, values: Iterable[str], *, key: str) -> dict[str, Path | FileProblem]:
        """Resolves paths in rows, and copies many files at a time if necessary.

        A row may only name a file below the root, even if the configuration may name others.

        Args:
            values: The paths as the rows give them, repeats allowed.
            key: Dotted key of the file that holds the rows, for messages.

        Returns:
            For each path its file, or why it has none, which rejects its rows alone.

        Raises:
            PermissionDeniedError: A folder on the path may not be entered.
            JobError: A bucket or the mirror fails; see `Mirror.fetch`.
        """
        root = self.root
        if isinstance(root, Path):
            unique = dict.fromkeys(values)
            return {value: find_file(value, key=key, root=root) for value in unique}
        names = {value: object_name(value, root=root) for value in values}
        wanted = [name for name in names.values() if isinstance(name, str) and name]
        copies = self._mirror_of(root, key=key).fetch(wanted) if wanted else {}
        return {
            value: copies.get(name, _no_file(value)) if isinstance(name, str) else name
            for value, name in names.items()
        }

    def _copied(self, root: str, value: str, *, key: str) -> Path:
        name = object_name(value, root=root)
        if isinstance(name, FileProblem):
            raise name.error(key)
        if not name:
            raise _no_file(value).error(key)
        found = self._mirror_of(root, key=key).fetch([name])[name]
        if isinstance(found, FileProblem):
            raise found.error(key)
        return found

    def _copied_folder(self, root: str, value: str, *, key: str) -> Path:
        name = object_name(value, root=root)
        if isinstance(name, FileProblem):
            raise name.error(key)
        mirror = self._mirror_of(root, key=key)
        if not mirror.fetch_below(name):
            raise DataError(
                f"{key}: there is no object below {value!r} in {root}. Give the prefix of a "
                "folder that holds a folder for each class."
            )
        return mirror.folder / name

    def _mirror_of(self, uri: str, *, key: str) -> Mirror:
        if uri not in self._mirrors:
            # A configured root names the bucket itself.
            named_by = key if self.takes_uris else "data.root"
            self._mirrors[uri] = open_mirror(
                uri, folder=self.mirror, access=self.access, key=named_by
            )
        return self._mirrors[uri]


def _no_file(value: str) -> FileProblem:
    return FileProblem("missing", f"{value!r} is a folder, not a file", "Give one object.")
