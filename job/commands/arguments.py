"""Arguments that several commands share."""

import argparse


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds CONFIG and `--set`."""
    parser.add_argument("config", metavar="CONFIG", help="the configuration file (YAML)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override one setting, for example --set training.epochs=3; may be repeated",
    )
