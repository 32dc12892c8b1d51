"""Keeps what native libraries write to standard error while they load out of sight.

TensorFlow's C++ parts write a dozen lines there as they are imported and look for devices, and
no setting silences all of them::

    with captured_native_stderr():
        import tensorflow as tf

The lines are logged at DEBUG afterwards. They come back on standard error when the block
raises; they are lost only if the process is killed inside it.
"""

import contextlib
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, MutableMapping
from typing import BinaryIO

log = logging.getLogger(__name__)

_STDERR = 2
MAX_CAPTURED_BYTES = 1024 * 1024


@contextlib.contextmanager
def captured_native_stderr() -> Iterator[None]:
    """Redirects file descriptor 2 for the block.

    Does nothing where the process has no standard error (then 2 may be any file), or where no
    temporary file can be made.
    """
    with contextlib.ExitStack() as stack:
        redirect = _begin(stack)
        if redirect is None:
            yield
            return
        original, kept = redirect
        try:
            yield
        except BaseException:
            _point_stderr_at(original)
            _write_all(original, _content(kept))
            raise
        _point_stderr_at(original)
        for line in _content(kept).decode("utf-8", "replace").splitlines():
            if line.strip():
                log.debug("native stderr", extra={"line": line.rstrip()})


def _begin(stack: contextlib.ExitStack) -> tuple[int, BinaryIO] | None:
    try:
        if sys.__stderr__ is None:
            raise OSError("the process has no standard error")
        original = os.dup(_STDERR)
        stack.callback(os.close, original)
        kept = stack.enter_context(tempfile.TemporaryFile())
        _point_stderr_at(kept.fileno())
    except OSError as error:
        log.debug("native stderr not captured", extra={"reason": str(error)})
        return None
    return original, kept


def quieten_tensorflow(environment: MutableMapping[str, str]) -> None:
    """Silences the native log of TensorFlow, unless the user set its level.

    What matters is raised as an exception; what is left says, for example at the first step,
    that a CPU lacks an instruction. Call it before TensorFlow is imported.

    Args:
        environment: The process' environment variables.
    """
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def _point_stderr_at(descriptor: int) -> None:
    # First what Python still buffers, which belongs to where it was written.
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
    os.dup2(descriptor, _STDERR)


def _content(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read(MAX_CAPTURED_BYTES)


def _write_all(descriptor: int, content: bytes) -> None:
    with contextlib.suppress(OSError):
        while content:
            content = content[os.write(descriptor, content) :]
