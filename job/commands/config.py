"""`siamese-job config`: write, show, check and explain configurations, without TensorFlow.

`parsers` registers these functions. Results go to standard output; errors are raised, and
`cli` reports them.
"""

import argparse
import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

from job.commands.shared import print_result
from job.config import describe
from job.config.loader.load_config import LoadedConfig, load_config
from job.config.schema import COMMITTED, schema_text
from job.errors import ConfigError, DiskFullError, ExitCode, PermissionDeniedError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)


def init(args: argparse.Namespace) -> ExitCode:
    """Writes a configuration to start from, or prints it when there is no PATH."""
    text = describe.starter(schema=COMMITTED.as_uri())
    if args.path is None:
        return print_result(text)
    _write(Path(args.path), text, overwrite=args.force)
    return print_result(
        f"wrote {args.path}. Set data.train in it, then: siamese-job train {args.path}\n"
    )


def show(args: argparse.Namespace) -> ExitCode:
    """Prints the resolved configuration."""
    return print_result(describe.show(_load(args), with_origin=args.origin))


def validate(args: argparse.Namespace) -> ExitCode:
    """Checks a configuration."""
    _load(args)
    return print_result(f"{args.config} is valid\n")


def schema(args: argparse.Namespace) -> ExitCode:
    """Prints the JSON schema."""
    return print_result(schema_text())


def explain(args: argparse.Namespace) -> ExitCode:
    """Describes a key."""
    return print_result(describe.explain(args.key))


def _load(args: argparse.Namespace) -> LoadedConfig:
    return load_config(Path(args.config), env=os.environ, sets=args.set)


def _write(path: Path, text: str, *, overwrite: bool) -> None:
    """Writes a file completely or not at all; an overwritten file keeps its mode."""
    target = Path(os.path.realpath(path))  # of a symbolic link, the file
    partial = target.parent / f".{target.name}.{os.getpid()}"
    try:
        if target.exists() and not (overwrite and target.is_file()):
            raise ConfigError(
                f"config init: {str(path)!r} exists and is unchanged. Give another PATH, or "
                "--force to overwrite a file."
            )
        partial.write_text(text, encoding="utf-8")
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        message = (
            f"config init: {str(path)!r} cannot be written: {error.strerror}. Give the PATH of "
            "a file in an existing folder that this user may write to and that has free space."
        )
        if error.errno in _FULL:
            raise DiskFullError(message) from error
        if error.errno in _DENIED:
            raise PermissionDeniedError(message) from error
        raise ConfigError(message) from error
