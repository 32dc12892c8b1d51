"""The book's script: two towers of one shared layer, `model.fit` on arrays.

    .venv/bin/python -m benchmarks.peers.keras_fit book_lstm_b64

Source: Chollet, Deep Learning with Python, 1st edition, section 7.1.5.
"""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any

import keras
from keras import layers

from benchmarks.cases import UNITS, TrainingCase, pair_arrays
from benchmarks.peers.variants import BF16, Build, Measure, main

STEPS_PER_EXECUTION = 32


class Stopwatch(keras.callbacks.Callback):
    """Measures whole epochs after the first, and ends training when that has taken long enough.

    Args:
        seconds: How long to measure.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds
        self.began = 0.0
        self.ended = 0.0
        self.epochs = 0

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Starts the clock after the first epoch."""
        self.ended, self.epochs = time.perf_counter(), epoch
        if epoch == 0:
            self.began = self.ended
        elif self.ended - self.began >= self._seconds:
            self.model.stop_training = True


def siamese(case: TrainingCase, *, options: Mapping[str, Any]) -> keras.Model:
    """The model of the book.

    Args:
        case: Encoder and shape of its items.
        options: Further arguments of its LSTM.
    """
    if case.encoder == "lstm":
        shape = case.shape if options.get("unroll") else (None, case.shape[1])
        encoder = layers.LSTM(UNITS, **options)
    else:
        shape = case.shape
        encoder = keras.applications.Xception(weights=None, include_top=False, pooling="avg")
    left, right = keras.Input(shape), keras.Input(shape)
    merged = layers.concatenate([encoder(left), encoder(right)], axis=-1)
    predictions = layers.Dense(1, activation="sigmoid", dtype="float32")(merged)
    return keras.Model([left, right], predictions)


def build(
    case: TrainingCase,
    *,
    compiled: Mapping[str, Any] | None = None,
    lstm: Mapping[str, Any] | None = None,
    precision: str = "float32",
) -> Measure:
    """Builds one variant.

    Args:
        case: What to train.
        compiled: Further arguments of `compile`.
        lstm: Further arguments of the LSTM.
        precision: Policy of every layer but the last.
    """
    keras.config.set_dtype_policy(precision)
    model = siamese(case, options=lstm or {})
    model.compile(
        optimizer="rmsprop", loss="binary_crossentropy", metrics=["acc"], **(compiled or {})
    )
    left, right, label = pair_arrays(case)

    def measure(seconds: float) -> float:
        watch = Stopwatch(seconds)
        model.fit(
            [left, right],
            label,
            batch_size=case.batch,
            epochs=1_000_000,
            verbose=0,
            callbacks=[watch],
        )
        pairs = len(label) // case.batch * case.batch
        return pairs * watch.epochs / (watch.ended - watch.began)

    return measure


def variants_of(case: TrainingCase) -> Mapping[str, Build]:
    """As in the book, and with each thing that a user could add to make it faster."""
    many = {"steps_per_execution": min(STEPS_PER_EXECUTION, case.pairs // case.batch)}
    jit = {"jit_compile": True}
    made: dict[str, Build] = {
        "as in the book": partial(build),
        "steps_per_execution": partial(build, compiled=many),
    }
    if case.encoder == "xception":
        made["jit_compile"] = partial(build, compiled=jit)
    else:
        # Keras ignores `jit_compile` for an LSTM that may use cuDNN.
        made["jit_compile, steps_per_execution"] = partial(
            build, compiled=many | jit, lstm={"use_cudnn": False}
        )
        made["unroll, steps_per_execution"] = partial(
            build, compiled=many, lstm={"unroll": True}
        )
    if case.bf16:
        for name, one in list(made.items()):
            made[name + BF16] = partial(one, precision="mixed_bfloat16")
    return made


if __name__ == "__main__":
    main(variants_of)
