"""Feeds: a data set's items in the form that an encoder takes them. R items, T time steps.

Everything that cuts batches goes through one of these, whatever an item is::

    feed = TextCollator(items.values, vocabulary)
    ids_RT = feed.batch(np.array([3, 1]))
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

# T is a multiple of this, so that few different T occur.
PADDING_MULTIPLE = 8


@dataclass(frozen=True, eq=False)
class AugmentationSeed:
    """Which variation of each item is wanted; a function of these three alone.

    Attributes:
        seed: `run.seed`.
        epoch: Number of the epoch.
        index: int64 (R,), a number for each item, its own within the epoch.
    """

    seed: int
    epoch: int
    index: NDArray[np.int64]


class Collator(Protocol):
    """Gives any of N items as one rectangle, the same bytes for the same arguments."""

    @property
    def input(self) -> ItemInput:
        """What the encoder has to take."""
        ...

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64 (R,), about how long items are, for sorting; equal where none is padded."""
        ...

    def batch(
        self, rows: NDArray[np.int64], *, variation: AugmentationSeed | None = None
    ) -> NDArray[np.generic]:
        """The items of the given row numbers, int64 (R,), repeats allowed.

        Args:
            rows: Which items.
            variation: How they are varied; None gives them as they are. Without effect where
                no augmentation is configured.

        Returns:
            (R, ...) of the type and shape that `input` says.
        """
        ...


@dataclass(frozen=True, eq=False)
class TextCollator:
    """Texts as token ids, padded with 0; never varied.

    Args:
        texts: uint8, the UTF-8 bytes of every item.
        vocabulary: Turns them into ids.
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
        moments: Of the training items.
        augmentation: How they are varied; None: not at all.
    """

    sequences: RaggedArray
    moments: FeatureStats
    augmentation: SequenceAugmentationConfig | None = None

    @property
    def input(self) -> ItemInput:
        shape = (None, self.sequences.values.shape[1])
        moments = self.moments
        return ItemInput("sequence", "float32", shape, mean=moments.mean, std=moments.std)

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
                std=self.moments.std,
                seed=variation.seed,
                epoch=variation.epoch,
                index=variation.index,
            )
        return chosen.padded(
            np.arange(len(chosen)), multiple=PADDING_MULTIPLE, fill=float("nan")
        )


@dataclass(frozen=True, eq=False)
class ImageCollator:
    """Pictures as red, green and blue from 0 to 255.

    Args:
        pictures: uint8, pixels (N * S, S, 3) or the bytes of files (V,).
        section: What pictures are brought to.
    """

    pictures: RaggedArray
    section: ImageDataConfig

    @property
    def input(self) -> ItemInput:
        return ItemInput("image", "float32", (self.section.size, self.section.size, 3))

    def lengths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.full(len(rows), self.section.size, np.int64)

    def pixels(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The pictures of the given row numbers, uint8 (R, S, S, 3), not varied."""
        size = self.section.size
        pixels = np.empty((len(rows), size, size, 3), np.uint8)
        for place, row in enumerate(rows.tolist()):
            picture = self.pictures.row(row)
            if picture.ndim == 1:
                picture = read_image(
                    picture.tobytes(),
                    size=size,
                    resize=self.section.resize,
                    max_pixels=self.section.max_pixels,
                )
            pixels[place] = picture
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
    """The feed of a data set's items.

    Args:
        dataset: The items and what was counted over those of training.
        section: The data section that it was made from.
    """
    values, statistics = dataset.items.values, dataset.statistics
    if isinstance(section, ImageDataConfig):
        return ImageCollator(values, section)
    if isinstance(section, SequenceDataConfig) and isinstance(statistics, FeatureStats):
        return SequenceCollator(values, statistics, section.augmentation)
    if statistics is None or isinstance(statistics, FeatureStats):
        raise ValueError(f"items of kind {section.kind} do not have {statistics!r}")
    return TextCollator(values, statistics)
