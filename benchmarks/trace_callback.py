"""Traces some blocks of training; `benchmarks/gpu.py` puts it beside a configuration.

callbacks:
  custom:
  - target: trace_callback:TraceBlocks
    arguments: {folder: /tmp/trace, first_block: 4, blocks: 4}
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

# Verbose.
_HOST_TRACER_LEVEL = 3


class TraceBlocks(keras.callbacks.Callback):
    """Writes one trace of consecutive blocks of steps, and how long they took without it.

    Args:
        folder: Where to.
        first_block: The first one to trace; those before it compile, and warm up.
        blocks: How many to trace; as many are timed before.
    """

    def __init__(self, folder: str, first_block: int, blocks: int) -> None:
        super().__init__()
        self._folder = Path(folder)
        self._first, self._blocks = first_block, blocks
        self._block = -1
        self._steps = 0
        self._began = 0.0
        self._batch = 0

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """A block begins."""
        self._block += 1
        self._batch = batch
        if self._block == self._first - self._blocks:
            self._steps, self._began = 0, time.perf_counter()
        elif self._block == self._first:
            self._write("untraced")
            options = tf.profiler.experimental.ProfilerOptions(
                host_tracer_level=_HOST_TRACER_LEVEL, python_tracer_level=0
            )
            tf.profiler.experimental.start(str(self._folder), options)
            self._steps, self._began = 0, time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """A block ends."""
        self._steps += batch - self._batch + 1
        if self._block == self._first + self._blocks - 1:
            self._write("traced")
            tf.profiler.experimental.stop()
            (self._folder / "done").touch()

    def _write(self, name: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        took = {"steps": self._steps, "seconds": time.perf_counter() - self._began}
        (self._folder / f"{name}.json").write_text(json.dumps(took))
