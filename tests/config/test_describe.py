"""What `init`, `config show` and `explain` print."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job.config.describe import explain, show, starter
from job.config.keys import all_keys
from job.config.loader.load_config import load_config
from job.config.root import Config
from job.errors import ConfigError
from tests.config.conftest import Load
from tests.config.test_scalars import JSON, TEXT


def test_the_starter_loads_and_holds_every_default(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(starter(schema="schema.json"))
    loaded = load_config(path, env={}, sets=[])
    assert loaded.config == Config.model_validate(
        {"run": {"name": "my-run"}, "data": {"kind": "text", "train": "train.csv"}}
    )
    assert loaded.config.data.kind == "text"


def test_the_starter_begins_with_the_editors_mode_line() -> None:
    first = starter(schema="file:///a/schema.json").splitlines()[0]
    assert first == "# yaml-language-server: $schema=file:///a/schema.json"


def test_the_starter_is_short_and_explains_its_keys() -> None:
    lines = starter(schema="x").splitlines()
    keys = [at for at, line in enumerate(lines) if line.strip() and "#" not in line]
    assert 20 < len(keys) < 50
    assert all(lines[at - 1].strip().startswith("# ") for at in keys)
    assert max(map(len, lines)) <= 96


def test_show_names_the_origin_of_every_value(load: Load) -> None:
    loaded = load(
        "training:\n  optimizer: {kind: sgd}\n",
        env={"SIAMESE_METRICS__PORT": "9000"},
        sets=["callbacks.custom=[{target: 'a:B', arguments: {x: no}}]", "data.test=b c.csv"],
    )
    lines = show(loaded, with_origin=True).splitlines()
    for line in (
        "run:",
        "  name: a  # c.yaml:1",
        "  root: runs  # default",
        "  train: a.csv  # c.yaml:2",
        '  test: "b c.csv"  # --set',
        "    kind: sgd  # c.yaml:4",
        "    learning_rate: 0.01  # default",
        "  port: 9000  # env SIAMESE_METRICS__PORT",
        "  custom:",
        '  - target: "a:B"  # --set',
        '    arguments: {x: "no"}  # --set',
    ):
        assert line in lines
    assert all("  # " in line or line.endswith(":") for line in lines)
    plain = show(loaded, with_origin=False)
    assert plain.splitlines() == [line.partition("  # ")[0] for line in lines]


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
TEXTS = TEXT.filter(bool)
FLOATS = st.floats(1e-300, 1e300)
OPTIMIZERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"kind": st.sampled_from(["adam", "adamw", "rmsprop"]), "learning_rate": FLOATS}
) | st.fixed_dictionaries(
    {"kind": st.just("sgd"), "momentum": st.floats(0, 1, exclude_max=True)}
)
FINITE = JSON.filter(lambda value: "inf" not in repr(value))
CUSTOM = st.lists(
    st.fixed_dictionaries(
        {"target": st.just("a.b:C"), "arguments": st.dictionaries(TEXT, FINITE, max_size=3)}
    ),
    max_size=2,
)
CONFIGS = st.fixed_dictionaries(
    {
        "run": st.fixed_dictionaries({"name": NAMES, "root": TEXTS}),
        "data": st.fixed_dictionaries(
            {
                "kind": st.just("text"),
                "train": TEXTS,
                "test": TEXTS | st.none(),
                "columns": st.just({"left": "no"}),
            }
        ),
        "training": st.fixed_dictionaries({"optimizer": OPTIMIZERS}),
        "callbacks": st.fixed_dictionaries(
            {"custom": CUSTOM, "early_stopping": st.none() | st.just({"patience_epochs": 0})}
        ),
    }
)


@given(values=CONFIGS, with_origin=st.booleans())
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_show_prints_loads_to_the_same_config(
    values: dict[str, Any], with_origin: bool, tmp_path: Path
) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"run": {"name": "a"}, "data": {"train": "a"}}))
    first = load_config(path, env={}, sets=[])
    config = Config.model_validate(values)
    origins = dict.fromkeys(_dotted(config.model_dump()), "env X")
    loaded = type(first)(config, path, tmp_path, {**first.origins, **origins})
    path.write_text(show(loaded, with_origin=with_origin), encoding="utf-8")
    assert load_config(path, env={}, sets=[]).config == config


def _dotted(values: Any, above: str = "") -> list[str]:
    if isinstance(values, dict) and not above.endswith("arguments"):
        return [key for name, v in values.items() for key in _dotted(v, f"{above}.{name}")]
    if isinstance(values, list) and values:
        return [key for index, v in enumerate(values) for key in _dotted(v, f"{above}.{index}")]
    return [above.lstrip(".")]


def test_explain_a_key() -> None:
    about, _, facts = explain("training.epochs").partition("\n\n")
    heading, *description = about.splitlines()
    assert heading == "training.epochs"
    assert all(line.startswith("  ") for line in description)
    assert facts.splitlines() == [
        "  allowed   a whole number, at least 1 or null",
        "  default   null",
        "  resume    may change",
        "  variable  SIAMESE_TRAINING__EPOCHS",
    ]


@pytest.mark.parametrize(
    ("key", "lines"),
    [
        ("run.name", ["default   none: the key is required", "resume    fixed"]),
        (
            "training.optimizer",
            ["kinds     adam, adamw, rmsprop, sgd", "optimizer.momentum    "],
        ),
        (
            "training.optimizer.learning_rate",
            [
                "of kind   adam, adamw, rmsprop",
                "default   0.001",
                "of kind   sgd",
                "default   0.01",
            ],
        ),
        ("training.optimizer.kind", ["allowed   adam, adamw, rmsprop, sgd", "default   adam"]),
        ("model.encoder.kind", ["allowed   lstm, cnn, xception", "default   lstm"]),
        (
            "model.encoder.filters",
            [
                "allowed   a list of 1 to 6 entries, each a whole number from 1 to 2048",
                "default   [32, 64, 128]",
            ],
        ),
        ("data.kind", ["allowed   text, sequence, image", "default   text"]),
        ("data.sampling", ["default   null", "kinds     pairs, classes"]),
        ("data.max_length", ["of kind   text", "1 to 65536", "of kind   sequence", "16384"]),
        ("data.augmentation.crop", ["of kind   sequence", "of kind   image"]),
        ("callbacks.early_stopping", ["keys of its own or null", "early_stopping.min_delta "]),
        ("callbacks.custom", ["allowed   a list", "callbacks.custom.0.target "]),
        ("callbacks.custom.0.arguments", ["allowed   a mapping", "default   {}"]),
        ("data.validation", ["or null", "default   null"]),
        ("logging.level", ["allowed   one of DEBUG, INFO, WARNING, ERROR"]),
        ("checkpoint.monitor", ["allowed   one of loss, accuracy, val_loss"]),
        ("", ["the configuration", "  run           ", "  logging       "]),
    ],
)
def test_explain_says(key: str, lines: list[str]) -> None:
    text = explain(key)
    for line in lines:
        assert line in text


@pytest.mark.parametrize("key", all_keys())
def test_every_key_can_be_explained(key: str) -> None:
    text = explain(key)
    assert text.startswith(f"{key}\n  ")
    assert text.splitlines()[1].strip()


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("epochs", "Did you mean 'training.epochs'?"),
        ("training.epoch", "Did you mean 'training.epochs'?"),
        ("callbacks.custom.target", "Did you mean 'callbacks.custom.0.target'?"),
        ("zzz", "Leave KEY out for a list of all sections."),
        ("training.", "Did you mean 'training'?"),
    ],
)
def test_explain_refuses_a_key_that_is_not_there(key: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        explain(key)
    assert str(caught.value) == f"config explain: there is no key '{key}'. {hint}"


def test_a_key_that_all_kinds_declare_alike_is_described_once() -> None:
    assert explain("data.train").count("variable") == 1
    assert explain("data.max_length").count("variable") == 2
