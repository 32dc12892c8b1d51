"""Collators: items of a dataset as the input of an encoder. R items, T time steps.

Training batches leave a collator unpadded, in the smallest type that holds their values, and
are padded where the encoder runs. Evaluation takes padded ones::

    collator = TextCollator(items.values, vocabulary)
    ids = collator.ragged(np.array([3, 1]))
    ids_RT = collator.batch(np.array([3, 1]))
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from job.config.augmentation import ImageAugmentationConfig, SequenceAugmentationConfig
from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig
from job.data.dataset import Dataset
from job.preprocessing.augmentation import augment_images, augment_sequences
from job.preprocessing.decode_image import read_image
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import Vocabulary, encode_all, id_dtype
from job.types import ItemInput

# Token IDs of memory-mapped texts of more bytes than this are not kept: they would fill the
# memory that mapping saves, with two or four bytes for each byte of text, and delay the start.
_MOST_MAPPED_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class AugmentationSeed:
    """Determines the augmentation of each item, with nothing else.

    Attributes:
        seed: `run.seed`.
        epoch: Counted from 0.
        index: int64 (R,), a number for each item, unique within the epoch.
    """

    seed: int
    epoch: int
    index: NDArray[np.int64]


class Collator(Protocol):
    """Gives any of N items as arrays, the same bytes for the same arguments."""

    @property
    def input(self) -> ItemInput:
        """The input that the encoder has to accept."""
        ...

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Time steps of items int64 (R,) without augmentation, int64 (R,), each >= 1."""
        ...

    def items(self) -> RaggedArray | None:
        """Every item as `ragged` gives it; None if a batch needs work on the host."""
        ...

    def ragged(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> RaggedArray:
        """Collates the items of the given row numbers without padding.

        Args:
            rows: int64 (R,), repeats allowed.
            variation: Seeds the configured augmentation; None: no augmentation.

        Returns:
            R rows of the smallest type that holds the values, which `input.dtype` holds, too:
            uint16 or int32 token IDs, float32 (F,) time steps, or uint8 (S, 3) lines of pixels.
        """
        ...

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        """The rows of `ragged`, padded with `input.fill` to the longest.

        Returns:
            (R, ...) of the type and shape of `input`.
        """
        ...


def padded(items: RaggedArray, *, item: ItemInput) -> NDArray[np.generic]:
    """The input of an encoder from what a collator's `ragged` returned.

    Args:
        items: R items.
        item: The collator's `input`.

    Returns:
        (R, ...) of the type and shape of `item`.
    """
    rectangle = items.padded(np.arange(len(items)), fill=item.fill)
    return rectangle.astype(item.dtype, copy=False)


@dataclass(frozen=True, eq=False)
class TextCollator:
    """Texts as token IDs, padded with 0; never augmented.

    A text is tokenised once, or in every batch if the texts are memory-mapped and many.

    Args:
        texts: uint8, the UTF-8 bytes of every item.
        vocabulary: Tokenises them.
    """

    texts: RaggedArray
    vocabulary: Vocabulary

    @property
    def input(self) -> ItemInput:
        return ItemInput("text", "int32", (None,), vocabulary_size=self.vocabulary.size)

    @cached_property
    def _ids(self) -> RaggedArray | None:
        """Token IDs of every item, made when they are first used."""
        values = self.texts.values
        if isinstance(values, np.memmap) and values.nbytes > _MOST_MAPPED_BYTES:
            return None
        return encode_all(self.vocabulary, self.texts)

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._ids is not None:
            return self._ids.lengths_of(rows)
        return np.concatenate([self.ragged(some).lengths for some in self.texts.chunks(rows)])

    def items(self) -> RaggedArray | None:
        return self._ids

    def ragged(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> RaggedArray:
        if self._ids is not None:
            return self._ids.take(rows)
        tokens = self.vocabulary.encode(self.texts.take(rows))
        return RaggedArray(tokens.values.astype(id_dtype(self.vocabulary)), tokens.offsets)

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        return padded(self.ragged(rows), item=self.input)


@dataclass(frozen=True, eq=False)
class SequenceCollator:
    """Sequences of vectors, padded with steps of NaN.

    Args:
        sequences: float32 (V, F), the steps of every item.
        stats: Statistics of the training items.
        augmentation: `data.augmentation`; None: no augmentation.
    """

    sequences: RaggedArray
    stats: FeatureStats
    augmentation: SequenceAugmentationConfig | None = None

    @property
    def input(self) -> ItemInput:
        shape = (None, self.sequences.values.shape[1])
        stats = self.stats
        return ItemInput("sequence", "float32", shape, mean=stats.mean, std=stats.std)

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.sequences.lengths_of(rows)

    def items(self) -> RaggedArray | None:
        return self.sequences if self.augmentation is None else None

    def ragged(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> RaggedArray:
        chosen = self.sequences.take(rows)
        if variation is None or self.augmentation is None:
            return chosen
        return augment_sequences(
            chosen,
            self.augmentation,
            std=self.stats.std,
            seed=variation.seed,
            epoch=variation.epoch,
            index=variation.index,
        )

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        return padded(self.ragged(rows, variation=variation), item=self.input)


@dataclass(frozen=True, eq=False)
class ImageCollator:
    """Images as red, green and blue from 0 to 255; a line of pixels is a time step.

    Args:
        images: uint8, pixels (N * S, S, 3) or the bytes of files (V,).
        section: The data section, for size and augmentation.
    """

    images: RaggedArray
    section: ImageDataConfig

    @property
    def input(self) -> ItemInput:
        return ItemInput("image", "float32", (self.section.size, self.section.size, 3))

    @property
    def _are_decoded(self) -> bool:
        return self.images.values.ndim == 3

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.full(len(rows), self.section.size, np.int64)

    def items(self) -> RaggedArray | None:
        is_fixed = self._are_decoded and self.section.augmentation is None
        return self.images if is_fixed else None

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of the given row numbers, uint8 (R, S, S, 3), not augmented."""
        section = self.section
        shape = (len(rows), section.size, section.size, 3)
        if self._are_decoded:
            lines: NDArray[Any] = self.images.take(rows).values
            return lines.reshape(shape)
        pixels = np.empty(shape, np.uint8)
        for position, row in enumerate(rows.tolist()):
            pixels[position] = read_image(
                self.images.row(row).tobytes(),
                size=section.size,
                resize=section.resize,
                max_pixels=section.max_pixels,
            )
        return pixels

    def varied_pixels(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None
    ) -> NDArray[np.uint8]:
        """The images of the given row numbers, uint8 (R, S, S, 3), augmented if seeded."""
        pixels = self.pixels(rows)
        augmentation: ImageAugmentationConfig | None = self.section.augmentation
        if variation is None or augmentation is None:
            return pixels
        return augment_images(
            pixels,
            augmentation,
            seed=variation.seed,
            epoch=variation.epoch,
            index=variation.index,
        )

    def ragged(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> RaggedArray:
        size = self.section.size
        pixels = self.varied_pixels(rows, variation=variation)
        offsets = np.arange(0, size * len(rows) + 1, size)
        return RaggedArray(pixels.reshape(-1, size, 3), offsets)

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        return self.varied_pixels(rows, variation=variation).astype(np.float32)


def collator_for(dataset: Dataset, section: DataConfig) -> Collator:
    """Builds the collator of a dataset's items.

    Args:
        dataset: The items and the statistics of the training items.
        section: The data section of the dataset.
    """
    values, statistics = dataset.items.values, dataset.statistics
    if isinstance(section, ImageDataConfig):
        return ImageCollator(values, section)
    if isinstance(section, SequenceDataConfig) and isinstance(statistics, FeatureStats):
        return SequenceCollator(values, statistics, section.augmentation)
    if statistics is None or isinstance(statistics, FeatureStats):
        raise ValueError(f"items of kind {section.kind} do not have {statistics!r}")
    return TextCollator(values, statistics)
