"""`siamese-job data inspect CONFIG`: what to know about the data before training on them."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from job.commands.shared import logs_on_stderr, print_result
from job.config.loader.load_config import load_config
from job.data.load import load_dataset
from job.errors import DataError, ExitCode
from job.inspection.format_report import format_report
from job.inspection.issues import Finding, find_issues
from job.inspection.measure import inspect_dataset
from job.run.read_data import data_access


def run(args: argparse.Namespace) -> ExitCode:
    """Runs `data inspect`.

    Raises:
        DataError: Something is wrong and `--strict` was given; the report was written first.
    """
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    config = loaded.config
    # Its warnings are part of what is shown.
    with logs_on_stderr(config, level="ERROR"):
        dataset = load_dataset(
            config.data,
            folder=loaded.folder,
            seed=config.run.seed,
            access=data_access(config, env=os.environ),
        )
    inspection = inspect_dataset(dataset, section=config.data)
    findings = find_issues(inspection, section=config.data)
    if args.json:
        report = {
            **inspection.to_json(),
            "findings": [finding.to_json() for finding in findings],
        }
        result = print_result(json.dumps(report, indent=2, allow_nan=False) + "\n")
    else:
        result = print_result(format_report(inspection, findings=findings))
    if args.strict and findings:
        raise DataError(_complaint(findings))
    return result


def _complaint(findings: Sequence[Finding]) -> str:
    number = f"{len(findings)} finding{'s' if len(findings) > 1 else ''}"
    return "\n  ".join([f"data inspect --strict: {number}:", *map(str, findings)])
