"""Small encoders of every kind and the items they take, for tests of several modules."""

import numpy as np

from job.config.model import CnnConfig, LstmConfig, XceptionConfig
from job.types import ItemInput

VOCABULARY_SIZE = 9
FEATURES = 3
SIZE = 16
XCEPTION_SIZE = 71

TEXT = ItemInput("text", "int32", (None,), vocabulary_size=VOCABULARY_SIZE)
SEQUENCE = ItemInput(
    "sequence", "float32", (None, FEATURES), mean=(0.5, -20.0, 3e5), std=(1.0, 4.0, 1e-2)
)
IMAGE = ItemInput("image", "float32", (SIZE, SIZE, 3))
LARGE_IMAGE = ItemInput("image", "float32", (XCEPTION_SIZE, XCEPTION_SIZE, 3))

CASES = {
    "text": (LstmConfig(units=4, embedding_size=3), TEXT),
    "sequence": (
        LstmConfig(units=4, bidirectional=True, layers=2, pooling="mean", dropout=0.2),
        SEQUENCE,
    ),
    "cnn": (CnnConfig(filters=[4, 6], embedding_size=5, dropout=0.2), IMAGE),
    "xception": (XceptionConfig(), LARGE_IMAGE),
}


def some_items(item: ItemInput, num: int, *, length: int = 7, seed: int = 0) -> np.ndarray:
    """`num` items without padding, (num, ...)."""
    rng = np.random.default_rng(seed)
    if item.kind == "text":
        return rng.integers(1, item.vocabulary_size, (num, length)).astype(np.int32)
    if item.kind == "sequence":
        steps = rng.normal(size=(num, length, FEATURES)) * item.std + item.mean
        return steps.astype(np.float32)
    return rng.uniform(0, 255, (num, *item.shape)).astype(np.float32)
