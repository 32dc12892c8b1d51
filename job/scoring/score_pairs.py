"""Scores the pairs of a file, block by block. P pairs of a block.

An item is encoded when the first block that names it is scored, and never again: only its
embedding is kept. Memory therefore does not grow with the number of pairs, and with that of
items only by what tells one from another.

::

    with replacing_output(out) as stream:
        result = score_pairs(model, pairs, section=model.data, out=out, stream=stream, ...)
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import NDArray

from job.config.data import Data
from job.data.dataset import Form, ItemTable
from job.data.items.item_store import Items, NewItem
from job.data.quarantine import Quarantine, QuarantineBuilder, check_bad_fraction
from job.data.sources.table import extension
from job.errors import DataError
from job.export.loaded import ExportedModel
from job.scoring.drift import Drift, DriftMeter
from job.scoring.growing_array import GrowingArray
from job.scoring.output import Row, TableWriter, table_writer
from job.scoring.pairs_file import (
    ADDED,
    PAIRS,
    ROOT,
    PairRows,
    PairsFile,
    require_new_columns,
)
from job.scoring.quality import QualityMeter
from job.types import Problem

_ADDED = frozenset(ADDED)

# Pairs scored at a time, and values of items in memory at most before they are encoded.
BLOCK_PAIRS = 1 << 15
BLOCK_BYTES = 64 << 20

_UNKNOWN_LABEL = -1

# Told after every block: bytes of the file that were read, rows read.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScoreResult:
    """What was scored.

    Attributes:
        num_pairs: Pairs that were written.
        num_matches: How many of them are predicted to match.
        num_items: Different items that were encoded.
        quarantine: The rows that were not.
        drifts: How far the data are from those that the model was tested on.
        label_counts: How many pairs have a label, and how many of these match.
        quality: Metrics by name; empty without labels of both kinds.
    """

    num_pairs: int
    num_matches: int
    num_items: int
    quarantine: Quarantine
    drifts: tuple[Drift, ...]
    label_counts: dict[str, int]
    quality: dict[str, float]


def score_pairs(
    model: ExportedModel,
    pairs: PairsFile,
    *,
    section: Data,
    out: str,
    stream: IO[bytes],
    progress: Progress,
) -> ScoreResult:
    """Scores every valid pair and writes its row with three columns more.

    Args:
        model: The model.
        pairs: The file.
        section: What an item is, and how many rows may be bad.
        out: Name of the table to write.
        stream: Where it is written.
        progress: Told how far the work is.

    Raises:
        DataError: The file is empty, damaged, or too many of its rows are bad.
        ConfigError: A row of JSON lines has a key that is added.
        DiskFullError: There is no space.
    """
    file: list[BinaryIO] = []
    rejected = QuarantineBuilder(pairs.table.name, unit=pairs.table.unit)
    writer = table_writer(out, stream, header=pairs.header, added=ADDED)
    keeps_lines = pairs.header is None and extension(out) == ".jsonl"
    with ExitStack() as stack:
        opened = stack.enter_context(pairs.opened(section, watch=file.append))
        scoring = stack.enter_context(
            _Scoring(model, opened.items, form=opened.form, writer=writer)
        )
        for block in _blocks(opened, pairs, rejected=rejected, keeps_lines=keeps_lines):
            scoring.score(block)
            # The reader of the last row has closed the file.
            done = pairs.num_bytes if file[0].closed else file[0].tell()
            progress(done, rejected.rows_read)
        if not rejected.rows_read:
            raise pairs.table.no_rows("Give a file with one pair on each line.")
        quarantine = rejected.quarantine()
        _check_bad_rows(quarantine, pairs, section=section)
        return scoring.result(quarantine + opened.rejected_items)


def _check_bad_rows(quarantine: Quarantine, pairs: PairsFile, *, section: Data) -> None:
    try:
        check_bad_fraction(
            quarantine,
            key=PAIRS,
            file=pairs.table.name,
            allowed=section.max_bad_fraction,
        )
    except DataError as error:
        if not {"no_file", "outside"} & set(quarantine.counts):
            raise
        raise DataError(
            f"{error}\n  The model takes items of kind {section.kind}, from files whose paths "
            f"are relative to {ROOT} (here {str(pairs.files.root)!r}), which stands for "
            "data.root."
        ) from error


@dataclass
class _Block:
    """Some valid pairs, in file order.

    Attributes:
        rows: What is written of each.
        left: Number of the first item of each.
        right: Of the second.
        label: 1, 0, or -1 for none.
    """

    rows: list[Row] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    label: list[int] = field(default_factory=list)


def _blocks(
    opened: PairRows, pairs: PairsFile, *, rejected: QuarantineBuilder, keeps_lines: bool
) -> Iterator[_Block]:
    """The valid pairs, block by block; their items are added, not drained."""
    # The loop runs once a row: it looks up no attribute that it can do without.
    block, num_bytes, num_rows, add = _Block(), 0, 0, opened.items.add
    names_columns = pairs.header is not None
    for record, pair in opened.rows:
        num_rows += 1
        if isinstance(pair, Problem):
            rejected.reject(record.line, pair, raw=record.raw)
            continue
        if not names_columns and not _ADDED.isdisjoint(record.row or ()):
            where = f"{pairs.table.where}, line {record.line},"
            require_new_columns(record.row, where=where)
        left, right, label, _ = pair
        if isinstance(left, NewItem):
            num_bytes += left.values.nbytes
        if isinstance(right, NewItem):
            num_bytes += right.values.nbytes
        block.left.append(add(left))
        block.right.append(add(right))
        block.label.append(_UNKNOWN_LABEL if label is None else label)
        block.rows.append(str(record.raw) if keeps_lines else record.row or ())
        if num_bytes >= BLOCK_BYTES or len(block.rows) >= BLOCK_PAIRS:
            rejected.rows_read += num_rows
            yield block
            block, num_bytes, num_rows = _Block(), 0, 0
    rejected.rows_read += num_rows
    if block.rows:
        yield block


class _Scoring:
    """Scores blocks, one after the other. A thread for it gains nothing: reading is Python."""

    def __init__(
        self, model: ExportedModel, items: Items, *, form: Form, writer: TableWriter
    ) -> None:
        self._model = model
        self._items = items
        self._form = form
        self._writer = writer
        self._embeddings = GrowingArray(np.float32, width=model.embedding_size)
        self._quality = QualityMeter(threshold=model.threshold)
        self._drift = DriftMeter(model.manifest.reference)
        self._num_pairs = self._num_matches = 0

    def score(self, block: _Block) -> None:
        """Encodes the new items of the block, scores its pairs and writes them."""
        values = self._items.drain()
        if len(values):
            feed = self._model.feed(ItemTable(self._form, values))
            self._drift.add_items(feed, num_items=len(values))
            self._embeddings.append(self._model.embed_all(feed, num_items=len(values)))
        left, right = (np.array(side, np.int64) for side in (block.left, block.right))
        scores = self._model.compare(self._embeddings.rows(left), self._embeddings.rows(right))
        if not np.isfinite(scores.logit).all():
            raise DataError(
                "the model gives scores that are not finite. It has diverged, or the items are "
                "far from those it was trained on; train it again, or look at the items."
            )
        self._writer.write(
            block.rows, cells_of(scores.score, scores.probability, match=scores.match)
        )
        label = np.array(block.label, np.int8)
        self._quality.add(label, logit=scores.logit, score=scores.score)
        self._drift.add_scores(scores.score)
        self._num_pairs += len(block.rows)
        self._num_matches += int(np.count_nonzero(scores.match))

    def result(self, quarantine: Quarantine) -> ScoreResult:
        return ScoreResult(
            num_pairs=self._num_pairs,
            num_matches=self._num_matches,
            num_items=len(self._embeddings),
            quarantine=quarantine,
            drifts=tuple(self._drift.drifts()),
            label_counts=self._quality.counts(),
            quality=self._quality.metrics(),
        )

    def __enter__(self) -> "_Scoring":
        return self

    def __exit__(self, *error: object) -> None:
        self._embeddings.close()
        self._quality.close()


def cells_of(
    score: NDArray[np.float32], probability: NDArray[np.float32], *, match: NDArray[np.bool_]
) -> list[tuple[str, str, str]]:
    """The added cells of pairs: nine digits, which is all that a float32 holds."""
    digits = "{:.9g}".format
    return list(
        zip(
            map(digits, score.tolist()),
            map(digits, probability.tolist()),
            np.where(match, "1", "0").tolist(),
            strict=True,
        )
    )
