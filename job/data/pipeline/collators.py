"""Collators: items of a dataset as the input of an encoder. R items, T time steps.

Training and evaluation batches of every kind of item come from a collator::

    collator = TextCollator(items.values, vocabulary)
    ids_RT = collator.batch(np.array([3, 1]))
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from job.config.augmentation import ImageAugmentationConfig, SequenceAugmentationConfig
from job.config.data import DataConfig, ImageDataConfig, SequenceDataConfig
from job.data.dataset import Dataset
from job.preprocessing.augmentation import augment_images, augment_sequences
from job.preprocessing.decode_image import read_image
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import Vocabulary
from job.types import ItemInput

# T is a multiple of this, so that few different T occur and compile.
PADDING_MULTIPLE = 8


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
    """Gives any of N items as one array, the same bytes for the same arguments."""

    @property
    def input(self) -> ItemInput:
        """The input that the encoder has to accept."""
        ...

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Approximate lengths for sorting, int64 (R,); equal if items are not padded."""
        ...

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        """Collates the items of the given row numbers.

        Args:
            rows: int64 (R,), repeats allowed.
            variation: Seeds the configured augmentation; None: no augmentation.

        Returns:
            (R, ...) of the type and shape of `input`.
        """
        ...


@dataclass(frozen=True, eq=False)
class TextCollator:
    """Texts as token IDs, padded with 0; never augmented.

    Args:
        texts: uint8, the UTF-8 bytes of every item.
        vocabulary: Tokenises them.
    """

    texts: RaggedArray
    vocabulary: Vocabulary

    @property
    def input(self) -> ItemInput:
        return ItemInput("text", "int32", (None,), vocabulary_size=self.vocabulary.size)

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return self.texts.lengths_of(rows)

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        tokens = self.vocabulary.encode(self.texts.take(rows))
        return tokens.padded(np.arange(len(tokens)), multiple=PADDING_MULTIPLE)


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

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        chosen = self.sequences.take(rows)
        if variation is not None and self.augmentation is not None:
            chosen = augment_sequences(
                chosen,
                self.augmentation,
                std=self.stats.std,
                seed=variation.seed,
                epoch=variation.epoch,
                index=variation.index,
            )
        return chosen.padded(
            np.arange(len(chosen)), multiple=PADDING_MULTIPLE, fill=float("nan")
        )


@dataclass(frozen=True, eq=False)
class ImageCollator:
    """Images as red, green and blue from 0 to 255.

    Args:
        images: uint8, pixels (N * S, S, 3) or the bytes of files (V,).
        section: The data section, for size and augmentation.
    """

    images: RaggedArray
    section: ImageDataConfig

    @property
    def input(self) -> ItemInput:
        return ItemInput("image", "float32", (self.section.size, self.section.size, 3))

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.full(len(rows), self.section.size, np.int64)

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of the given row numbers, uint8 (R, S, S, 3), not augmented."""
        size = self.section.size
        pixels = np.empty((len(rows), size, size, 3), np.uint8)
        for position, row in enumerate(rows.tolist()):
            image = self.images.row(row)
            if image.ndim == 1:
                image = read_image(
                    image.tobytes(),
                    size=size,
                    resize=self.section.resize,
                    max_pixels=self.section.max_pixels,
                )
            pixels[position] = image
        return pixels

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        pixels = self.pixels(rows)
        augmentation: ImageAugmentationConfig | None = self.section.augmentation
        if variation is None or augmentation is None:
            return pixels.astype(np.float32)
        return augment_images(
            pixels,
            augmentation,
            seed=variation.seed,
            epoch=variation.epoch,
            index=variation.index,
        )


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
