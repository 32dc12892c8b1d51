"""`siamese-job config`: write, show, check and explain configurations, without TensorFlow.

`register` gives the command its place in the parser; each subcommand sets `args.run`. Results
go to standard output; whatever is wrong is raised for `cli` to report.
"""

# The configuration's models are imported where they are used: `--help` answers before pydantic
# has built them.
import argparse
import errno
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from job.commands.arguments import add_config_arguments
from job.commands.shared import print_result
from job.errors import ConfigError, DiskFullError, ExitCode, PermissionDeniedError

if TYPE_CHECKING:
    from job.config.loader.load_config import LoadedConfig


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `config` and its subcommands to the program's parser."""
    parser = subparsers.add_parser(
        "config",
        help="write, show, check and explain configurations",
        description="Write, show, check and explain configurations, without TensorFlow.",
    )
    commands = parser.add_subparsers(dest="config_command", metavar="COMMAND", required=True)

    init = commands.add_parser(
        "init", help="write a configuration to start from, with every key and its meaning"
    )
    init.add_argument("path", nargs="?", metavar="PATH", help="file to write; default: print")
    init.add_argument("--force", action="store_true", help="overwrite PATH")
    init.set_defaults(run=_init)

    show = commands.add_parser(
        "show", help="print the resolved configuration, as YAML that is valid input"
    )
    add_config_arguments(show)
    show.add_argument("--origin", action="store_true", help="say who gave each value")
    show.set_defaults(run=_show)

    validate = commands.add_parser("validate", help="check a configuration, all errors at once")
    add_config_arguments(validate)
    validate.set_defaults(run=_validate)

    schema = commands.add_parser("schema", help="print the JSON schema, for editors")
    schema.set_defaults(run=_schema)

    explain = commands.add_parser("explain", help="describe one key, or a section and its keys")
    explain.add_argument(
        "key", nargs="?", default="", metavar="KEY", help="as in training.epochs; default: all"
    )
    explain.set_defaults(run=_explain)


def _init(args: argparse.Namespace) -> ExitCode:
    from job.config.describe import starter
    from job.config.schema import COMMITTED

    text = starter(schema=COMMITTED.as_uri())
    if args.path is None:
        return print_result(text)
    _write_new(Path(args.path), text, overwrite=args.force)
    return print_result(
        f"wrote {args.path}. Set data.train in it, then: siamese-job train {args.path}\n"
    )


def _show(args: argparse.Namespace) -> ExitCode:
    from job.config.describe import show

    return print_result(show(_load(args), with_origin=args.origin))


def _validate(args: argparse.Namespace) -> ExitCode:
    _load(args)
    return print_result(f"{args.config} is valid\n")


def _schema(args: argparse.Namespace) -> ExitCode:
    from job.config.schema import schema_text

    return print_result(schema_text())


def _explain(args: argparse.Namespace) -> ExitCode:
    from job.config.describe import explain

    return print_result(explain(args.key))


def _load(args: argparse.Namespace) -> "LoadedConfig":
    from job.config.loader.load_config import load_config

    return load_config(Path(args.config), env=os.environ, sets=args.set)


def _write_new(path: Path, text: str, *, overwrite: bool) -> None:
    try:
        if overwrite and path.is_file():
            _replace(Path(os.path.realpath(path)), text)
        else:
            _create(path, text, mode="w" if overwrite else "x")
    except FileExistsError:
        raise ConfigError(
            f"config init: {str(path)!r} is there already and stays as it is. Give another "
            "PATH, or --force to overwrite it."
        ) from None
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.parent.is_dir():
            raise _translated(error, path) from error
        raise ConfigError(
            f"config init: there is no folder {str(path.parent)!r}. Make it, or give "
            "another PATH."
        ) from None
    except IsADirectoryError:
        raise ConfigError(
            f"config init: {str(path)!r} is a folder. Give the path of a file in it."
        ) from None
    except OSError as error:
        raise _translated(error, path) from error


def _create(path: Path, text: str, *, mode: Literal["w", "x"]) -> None:
    with path.open(mode, encoding="utf-8") as file:
        try:
            file.write(text)
            file.flush()
        except OSError:
            if mode == "x":  # it is ours; what it holds is of no use
                with suppress(OSError):
                    path.unlink()
            raise


def _replace(path: Path, text: str) -> None:
    """Puts a file in the place of one, or leaves that as it is: on a full disk, for one."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        shutil.copymode(path, name)
        os.replace(name, path)
    except OSError:
        with suppress(OSError):
            os.unlink(name)
        raise


def _translated(error: OSError, path: Path) -> Exception:
    text = f"config init: {str(path)!r} cannot be written: {error.strerror}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFullError(f"{text} Free some space, or give another PATH.")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionDeniedError(f"{text} Give a PATH in a folder this user may write to.")
    return ConfigError(f"{text} Give another PATH.")
