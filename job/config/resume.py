"""Which keys a resume may change, and the differences in the others.

Every key is fixed unless the models mark it `mutable`: a run with another optimizer is another
run. `training.steps_per_call` is fixed only in a run with custom callbacks, whose batch hooks
depend on it, and `training.epochs` in one whose learning rate decays over all its steps. The
commands that resume reject a difference in a fixed key and print the lines of
`binding_diff`.

Some of the mutable keys shape what a run leaves when it ends. A run that has ended does not
look at them again, so it keeps their values (`result_settings`) to say which differ.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from job.config.keys import Path, all_keys, child, default_of, find, names_in
from job.config.root import Config
from job.config.scalars import join_key, preview
from job.config.section import Section
from job.types import Json


class _Absent:
    """A key that one side does not have."""


_ABSENT = _Absent()

_FIXED_BY_CUSTOM_CALLBACKS = "training.steps_per_call"
# Keys of the section `evaluation` that choose, calibrate and measure after training.
_OF_THE_END = ("threshold", "confidence", "match_share", "calibration", "weights")


def as_record(config: Config) -> dict[str, Json]:
    """The resolved configuration as a run stores it: every key, JSON values only."""
    return config.model_dump(mode="json")


def result_settings(config: Config) -> dict[str, Json]:
    """The mutable keys that shape the results of a run when it ends, by dotted key."""
    evaluation, export = (
        section.model_dump(mode="json") for section in (config.evaluation, config.export)
    )
    return {
        **{f"evaluation.{name}": evaluation[name] for name in _OF_THE_END},
        **{f"export.{name}": value for name, value in export.items()},
    }


def changed_settings(stored: Mapping[str, Any], config: Config) -> dict[str, str]:
    """What of `result_settings` is not as it was when a run ended.

    Args:
        stored: `result_settings` of that time; a key that an older version did not store is
            taken to be unchanged.
        config: The configuration now.

    Returns:
        Both values, as text, by dotted key.
    """
    return {
        key: f"finished with {preview(stored[key])}, the config says {preview(value)}"
        for key, value in result_settings(config).items()
        if key in stored and not _are_equal(stored[key], value)
    }


def is_mutable(key: str) -> bool:
    """Whether a resume may change the value of a dotted key.

    Args:
        key: As in `training.epochs`; a section is mutable when all its keys are.

    Returns:
        False for a key that does not exist, as in the record of another version.
    """
    return _is_mutable(tuple(key.split(".")))


def binding_diff(
    stored: Mapping[str, Any], current: Mapping[str, Any], *, owner: str = "this run"
) -> list[str]:
    """Compares the record of a run with the configuration that it resumes with.

    Args:
        stored: `as_record` of the configuration that the run began with.
        current: `as_record` of the configuration now.
        owner: The name of what stores the record, for the lines.

    Returns:
        One line for each fixed key that differs, in the order of the sections; empty if the run
        may resume. A key unknown to an older version differs unless it has its default.
    """
    lines = _differences((), stored, current, owner)
    if not stored.get("callbacks", {}).get("custom"):
        free = f"{_FIXED_BY_CUSTOM_CALLBACKS}:"
        lines = [line for line in lines if not line.startswith(free)]
    return [*_schedule_difference(stored, current, owner), *lines]


def _schedule_difference(
    stored: Mapping[str, Any], current: Mapping[str, Any], owner: str
) -> list[str]:
    """The line about epochs that would change the learning rate of steps already taken."""
    before, after = (record.get("training", {}) for record in (stored, current))
    decays_over_all_steps = before.get("schedule", {}).get("decay_steps", 0) is None
    epochs = [one.get("epochs") for one in (before, after)]
    if not decays_over_all_steps or epochs[0] == epochs[1]:
        return []
    had, has = map(_side, epochs)
    return [
        f"training.epochs: {owner} has {had}, over which its learning rate decays, the config "
        f"says {has}; only with training.schedule.decay_steps may it change"
    ]


def _is_mutable(path: Path) -> bool:
    key = find(path)
    if key is None:
        return False
    if key.is_mutable or not key.sections:
        return key.is_mutable
    below = [child(key, name) for name in names_in(key.sections)]
    return all(at is not None and _is_mutable(at.path) for at in below)


def _differences(path: Path, stored: Any, current: Any, owner: str) -> list[str]:
    if isinstance(stored, Mapping) and isinstance(current, Mapping):
        names = sorted({*stored, *current}, key=lambda name: _rank((*path, name)))
        return [
            line
            for name in names
            for line in _differences(
                (*path, name), stored.get(name, _ABSENT), current.get(name, _ABSENT), owner
            )
        ]
    if _are_lists(stored, current) and len(stored) == len(current) and _has_keys_below(path):
        return [
            line
            for index, pair in enumerate(zip(stored, current, strict=True))
            for line in _differences((*path, index), *pair, owner)
        ]
    if _are_equal(stored, current) or _is_mutable(path):
        return []
    if stored is _ABSENT and _is_default(path, current):
        return []  # an older version had no such key and behaved like the default
    return [f"{join_key(path)}: {owner} has {_side(stored)}, the config says {_side(current)}"]


def _is_default(path: Path, value: Any) -> bool:
    key = find(path)
    if key is None or not key.fields or any(field.is_required() for field in key.fields):
        return False
    defaults = [default_of(field) for field in key.fields]
    plain = [d.model_dump(mode="json") if isinstance(d, Section) else d for d in defaults]
    return any(_are_equal(default, value) for default in plain)


def _has_keys_below(path: Path) -> bool:
    """Whether there are keys below the entries of a list, not just plain values."""
    key = find(path)
    return key is None or bool(key.item) or key.has_free_keys


def _rank(path: Path) -> tuple[int, str]:
    # Keys that only an older or newer version knows come last.
    name = join_key(path)
    order = {key: number for number, key in enumerate(all_keys())}
    return order.get(name, len(order)), name


def _are_lists(*values: Any) -> bool:
    return all(isinstance(value, Sequence) and not isinstance(value, str) for value in values)


def _are_equal(stored: Any, current: Any) -> bool:
    # To Python, True equals 1; to a callback's argument it need not.
    if isinstance(stored, bool) != isinstance(current, bool):
        return False
    return bool(stored == current)


def _side(value: Any) -> str:
    return "no such key" if value is _ABSENT else preview(value)
