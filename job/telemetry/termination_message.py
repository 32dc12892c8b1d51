"""What a pod says of its end: `kubectl describe pod` shows it without the log.

The kubelet mounts a small file into every container and keeps what is in it when the process
ends; anywhere else there is no such file and nothing is written::

    write_termination_message(ExitCode.DATA, "data.train: no such file: 'pairs.csv'. Give ...")

Source: Kubernetes, "Determine the reason for pod failure"; 4,096 bytes a container.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from job.errors import ExitCode

PATH = Path("/dev/termination-log")
LIMIT_BYTES = 4096
_NOTHING_MORE: Mapping[str, object] = MappingProxyType({})


def write_termination_message(
    code: ExitCode,
    message: str,
    *,
    facts: Mapping[str, object] = _NOTHING_MORE,
    path: Path = PATH,
) -> None:
    """Writes how this process ends, if somebody asked for it by mounting a file.

    Args:
        code: The exit code that follows.
        message: The reason and what to do, for people; it is put on one line.
        facts: What else is known, as JSON.
        path: The file; it is never made.
    """
    text = termination_message(code, message, facts=facts)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    except OSError:
        return
    # Telemetry that fails changes nothing about how the process ends.
    try:
        os.write(descriptor, text)
    except OSError:
        return
    finally:
        os.close(descriptor)


def termination_message(
    code: ExitCode, message: str, *, facts: Mapping[str, object] = _NOTHING_MORE
) -> bytes:
    """One line of JSON of at most `LIMIT_BYTES`; an over-long message loses its end."""
    line = _one_line(message)
    content = {"message": line, "exit_code": code.value, "cause": code.name.lower(), **facts}
    text = _encoded(content)
    while len(text) > LIMIT_BYTES and line:
        # A character may take six bytes in JSON, so this may cut more than it must.
        line = line[: len(line) - max((len(text) - LIMIT_BYTES + 3) // 6, 1)]
        text = _encoded({**content, "message": f"{line}..."})
    return text


def _one_line(message: str) -> str:
    """The message without line feeds; what a list item said does not run into the next."""
    words = ""
    for line in filter(None, map(str.strip, message.splitlines())):
        gap = "" if not words else " " if words[-1] in ".:;,!?" else "; "
        words += gap + " ".join(line.split())
    return words


def _encoded(content: dict[str, object]) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode("utf-8", errors="replace")
