"""What the one-sided probe sees of an item: n-grams of a text, coarse numbers of the others."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from job.config.data import DataConfig
from job.data.dataset import Dataset
from job.data.pipeline.collators import ImageCollator, collator_for
from job.inspection.chunking import Parts, parts, some
from job.inspection.images import describe_pictures, max_pictures, picture_parts
from job.inspection.probe import Marks
from job.inspection.sequences import describe_sequences, max_sequences, sequence_parts
from job.inspection.texts import code_points
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray

_NUM_BUCKETS = 1 << 18
_BOUNDARY = 0  # a character that no text holds
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # 2**64 / golden ratio (Knuth, TAOCP 3, 6.4)
_MAX_BYTES = 1 << 25  # of texts, which a few seconds are enough for

_BINS = 16
_ITEMS_BINNED = 4096

Describe = Callable[[NDArray[np.int64]], NDArray[np.float64]]


def marks_of(dataset: Dataset, *, section: DataConfig, train: NDArray[np.int64]) -> Marks:
    """The marks of a data set's items.

    Args:
        dataset: The items.
        section: The data section they were made from.
        train: int64 (M,), the training items, which decide where numbers are cut.
    """
    values, statistics = dataset.items.values, dataset.statistics
    if dataset.kind == "text":
        return text_marks(values)
    if isinstance(statistics, FeatureStats):
        moments = statistics
        return binned_marks(
            lambda rows: describe_sequences(values, rows, moments=moments),
            in_parts=lambda rows: sequence_parts(values, rows),
            train=train,
            max_items=max_sequences(values),
        )
    feed = collator_for(dataset, section)
    if not isinstance(feed, ImageCollator):
        raise ValueError(f"items of kind {dataset.kind} do not have {statistics!r}")
    pictures = feed
    return binned_marks(
        lambda rows: describe_pictures(pictures, rows),
        in_parts=lambda rows: picture_parts(pictures, rows),
        train=train,
        max_items=max_pictures(pictures),
    )


def text_marks(texts: RaggedArray) -> Marks:
    """Hashed character n-grams.

    Args:
        texts: uint8, the UTF-8 bytes of every item.
    """
    mean = max(len(texts.values) // max(len(texts), 1), 1)
    return Marks(
        num_marks=_NUM_BUCKETS,
        of=lambda rows: grams(code_points(texts.take(rows))),
        in_parts=lambda rows: parts(rows, sizes=texts.lengths_of(rows)),
        max_items=_MAX_BYTES // mean,
    )


def grams(characters: RaggedArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Bucket and item of every 2-gram and 3-gram, the items' ends included."""
    # One boundary before every item and one at the end; each belongs to the item it precedes.
    flat = np.insert(characters.values, characters.offsets, _BOUNDARY).astype(np.uint64)
    owner = np.repeat(np.arange(len(characters) + 1), np.append(characters.lengths + 1, 1))
    # Plus one: a boundary that counts as 0 would make (boundary, a, b) the same as (a, b).
    code = flat + np.uint64(1)
    pairs = code[:-1] * _MULTIPLIER + code[1:]
    triples = pairs[:-1] * _MULTIPLIER + code[2:]
    inside = flat[1:-1] != _BOUNDARY
    hashed = np.concatenate([pairs, triples[inside]]) * _MULTIPLIER
    bucket = (hashed >> np.uint64(64 - 18)).astype(np.int64)
    return bucket, np.concatenate([owner[:-1], owner[:-2][inside]])


def binned_marks(
    describe: Describe, *, in_parts: Parts, train: NDArray[np.int64], max_items: int
) -> Marks:
    """Numbers that describe an item, each as the sixteenth of the training items it lies in.

    Args:
        describe: Row numbers int64 (R,) -> float64 (R, D).
        in_parts: Cuts row numbers into parts that `describe` can be asked for.
        train: int64 (M,), the training items.
        max_items: Items that may be described in reasonable time.
    """
    chosen = train[some(len(train), min(_ITEMS_BINNED, max_items))]
    described = np.concatenate([describe(part) for part in in_parts(chosen)])
    edges = np.quantile(described, np.arange(1, _BINS) / _BINS, axis=0)
    columns = edges.shape[1]

    def of(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        numbers = describe(rows)
        bins = [np.searchsorted(edges[:, d], numbers[:, d], "right") for d in range(columns)]
        mark = np.stack(bins, axis=1) + _BINS * np.arange(columns)
        return mark.ravel(), np.repeat(np.arange(len(rows)), columns)

    return Marks(columns * _BINS, of, in_parts, max_items)
