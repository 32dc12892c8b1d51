"""The commands of the command line; the module of a command is imported when it runs.

`--help` and `config` therefore answer at once: NumPy, the Prometheus client and TensorFlow take
longer to import than a command takes to answer. A new command is a module in this package and
a function here, or in `data_parsers` if it takes files of data instead of a configuration.
"""

import argparse

from job.commands.data_parsers import register_init, register_match, register_score
from job.commands.lazily import Subparsers, lazily


def register_commands(subparsers: Subparsers) -> None:
    """Adds every command to the parser; each sets `run`, a function of the parsed arguments."""
    register_init(subparsers)
    _register_train(subparsers)
    _register_launch(subparsers)
    _register_evaluate(subparsers)
    register_score(subparsers)
    register_match(subparsers)
    _register_verify_resume(subparsers)
    _register_runs(subparsers)
    _register_checkpoints(subparsers)
    _register_config(subparsers)
    _register_data(subparsers)


def _add_config_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", metavar="CONFIG", help="the configuration file (YAML)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one setting, for example --set training.epochs=3; may be repeated",
    )


def _add_from_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="from_step",
        type=int,
        metavar="STEP",
        help="resume from the checkpoint of this step and drop later ones; also a finished run",
    )


def _register_train(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train, or resume, the run that a configuration describes",
        description="Trains the run that CONFIG describes. After any interruption the same "
        "command resumes from the last checkpoint. A finished run is only reported.",
        allow_abbrev=False,
    )
    _add_config_arguments(parser)
    _add_from_argument(parser)
    parser.set_defaults(run=lazily("train"))


def _register_launch(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "launch",
        help="train with several workers on this machine",
        description="Starts N workers that train the run that CONFIG describes together, each "
        "a process on this machine, with one merged log. The exit code is that of worker 0, or "
        "that of the worker which made it fail.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--workers", type=int, required=True, metavar="N", help="how many, from 1 to 64"
    )
    _add_config_arguments(parser)
    _add_from_argument(parser)
    parser.set_defaults(run=lazily("launch"))


def _register_evaluate(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="evaluate the trained model of a run again",
        description="Loads the committed weights that evaluation.weights names, chooses the "
        "threshold on validation and reports on test. Writes nothing.",
        allow_abbrev=False,
    )
    _add_config_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object instead of a table"
    )
    parser.set_defaults(run=lazily("evaluate"))


def _register_verify_resume(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "verify-resume",
        help="prove that a run that is killed again and again ends in the same bits",
        description="Trains a shortened copy of the run twice in a temporary folder: once "
        "undisturbed, and once killed at random steps and inside saves. Compares every "
        "variable, the state of callbacks and the history. Exit code 0: equal; 1: not.",
        allow_abbrev=False,
    )
    _add_config_arguments(parser)
    parser.add_argument(
        "--minutes",
        type=float,
        default=3.0,
        metavar="N",
        help="time that all of it may take; default: 3",
    )
    parser.add_argument(
        "--kills", type=int, metavar="N", help="number of kills; default: as many as fit"
    )
    parser.add_argument(
        "--scratch", metavar="DIR", help="where the temporary folder is made; default: TMPDIR"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the temporary folder and print its name"
    )
    parser.set_defaults(run=lazily("verify_resume"))


def _register_runs(subparsers: Subparsers) -> None:
    runs = subparsers.add_parser("runs", help="list runs and how they ended")
    commands = runs.add_subparsers(metavar="COMMAND", required=True)
    parser = commands.add_parser(
        "ls",
        help="one line a run: outcome, quality, threshold, time",
        description="Lists every run below ROOT from its summary.json and config.json.",
    )
    parser.add_argument("root", metavar="ROOT", help="a folder, or gs://bucket/prefix")
    parser.add_argument(
        "--sort",
        metavar="KEY",
        help="a key of summary.json such as metrics.test.roc_auc; largest number first",
    )
    parser.add_argument("--json", action="store_true", help="a JSON array instead of a table")
    parser.set_defaults(run=lazily("runs", "ls"))


def _register_checkpoints(subparsers: Subparsers) -> None:
    checkpoints = subparsers.add_parser(
        "checkpoints", help="list, verify or clean up the checkpoints of a run"
    )
    commands = checkpoints.add_subparsers(metavar="COMMAND", required=True)
    ls = commands.add_parser(
        "ls",
        help="one line a checkpoint: step, epoch, size, metric, whether it can be resumed",
        description="Lists the checkpoints of a run and the status in its HEAD.json.",
    )
    ls.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    verify = commands.add_parser(
        "verify",
        help="read every object of every checkpoint; exit code 3 if one is damaged",
        description="Compares every object of every listed checkpoint with what was committed.",
    )
    gc = commands.add_parser(
        "gc",
        help="list or delete what earlier attempts left and HEAD.json does not name",
        description="Finds checkpoints and results that earlier attempts left and HEAD.json "
        "does not name. Safe while the run trains.",
    )
    choice = gc.add_mutually_exclusive_group(required=True)
    choice.add_argument("--dry-run", action="store_true", help="list, delete nothing")
    choice.add_argument("--yes", action="store_true", help="delete")
    for name, parser in (("ls", ls), ("verify", verify), ("gc", gc)):
        parser.add_argument(
            "run_uri", metavar="RUN", help="the folder or URI of a run: <run.root>/<run.name>"
        )
        parser.set_defaults(run=lazily("checkpoints", name))


def _register_config(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "config",
        help="show, check and explain configurations",
        description="Show, check and explain configurations, without TensorFlow.",
    )
    commands = parser.add_subparsers(dest="config_command", metavar="COMMAND", required=True)

    show = commands.add_parser(
        "show", help="print the resolved configuration, as YAML that is valid input"
    )
    _add_config_arguments(show)
    show.add_argument("--origin", action="store_true", help="name the origin of each value")

    validate = commands.add_parser("validate", help="check a configuration, all errors at once")
    _add_config_arguments(validate)

    commands.add_parser("schema", help="print the JSON schema, for editors")

    explain = commands.add_parser("explain", help="describe one key, or a section and its keys")
    explain.add_argument(
        "key", nargs="?", default="", metavar="KEY", help="as in training.epochs; default: all"
    )
    for name, command in commands.choices.items():
        command.set_defaults(run=lazily("config", name))


def _register_data(subparsers: Subparsers) -> None:
    data = subparsers.add_parser("data", help="inspect or pack the data of a configuration")
    commands = data.add_subparsers(metavar="COMMAND", required=True)
    parser = commands.add_parser(
        "inspect",
        help="counts, balance, lengths, repeats, overlap of the splits, bad rows",
        description="Reads the data as training would and reports on it. Writes nothing.",
    )
    _add_config_arguments(parser)
    parser.add_argument(
        "--json", action="store_true", help="one JSON object instead of a screen"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with code 3 if there is an issue"
    )
    parser.set_defaults(run=lazily("data_inspect"))
    parser = commands.add_parser(
        "pack",
        help="write the data as a folder of arrays that training opens",
        description="Reads the data as training would and writes it to OUT, completely or not "
        "at all. With data.packed set to OUT, training opens OUT instead of reading the files, "
        "even if the data is larger than memory.",
    )
    _add_config_arguments(parser)
    parser.add_argument("out", metavar="OUT", help="a folder, or gs://bucket/prefix")
    parser.add_argument(
        "--force", action="store_true", help="replace an existing packed data set"
    )
    parser.set_defaults(run=lazily("data_pack"))
