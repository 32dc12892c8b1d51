"""`siamese-job evaluate CONFIG`: measures the trained model of a run again, writing nothing."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from job.checkpoints.acquire import require_same_data
from job.checkpoints.provenance import Identity
from job.checkpoints.restore import newest_weights, read_head
from job.commands.shared import logs_on_stderr, print_result
from job.config.loader.load_config import LoadedConfig, load_config
from job.data.load import load_dataset
from job.errors import ConfigError, ExitCode
from job.run.directory import RunDirectory, open_run_directory
from job.run.read_data import data_access, require_support
from job.run.summary import result_lines
from job.telemetry.logs.setup import quieten_tensorflow


def run(args: argparse.Namespace) -> ExitCode:
    """Evaluates."""
    loaded = load_config(Path(args.config), env=os.environ, sets=args.set)
    with logs_on_stderr(loaded.config, level="WARNING"):
        report = _measure(loaded, directory=open_run_directory(loaded.config, env=os.environ))
    if args.json:
        return print_result(json.dumps(report, indent=2, allow_nan=False) + "\n")
    return print_result("\n".join([_headline(report), *result_lines(report)]) + "\n")


def _measure(loaded: LoadedConfig, *, directory: RunDirectory) -> dict[str, Any]:
    config = loaded.config
    head, stored = read_head(directory.store), directory.stored
    if head is None or stored is None or not head.checkpoints:
        raise ConfigError(
            f"{directory.uri} contains no committed checkpoint. `siamese-job train` makes one; "
            "check run.name and run.root if there should be one."
        )
    dataset = load_dataset(
        config.data,
        folder=loaded.folder,
        seed=config.run.seed,
        access=data_access(config, env=os.environ),
    )
    # Words and means come from the data: with others the weights mean something else.
    require_same_data(stored, fingerprint=dataset.fingerprint, uri=directory.uri)
    require_support(config, dataset)
    quieten_tensorflow(os.environ)
    # TensorFlow takes seconds to import: everything that can be refused was, by now.
    from job.evaluation.evaluate import evaluate
    from job.run.components import build_components
    from job.run.quality import split_scorer
    from job.run.summary import result_json
    from job.training.state import expected_spec, write_variables

    components = build_components(
        config, dataset=dataset, stored_threads=stored.derived.get("compute_threads")
    )
    variables = components.siamese.variables()
    head, entry, weights = newest_weights(
        directory.store,
        identity=Identity(config.run.name, stored.lineage, stored.fingerprint),
        expected=expected_spec(variables),
        wants_best=config.evaluation.weights == "best",
    )
    write_variables({key: variables[key] for key in weights}, weights)
    if components.siamese.averages:
        components.siamese.averages.apply()
    result = evaluate(
        split_scorer(config, components, dataset, check_stop=_go_on),
        dataset=dataset,
        section=config.evaluation,
        seed=config.run.seed,
        check_stop=_go_on,
    )
    return {
        "run": config.run.name,
        "weights": "best" if entry is head.best else "last",
        "global_step": entry.step,
        "best": asdict(head.best) if head.best else None,
        **result_json(result),
    }


def _go_on() -> None:
    """Nothing is written, so a signal ends the process where it is."""


def _headline(report: dict[str, Any]) -> str:
    return f"run {report['run']}, {report['weights']} weights, step {report['global_step']}"
