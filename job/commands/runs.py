"""`siamese-job runs ls ROOT`: the runs below a folder or bucket prefix, without TensorFlow."""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import CONFIG, HEAD
from job.checkpoints.records import RECORD_LIMIT_BYTES, Head, StoredConfig, parse
from job.commands.shared import open_argument, outcome_of, print_result, read_summary
from job.config.suggest import did_you_mean
from job.errors import ConfigError, ExitCode
from job.storage.object_store import ObjectMissingError, ObjectStore, ObjectTooLargeError
from job.storage.open_store import local_folder
from job.telemetry.terminal import aligned_columns

_SUMMARY = "summary.json"
_COLUMNS = {
    "epochs": "epochs",
    "validation ROC-AUC": "metrics.validation.roc_auc",
    "test ROC-AUC": "metrics.test.roc_auc",
    "threshold": "threshold",
    "seconds": "seconds",
    "attempts": "attempts",
}


class ListedRun(NamedTuple):
    """One run, as `--json` prints it.

    Attributes:
        folder: Its name below the root.
        status: From HEAD.json, null if that is missing or damaged; or "damaged" if config.json
            is.
        created: UTC time of its first start.
        config: The configuration it was started with.
        summary: Its `summary.json`; null before the first ending.
    """

    folder: str
    status: str | None
    created: str
    config: Mapping[str, Any]
    summary: Mapping[str, Any] | None

    def value(self, key: str) -> Any:
        """The value of a dotted key of the summary; None without one."""
        found: Any = self.summary
        for name in key.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        return found

    @property
    def outcome(self) -> str:
        """How the run ended."""
        return outcome_of(self.status, self.summary)


def ls(args: argparse.Namespace) -> ExitCode:
    """Lists runs.

    Raises:
        ConfigError: ROOT is not a root of runs, or `--sort` names a key that no summary has.
    """
    store = open_argument(args.root, key="ROOT")
    runs = _read_runs(store)
    if args.sort:
        runs = _sorted(runs, key=args.sort)
    if args.json:
        return print_result(json.dumps([run._asdict() for run in runs], indent=2) + "\n")
    if not runs:
        _require_root(args.root, store)
        return print_result(f"no runs below {store.uri}\n")
    columns = dict(_COLUMNS)
    if args.sort and args.sort not in (*columns.values(), "outcome"):
        columns[args.sort] = args.sort
    rows = [
        (run.folder, run.outcome, *(_cell(run.value(key)) for key in columns.values()))
        for run in runs
    ]
    return print_result(aligned_columns(("run", "outcome", *columns), rows) + "\n")


def _require_root(uri: str, store: ObjectStore) -> None:
    """Rejects what cannot be a root of runs, such as a mistyped folder or a run itself."""
    if store.stat(CONFIG) is not None:
        raise ConfigError(
            f"runs ls {uri}: this is the directory of one run. A root contains the directories "
            f"of runs. Give the directory above it, or use `siamese-job checkpoints ls {uri}`."
        )
    folder = local_folder(uri)
    if folder is not None and not folder.is_dir():
        raise ConfigError(
            f"runs ls {uri}: there is no such folder. Give the run.root of your runs; its "
            "default is 'runs' in the working directory."
        )


def _read_runs(store: ObjectStore) -> list[ListedRun]:
    names = {one.name for one in store.list("")}
    found = (name.rpartition("/") for name in sorted(names))
    folders = [folder for folder, _, name in found if name == CONFIG and folder]
    runs = []
    for folder in folders:
        summary = read_summary(store, f"{folder}/{_SUMMARY}")
        try:
            record = store.read(f"{folder}/{CONFIG}", limit_bytes=RECORD_LIMIT_BYTES)
            stored = parse(StoredConfig, record.data)
        except ObjectMissingError:
            continue  # deleted meanwhile
        except (DamagedError, ObjectTooLargeError):
            if f"{folder}/{HEAD}" in names:  # otherwise another program's file
                runs.append(ListedRun(folder, "damaged", "", {}, summary))
            continue
        status = _status(store, f"{folder}/{HEAD}")
        runs.append(ListedRun(folder, status, stored.created, stored.config, summary))
    return runs


def _status(store: ObjectStore, name: str) -> str | None:
    try:
        return parse(Head, store.read(name, limit_bytes=RECORD_LIMIT_BYTES).data).status
    except (DamagedError, ObjectMissingError, ObjectTooLargeError):
        return None


def _sorted(runs: Sequence[ListedRun], *, key: str) -> list[ListedRun]:
    """Numbers from the largest, then texts from A, then runs without the key."""
    if runs and all(run.value(key) is None for run in runs):
        known = sorted({name for run in runs for name in _numbers(run.summary or {})})
        raise ConfigError(
            f"--sort {key}: no summary.json has a value of this key. Numbers: "
            f"{', '.join(known) or 'none'}.{did_you_mean(key, known)} Give one of these."
        )

    def rank(run: ListedRun) -> tuple[int, float, str]:
        value = run.value(key)
        if isinstance(value, int | float):
            return 0, -float(value), ""
        return (2, 0.0, "") if value is None else (1, 0.0, str(value))

    return sorted(runs, key=rank)


def _numbers(value: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """The dotted keys of numbers."""
    for name, part in value.items():
        if isinstance(part, Mapping):
            yield from _numbers(part, f"{above}{name}.")
        elif isinstance(part, int | float):
            yield f"{above}{name}"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4f}" if abs(value) < 10 else f"{value:.0f}"
    return "-" if value is None else str(value)
