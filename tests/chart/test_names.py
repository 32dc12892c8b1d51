"""Names: stable for the same values, others for other values, and never too long."""

import re
import shutil

import pytest
import yaml

from job.config.keys import all_keys
from job.config.resume import is_mutable
from tests.chart.conftest import CHART, Release, values
from tools.chart import helm

pytestmark = pytest.mark.chart


def run_name(release):
    return yaml.safe_load(release.config_file)["run"]["name"]


@pytest.fixture(scope="module")
def open_chart(tmp_path_factory):
    """The chart without its schema, so that any value may stand for another one."""
    chart = tmp_path_factory.mktemp("charts") / "siamese-job"
    shutil.copytree(CHART, chart)
    (chart / "values.schema.json").unlink()
    return chart


def names(release):
    maps = [release.config_map, *release.data_maps]
    return [release.name, run_name(release), *(one["metadata"]["name"] for one in maps)]


def test_the_same_values_give_the_same_names(render):
    assert names(render()) == names(render())


def test_a_name_is_the_release_and_a_hash(render):
    job, run, config, data = names(render())
    assert re.fullmatch("typos-[0-9a-f]{8}", job)
    assert re.fullmatch("typos-[0-9a-f]{8}", run)
    assert re.fullmatch("typos-config-[0-9a-f]{8}", config)
    assert re.fullmatch("typos-data-[0-9a-f]{8}", data)


def test_another_learning_rate_is_another_run_and_job_with_the_same_data(render):
    changed = {"config.training.optimizer": {"kind": "adam", "learning_rate": 0.01}}
    one, other = names(render()), names(render(changed))
    assert [a != b for a, b in zip(one, other, strict=True)] == [True, True, True, False]


LEAVES = [
    key
    for key, found in all_keys().items()
    if not found.sections and ".0" not in key and key != "run.name"
]


@pytest.mark.parametrize("key", LEAVES)
def test_a_key_is_in_the_name_of_a_run_unless_a_resume_may_change_it(render, open_chart, key):
    above = key.rpartition(".")[0]
    without = {} if above == "data" else {f"config.{above}": {}}
    changed = {**without, f"config.{key}": "::"}
    one, other = (run_name(render(given, chart=open_chart)) for given in (without, changed))
    assert (one == other) is is_mutable(key)


def test_a_section_of_mutable_keys_only_is_not_in_the_name_of_a_run(render):
    assert run_name(render()) == run_name(render({"config.logging": {"level": "DEBUG"}}))
    assert run_name(render()) == run_name(render({"config.training.epochs": 3}))


def test_an_empty_section_that_turns_something_on_is_in_the_name_of_a_run(render):
    assert run_name(render()) != run_name(render({"config.callbacks.early_stopping": {}}))


def test_another_namespace_is_another_run():
    one, other = (
        Release(helm.render(CHART, values(), name="typos", namespace=namespace))
        for namespace in ("alice", "bob")
    )
    assert run_name(one) != run_name(other)


def test_other_data_are_another_run_and_job(render):
    changed = {"data.files.pairs~csv": "left,right,label\na,b,0\n"}
    assert not set(names(render())) & set(names(render(changed)))


@pytest.mark.parametrize(
    "changes",
    [
        {"image.tag": "next"},
        {"workers.resources.limits": {"memory": "4Gi"}},
        {"failure.maxRestarts": 5},
        {"nodeSelector": {"a": "b"}},
    ],
)
def test_another_pod_is_another_job_that_goes_on_with_the_run(render, changes):
    one, other = names(render()), names(render(changes))
    assert [a != b for a, b in zip(one, other, strict=True)] == [True, False, False, False]


@pytest.mark.parametrize(
    "changes",
    [
        {"ttlSecondsAfterFinished": None},
        {"failure.maxDurationSeconds": 60},
        {"jobLabels": {"a": "b"}},
    ],
)
def test_what_a_job_lets_be_changed_leaves_its_name(render, changes):
    assert names(render()) == names(render(changes))


def test_a_run_that_has_a_name_keeps_it(render):
    one = render({"config.run.name": "mine"})
    other = render({"config.run.name": "mine", "config.training.epochs": 3})
    assert run_name(one) == run_name(other) == "mine"
    assert one.name != other.name


def test_another_version_of_the_chart_changes_no_pod(render, tmp_path):
    chart = shutil.copytree(CHART, tmp_path / "siamese-job")
    metadata = (chart / "Chart.yaml").read_text()
    (chart / "Chart.yaml").write_text(metadata.replace("\nversion: ", "\nversion: 9"))
    one, other = render(), render(chart=chart)
    assert one.job["metadata"]["labels"] != other.job["metadata"]["labels"]
    assert one.template == other.template
    assert names(one) == names(other)


def test_a_comment_in_the_templates_changes_no_name(render, tmp_path):
    chart = shutil.copytree(CHART, tmp_path / "siamese-job")
    pod = chart / "templates/_pod.tpl"
    text = pod.read_text()
    pod.write_text(text.replace("  restartPolicy:", "  # Once.\n  restartPolicy:"))
    assert text != pod.read_text()
    assert names(render()) == names(render(chart=chart))


@pytest.mark.parametrize("release", ["r" * 53, "a." + "b" * 51, "a" * 45 + "-bcdefgh", "x"])
def test_names_of_a_long_release_leave_room_for_index_and_suffix(render, release):
    job, run, *maps = names(render(name=release))
    assert len(f"{job}-998-abcde") <= 63
    assert max(map(len, maps)) <= 63
    for name in (job, run):
        assert re.fullmatch("[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", name)


def test_two_long_releases_with_one_beginning_do_not_meet(render):
    one, other = render(name="r" * 52 + "1"), render(name="r" * 52 + "2")
    assert not set(names(one)) & set(names(other))
    named = {"config.run.name": "mine"}
    one = render(named, name="r" * 52 + "1")
    other = render(named, name="r" * 52 + "2")
    assert set(names(one)) & set(names(other)) == {"mine"}


@pytest.mark.parametrize("release", ["123", "1e3", "null", "true", "0x1f"])
def test_a_release_that_looks_like_a_number_stays_text(render, release):
    rendered = render(name=release)
    assert rendered.template["metadata"]["labels"]["app.kubernetes.io/instance"] == release
    assert rendered.pod["serviceAccountName"] == release
