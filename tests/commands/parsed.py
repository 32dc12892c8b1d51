"""Runs a command as the command line does, without turning its errors into exit codes."""

import argparse

from job.commands.parsers import register_commands
from job.errors import ExitCode

# As short as a configuration can be; there is no such file.
MINIMAL = "run: {name: a}\ndata: {train: a.csv}\n"


def run_parsed(*arguments: str) -> ExitCode:
    """Parses the arguments and runs the command; its errors are raised."""
    parser = argparse.ArgumentParser()
    register_commands(parser.add_subparsers(required=True))
    args = parser.parse_args(arguments)
    code = args.run(args)
    assert isinstance(code, ExitCode)
    return code
