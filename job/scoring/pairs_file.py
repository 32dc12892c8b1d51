"""Opens the files that a command line names, with the readers of training.

::

    pairs = open_pairs("pairs.csv.gz", section=model.data, access=access)
    with pairs.opened(section) as rows:
        ...
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from job.config.data import Data, ImageDataConfig, SequenceDataConfig
from job.config.names import names_of
from job.config.suggest import did_you_mean
from job.config.uris import is_in_bucket
from job.data.dataset import Form
from job.data.items.columns import GroupSplitColumns
from job.data.items.item_store import Items, ItemStore
from job.data.items.pair_rows import ValidPair, valid_pairs
from job.data.items.read_rows import items_of
from job.data.items.readers import reader_of
from job.data.quarantine import Quarantine
from job.data.sources.configured import ARRAYS, DataSource
from job.data.sources.files import DataFiles
from job.data.sources.sequence_file import Features
from job.data.sources.table import TABLE_FORMATS, Table, extension, unknown_format
from job.data.sources.table_records import Record, require_separated
from job.errors import ConfigError, DataError
from job.storage.parallel import ParallelDownloader
from job.types import Problem

PAIRS, ITEMS, ROOT = "PAIRS", "--items", "--root"
# The columns that `score` adds to those of the file.
ADDED = ("score", "probability", "match")


@dataclass(frozen=True)
class PairRows:
    """The rows of an open file of pairs.

    Attributes:
        rows: Each record with its pair, or why it is bad.
        items: Numbers the items of the pairs; the reader of the rows adds and drains them.
        form: Form of the values of the items.
        rejected_items: The rejected rows of the file of items.
    """

    rows: Iterator[tuple[Record, ValidPair | Problem]]
    items: Items
    form: Form
    rejected_items: Quarantine


@dataclass(frozen=True)
class PairsFile:
    """Pairs without labels, or with labels of some.

    Attributes:
        table: The file.
        files: What its rows may name.
        items: The file that holds the items by ID; None: the rows hold them.
        header: The columns; None: each row names its own.
    """

    table: Table
    files: DataFiles
    items: DataSource | None
    header: list[str] | None

    @property
    def num_bytes(self) -> int:
        """Size of the file, compressed if it is."""
        return self.table.path.stat().st_size

    @contextmanager
    def opened(
        self, section: Data, *, watch: Callable[[BinaryIO], object]
    ) -> Iterator[PairRows]:
        """Reads the file of items, and opens the pairs.

        Args:
            section: What an item is, and when a row is bad.
            watch: Is given the open file, whose position shows how much was read.

        Raises:
            DataError: Here or while reading: a file is damaged, or bad items are too many.
            PermissionDeniedError: A file may not be read.
        """
        form: Form = section.kind if not isinstance(section, ImageDataConfig) else "decoded"
        num_features = section.num_features if isinstance(section, SequenceDataConfig) else None
        features = Features(num_features)
        reader = reader_of(section, files=self.files, form=form, features=features)
        columns = section.columns
        with ItemStore(reader, features=features) as store:
            items, rejected = items_of(
                section, self.items, store=store, reader=reader, features=features
            )
            wanted = {"left": columns.left, "right": columns.right}
            with self.table.records(
                wanted, optional={"label": columns.label}, watch=watch
            ) as records:
                rows = valid_pairs(
                    records,
                    GroupSplitColumns(),
                    items=items,
                    columns=columns,
                    by_id=self.items is not None,
                    needs_label=False,
                )
                yield PairRows(rows, items, form, rejected)


def open_pairs(
    pairs: str,
    *,
    section: Data,
    items: str | None,
    root: str | None,
    access: ParallelDownloader,
) -> PairsFile:
    """Finds the files and reads the names of the columns.

    Args:
        pairs: A path, or `gs://bucket/name`.
        section: The data section of the model.
        items: The file that holds the items by ID.
        root: Folder or URI of the files that rows name; None: that of `pairs`.
        access: Reaches buckets.

    Raises:
        ConfigError: A format is unknown, or the file has a column that is added.
        DataError: There is no such file, it is empty, or a column is missing.
        PermissionDeniedError: A file may not be read.
    """
    if extension(pairs) not in TABLE_FORMATS:
        raise unknown_format(pairs, key=PAIRS, known=tuple(TABLE_FORMATS))
    path = input_file(pairs, key=PAIRS, access=access)
    table = Table(path, key=PAIRS, name=pairs)
    header = table.header()
    if header is not None:
        _require_columns(header, table=table, section=section)
    _require_free(table, header, section=section)
    place = root if root is not None else folder_of(pairs)
    files = DataFiles.below(place, folder=Path.cwd(), access=access)
    return PairsFile(table, files, _items(items, access=access), header)


def _items(items: str | None, *, access: ParallelDownloader) -> DataSource | None:
    if items is None:
        return None
    suffix = extension(items)
    if suffix in TABLE_FORMATS:
        return DataSource(ITEMS, items, input_file(items, key=ITEMS, access=access), "table")
    if suffix == ARRAYS:
        return DataSource(ITEMS, items, input_file(items, key=ITEMS, access=access), "arrays")
    raise unknown_format(items, key=ITEMS, known=(*TABLE_FORMATS, ARRAYS))


def input_file(name: str, *, key: str, access: ParallelDownloader) -> Path:
    """A file of a command line on this machine; one in a bucket is copied first."""
    if is_in_bucket(name):
        return DataFiles(Path.cwd(), takes_uris=True, access=access).file(name, key=key)
    path = Path(name).absolute()
    if not path.parent.is_dir():
        raise DataError(f"{key}: no such file: {name!r} (there is no folder '{path.parent}').")
    # A path of the command line may lead anywhere, also through a link.
    resolved = path.resolve()
    return DataFiles(resolved.parent, access=access).file(resolved.name, key=key)


def input_folder(name: str, *, key: str, access: ParallelDownloader) -> Path:
    """A folder of a command line on this machine; one in a bucket is copied first."""
    if is_in_bucket(name):
        return DataFiles(Path.cwd(), takes_uris=True, access=access).folder(name, key=key)
    resolved = Path(name).absolute().resolve()
    return DataFiles(resolved.parent, access=access).folder(resolved.name, key=key)


def folder_of(name: str) -> str:
    """The folder or URI that holds a file of a command line."""
    if is_in_bucket(name):
        return name.rpartition("/")[0]
    return str(Path(name).absolute().parent)


def _require_columns(header: list[str], *, table: Table, section: Data) -> None:
    columns = section.columns
    sides = {"left": names_of(columns.left), "right": names_of(columns.right)}
    for key, name in ((key, name) for key, names in sides.items() for name in names):
        if name not in header:
            require_separated(header, where=table.where)
            has = ", ".join(map(repr, header[:50]))
            raise DataError(
                f"{table.where} has no column {name!r}, which the model was trained with "
                f"(data.columns.{key}).{did_you_mean(name, header)} Columns of the file: "
                f"{has}. Rename the column."
            )


def _require_free(table: Table, header: list[str] | None, *, section: Data) -> None:
    """Refuses columns of the header, or keys of the first row, that are added."""
    if header is not None:
        require_new_columns(header, where=table.where)
        return
    wanted = {"left": section.columns.left, "right": section.columns.right}
    with table.records(wanted) as records:
        first = next((record for record in records if record.row is not None), None)
    if first is not None:
        require_new_columns(first.row, where=f"{table.where}, line {first.line},")


def require_new_columns(names: object, *, where: str) -> None:
    """Refuses input whose own columns would be lost.

    Args:
        names: Names of the columns, or of the keys of a row.
        where: The file or its row.

    Raises:
        ConfigError: One is in `ADDED`.
    """
    taken = [name for name in ADDED if name in names]  # type: ignore[operator]
    if taken:
        raise ConfigError(
            f"{where} has a column {taken[0]!r} already, and score adds {', '.join(ADDED)}. "
            "Rename or remove it."
        )
