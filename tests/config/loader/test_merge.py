"""Precedence: defaults, the file, the environment, `--set`."""

import pytest

from job.config.loader.merge import apply, from_document
from job.config.loader.overrides import from_sets
from job.config.loader.yaml12 import read_document
from job.config.training import AdamConfig, SgdConfig
from tests.config.conftest import MINIMAL, Complaints, Load

ENV = "SIAMESE_TRAINING__EPOCHS"


@pytest.mark.parametrize(
    ("text", "env", "sets", "epochs", "origin"),
    [
        ("", {}, [], None, "default"),
        ("training: {epochs: 3}", {}, [], 3, "c.yaml:3"),
        ("training:\n  epochs: 3", {}, [], 3, "c.yaml:4"),
        ("", {ENV: "4"}, [], 4, f"env {ENV}"),
        ("", {}, ["training.epochs=5"], 5, "--set"),
        ("training: {epochs: 3}", {ENV: "4"}, [], 4, f"env {ENV}"),
        ("training: {epochs: 3}", {}, ["training.epochs=5"], 5, "--set"),
        ("", {ENV: "4"}, ["training.epochs=5"], 5, "--set"),
        ("training: {epochs: 3}", {ENV: "4"}, ["training.epochs=5"], 5, "--set"),
        ("", {}, ["training.epochs=5", "training.epochs=6"], 6, "--set"),
        ("", {ENV: ""}, [], None, "default"),
        ("training: {epochs: 3}", {ENV: "  "}, [], 3, "c.yaml:3"),
        ("", {"siamese_training__Epochs": "4"}, [], 4, "env siamese_training__Epochs"),
        ("", {"SIAMESE_TRAINING": "{epochs: 4}"}, [], 4, "env SIAMESE_TRAINING"),
        ("", {"TRAINING__EPOCHS": "4", "XSIAMESE_A": "1"}, [], None, "default"),
        ("training: {epochs: 3}", {}, [" training.epochs = 5 "], 5, "--set"),
    ],
)
def test_a_later_layer_wins(
    load: Load, text: str, env: dict[str, str], sets: list[str], epochs: int | None, origin: str
) -> None:
    loaded = load(text, env=env, sets=sets)
    assert loaded.config.training.epochs == epochs
    assert loaded.origins["training.epochs"] == origin


def test_a_mapping_for_a_section_is_laid_over_it_key_by_key(load: Load) -> None:
    loaded = load(
        "logging: {format: json, level: ERROR}",
        sets=["logging={level: DEBUG}"],
    )
    assert (loaded.config.logging.format, loaded.config.logging.level) == ("json", "DEBUG")
    assert loaded.origins["logging.format"] == "c.yaml:3"
    assert loaded.origins["logging.level"] == "--set"


def test_a_mapping_for_free_keys_replaces_what_was_there(load: Load) -> None:
    loaded = load(
        "callbacks: {custom: [{target: 'a:B', arguments: {x: 1, y: 2}}]}",
        sets=["callbacks.custom.0.arguments={z: 3}"],
    )
    assert loaded.config.callbacks.custom[0].arguments == {"z": 3}
    assert loaded.config.callbacks.custom[0].target == "a:B"


def test_one_free_key_is_set_beside_the_others(load: Load) -> None:
    loaded = load(
        "callbacks: {custom: [{target: 'a:B', arguments: {x: 1, y: {z: [5, 6]}}}]}",
        sets=["callbacks.custom.0.arguments.y.z.1=7", "callbacks.custom.0.arguments.Q.r=s"],
    )
    assert loaded.config.callbacks.custom[0].arguments == {
        "x": 1,
        "y": {"z": [5, 7]},
        "Q": {"r": "s"},
    }


def test_an_entry_is_added_to_a_list_that_nothing_has_given(load: Load) -> None:
    loaded = load("", sets=["callbacks.custom.0.target=a:B", "callbacks.custom.1.target=c:D"])
    assert [entry.target for entry in loaded.config.callbacks.custom] == ["a:B", "c:D"]
    assert loaded.origins["callbacks.custom.1.target"] == "--set"
    assert loaded.origins["callbacks.custom.1.arguments"] == "default"


@pytest.mark.parametrize("text", ["", "callbacks: {early_stopping: null}", "callbacks: {}"])
def test_a_key_below_a_section_that_is_off_turns_it_on(load: Load, text: str) -> None:
    loaded = load(text, sets=["callbacks.early_stopping.patience_epochs=3"])
    assert loaded.config.callbacks.early_stopping is not None
    assert loaded.config.callbacks.early_stopping.patience_epochs == 3
    assert loaded.origins["callbacks.early_stopping.patience_epochs"] == "--set"
    assert loaded.origins["callbacks.early_stopping.monitor"] == "default"


def test_an_empty_mapping_turns_a_section_on_and_changes_none_that_is(load: Load) -> None:
    on = load("", sets=["callbacks.early_stopping={}"]).config.callbacks.early_stopping
    assert on is not None
    assert on.patience_epochs == 5
    text = "callbacks: {early_stopping: {patience_epochs: 2}}"
    kept = load(text, sets=["callbacks.early_stopping={}"]).config.callbacks.early_stopping
    assert kept is not None
    assert kept.patience_epochs == 2


def test_null_turns_a_section_off(load: Load) -> None:
    loaded = load(
        "callbacks: {early_stopping: {patience_epochs: 2}}",
        sets=["callbacks.early_stopping=null"],
    )
    assert loaded.config.callbacks.early_stopping is None
    assert loaded.origins["callbacks.early_stopping"] == "--set"


SGD = "training: {optimizer: {kind: sgd, learning_rate: 0.5, momentum: 0.9}}"
RATE = "SIAMESE_TRAINING__OPTIMIZER__LEARNING_RATE"
KIND = "SIAMESE_TRAINING__OPTIMIZER__KIND"


@pytest.mark.parametrize(
    ("text", "env", "sets", "optimizer"),
    [
        # A kind that changes drops what lower layers said about the old kind ...
        (SGD, {}, ["training.optimizer.kind=adam"], AdamConfig(learning_rate=0.001)),
        (SGD, {KIND: "adam"}, [], AdamConfig(learning_rate=0.001)),
        (SGD, {}, ["training.optimizer={kind: adam}"], AdamConfig(learning_rate=0.001)),
        (SGD, {RATE: "0.3"}, ["training.optimizer.kind=adam"], AdamConfig(learning_rate=0.001)),
        # ... against the default kind, too ...
        (
            "training: {optimizer: {learning_rate: 0.5}}",
            {},
            ["training.optimizer.kind=sgd"],
            SgdConfig(learning_rate=0.01),
        ),
        # ... but neither what the same layer says, in whatever order ...
        (
            SGD,
            {},
            ["training.optimizer.learning_rate=0.2", "training.optimizer.kind=adam"],
            AdamConfig(learning_rate=0.2),
        ),
        (SGD, {KIND: "adam", RATE: "0.2"}, [], AdamConfig(learning_rate=0.2)),
        # ... nor what a higher layer says.
        (
            SGD,
            {KIND: "adam"},
            ["training.optimizer.learning_rate=2"],
            AdamConfig(learning_rate=2),
        ),
        # A kind that stays drops nothing.
        (SGD, {}, ["training.optimizer.kind=sgd"], SgdConfig(learning_rate=0.5, momentum=0.9)),
        (
            "training: {optimizer: {learning_rate: 0.5}}",
            {},
            ["training.optimizer.kind=adam"],
            AdamConfig(learning_rate=0.5),
        ),
        # A section that names no kind has the default one.
        ("training: {optimizer: {learning_rate: 0.5}}", {}, [], AdamConfig(learning_rate=0.5)),
        ("", {}, ["training.optimizer.learning_rate=0.5"], AdamConfig(learning_rate=0.5)),
        ("training: {optimizer: {}}", {}, [], AdamConfig()),
    ],
)
def test_a_change_of_kind_starts_the_section_anew(
    load: Load, text: str, env: dict[str, str], sets: list[str], optimizer: object
) -> None:
    assert load(text, env=env, sets=sets).config.training.optimizer == optimizer


def test_a_default_kind_counts_as_a_default(load: Load) -> None:
    origins = load("training: {optimizer: {learning_rate: 0.5}}").origins
    assert origins["training.optimizer.kind"] == "default"
    assert origins["training.optimizer.learning_rate"] == "c.yaml:3"


def test_an_unknown_kind_is_the_only_thing_said(conflicts: Complaints) -> None:
    assert conflicts(sets=["data.kind=video"]) == [
        "--set data.kind: must be one of text, sequence, image (got 'video')."
    ]


@pytest.mark.parametrize("below", ["5", "[1]", "text"])
def test_a_key_below_a_broken_section_leaves_the_files_error_alone(
    conflicts: Complaints, below: str
) -> None:
    [line] = conflicts(
        f"run: {{name: a}}\ndata: {{train: a}}\ntraining: {below}",
        sets=["training.optimizer.kind=sgd", "training.epochs=3"],
    )
    assert line.startswith("c.yaml:3:11: training: must be a section with keys of its own")


def test_an_error_in_a_replaced_value_is_named_where_it_was_given(
    conflicts: Complaints,
) -> None:
    assert conflicts(
        f"{MINIMAL}callbacks: {{custom: [{{target: 'a:B', arguments: {{x: 1}}}}]}}",
        sets=["callbacks.custom.0.arguments={x: .nan}"],
    ) == [
        "--set callbacks.custom.0.arguments: callbacks.custom.0.arguments.x: must be a finite "
        "number (got .nan)."
    ]


def test_applying_a_layer_leaves_the_lower_ones_as_they_are() -> None:
    lower = from_document(read_document(b"training: {epochs: 3}"), path="c.yaml")
    upper = apply(lower, from_sets(["training.epochs=4", "run.name=a"]).assignments)
    assert upper.values == {"training": {"epochs": 4}, "run": {"name": "a"}}
    assert lower.values == {"training": {"epochs": 3}}
    assert ("run",) not in lower.origins


def test_a_layer_does_not_change_its_assignments() -> None:
    lower = from_document(read_document(b"callbacks: {custom: [{target: 'a:B'}]}"), path="c")
    at = "callbacks.custom.0.arguments"
    assignments = from_sets([f"{at}={{x: 1}}", f"{at}.y=2"]).assignments
    upper = apply(lower, assignments)
    assert upper.values["callbacks"]["custom"][0]["arguments"] == {"x": 1, "y": 2}
    assert assignments[0].value == {"x": 1}
