"""An exported model in this program: it embeds items as training reads them.

N items of a table, M of them, B pairs, D embedding size.

::

    model = load_exported("runs/typos")
    model.check_golden()
    embedding_MD = model.embed(items, rows)
    scores = model.compare(embedding_MD[left], embedding_MD[right])
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from job.config.data import Data, ImageDataConfig
from job.data.dataset import ItemTable
from job.data.pipeline.batches import item_batches, steps_within_budget
from job.data.pipeline.collators import Collator, ImageCollator, SequenceCollator, TextCollator
from job.errors import ConfigError, DataError
from job.evaluation.calibration import Calibration
from job.export import golden as golden_files
from job.export.golden import GoldenPairs, Items
from job.export.manifest import Manifest
from job.export.place import StoredExport, find_export
from job.models.pair_scorer import CALL_BYTES, read_late
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import Vocabulary, vocabulary_from_json
from job.storage.object_store import ObjectStore
from job.storage.open_store import open_store
from job.storage.temporary import temporary_folder
from job.types import Kind

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]

SCORER = "scorer"
VOCABULARY = "vocabulary.json"

_BATCH_SIZE = 1024
# Values of items that are copied and tokenised at a time.
_PART_BYTES = 64 << 20
# Numbers for each pair that `compare` has in memory besides ten arrays of embeddings: hidden
# units of a head, comparisons with the knots of a calibration.
_OTHER_VALUES = 1024


@dataclass(frozen=True)
class Scores:
    """What a model says of B pairs.

    Attributes:
        logit: float32 (B,), any real number, high = similar.
        score: float32 (B,), the sigmoid of the logit, in [0, 1].
        probability: float32 (B,), the calibrated score, in [0, 1].
        match: bool (B,), whether the score is at least the threshold.
    """

    logit: FloatArray
    score: FloatArray
    probability: FloatArray
    match: NDArray[np.bool_]


class ExportedModel:
    """A loaded export.

    Args:
        module: The SavedModel.
        manifest: What it is.
        golden: Pairs with known scores.
        vocabulary: Of texts.
        place: Where it was found, for messages.

    Attributes:
        manifest: What it is.
    """

    def __init__(
        self,
        module: Any,
        *,
        manifest: Manifest,
        golden: GoldenPairs,
        vocabulary: Vocabulary | None,
        place: str,
    ) -> None:
        self.manifest = manifest
        self._module = module
        self._golden = golden
        self._vocabulary = vocabulary
        self._place = place

    @property
    def kind(self) -> Kind:
        """What an item is."""
        kind: Kind = self.manifest.data.kind
        return kind

    @property
    def threshold(self) -> float:
        """A pair matches when its score is at least this."""
        return self.manifest.threshold

    @property
    def data(self) -> Data:
        """The data section of the run, without its files."""
        return self.manifest.data

    @property
    def distance(self) -> str | None:
        """The distance that the head orders pairs by: `cosine`, `euclidean` or None."""
        return self.manifest.distance

    @property
    def calibration(self) -> Calibration:
        """From the logit to the probability of a match."""
        return self.manifest.calibration

    @property
    def embedding_size(self) -> int:
        """D."""
        return self.manifest.embedding_size

    def feed(self, items: ItemTable) -> Collator:
        """Collates items as the encoder takes them.

        Raises:
            ConfigError: The model takes items of another kind.
        """
        if items.kind != self.kind:
            raise ConfigError(
                f"{self._place}: the model takes items of kind {self.kind}, got {items.kind}. "
                "Give a run that was trained on such items."
            )
        if isinstance(self.data, ImageDataConfig):
            return ImageCollator(items.values, self.data)
        if self._vocabulary is not None:
            return TextCollator(items.values, self._vocabulary)
        return self._sequences(items.values)

    def _sequences(self, values: RaggedArray) -> Collator:
        num_features = self.manifest.encoder_input["shape"][-1]
        if not len(values):
            values = RaggedArray(np.zeros((0, num_features), np.float32), values.offsets)
        if values.values.shape[1] != num_features:
            raise ConfigError(
                f"{self._place}: the model takes sequences of {num_features} features, got "
                f"{values.values.shape[1]}. Give sequences as those it was trained on."
            )
        # The moments of training are in the encoder.
        unused = FeatureStats((0.0,) * num_features, (1.0,) * num_features)
        return SequenceCollator(values, unused)

    def embed(self, items: ItemTable, rows: IntArray) -> FloatArray:
        """Embeds items.

        Args:
            items: A table of N items.
            rows: int64 (M,), row numbers into it.

        Returns:
            float32 (M, D).

        Raises:
            ConfigError: The model takes items of another kind.
        """
        embedding_MD = np.empty((len(rows), self.embedding_size), np.float32)
        for part in _parts(items.values, rows):
            taken = ItemTable(items.form, items.values.take(rows[part]))
            embedding_MD[part] = self.embed_all(self.feed(taken), num_items=len(taken))
        return embedding_MD

    def embed_all(self, feed: Collator, *, num_items: int) -> FloatArray:
        """Embeds every item of a collator, short ones first.

        Args:
            feed: From `feed`.
            num_items: M, how many it has.

        Returns:
            float32 (M, D).
        """
        embedding_MD = np.empty((num_items, self.embedding_size), np.float32)
        if not num_items:
            return embedding_MD
        batches = item_batches(
            feed,
            batch_size=_BATCH_SIZE,
            rows=np.arange(num_items),
            max_steps=steps_within_budget(feed.input, embedding_size=self.embedding_size),
        )
        with closing(batches):
            encoded = (
                (rows, self._module.encode(tf.constant(items))["embedding"])
                for rows, items in batches
            )
            for rows, embedding_BD in read_late(encoded):
                embedding_MD[rows] = embedding_BD.numpy()
        return embedding_MD

    def compare(self, left_BD: FloatArray, right_BD: FloatArray) -> Scores:
        """Scores pairs of embeddings.

        Args:
            left_BD: float32 (B, D), of the first items.
            right_BD: float32 (B, D), of the second.
        """
        size = len(left_BD)
        logit, score, probability = (np.empty(size, np.float32) for _ in range(3))
        match = np.empty(size, np.bool_)
        values = 10 * self.embedding_size + len(self.calibration.logit) + _OTHER_VALUES
        at_once = max(1, CALL_BYTES // (4 * values))

        def compared() -> Iterator[tuple[slice, dict[str, tf.Tensor]]]:
            for start in range(0, size, at_once):
                part = slice(start, start + at_once)
                yield (
                    part,
                    self._module.compare(
                        left_embedding=tf.constant(left_BD[part]),
                        right_embedding=tf.constant(right_BD[part]),
                    ),
                )

        for part, answer in read_late(compared()):
            logit[part] = answer["logit"].numpy()
            score[part] = answer["score"].numpy()
            probability[part] = answer["probability"].numpy()
            match[part] = answer["match"].numpy()
        return Scores(logit, score, probability, match)

    def check_golden(self) -> float:
        """Scores the golden pairs: as a server does, and as this program does.

        Returns:
            The largest difference to their scores.

        Raises:
            DataError: It is more than rounding explains.
        """
        golden = self._golden
        arguments = {name: tf.constant(value) for name, value in golden.arguments().items()}
        served = self._module.score(**arguments)["score"].numpy()
        left_BD, right_BD = (self._embed_golden(items) for items in (golden.left, golden.right))
        here = self.compare(left_BD, right_BD).score
        gap = float(np.max(np.abs(np.stack([served, here]) - golden.score), initial=0.0))
        if not gap <= self.manifest.tolerance:
            raise DataError(
                f"{self._place}: the exported model differs on this machine by {gap:.2g} from "
                f"the scores of its {len(golden.score)} golden pairs (allowed: "
                f"{self.manifest.tolerance:g}). Use the versions of TensorFlow and Keras that "
                "exported it, or export it again."
            )
        return gap

    def _embed_golden(self, items: Items) -> FloatArray:
        table = _table(items)
        return self.embed(table, np.arange(len(table)))


def load_exported(
    place: str | Path, *, open_place: Callable[[str], ObjectStore] = open_store
) -> ExportedModel:
    """Loads the export of a run, or an export.

    Args:
        place: The folder or URI of a run or of an export.
        open_place: Opens a folder or a URI.

    Raises:
        ConfigError: See `find_export`.
        DataError: The export is damaged.
    """
    return open_export(find_export(place, open_place=open_place))


def open_export(stored: StoredExport) -> ExportedModel:
    """Loads an export that was found.

    Raises:
        DataError: It is damaged.
        DiskFullError: The temporary folder, which it is copied to, has no space for it.
    """
    wanted = [VOCABULARY, golden_files.TEXTS, golden_files.ARRAYS]
    files = [
        name
        for name in stored.manifest.sha256
        if name in wanted or name.startswith(f"{SCORER}/")
    ]
    with temporary_folder("siamese-model-") as folder:
        stored.copy(folder, files)
        vocabulary = None
        try:
            if VOCABULARY in files:
                text = (folder / VOCABULARY).read_text(encoding="utf-8")
                vocabulary = vocabulary_from_json(json.loads(text))
            golden = GoldenPairs.load(folder)
            # It keeps no file open: all variables are read now.
            module = tf.saved_model.load(str(folder / SCORER))
        except (OSError, KeyError, ValueError) as error:
            raise DataError(
                f"{stored.place}: the export cannot be loaded ({error!r:.300}). Copy all of it "
                "again, or export the model again."
            ) from error
    return ExportedModel(
        module,
        manifest=stored.manifest,
        golden=golden,
        vocabulary=vocabulary,
        place=stored.place,
    )


def _table(items: Items) -> ItemTable:
    """Golden items as those of a data set."""
    if isinstance(items, RaggedArray):
        return ItemTable("sequence", items)
    if isinstance(items, np.ndarray):
        size = items.shape[1]
        offsets = np.arange(0, size * len(items) + 1, size)
        return ItemTable("decoded", RaggedArray(items.reshape(-1, size, 3), offsets))
    return ItemTable("text", RaggedArray.from_bytes([text.encode() for text in items]))


def _parts(values: RaggedArray, rows: IntArray) -> Iterator[slice]:
    """Consecutive rows, each time as many as the budget allows and at least one."""
    itemsize = values.values.itemsize * int(np.prod(values.values.shape[1:]))
    end_bytes = np.cumsum(values.lengths_of(rows) * itemsize)
    start = 0
    while start < len(rows):
        before = end_bytes[start - 1] if start else 0
        end = int(np.searchsorted(end_bytes, before + _PART_BYTES, side="right"))
        end = max(end, start + 1)
        yield slice(start, end)
        start = end
