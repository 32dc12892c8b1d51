"""The command line: parses arguments and turns exceptions into messages and exit codes.

Commands that train import TensorFlow when they run, not when they are parsed: `--help`,
`config ...` and `data ...` answer at once.
"""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Sequence

from job import __version__
from job.commands.parsers import register_commands
from job.errors import EXIT_CODES, CallbackError, ConfigError, ExitCode, JobError
from job.telemetry.terminal import SafeOutput
from job.telemetry.termination_message import write_termination_message


class _Parser(argparse.ArgumentParser):
    """argparse, with its complaints as `ConfigError` and without guessing at short forms."""

    def error(self, message: str) -> None:  # type: ignore[override]
        raise ConfigError(f"{message}\n{self.format_usage().rstrip()}")


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = _Parser(
        prog="siamese-job",
        description="Trains Siamese models (one shared encoder, one pair head) that survive "
        "being killed.",
        epilog="exit codes:\n"
        + "\n".join(f"  {row.code.value:>3}  {row.meaning}" for row in EXIT_CODES),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"siamese-job {__version__}")
    subparsers = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=_Parser
    )
    register_commands(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Arguments without the program's name; None takes the process' own.

    Returns:
        The exit status, a value of `ExitCode`.
    """
    _obey_sigterm_as_process_one()
    _open_standard_streams()
    try:
        _require_working_directory()
        args = build_parser().parse_args(argv)
        return int(args.run(args))
    except CallbackError as error:
        if error.__cause__:
            _print_traceback(error.__cause__)
        return _report(str(error), error.exit_code)
    except JobError as error:
        return _report(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _report("Interrupted (Ctrl-C).", ExitCode.INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - the last resort that keeps the exit codes true
        _print_traceback(error)
        kind = type(error).__name__
        return _report(f"unexpected {kind}: {error}. This is a bug.", ExitCode.UNEXPECTED)


def _obey_sigterm_as_process_one() -> None:
    """Lets SIGTERM end the process from here on, also as process 1 of a container.

    The kernel drops a signal that process 1 has no handler for: it would train on until it is
    killed. `train` puts its own handler in place as soon as there is a state to commit.
    """
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(ExitCode.TERMINATED))


def _require_working_directory() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise ConfigError(
            f"the working directory cannot be found ({error.strerror}): was it removed? Change "
            "to one that is there (cd)."
        ) from error


def _open_standard_streams() -> None:
    """Gives descriptors 0 to 2 something to be where the process was started without them.

    Else the next file opened, a checkpoint perhaps, would be given such a number, and
    TensorFlow, which writes its messages to descriptor 2, would write into it.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number: this one
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)


def _print_traceback(error: BaseException) -> None:
    SafeOutput(sys.stderr).write("".join(traceback.format_exception(error)))


def _report(message: str, code: ExitCode) -> int:
    # The code stays although nobody reads the message (`2>&1 | head`).
    SafeOutput(sys.stderr).write(f"siamese-job: {message}\n")
    write_termination_message(code, message)
    return int(code)
