"""What the items of a split look like: texts, sequences or images."""

import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from job.data.dataset import ItemTable
from job.data.pipeline.collators import ImageCollator
from job.data.sampling.permutation import make_rng
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.many_texts import code_points
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.vocabulary import UNKNOWN_ID, TokenKind, Vocabulary
from job.types import Split

# Values in a chunk: large enough to keep NumPy busy, a few dozen MiB of working arrays.
_CHUNK_VALUES = 1 << 20
_IMAGES_AT_A_TIME = 64
_TOKENS_KEPT = 20

# Above every epoch and beside the streams of `job.data`. The seed is fixed: the sample does
# not change with `run.seed`.
_STREAM = 2**63 + 16
_SEED = 0


@dataclass(frozen=True)
class Distribution:
    """Percentiles of one number per item, interpolated between ranks."""

    min: float
    median: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, numbers: NDArray[np.int64]) -> "Distribution":
        """The percentiles of int64 (R,), at least one."""
        return cls(*np.percentile(numbers, [0, 50, 90, 99, 100]).tolist())


@dataclass(frozen=True)
class TextMeasures:
    """The characters of some texts.

    Attributes:
        lengths: Characters of a text.
        mean_words: Words of a text, as separated by white space.
        num_distinct_characters: Different characters.
        scripts: Share of the letters in each script, the commonest first, by the first word
            of their Unicode names: LATIN, CJK, ...
    """

    lengths: Distribution
    mean_words: float
    num_distinct_characters: int
    scripts: Mapping[str, float]

    @classmethod
    def of(cls, texts: RaggedArray, rows: NDArray[np.int64]) -> "TextMeasures":
        """Reads some texts, uint8, valid UTF-8 in each row; at least one."""
        counts = np.zeros(sys.maxunicode + 1, np.int64)
        lengths = []
        for chunk in chunks(rows, sizes=texts.lengths_of(rows)):
            points = code_points(texts.take(chunk))
            counts += np.bincount(points.values, minlength=len(counts))
            lengths.append(points.lengths)
        found = {chr(point): int(counts[point]) for point in np.flatnonzero(counts).tolist()}
        scripts: Counter[str] = Counter()
        for character, count in found.items():
            if character.isalpha():
                scripts[unicodedata.name(character, "UNNAMED").split()[0]] += count
        num_spaces = sum(count for character, count in found.items() if character.isspace())
        return cls(
            lengths=Distribution.of(np.concatenate(lengths)),
            mean_words=1.0 + num_spaces / len(rows),
            num_distinct_characters=len(found),
            scripts={name: n / scripts.total() for name, n in scripts.most_common()},
        )


@dataclass(frozen=True)
class UnknownTokens:
    """Tokens without an ID: no training item holds them, or too few.

    Attributes:
        kind: What a token is.
        num_tokens: Tokens of the items.
        num_unknown: Those of them that are unknown.
        num_items: Items that hold one.
        num_distinct: Different unknown tokens.
        commonest: The commonest of them, equally common ones by code points.
    """

    kind: TokenKind
    num_tokens: int
    num_unknown: int
    num_items: int
    num_distinct: int
    commonest: tuple[str, ...]

    @property
    def share(self) -> float:
        """The unknown share of all tokens."""
        return self.num_unknown / max(self.num_tokens, 1)

    @classmethod
    def of(
        cls, items: ItemTable, rows: NDArray[np.int64], *, vocabulary: Vocabulary
    ) -> "UnknownTokens":
        """Encodes some texts with the vocabulary of the training items."""
        num_tokens = num_items = 0
        found: Counter[str] = Counter()
        for chunk in chunks(rows, sizes=items.values.lengths_of(rows)):
            tokens = vocabulary.encode(items.values.take(chunk))
            unknown = tokens.values == UNKNOWN_ID
            lacking = np.flatnonzero(np.diff(offsets_of(unknown)[tokens.offsets]))
            num_tokens += len(unknown)
            num_items += len(lacking)
            texts = items.texts(chunk[lacking])
            for place, text in zip(lacking.tolist(), texts, strict=True):
                ids, cut = tokens.row(place), vocabulary.cut(text)
                found.update(cut[at] for at in np.flatnonzero(ids == UNKNOWN_ID).tolist())
        commonest = sorted(found, key=lambda token: (-found[token], token))[:_TOKENS_KEPT]
        return cls(
            vocabulary.kind,
            num_tokens,
            found.total(),
            num_items,
            len(found),
            tuple(commonest),
        )


@dataclass(frozen=True)
class Furthest:
    """The value that is furthest from the training mean of its feature.

    Attributes:
        value: The value.
        feature: Number of its feature, from 0.
        deviations: The distance in standard deviations of the feature over training.
    """

    value: float
    feature: int
    deviations: float


@dataclass(frozen=True)
class FeatureMeasures:
    """The features of sequences.

    Attributes:
        num_features: Features of a time step.
        constant: Numbers, from 0, of those that never change in training.
        num_constant_elsewhere: Those of them that have another value in validation or test.
        furthest: The furthest value of each split, over the features that change in training;
            empty where none does.
    """

    num_features: int
    constant: tuple[int, ...]
    num_constant_elsewhere: int
    furthest: Mapping[Split, Furthest]

    @classmethod
    def of(
        cls,
        sequences: RaggedArray,
        rows: Mapping[Split, NDArray[np.int64]],
        *,
        stats: FeatureStats,
    ) -> "FeatureMeasures":
        """Reads every value, float32 (V, F), of the items of each split."""
        ranges = {split: _ranges(sequences, chosen) for split, chosen in rows.items()}
        low, high = ranges["train"]
        constant = low == high
        moved = np.any([(span != low).any(axis=0) for span in ranges.values()], axis=0)
        furthest = {}
        for split, span in ranges.items() if not constant.all() else ():
            deviations = np.abs(span - np.array(stats.mean)) / np.array(stats.std)
            deviations[:, constant] = -1.0
            at = np.unravel_index(np.argmax(deviations), deviations.shape)
            furthest[split] = Furthest(float(span[at]), int(at[1]), float(deviations[at]))
        return cls(
            num_features=len(constant),
            constant=tuple(np.flatnonzero(constant).tolist()),
            num_constant_elsewhere=int(np.count_nonzero(constant & moved)),
            furthest=furthest,
        )


@dataclass(frozen=True)
class PlainImages:
    """Images of a single colour.

    Attributes:
        num_plain: How many.
        num_images: Out of how many.
    """

    num_plain: int
    num_images: int

    @classmethod
    def of(cls, collator: ImageCollator, rows: NDArray[np.int64]) -> "PlainImages":
        """Reads the pixels of some images."""
        num_plain = 0
        for start in range(0, len(rows), _IMAGES_AT_A_TIME):
            pixels = collator.pixels(rows[start : start + _IMAGES_AT_A_TIME])
            num_plain += int((pixels == pixels[:, :1, :1]).all(axis=(1, 2, 3)).sum())
        return cls(num_plain, len(rows))


def chunks(rows: NDArray[np.int64], *, sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Cuts row numbers, int64 (R,), where their `sizes` exceed the memory budget."""
    chunk = np.cumsum(sizes) // _CHUNK_VALUES
    for chosen in np.split(rows, np.flatnonzero(np.diff(chunk)) + 1):
        if len(chosen):
            yield chosen


def subsample(rows: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """At most `limit` of some numbers in their order; the same ones every time."""
    if len(rows) <= limit:
        return rows
    chosen = make_rng(_SEED, stream=_STREAM).choice(len(rows), limit, replace=False)
    return rows[np.sort(chosen)]


def _ranges(sequences: RaggedArray, rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The least and the largest value of each feature, (2, F)."""
    sizes = sequences.lengths_of(rows) * sequences.values.shape[1]
    spans = [
        (steps.min(axis=0), steps.max(axis=0))
        for steps in (sequences.take(chunk).values for chunk in chunks(rows, sizes=sizes))
    ]
    lows, highs = zip(*spans, strict=True)
    return np.array([np.min(lows, axis=0), np.max(highs, axis=0)], np.float64)
