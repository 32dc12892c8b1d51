"""`siamese-job config`: show, check and explain configurations, without TensorFlow.

`parsers` registers these functions. Results go to standard output; errors are raised, and
`cli` reports them.
"""

import argparse
import os
from pathlib import Path

from job.commands.shared import print_result
from job.config import describe
from job.config.loader.load_config import LoadedConfig, load_config
from job.config.schema import schema_text
from job.errors import ExitCode


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
