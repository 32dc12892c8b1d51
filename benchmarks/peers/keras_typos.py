"""The text example as a script in the style of the book: characters, two towers, `model.fit`.

    .venv/bin/python -m benchmarks.peers.keras_typos [--variant NAME]

Prints the ROC-AUC on validation after each epoch, until it is killed.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers, ops
from numpy.typing import NDArray

from benchmarks.peers.typos import read_pairs, report

EPOCHS = 60


@dataclass(frozen=True)
class Variant:
    """How the script is written.

    Attributes:
        padding: Where the zeros go: `pre` is the default of `pad_sequences`.
        masked: Whether the embedding masks them.
        steps_per_execution: Steps in one call of the compiled function.
        batch: Pairs in a step.
        learning_rate: Of Adam.
        jit: Whether XLA compiles the step; cuDNN is then switched off.
    """

    padding: str = "post"
    masked: bool = True
    steps_per_execution: int = 1
    batch: int = 256
    learning_rate: float = 0.003
    jit: bool = False


VARIANTS: Mapping[str, Variant] = {
    "masked": Variant(),
    "masked, steps_per_execution": Variant(steps_per_execution=16),
    "padded in front": Variant("pre", masked=False),
    "padded in front, steps_per_execution": Variant(
        "pre", masked=False, steps_per_execution=16
    ),
    "padded in front, steps_per_execution, batch of 128": Variant(
        "pre", masked=False, steps_per_execution=16, batch=128
    ),
    "padded in front, steps_per_execution, jit_compile": Variant(
        "pre", masked=False, steps_per_execution=16, jit=True
    ),
}


class Validation(keras.callbacks.Callback):
    """Reports the ROC-AUC after each epoch."""

    def __init__(self, left: NDArray, right: NDArray, label: NDArray) -> None:
        super().__init__()
        self._pairs = [left, right]
        self._label = label

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Scores every pair."""
        score = self.model.predict(self._pairs, batch_size=1024, verbose=0)
        report(self._label, score[:, 0])


def encoded(texts: list[str], *, ids: Mapping[str, int]) -> list[list[int]]:
    """Each text as the numbers of its characters; 1 is one that training has not."""
    return [[ids.get(character, 1) for character in text] for text in texts]


def siamese(size: int, *, variant: Variant) -> keras.Model:
    """The model of examples/text.yaml."""
    embedding = layers.Embedding(size, 32, mask_zero=variant.masked)
    options = {"use_cudnn": False} if variant.jit else {}
    lstm = layers.Bidirectional(layers.LSTM(32, **options))
    left, right = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    u, v = lstm(embedding(left)), lstm(embedding(right))
    merged = layers.concatenate([ops.abs(u - v), u * v])
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid")(merged))


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description="Trains on the typos with model.fit.")
    parser.add_argument("--variant", choices=VARIANTS, default="padded in front")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(arguments.seed)
    variant = VARIANTS[arguments.variant]
    train, validation = read_pairs("train"), read_pairs("validation")
    characters = sorted(set("".join(train[0] + train[1])))
    ids = {character: number for number, character in enumerate(characters, start=2)}
    longest = max(map(len, train[0] + train[1] + validation[0] + validation[1]))

    def padded(texts: list[str]) -> NDArray[np.int32]:
        return keras.utils.pad_sequences(
            encoded(texts, ids=ids), maxlen=longest, padding=variant.padding
        )

    model = siamese(len(ids) + 2, variant=variant)
    model.compile(
        optimizer=keras.optimizers.Adam(variant.learning_rate),
        loss="binary_crossentropy",
        metrics=["acc"],
        steps_per_execution=variant.steps_per_execution,
        jit_compile=variant.jit,
    )
    left, right = padded(validation[0]), padded(validation[1])
    model.fit(
        [padded(train[0]), padded(train[1])],
        train[2],
        batch_size=variant.batch,
        epochs=EPOCHS,
        verbose=0,
        callbacks=[Validation(left, right, validation[2])],
    )


if __name__ == "__main__":
    main()
