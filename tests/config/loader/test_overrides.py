"""What `--set` and the environment may say, and how a mistake in them is named."""

import pytest

from job.config.loader.overrides import from_environment, from_sets, variable_of
from tests.config.conftest import Complaints

ENV = "SIAMESE_TRAINING__EPOCHS"


@pytest.mark.parametrize(
    ("argument", "says"),
    [
        ("foo", "--set foo: needs key=value, as in training.epochs=3 (got 'foo')."),
        (
            "training.epoch=4",
            "--set training.epoch: there is no such key (got 'training.epoch=4'). Did you mean "
            "'training.epochs'?",
        ),
        (
            "epochs=4",
            "--set epochs: there is no such key (got 'epochs=4'). Did you mean "
            "'training.epochs'?",
        ),
        (
            "training.Epochs=4",
            "--set training.Epochs: there is no such key (got 'training.Epochs=4'). Did you "
            "mean 'training.epochs'?",
        ),
        (
            "zzz=1",
            "--set zzz: there is no such key (got 'zzz=1'). `siamese-job config explain` lists "
            "the keys.",
        ),
        (
            "run.name.x=1",
            "--set run.name.x: there is no such key (got 'run.name.x=1'). Did you mean "
            "'run.name'?",
        ),
        (
            "=1",
            "--set '': there is no such key (got '=1'). `siamese-job config explain` lists the "
            "keys.",
        ),
        (
            "training.epochs=",
            "--set training.epochs: needs a value behind `=`; write null for none, '\"\"' for "
            "an empty text.",
        ),
        (
            "data.split=[a",
            "--set data.split: not valid YAML: expected ',' or ']', but got '<stream end>'; a "
            "bracket is not closed.",
        ),
        (
            "callbacks.custom.2.target=a:B",
            "--set callbacks.custom.2.target: this list has 0 entries; name one by its number "
            "from 0, or add one as number 0 (got 2).",
        ),
        (
            "data.columns={lft: x}",
            "--set data.columns: data.columns.lft: unknown key (got 'x'). Did you mean 'left'?",
        ),
        (
            "training.optimizer.kind=[1]",
            "--set training.optimizer.kind: must be one of adam, adamw, rmsprop, sgd "
            "(got [1]).",
        ),
        ("run=5", "--set run: must be a section with keys of its own (got 5)."),
        (
            "training.epochs=x",
            "--set training.epochs: must be a whole number, at least 1 or null (got 'x').",
        ),
        (
            "run.name=123",
            "--set run.name: must be 1 to 63 lower-case letters, digits and hyphens, with no "
            "hyphen at either end (got 123). Put it in two pairs of quotes to make it text: "
            "'\"123\"'.",
        ),
    ],
)
def test_a_set_that_cannot_be_is_named_as_typed(
    conflicts: Complaints, argument: str, says: str
) -> None:
    assert conflicts(sets=[argument]) == [says]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "SIAMESE_TRAINING_EPOCHS",
            "3",
            "there is no such key (got '3'). Did you mean 'SIAMESE_TRAINING__EPOCHS'?",
        ),
        (
            "SIAMESE_EPOCHS",
            "3",
            "there is no such key (got '3'). Did you mean 'SIAMESE_TRAINING__EPOCHS'?",
        ),
        (
            "SIAMESE_ZZZ",
            "3",
            "there is no such key (got '3'). Names beginning with SIAMESE_ belong to the "
            "configuration, with `__` for each dot, as in SIAMESE_TRAINING__EPOCHS; unset it "
            "or name it otherwise.",
        ),
        (
            "SIAMESE_CALLBACKS__CUSTOM__0__TARGET",
            "a:B",
            "there is no such key (got 'a:B'). Names beginning with SIAMESE_ belong to the "
            "configuration, with `__` for each dot, as in SIAMESE_TRAINING__EPOCHS; unset it "
            "or name it otherwise.",
        ),
        (
            "SIAMESE_TRAINING__EPOCHS",
            "0",
            "must be a whole number, at least 1 or null (got 0).",
        ),
        ("SIAMESE_DATA__SPLIT", "[", "not valid YAML: expected the node content, but found"),
        (
            "SIAMESE_TRAINING",
            "{epochs: 0}",
            "training.epochs: must be a whole number, at least 1 or null (got 0).",
        ),
    ],
)
def test_a_variable_that_cannot_be_is_named(
    conflicts: Complaints, name: str, value: str, says: str
) -> None:
    [line] = conflicts(env={name: value})
    assert line.startswith(f"environment {name}: {says}")


def test_two_names_of_one_key_are_refused(conflicts: Complaints) -> None:
    assert conflicts(env={ENV: "1", ENV.lower(): "2"}) == [
        f"environment {ENV.lower()}: {ENV} names the same key; unset one of the two."
    ]


def test_what_kubernetes_sets_for_a_service_is_left_alone() -> None:
    links = {
        "SIAMESE_QUORA_SERVICE_HOST": "10.0.0.1",
        "SIAMESE_QUORA_SERVICE_PORT": "80",
        "SIAMESE_QUORA_SERVICE_PORT_METRICS": "80",
        "SIAMESE_QUORA_PORT": "tcp://10.0.0.1:80",
        "SIAMESE_QUORA_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert from_environment(links).problems == ()
    del links["SIAMESE_QUORA_SERVICE_HOST"]
    assert len(from_environment(links).problems) == 4


def test_a_service_named_like_a_section_hides_no_setting() -> None:
    env = {"SIAMESE_METRICS_SERVICE_HOST": "10.0.0.1", "SIAMESE_METRICS__PORT": "9000"}
    [assignment] = from_environment(env).assignments
    assert (assignment.path, assignment.value) == (("metrics", "port"), 9000)


def test_overrides_do_not_change_what_they_are_given() -> None:
    env, sets = {ENV: "3"}, ["training={epochs: 4}"]
    from_environment(env)
    from_sets(sets)
    assert (env, sets) == ({ENV: "3"}, ["training={epochs: 4}"])


def test_the_variable_of_a_key() -> None:
    assert variable_of("training.optimizer.kind") == "SIAMESE_TRAINING__OPTIMIZER__KIND"
