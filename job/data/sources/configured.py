"""Resolves the files that a data section names, and determines the form of each.

It opens no file, so a mistake in the last path is found before the first file is read::

    sources = resolve_sources(section, files=DataFiles.below(section.root, folder=folder))
    sources["train"][0].path
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from job.config.data import Data
from job.config.names import names_of
from job.data.sources.files import DataFiles
from job.data.sources.table import TABLE_FORMATS, Table, extension, unknown_format
from job.errors import ConfigError
from job.types import Split

ARRAYS = ".npz"

_FOLDERS = (
    " A folder that holds a folder of images for each class needs data.kind: image and "
    "data.rows: items."
)

# Purpose of a file; `items` holds the items that pair files name by ID.
Role = Split | Literal["items"]


@dataclass(frozen=True)
class DataSource:
    """One file or folder.

    Args:
        key: Dotted key that names it.
        name: The path as the configuration gives it.
        path: Its path on this machine, links resolved.
        form: A table (`TABLE_FORMATS`), an `.npz`, or a folder of class folders.
        is_copy: Whether it was copied from a bucket.
    """

    key: str
    name: str
    path: Path
    form: Literal["table", "arrays", "folder"]
    is_copy: bool = False

    @property
    def where(self) -> str:
        """Key and name, for messages."""
        return f"{self.key}: {self.name!r}"

    def table(self) -> Table:
        """The file as a table to read."""
        return Table(self.path, key=self.key, name=self.name)


def where_of(sources: Sequence[DataSource]) -> str:
    """Key and names of the files of one role, for messages."""
    return f"{sources[0].key}: {', '.join(repr(source.name) for source in sources)}"


def resolve_sources(
    section: Data, *, files: DataFiles
) -> Mapping[Role, tuple[DataSource, ...]]:
    """Resolves the files of a section, in the order train, validation, test, items.

    Args:
        section: The data section.
        files: The files below `data.root`.

    Raises:
        ConfigError: A path leaves `data.root`, the key does not accept its format, or the files
            of a list have several formats.
        DataError: There is no such file.
        PermissionDeniedError: A folder on the way may not be entered.
    """
    named: dict[Role, str | Sequence[str] | None] = {
        "train": section.train,
        "validation": section.validation,
        "test": section.test,
        "items": section.items,
    }
    return {
        role: _sources(role, names_of(names), section=section, files=files)
        for role, names in named.items()
        if names is not None
    }


def _sources(
    role: Role, names: Sequence[str], *, section: Data, files: DataFiles
) -> tuple[DataSource, ...]:
    sources = [_source(role, name, section=section, files=files) for name in names]
    # A folder has no format but its form; its name may hold a point.
    formats = [one.form if one.form == "folder" else extension(one.name) for one in sources]
    for source, its_format in zip(sources, formats, strict=True):
        if its_format != formats[0]:
            raise ConfigError(
                f"{source.key}: the files of a list need one format, but {sources[0].name!r} "
                f"is {formats[0]} and {source.name!r} is {its_format}. Convert one of them; "
                "each may be .gz or not."
            )
    return tuple(sources)


def _source(role: Role, name: str, *, section: Data, files: DataFiles) -> DataSource:
    key = f"data.{role}"
    suffix = extension(name)
    holds_items = role == "items" or section.rows == "items"
    if suffix in TABLE_FORMATS:
        return DataSource(key, name, files.file(name, key=key), "table")
    if suffix == ARRAYS and holds_items:
        return DataSource(key, name, files.file(name, key=key), "arrays")
    if section.kind == "image" and section.rows == "items":
        return DataSource(
            key, name, files.folder(name, key=key), "folder", files.is_copied(name)
        )
    hint = "" if suffix else _FOLDERS
    if holds_items:
        raise unknown_format(name, key=key, known=(*TABLE_FORMATS, ARRAYS), hint=hint)
    if suffix == ARRAYS:
        hint = " An .npz holds items: set data.rows: items."
    raise unknown_format(name, key=key, known=tuple(TABLE_FORMATS), hint=hint)
