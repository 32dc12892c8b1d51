"""One step of `make e2e` after the other: each is named, timed and bounded."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
# For a command to end by itself once it was asked to.
GRACE_SECONDS = 30


def phase(*command: str, env: Mapping[str, str], seconds: float, is_read: bool = False) -> str:
    """Runs a command in the repository; one that fails ends this process with one line.

    Args:
        command: Program and arguments.
        env: Its environment.
        seconds: After which it is ended, with whatever it has started in its session.
        is_read: Whether its standard output is returned rather than shown.

    Returns:
        Its standard output if `is_read`, else nothing.
    """
    say(f"{_shortened(command)} ...")
    begin = time.monotonic()
    code, output = run(*command, env=env, seconds=seconds, is_read=is_read)
    took = f"{time.monotonic() - begin:.0f} s"
    if code is None:
        sys.exit(f"e2e: {_shortened(command)}: stopped, not done after {took}")
    if code:
        sys.exit(f"e2e: {_shortened(command)}: failed with {code} after {took}; see above")
    say(f"{_shortened(command)}: {took}")
    return output


def run(
    *command: str, env: Mapping[str, str], seconds: float, is_read: bool = False
) -> tuple[int | None, str]:
    """The exit status of a command and what was read of it; no status where time ran out."""
    stdout = subprocess.PIPE if is_read else None
    try:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=env, stdout=stdout, text=True, start_new_session=True
        )
    except OSError as error:
        sys.exit(f"e2e: {_shortened(command)}: {error.strerror}")
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        return None, ""
    except BaseException:  # Ctrl-C, or `obey_sigterm`
        _end(process)
        raise
    return process.returncode, output or ""


def obey_sigterm() -> None:
    """Lets SIGTERM end what was started too, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def say(line: str) -> None:
    """Prints a line of `make e2e` itself."""
    sys.stdout.write(f"e2e: {line}\n")
    sys.stdout.flush()


def _end(process: subprocess.Popen[str]) -> None:
    """Ends all of its session, as Ctrl-C would: tests take down what they have set up."""
    for number in (signal.SIGINT, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.communicate(timeout=GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        break


def _shortened(command: tuple[str, ...]) -> str:
    name = Path(command[0]).name
    return " ".join([name, *command[1:]])[:100]
