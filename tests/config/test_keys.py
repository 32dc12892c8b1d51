"""Looking keys up in the models."""

from dataclasses import replace

import pytest

from job.config.callbacks import CustomCallbackConfig
from job.config.keys import (
    ROOT,
    Path,
    all_keys,
    child,
    default_kind,
    find,
    narrowed,
    nearest_key,
)
from job.config.monitors import MONITORS
from job.config.root import Config
from job.config.training import AdamConfig, AdamwConfig, RmspropConfig, SgdConfig


@pytest.mark.parametrize(
    ("path", "sections"),
    [
        ((), (Config,)),
        (("training", "optimizer"), (AdamConfig, AdamwConfig, RmspropConfig, SgdConfig)),
        (("callbacks", "custom", 0), (CustomCallbackConfig,)),
        (("callbacks", "custom", "7"), (CustomCallbackConfig,)),
        (("training", "epochs"), ()),
        (("callbacks", "custom", 0, "arguments", "x", "y"), ()),
    ],
)
def test_a_key_is_found_with_what_may_stand_there(
    path: Path, sections: tuple[type, ...]
) -> None:
    key = find(path)
    assert key is not None
    assert key.sections == sections


@pytest.mark.parametrize(
    "path",
    [
        ("",),
        ("Training",),
        ("training", "epochs", "x"),
        ("callbacks", "custom", "x"),
        ("callbacks", "custom", "-1"),
        ("callbacks", "custom", "9" * 5000),
        ("callbacks", "custom", 0, "x"),
        ("model_config",),
        ("run", "model_fields"),
    ],
)
def test_what_is_not_declared_is_not_found(path: Path) -> None:
    assert find(path) is None


def test_what_lies_below_a_mutable_key_is_mutable() -> None:
    above = replace(ROOT, is_mutable=True)
    section = child(above, "run")
    assert section is not None
    assert section.is_mutable
    name = child(section, "name")
    assert name is not None
    assert name.is_mutable


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (("training", "optimizer"), "adam"),
        (("model", "encoder"), "lstm"),
        (("data",), "text"),
        (("data", "tokens"), "characters"),
        (("data", "sampling"), "pairs"),
        (("training",), None),
        (("training", "epochs"), None),
        ((), None),
    ],
)
def test_the_default_kind_of_a_section(path: Path, kind: str | None) -> None:
    key = find(path)
    assert key is not None
    assert default_kind(key) == kind


def test_a_key_is_narrowed_to_the_kind_it_has() -> None:
    key = find(("training", "optimizer"))
    assert key is not None
    assert narrowed(key, "sgd").sections == (SgdConfig,)
    assert narrowed(key, "unknown") == key
    assert narrowed(key, None) == key
    assert narrowed(key, ["sgd"]) == key


def test_every_section_of_the_design_is_declared_in_its_order() -> None:
    assert [key for key in all_keys() if "." not in key] == [
        "run",
        "data",
        "model",
        "training",
        "callbacks",
        "checkpoint",
        "distribution",
        "evaluation",
        "export",
        "metrics",
        "logging",
    ]


@pytest.mark.parametrize(
    ("key", "default"),
    [
        # What scripts may rely on, from the first release.
        ("run.name", None),
        ("run.root", "runs"),
        ("run.seed", 0),
        ("data.kind", "text"),
        ("data.train", None),
        ("data.root", None),
        ("data.max_bad_fraction", 0.01),
        ("model.encoder.kind", "lstm"),
        ("model.head.kind", "abs_diff_product"),
        ("training.epochs", None),
        ("training.global_batch_size", 256),
        ("training.loss.kind", "binary_crossentropy"),
        ("checkpoint.every_steps", None),
        ("metrics.enabled", True),
        ("metrics.host", "127.0.0.1"),
        ("metrics.port", 0),
        ("metrics.linger_seconds", 0.0),
        ("logging.format", "auto"),
    ],
)
def test_public_keys_and_their_defaults_stay(key: str, default: object) -> None:
    found = all_keys()[key]
    section = all_keys()[key.rpartition(".")[0]]
    if key.endswith(".kind"):
        assert default_kind(section) == default
        return
    assert len(found.fields) == len(section.sections)  # every kind has it
    for field in found.fields:
        assert field.is_required() == (key in ("run.name", "data.train"))
        assert field.is_required() or field.default == default


def test_a_monitor_of_keras_name_is_measured_and_has_a_direction() -> None:
    assert MONITORS["val_loss"] == "min"
    assert MONITORS["val_accuracy"] == MONITORS["val_roc_auc"] == "max"


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("epochs", "training.epochs"),
        ("run.epochs", "training.epochs"),
        ("training.epoch", "training.epochs"),
        ("monitor", None),  # three keys end so; none is nearer than the others
        ("zzz", None),
        ("model.encoder.filters.0", "model.encoder.filters"),
    ],
)
def test_the_key_that_was_meant(typed: str, key: str | None) -> None:
    assert nearest_key(typed) == key
