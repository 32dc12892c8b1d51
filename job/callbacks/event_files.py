"""Event files for TensorBoard, written through the store of the run without TensorBoard.

The files of an epoch are its metrics and nothing else, so an epoch that is trained again
replaces them, and no step is ever there twice. TensorBoard reads the files of a folder one
after another in the order of their names. As with Keras' own callback, the steps are epochs,
counted from 0, and training and validation are two folders, shown in one chart::

    tensorboard --logdir runs/typos/events

Source: TensorFlow r2.21, `tensorflow/core/lib/io/record_writer.h` (frames of a record and the
mask of their checksums) and `tensorflow/core/util/event.proto`.
"""

import struct
from collections.abc import Callable, Mapping, Sequence

import google_crc32c

from job.callbacks.callback_list import RunCallback
from job.checkpoints.fenced_files import EpochFiles

EVENTS = "events"
SUFFIX = ".tfevents"  # TensorBoard reads files with this in their name

_VALIDATION = "val_"
_VERSION = "brain.Event:2"


class EventFilesCallback(RunCallback):
    """Writes two files at each epoch's end: metrics of training and of validation.

    A process killed between an epoch's commit and its files left none, and one that went back
    to an earlier checkpoint finds files of later epochs. The next process puts both right
    before it trains.

    Args:
        files: Where they are written, by `train` and `validation`.
        history: Reads the metrics of the finished epochs.
        clock: Seconds since 1970; TensorBoard shows when a step was.
    """

    def __init__(
        self,
        files: Mapping[str, EpochFiles],
        *,
        history: Callable[[], Sequence[Mapping[str, float]]],
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._files = files
        self._history = history
        self._clock = clock

    def on_state_ready(self) -> None:
        history = self._history()
        for part, files in self._files.items():
            files.delete_after(len(history))
            missing = set(range(1, len(history) + 1)) - set(files.epochs())
            for epoch in sorted(missing):
                self._write(part, epoch, history[epoch - 1])

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        for part in self._files:
            self._write(part, epoch + 1, logs or {})

    def _write(self, part: str, epoch: int, metrics: Mapping[str, float]) -> None:
        is_validation = part == "validation"
        scalars = {
            f"epoch_{name.removeprefix(_VALIDATION)}": value
            for name, value in sorted(metrics.items())
            if name.startswith(_VALIDATION) == is_validation
        }
        self._files[part].write(epoch, event_file(scalars, step=epoch - 1, now=self._clock()))


def event_file(scalars: Mapping[str, float], *, step: int, now: float) -> bytes:
    """An event file with the scalars of one step.

    Args:
        scalars: Value by tag; NaN and infinity are allowed, and TensorBoard marks them.
        step: From 0.
        now: Seconds since 1970.
    """
    from tensorflow.core.framework.summary_pb2 import Summary
    from tensorflow.core.util.event_pb2 import Event

    values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
    events = [
        Event(wall_time=now, file_version=_VERSION),
        Event(wall_time=now, step=step, summary=Summary(value=values)),
    ]
    return b"".join(_framed(event.SerializeToString(deterministic=True)) for event in events)


def _framed(record: bytes) -> bytes:
    """Length, its checksum, the record, its checksum; numbers are little-endian."""
    length = struct.pack("<Q", len(record))
    return length + _checksum(length) + record + _checksum(record)


def _checksum(data: bytes) -> bytes:
    """CRC-32C, rotated right by 15 bits plus a constant, in 32 bits."""
    crc: int = google_crc32c.value(data)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)
