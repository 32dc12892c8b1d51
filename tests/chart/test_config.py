"""The configuration on its way through Helm: what arrives is what was written."""

import json
import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from job.config.loader.load_config import load_config
from tests.chart.conftest import CHART, ROOT, Release, values
from tools.chart import helm

pytestmark = pytest.mark.chart
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
ADDED = {"metrics": {"linger_seconds": 30, "port": 9090}}


def loaded(text: str, folder: Path) -> dict:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, env={}, sets=[]).config.model_dump()


def through_helm(text: str) -> str:
    """The file that the container trains, from the text of a configuration file."""
    given = "config:\n" + textwrap.indent(text, "  ")
    return Release(helm.render(CHART, given, name="typos")).config_file


def without_metrics(config: dict) -> dict:
    return {key: value for key, value in config.items() if key != "metrics"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_trained_as_it_is_written(path, tmp_path):
    text = path.read_text()
    arrived = loaded(through_helm(text), tmp_path)
    assert without_metrics(arrived) == without_metrics(loaded(text, tmp_path))


TRICKY = """
run: {name: "007", root: "1e3", seed: 4294967295}
data:
  train: "no"
  validation: null
  test: "0x10"
  root: "~"
  columns: {left: "yes", right: "\\u00fcn\\u00efc\\u00f6de \\U0001F600", label: "12:30:00"}
  split: {validation_fraction: 1e-4}
  max_bad_fraction: 0.30000000000000004
training:
  epochs: 1000000
  global_batch_size: 123456789
  steps_per_call: 1
  optimizer: {kind: sgd, learning_rate: 1.0e-7, momentum: 0}
callbacks:
  early_stopping: {}
  custom:
  - target: "my_callbacks:Ring"
    arguments:
      {text: "a\\nb: <&> 'c' \\"d\\" #", "off": "on", rate: 1.5e300, list: ["1", 1, true]}
metrics: {port: 9400, linger_seconds: 0}
"""


def test_values_that_yaml_could_misread_arrive_exactly(tmp_path):
    arrived = loaded(through_helm(TRICKY), tmp_path)
    assert arrived == loaded(TRICKY, tmp_path)
    assert arrived["data"]["columns"]["left"] == "yes"
    assert arrived["training"]["epochs"] == 1_000_000


@settings(max_examples=20)
@given(
    seed=st.integers(0, 2**32 - 1),
    rate=st.floats(5e-324, 1e300),
    name=st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Co"]), min_size=1),
)
def test_any_number_and_text_arrives(seed, rate, name):
    changes = {
        "config.run.seed": seed,
        "config.training.optimizer": {"kind": "adam", "learning_rate": rate},
        "config.data.columns.left": name,
    }
    release = Release(helm.render(CHART, values(changes), name="typos"))
    # As JSON it says of every value what it is, whichever YAML its reader knows.
    config = json.loads(release.config_file)
    assert config["run"]["seed"] == seed
    assert float(config["training"]["optimizer"]["learning_rate"]) == rate
    assert config["data"]["columns"]["left"] == name


def test_the_chart_adds_only_a_name_and_where_metrics_are_found(render):
    release = render()
    config = yaml.safe_load(release.config_file)
    assert config.pop("run").keys() == {"name"}
    assert config == {"data": {"train": "pairs.csv"}, **ADDED}


def test_what_is_given_is_not_replaced(render):
    given = {"port": 9400, "linger_seconds": 0}
    release = render({"config.metrics": given, "config.run.name": "mine"})
    config = yaml.safe_load(release.config_file)
    assert config["metrics"] == given
    assert config["run"] == {"name": "mine"}
    assert {"name": "metrics", "containerPort": 9400} in release.container["ports"]


def test_any_free_port_is_the_one_that_probes_know(render):
    config = yaml.safe_load(render({"config.metrics.port": 0}).config_file)
    assert config["metrics"]["port"] == 9090


def test_without_metrics_nothing_is_added_to_them(render):
    config = yaml.safe_load(render({"config.metrics.enabled": False}).config_file)
    assert config["metrics"] == {"enabled": False}


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_the_host_may_be_every_interface_and_reaches_the_program(render, host):
    release = render({"config.metrics.host": host})
    assert yaml.safe_load(release.config_file)["metrics"]["host"] == host
    # The image sets the variable, which beats the file.
    assert {"name": "SIAMESE_METRICS__HOST", "value": host} in release.container["env"]


def test_metrics_listen_on_every_interface_unless_told(render):
    variable = {"name": "SIAMESE_METRICS__HOST", "value": "0.0.0.0"}
    assert variable in render().container["env"]
    without = render({"config.metrics.enabled": False, "config.metrics.host": "127.0.0.1"})
    assert variable["name"] not in {one["name"] for one in without.container["env"]}


@pytest.mark.parametrize(
    "data",
    [
        {"tokens": {"kind": "words"}},
        {"rows": "items", "sampling": None},
        {"rows": "items", "sampling": {"positives_per_epoch": 8}},
        {"kind": "sequence", "num_features": 3, "augmentation": {"crop": 0.5}},
        {"kind": "image", "size": 71, "augmentation": None},
    ],
)
def test_data_of_every_kind_are_taken(render, data):
    release = render({f"config.data.{key}": value for key, value in data.items()})
    config = yaml.safe_load(release.config_file)
    kept = {key: value for key, value in data.items() if value is not None}
    assert kept.items() <= config["data"].items()


def test_leaving_out_null_changes_nothing_where_it_is_the_default_and_else_keeps_a_limit():
    # Helm may drop a key whose value is null; a dropped `stall_seconds` keeps its limit.
    schema = yaml.safe_load((ROOT / "job/config/schema.json").read_text())

    def defaults(node):
        for name, part in node.get("properties", {}).items():
            if {"type": "null"} in part.get("anyOf", []):
                yield name, part["default"]
            yield from defaults(part)
        for part in node.get("oneOf", []):
            yield from defaults(part)

    found = list(defaults(schema))
    assert len(found) >= 20
    assert {(name, default) for name, default in found if default is not None} == {
        ("stall_seconds", 300.0)
    }


def test_configuration_and_data_cannot_change_under_a_run(render):
    release = render()
    for one in [release.config_map, *release.data_maps]:
        assert one["immutable"] is True


@pytest.mark.parametrize("key", ["root", "packed", "train", "items"])
def test_copies_of_a_bucket_go_where_there_is_room(render, key):
    config = json.loads(render({f"config.data.{key}": "gs://bucket/place"}).config_file)
    assert config["data"]["mirror"] == "/scratch/data"
    own = {f"config.data.{key}": "gs://bucket/place", "config.data.mirror": "/copies"}
    assert json.loads(render(own).config_file)["data"]["mirror"] == "/copies"


def test_one_file_of_a_list_may_be_in_a_bucket(render):
    files = ["pairs.csv", "gs://bucket/pairs.csv"]
    data = json.loads(render({"config.data.train": files}).config_file)["data"]
    assert (data["train"], data["mirror"]) == (files, "/scratch/data")


def test_data_of_the_pod_are_not_copied(render):
    assert "mirror" not in json.loads(render().config_file)["data"]
