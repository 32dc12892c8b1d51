"""A command whose module is imported when it runs."""

import argparse
import importlib
from collections.abc import Callable
from typing import Any, TypeAlias

Subparsers: TypeAlias = "argparse._SubParsersAction[Any]"


def lazily(module: str, function: str = "run") -> Callable[[argparse.Namespace], int]:
    """A function of parsed arguments that calls one of `job.commands`.

    Args:
        module: Its module.
        function: Its name there.
    """

    def run(args: argparse.Namespace) -> int:
        command: Callable[[argparse.Namespace], int] = getattr(
            importlib.import_module(f"job.commands.{module}"), function
        )
        return command(args)

    return run
