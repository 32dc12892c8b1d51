"""Reads the dataset of a run, and reports what it contains."""

import logging
import os
import time
from collections.abc import Callable, Mapping

from job.config.root import Config
from job.data.dataset import Dataset
from job.data.load import load_dataset
from job.errors import ConfigError
from job.evaluation.identities import identities_of
from job.evaluation.metrics import FALSE_ACCEPT_RATES, num_needed
from job.evaluation.support import unsupported
from job.evaluation.thresholds import Terms
from job.run.context import RunContext
from job.storage.parallel import ParallelDownloader
from job.types import SPLITS

log = logging.getLogger(__name__)


def read_data(run: RunContext) -> Dataset:
    """Loads the dataset, logs its size and exports it as metrics.

    Raises:
        DataError: Data is missing, or bad beyond `data.max_bad_fraction`.
        PreemptedError: SIGTERM.
        InterruptedByUserError: Ctrl-C.
    """
    stop = run.stop
    # Nothing has been written that a signal could leave half done.
    with stop.interruptible():
        dataset = load_dataset(
            run.config.data,
            folder=run.loaded.folder,
            seed=run.config.run.seed,
            access=data_access(
                run.config,
                env=os.environ,
                sleep=stop.sleep,
                check_stop=stop.raise_if_requested,
            ),
        )
    _report(run, dataset)
    require_support(run.config, dataset)
    return dataset


def require_support(config: Config, dataset: Dataset) -> None:
    """Rejects a threshold target, or a monitor, that validation has too few pairs for.

    With `evaluation.unsupported: warn` a target only causes a warning.

    Raises:
        ConfigError: The message says how many pairs are needed.
    """
    section, pairs = config.evaluation, dataset.pairs["validation"]
    problem = unsupported(
        pairs,
        identities_of(pairs, dataset.items),
        goal=section.goal,
        terms=Terms(section.confidence, section.match_share),
    )
    if problem is not None and section.unsupported == "refuse":
        raise ConfigError(
            f"{problem}. Add validation pairs, choose a weaker target or a lower "
            "evaluation.confidence, or set evaluation.unsupported: warn to get a threshold "
            "that meets the target on the validation pairs alone."
        )
    if problem is not None:
        log.warning("threshold target unsupported", extra={"reason": problem})
    for key, monitor in config.monitors.items():
        rate = FALSE_ACCEPT_RATES.get(monitor.removeprefix("val_"))
        count = section.validation_pairs or len(pairs)
        others = pairs.num_negative * min(count, len(pairs)) // len(pairs)
        if rate is not None and others < num_needed(rate):
            raise ConfigError(
                f"{'.'.join(key)}: {monitor} needs {num_needed(rate):,} validation pairs that "
                f"do not match and there are {others:,}. Add such pairs, raise "
                "evaluation.validation_pairs, or monitor val_roc_auc."
            )


def _never() -> None:
    """A command without a `StopSignal` is ended by the signal itself."""


def data_access(
    config: Config,
    *,
    env: Mapping[str, str],
    sleep: Callable[[float], None] = time.sleep,
    check_stop: Callable[[], None] = _never,
) -> ParallelDownloader:
    """What `load_dataset` needs for data in a bucket.

    Args:
        config: Says whether an emulator is allowed and how long a bucket is waited for.
        env: Environment variables; they may name an emulator of buckets.
        sleep: Waits between two tries; may raise to stop.
        check_stop: Called while files are downloaded; may raise to stop.
    """
    return ParallelDownloader(
        allow_emulator=config.run.allow_emulator,
        outage_budget_seconds=config.checkpoint.outage_budget_seconds,
        sleep=sleep,
        check_stop=check_stop,
        env=env,
    )


def _report(run: RunContext, dataset: Dataset) -> None:
    shown: dict[str, object] = {"items": len(dataset.items)}
    for split in SPLITS:
        counts = dataset.counts[split]
        classes = "" if counts.classes is None else f" of {counts.classes} classes"
        matching = f"{counts.positive / counts.pairs:.0%} match"
        shown[split] = f"{counts.pairs} pairs{classes} ({matching})"
        run.listener.set_dataset(
            split, examples=counts.items, positive=counts.positive, negative=counts.negative
        )
    bad = dataset.quarantine.num_bad
    run.listener.count_input_records(dataset.quarantine.rows_read - bad, corrupt=bad)
    log.info("data loaded", extra={**shown, "bad_rows": bad})
