"""The commands on the command line. What a command needs is imported when it runs.

`--help` and `config ...` answer at once this way: NumPy, the Prometheus client and TensorFlow
take longer to import than they take to answer.
"""

import argparse
import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

from job.commands.arguments import add_config_arguments
from job.commands.config import register as _register_config
from job.errors import ExitCode

Subparsers: TypeAlias = "argparse._SubParsersAction[Any]"


def register_commands(subparsers: Subparsers) -> None:
    """Adds every command to the parser; each sets `run`, which takes the parsed arguments."""
    _register_train(subparsers)
    _register_evaluate(subparsers)
    _register_config(subparsers)
    _register_data(subparsers)


def _lazily(module: str, function: str = "run") -> Callable[[argparse.Namespace], ExitCode]:
    def run(args: argparse.Namespace) -> ExitCode:
        command: Callable[[argparse.Namespace], ExitCode] = getattr(
            importlib.import_module(f"job.commands.{module}"), function
        )
        return command(args)

    return run


def _register_train(subparsers: Subparsers) -> None:
    """Adds the command to the parser."""
    parser = subparsers.add_parser(
        "train",
        help="train, or go on training, the run that a configuration describes",
        description="Trains the run that CONFIG describes. Started again after any kind of "
        "death it goes on from the last checkpoint; once finished it says so.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    parser.set_defaults(run=_lazily("train"))


def _register_evaluate(subparsers: Subparsers) -> None:
    """Adds the command to the parser."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure the trained model of a run again",
        description="Loads the committed weights that evaluation.weights names, chooses the "
        "threshold on validation and reports on test. Writes nothing.",
        allow_abbrev=False,
    )
    add_config_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object instead of a table"
    )
    parser.set_defaults(run=_lazily("evaluate"))


def _register_data(subparsers: Subparsers) -> None:
    """Adds `data` and its subcommands to the command line."""
    data = subparsers.add_parser("data", help="look at, or pack, what a configuration names")
    commands = data.add_subparsers(metavar="COMMAND", required=True)
    parser = commands.add_parser(
        "inspect",
        help="counts, balance, lengths, repeats, overlap of the splits, bad rows",
        description="Reads the data as training would and reports on them; writes nothing.",
    )
    add_config_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object instead of a screen"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with 3 when something is wrong"
    )
    parser.set_defaults(run=_lazily("data_inspect"))
    parser = commands.add_parser(
        "pack",
        help="write the data as a folder of arrays that is opened instead of read",
        description="Reads the data as training would and writes them to OUT, whole or not at "
        "all. With data.packed set to OUT, training opens that instead of reading the files, "
        "also where they are larger than memory.",
    )
    add_config_arguments(parser)
    parser.add_argument("out", metavar="OUT", help="a folder, or gs://bucket/prefix")
    parser.add_argument(
        "--force", action="store_true", help="replace a packed data set that is there"
    )
    parser.set_defaults(run=_lazily("data_pack"))
