"""All mistakes at once, in order, in words of our own, whatever the file holds."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from job.config.describe import show
from job.config.keys import all_keys
from job.config.loader.load_config import load_config
from job.config.loader.merge import from_document
from job.config.loader.origin import in_order
from job.config.loader.overrides import variable_of
from job.config.loader.problems import from_validation
from job.config.loader.yaml12 import read_document
from job.config.root import Config
from job.config.scalars import to_yaml
from job.errors import ConfigError
from tests.config.conftest import MINIMAL, Complaints


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "data: {train: a}",
            "c.yaml:1:1: run: this section is required, with its key `name`.",
        ),
        (
            "run: {name: a}\ndata: {}",
            "c.yaml:2:1: data.train: is required: text that is not empty, or a list of such. "
            "File to train on, relative to `data.root` or as `gs://bucket/name`: a .csv, .tsv "
            "or .jsonl file, plain or .gz; for `rows: items` also an .npz file or a folder "
            "that holds a folder for each class.",
        ),
        (
            f"{MINIMAL}callbacks:\n  custom:\n  - arguments: {{}}",
            "c.yaml:5:5: callbacks.custom.0.target: is required: `module:Class`, as in "
            "`my_callbacks:Ring`. `module:Class`.",
        ),
        (
            "[run, data]",
            "c.yaml:1:1: must be sections with keys, run and data among them (got [run, "
            "data]).",
        ),
        (
            "# nothing",
            "c.yaml:1:1: the file is empty; the sections run and data are required. "
            "`siamese-job init` writes a file to start from.",
        ),
        (
            f"{MINIMAL}run: {{name: b}}",
            "c.yaml:3:1: run: this key is already on line 1; keep one of the two.",
        ),
        (
            "run: {name: a}\ndata: {train: [}",
            "c.yaml:2:16: not valid YAML: expected the node content, but found '}'.",
        ),
        (
            "run: {name: a}\ndata: {train: !!str 3}",
            "c.yaml:2:15: tags are not allowed (got '!!str'); remove it: a quoted value is "
            "text, any other value has the type it looks like.",
        ),
    ],
)
def test_a_file_that_lacks_something_says_what(
    conflicts: Complaints, text: str, says: str
) -> None:
    assert says in conflicts(text)


def test_three_mistakes_are_three_lines_in_the_order_of_the_file(
    conflicts: Complaints,
) -> None:
    text = (
        "training:\n  epochs: 0\n  optimizer: {kind: adm}\n"
        "run: {name: a, sead: 1}\ndata: {train: a.csv}\n"
    )
    assert conflicts(text) == [
        "c.yaml:2:11: training.epochs: must be a whole number, at least 1 or null (got 0).",
        "c.yaml:3:21: training.optimizer.kind: must be one of adam, adamw, rmsprop, sgd "
        "(got 'adm'). Did you mean 'adam'?",
        "c.yaml:4:16: run.sead: unknown key (got 1). Did you mean 'seed'?",
    ]


def test_mistakes_of_every_layer_are_shown_together(conflicts: Complaints) -> None:
    lines = conflicts(
        "run: {name: a, name: b}\ndata: {train: a, trian: 3}\ntraining: {epochs: 0}",
        env={"SIAMESE_METRICS__PORT": "-1", "SIAMESE_NO": "1"},
        sets=["logging.level=x", "nothing"],
    )
    assert [line.split(": ")[0] for line in lines] == [
        "c.yaml:1:16",
        "c.yaml:2:18",
        "c.yaml:3:20",
        "environment SIAMESE_METRICS__PORT",
        "environment SIAMESE_NO",
        "--set logging.level",
        "--set nothing",
    ]


def test_a_value_that_could_not_be_read_is_reported_once(conflicts: Complaints) -> None:
    [line] = conflicts(f"run: {{name: a}}\ndata: {{train: {'9' * 101}}}")
    assert "at most 100 digits" in line


def test_a_long_value_is_cut(conflicts: Complaints) -> None:
    [line] = conflicts(f"{MINIMAL}logging: {{level: {'x' * 10_000}}}")
    assert len(line) < 200
    assert "xxx...)." in line


def test_control_characters_do_not_reach_the_terminal(conflicts: Complaints) -> None:
    [line] = conflicts(f'{MINIMAL}"a\\e[2J\\nb": "c\\e\\r\\n"')
    assert line.isprintable()


KEYS = [key for key in all_keys() if ".0" not in key]
SCALARS = [None, True, 0, -1, 3, 10**25, 1e-3, 2.0, float("inf"), "", "no", "x", "3"]
LISTS: list[Any] = [[], [1], [None], ["a"], [{}], [{"target": 5}]]
MAPPINGS: list[Any] = [{}, {"kind": 1}, {"kind": "x"}, {"x": {}}, {"": 1}]


@given(
    st.dictionaries(
        st.sampled_from(KEYS),
        st.sampled_from([*SCALARS, *LISTS, *MAPPINGS]).map(copy.deepcopy),
        min_size=1,
        max_size=4,
    )
)
def test_every_mistake_has_words_of_our_own(changes: dict[str, Any]) -> None:
    values: dict[str, Any] = {"run": {"name": "a"}, "data": {"train": "a"}}
    for key, value in changes.items():
        *above, last = key.split(".")
        node = values
        for part in above:
            below = node.get(part)
            node[part] = node = below if isinstance(below, dict) else {}
        node[last] = value
    layered = from_document(read_document(to_yaml(values).encode()), path="c.yaml")
    errors: list[ValidationError] = []
    try:
        Config.model_validate(layered.values)
    except ValidationError as error:
        errors.append(error)
    lines = [
        problem.line()
        for error in errors
        for problem in in_order(from_validation(error, layered=layered))
    ]
    assert len(lines) == sum(error.error_count() for error in errors)
    for line in lines:
        assert "\n" not in line
        assert "pydantic" not in line
        assert "nput should" not in line
        assert "Value error" not in line


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(values=JSON)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_file_holds_the_answer_is_a_config_error(
    values: Any, tmp_path: Path
) -> None:
    path = tmp_path / "c.json"
    path.write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError):
        load_config(path, env={}, sets=[])


TYPED = st.sampled_from(
    ["null", "3", "[1]", "{}", "{kind: sgd}", "{x: [{}]}", "x", "''", "{custom: [{}]}", "[", ""]
)
ARGUMENTS = st.builds(
    "{}{}={}".format,
    st.sampled_from(list(all_keys())),
    st.sampled_from(["", "", "", ".0", ".x.y", ".kind"]),
    TYPED,
)


@given(
    sets=st.lists(ARGUMENTS | st.text(max_size=5), max_size=4),
    env=st.dictionaries(st.sampled_from(KEYS).map(variable_of), TYPED, max_size=3),
    section=st.sampled_from(
        ["", "training: 3", "model: {encoder: [1]}", "callbacks: {custom: 3}"]
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_the_answer_is_a_config_or_a_config_error(
    sets: list[str], env: dict[str, str], section: str, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(f"{MINIMAL}{section}", encoding="utf-8")
    try:
        loaded = load_config(path, env=env, sets=sets)
    except ConfigError as error:
        lines = str(error).splitlines()
    else:
        lines = []
        show(loaded, with_origin=True)
    assert all(": " in line for line in lines)
