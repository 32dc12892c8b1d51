"""`siamese-job init DATA [OUT.yaml]`: writes a configuration from the data, with its reasons.

Without DATA it writes a configuration to start from, with the most used keys.
"""

import argparse
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from job.commands.shared import logs_on_stderr, print_result, raising_on_sigterm
from job.config import describe
from job.config.root import Config
from job.config.schema import COMMITTED
from job.errors import ConfigError, DataError, DiskFullError, ExitCode, PermissionDeniedError
from job.storage.os_errors import DENIED, FULL
from job.storage.temporary import temporary_folder
from job.telemetry.terminal import SafeOutput

if TYPE_CHECKING:
    from job.init.facts import Facts
    from job.init.rules import Choice
    from job.init.tried import Tried

_FLAGS = ("left", "right", "label", "item", "class")
_SEED = 0


@dataclass(frozen=True)
class _Found:
    """What is written.

    Attributes:
        text: The configuration.
        obstacle: Why it does not run yet; "" if it does.
        left_out: Sentences about files that were not used.
        was_interrupted: Whether Ctrl-C cut the trying short.
    """

    text: str
    obstacle: str
    left_out: list[str]
    was_interrupted: bool


def run(args: argparse.Namespace) -> ExitCode:
    """Writes the configuration, or prints it when there is no OUT."""
    given = {flag: names for flag in _FLAGS if (names := getattr(args, flag))}
    data, out = args.data, args.out
    if data is not None and out is None and _is_config(data):
        data, out = None, data
    if data is None:
        told = {**({"try": []} if args.minutes is not None else {}), **given}
        return _starter(out, told=told, force=args.force)
    if args.minutes is not None:
        _require_time(args.minutes)
    if out is not None:
        _require_another_file(Path(data), Path(out))
        require_writable(Path(out), overwrite=args.force)
    with raising_on_sigterm("init"):  # so that its temporary folder is removed
        found = _from_data(Path(data), given=given, out=out, minutes=args.minutes)
    if out is None:
        print_result(found.text)
    else:
        write(Path(out), found.text, overwrite=args.force)
        then = found.obstacle or f"Next: siamese-job train {out}"
        print_result("\n".join([*found.left_out, f"wrote {out}. {then}"]) + "\n")
    return ExitCode.INTERRUPTED if found.was_interrupted else ExitCode.FINISHED


def _require_another_file(data: Path, out: Path) -> None:
    if out.suffix not in (".yaml", ".yml") and out.exists():
        raise ConfigError(
            f"init: {str(out)!r} exists and is no .yaml file, so it may be data, which is only "
            "read. Give another OUT."
        )
    if data.resolve() == out.resolve():
        raise ConfigError(f"init: OUT {str(out)!r} is DATA itself. Give another OUT.")


def _starter(out: str | None, *, told: dict[str, list[str]], force: bool) -> ExitCode:
    if told:
        raise ConfigError(
            f"init: --{next(iter(told))} is about DATA, and there is none. Give the file: "
            "siamese-job init DATA OUT.yaml."
        )
    text = describe.starter(schema=COMMITTED.as_uri())
    if out is None:
        return print_result(text)
    write(Path(out), text, overwrite=force)
    return print_result(f"wrote {out}. Set data.train in it, then: siamese-job train {out}\n")


def _from_data(
    data: Path, *, given: dict[str, list[str]], out: str | None, minutes: float | None
) -> _Found:
    # NumPy and scikit-learn: `init` without DATA answers without them.
    from job.init.compose import compose, left_out, obstacle, title
    from job.init.look import look
    from job.init.write import write_config

    nobody = {"run": {"name": "init"}, "data": {"kind": "text", "train": "train.csv"}}
    with logs_on_stderr(Config.model_validate(nobody), level="ERROR"):
        looked = look(data, given=given, seed=_SEED)
    folder = Path(os.path.abspath(out)).parent if out else Path.cwd()
    choices = compose(looked, folder=folder, seed=_SEED)
    lines, was_interrupted, why_not = title(looked), False, obstacle(looked)
    if minutes is not None:
        if why_not:
            raise DataError(f"init: --try has nothing to train on. {why_not}")
        tried = _tried(choices, looked.facts, folder=folder, minutes=minutes)
        choices, lines = tried.choices, [*lines, "", *tried.lines]
        was_interrupted = tried.was_interrupted
    if not why_not:
        lines += ["", f"    siamese-job train {out or 'FILE'}"]
    text = write_config(choices, title=lines, schema=COMMITTED.as_uri())
    return _Found(text, why_not, left_out(looked), was_interrupted)


def _tried(choices: "list[Choice]", facts: "Facts", *, folder: Path, minutes: float) -> "Tried":
    """Trains candidates and prints what they reached; Ctrl-C keeps the best so far."""
    from job.init.tried import try_candidates

    screen = SafeOutput(sys.stderr)  # a file is wanted, even if nobody reads this

    def report(line: str) -> None:
        screen.write(f"{line}\n")

    with temporary_folder("siamese-init-") as scratch:
        tried = try_candidates(
            choices,
            facts,
            folder=folder,
            scratch=scratch,
            seconds=60.0 * minutes,
            report=report,
        )
    report("\n".join(tried.lines))
    return tried


def _is_config(name: str) -> bool:
    return name.lower().endswith((".yaml", ".yml"))


def _require_time(minutes: float) -> None:
    """Refuses too short a time before the data are read."""
    from job.init.attempt import require_time

    require_time(60.0 * minutes)


def require_writable(path: Path, *, overwrite: bool) -> None:
    """Refuses a path before anything is read or trained for it; writes an empty file beside.

    Raises as `write` does.
    """
    with _system_errors_worded(path):
        _require_free(path, overwrite=overwrite)
        partial = _beside(path)
        partial.touch()
        partial.unlink()


def write(path: Path, text: str, *, overwrite: bool) -> None:
    """Writes a file completely or not at all; an overwritten file keeps its mode.

    Raises:
        ConfigError: The file exists, or there is no such folder.
        DiskFullError: The disk is full.
        PermissionDeniedError: The folder may not be written to.
    """
    target, partial = Path(os.path.realpath(path)), _beside(path)
    with _system_errors_worded(path):
        _require_free(path, overwrite=overwrite)
        try:
            partial.write_text(text, encoding="utf-8")
            if target.exists():
                shutil.copymode(target, partial)
            partial.replace(target)
        except OSError:
            with suppress(OSError):
                partial.unlink()
            raise


def _beside(path: Path) -> Path:
    """The file that is written first; beside the target of a symbolic link."""
    target = Path(os.path.realpath(path))
    return target.parent / f".{target.name}.{os.getpid()}"


def _require_free(path: Path, *, overwrite: bool) -> None:
    if path.exists() and not (overwrite and path.is_file()):
        raise ConfigError(
            f"init: {str(path)!r} exists and is unchanged. Give another OUT, or --force to "
            "overwrite a file."
        )


@contextmanager
def _system_errors_worded(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = (
            f"init: {str(path)!r} cannot be written: {error.strerror}. Give the path of a file "
            "in an existing folder that this user may write to and that has free space."
        )
        if error.errno in FULL:
            raise DiskFullError(message) from error
        if error.errno in DENIED:
            raise PermissionDeniedError(message) from error
        raise ConfigError(message) from error
