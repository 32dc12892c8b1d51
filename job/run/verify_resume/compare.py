"""Compares the last checkpoints of two runs: variables, callbacks, random generators, history.

Bits are compared, so -0.0 differs from 0.0, and NaN equals the same NaN.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from job.checkpoints import canonical_json
from job.checkpoints.examine import Contents, read_contents, read_run
from job.checkpoints.serialization import CALLBACKS, HISTORY, TRAIN_STATE
from job.storage.object_store import ObjectStore

# Wall time differs between any two runs.
_MEASURED = "seconds"


@dataclass(frozen=True)
class Comparison:
    """What two states have in common.

    Attributes:
        differences: One line each: variables first, then callbacks, random generators and
            history. Empty if every bit is equal.
        num_variables: Variables compared.
        num_callbacks: Callbacks whose state was compared.
        num_epochs: Epochs whose metrics were compared.
    """

    differences: Sequence[str]
    num_variables: int
    num_callbacks: int
    num_epochs: int


def last_contents(store: ObjectStore) -> Contents:
    """The newest checkpoint of a run.

    Raises:
        JobError: There is none, or it is damaged.
    """
    run = read_run(store)
    return read_contents(store, run.head.checkpoints[-1], identity=run.identity)


def compare(undisturbed: Contents, killed: Contents) -> Comparison:
    """Compares two checkpoints."""
    one, two = undisturbed.meta, killed.meta
    callbacks = _part(one, CALLBACKS)
    history = one.get(HISTORY)
    state, other = dict(_part(one, TRAIN_STATE)), dict(_part(two, TRAIN_STATE))
    for each in (state, other):
        each.pop(_MEASURED, None)
    # The history is the consequence, and random generators of many numbers come last.
    random, other_random = state.pop("random", None), other.pop("random", None)
    differences = [
        *_variables(undisturbed.variables, killed.variables),
        *_first("callback state of ", callbacks, two.get(CALLBACKS)),
        *_first("training state: ", state, other),
        *_first("random generator ", random, other_random),
        *_first("history: epoch ", _by_epoch(history), _by_epoch(two.get(HISTORY))),
    ]
    return Comparison(
        differences,
        len(undisturbed.variables),
        len(callbacks),
        len(history) if isinstance(history, list) else 0,
    )


def _variables(
    one: Mapping[str, NDArray[Any]], two: Mapping[str, NDArray[Any]]
) -> Iterator[str]:
    for key in sorted({*one, *two}):
        if key not in one or key not in two:
            yield f"{key}: only in the {'killed' if key in two else 'undisturbed'} run"
        elif one[key].shape != two[key].shape or one[key].dtype != two[key].dtype:
            yield f"{key}: {one[key].dtype} {one[key].shape}, {two[key].dtype} {two[key].shape}"
        elif one[key].tobytes() != two[key].tobytes():
            gap = np.abs(one[key].astype(np.float64) - two[key].astype(np.float64))
            yield f"{key}: max difference {float(np.max(gap)):.3g}"


def _part(meta: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = meta.get(name)
    return part if isinstance(part, Mapping) else {}


def _by_epoch(history: object) -> dict[str, object]:
    epochs = history if isinstance(history, list) else []
    return {str(number): metrics for number, metrics in enumerate(epochs, start=1)}


def _first(what: str, one: object, two: object) -> list[str]:
    """The first difference between two JSON values, as a line."""
    return [f"{what}{line}" for line in _differences("", one, two)][:1]


def _differences(path: str, one: object, two: object) -> Iterator[str]:
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in sorted({*one, *two}):
            yield from _differences(f"{path} {key}".strip(), one.get(key), two.get(key))
    elif canonical_json.dumps(one) != canonical_json.dumps(two):
        yield f"{path}: {_short(one)} in the undisturbed run, {_short(two)} in the killed one"


def _short(value: object) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
