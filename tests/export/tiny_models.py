"""Models of a few weights for each kind of items. N items, T steps, F features, D sizes."""

import keras
import numpy as np
from keras import ops

from job.config.data import ImageDataConfig, SequenceDataConfig, TextDataConfig
from job.config.model import AbsDiffProductConfig, LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.export.golden import GoldenPairs
from job.export.reference import Histogram, Reference
from job.export.writer import ExportFacts
from job.models.heads import build_head
from job.models.siamese import Siamese, build_siamese
from job.preprocessing.feature_stats import FeatureStats
from job.preprocessing.ragged import RaggedArray, offsets_of
from job.preprocessing.vocabulary import CharacterVocabulary, WordVocabulary
from job.types import ItemInput

LETTERS = CharacterVocabulary("ab\u00e9\U0001f600")
WORDS = WordVocabulary(("don't", "a", ",", "\u4e2d"))
MOMENTS = FeatureStats((0.0, 0.0), (1.0, 1.0))

SEQUENCE = ItemInput("sequence", "float32", (None, 2), mean=(0.0, 0.0), std=(1.0, 1.0))
IMAGE = ItemInput("image", "float32", (8, 8, 3))


def text_model(vocabulary, *, dropout=0.0):
    item = ItemInput("text", "int32", (None,), vocabulary_size=vocabulary.size)
    encoder = LstmConfig(units=3, embedding_size=2, dropout=dropout)
    model = ModelConfig(encoder=encoder)
    return build_siamese(model, training=TrainingConfig(), item=item, seed=3)


def sequence_model():
    """The mean of tanh(Dense) over the steps that are none of padding."""
    vectors_NTF = keras.Input((None, 2))
    is_padding_NTF = ops.isnan(vectors_NTF)
    is_step_NT1 = 1.0 - ops.cast(is_padding_NTF[:, :, :1], "float32")
    known_NTF = ops.where(is_padding_NTF, 0.0, vectors_NTF)
    hidden_NTD = keras.layers.Dense(3, activation="tanh", kernel_initializer=_glorot())(
        known_NTF
    )
    total_ND = ops.sum(hidden_NTD * is_step_NT1, axis=1)
    return _siamese(SEQUENCE, vectors_NTF, total_ND / ops.sum(is_step_NT1, axis=1))


def image_model():
    pixels = keras.Input((8, 8, 3))
    scaled = keras.layers.Rescaling(1 / 255)(pixels)
    features = keras.layers.Conv2D(4, 3, activation="relu", kernel_initializer=_glorot())(
        scaled
    )
    pooled_ND = keras.layers.GlobalAveragePooling2D()(features)
    embedding_ND = keras.layers.Dense(3, kernel_initializer=_glorot())(pooled_ND)
    return _siamese(IMAGE, pixels, embedding_ND)


def facts(siamese, *, threshold=0.5, **more):
    """What an export says of one of these models."""
    data = {
        "text": TextDataConfig(train="a.csv"),
        "sequence": SequenceDataConfig(train="a.csv"),
        "image": ImageDataConfig(train="a.csv", size=8),
    }[siamese.item.kind]
    reference = Reference(Histogram((0.5,), (1, 1)))
    return ExportFacts(threshold, data, "abs_diff_product", reference, **more)


def golden_texts(siamese, vocabulary, left, right):
    def ids(texts):
        items = RaggedArray.from_bytes([text.encode() for text in texts])
        return vocabulary.encode(items).padded(np.arange(len(items)))

    return GoldenPairs(left, right, _scores(siamese, ids(left), ids(right)))


def golden_sequences(siamese, left_lengths, right_lengths):
    random = np.random.default_rng(0)

    def sequences(lengths):
        values = random.normal(size=(sum(lengths), 2)).astype(np.float32)
        return RaggedArray(values, offsets_of(np.array(lengths)))

    def padded(items):
        return items.padded(np.arange(len(items)), fill=np.nan)

    left, right = sequences(left_lengths), sequences(right_lengths)
    return GoldenPairs(left, right, _scores(siamese, padded(left), padded(right)))


def golden_images(siamese, count):
    random = np.random.default_rng(0)
    left, right = random.integers(0, 256, (2, count, 8, 8, 3), np.uint8)
    score = _scores(siamese, left.astype(np.float32), right.astype(np.float32))
    return GoldenPairs(left, right, score)


def _scores(siamese, left, right):
    return siamese.scorer([left, right], training=False).numpy()[:, 0]


def _glorot():
    return keras.initializers.GlorotUniform(seed=1)


def _siamese(item, inputs, embedding_ND):
    encoder = keras.Model(inputs, embedding_ND, name="encoder")
    head = build_head(AbsDiffProductConfig(), embedding_size=3, seed=3)
    left, right = (keras.Input(item.shape, dtype=item.dtype, name=n) for n in ("left", "right"))
    score = keras.layers.Activation("sigmoid")(head([encoder(left), encoder(right)]))
    scorer = keras.Model([left, right], score, name="scorer")
    return Siamese(item, encoder, head, scorer, loss=None, optimizer=None)
