"""What cannot train is refused: by helm before anything exists, else by one failed pod."""

import json

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.e2e]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"training": {"epochs": 0}}, ("epochs",)),
        ({"modle": {}}, ("modle",)),
        ({"model": {"head": {"kind": "cosin"}}}, ("head", "kind")),
    ],
    ids=["epochs 0", "modle", "unknown head"],
)
def test_helm_refuses_a_bad_config_and_creates_nothing(cluster, tiny, change, words):
    result = cluster.install("refused", {**tiny, "config": {**tiny["config"], **change}})
    assert result.returncode != 0
    for word in words:
        assert word in result.stderr
    assert cluster.labelled("refused") == {}
    assert "refused" not in cluster.helm("list", "--all", "-q").stdout


def test_a_missing_data_file_fails_the_job_at_once_and_describe_says_why(cluster, tiny):
    tiny["config"]["data"]["train"] = "pairs/nowhere.csv"
    job = cluster.installed("nodata", tiny)
    ended = cluster.wait_for_end(job, seconds=60)
    assert (ended["type"], ended["reason"]) == ("Failed", "PodFailurePolicy")
    pods = cluster.pods(job)
    assert len(pods) == 1
    name = pods[0]["metadata"]["name"]
    terminated = pods[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["exitCode"] == 3
    words = json.loads(terminated["message"])
    assert "\n" not in words["message"]
    described = cluster.kubectl("describe", "pod", name)
    assert "pairs/nowhere.csv" in described
    assert words["message"].split(". ")[-1][:40] in described
    cluster.uninstall("nodata")


def test_no_bucket_fails_the_job_at_once_with_its_name(cluster, tiny):
    tiny["config"]["run"]["root"] = "gs://nobody-made-this"
    job = cluster.installed("nobucket", tiny)
    assert cluster.wait_for_end(job, seconds=60)["reason"] == "PodFailurePolicy"
    terminated = cluster.pods(job)[0]["status"]["containerStatuses"][0]["state"]["terminated"]
    assert terminated["exitCode"] == 2
    assert "nobody-made-this" in json.loads(terminated["message"])["message"]
    cluster.uninstall("nobucket")
