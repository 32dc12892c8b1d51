"""A run of several workers: how they are named, reached, placed and counted."""

import json

import kubernetes_validate
import pytest
import yaml

from tests.chart.conftest import CHART

pytestmark = pytest.mark.chart
KUBERNETES = "1.34"
OWN = {
    "app.kubernetes.io/name": "siamese-job",
    "app.kubernetes.io/instance": "typos",
    "app.kubernetes.io/component": "trainer",
}
PEERS = [{"podSelector": {"matchLabels": OWN}}]
CLUSTER_PORTS = [{"port": 2222}, {"port": 2223}]
DNS_AND_HTTPS = {
    "ports": [
        {"port": 53, "protocol": "UDP"},
        {"port": 53, "protocol": "TCP"},
        {"port": 443, "protocol": "TCP"},
    ]
}


def environment(release):
    return {one["name"]: one.get("value") for one in release.container["env"]}


def run_name(release):
    return yaml.safe_load(release.config_file)["run"]["name"]


def test_one_worker_needs_no_service_and_no_addresses(render):
    release = render({"workers.count": 1})
    assert release.of_kind("Service") == []
    assert release.job == render().job
    assert "subdomain" not in release.pod
    assert "WORKER_ADDRESSES" not in environment(release)
    assert "successPolicy" not in release.job["spec"]


@pytest.mark.parametrize("count", [2, 4])
def test_every_worker_is_a_pod_and_the_chief_completes_the_job(render, count):
    spec = render({"workers.count": count}).job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == count
    assert spec["successPolicy"] == {"rules": [{"succeededIndexes": "0"}]}
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["backoffLimitPerIndex"] == 3
    assert spec["maxFailedIndexes"] == 0
    assert "backoffLimit" not in spec


@pytest.mark.parametrize("count", [2, 4])
def test_the_addresses_are_the_pods_of_this_job_in_its_service(render, count):
    release = render({"workers.count": count})
    (service,) = release.of_kind("Service")
    job, name = release.name, service["metadata"]["name"]
    assert name == f"workers-{job}"
    assert release.pod["subdomain"] == name
    addresses = environment(release)["WORKER_ADDRESSES"].split(",")
    assert addresses == [f"{job}-{index}.{name}:2222" for index in range(count)]
    # Kubernetes adds it itself; a second one of that name would hide it.
    assert "JOB_COMPLETION_INDEX" not in environment(release)


def test_workers_are_found_before_they_are_ready(render):
    release = render({"workers.count": 2})
    (service,) = release.of_kind("Service")
    assert service["spec"] == {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"batch.kubernetes.io/job-name": release.name},
        "ports": [{"name": "cluster", "port": 2222}, {"name": "cluster-tf", "port": 2223}],
    }


def test_workers_meet_at_two_ports_and_each_has_metrics(render):
    ports = {
        one["name"]: one["containerPort"]
        for one in render({"workers.count": 2}).container["ports"]
    }
    assert ports == {"cluster": 2222, "cluster-tf": 2223, "metrics": 9090}


def test_the_wait_for_others_has_the_same_budget_and_grace_as_one_worker(render):
    one, two = (render({"workers.count": count}) for count in (1, 2))
    for key in ("startupProbe", "readinessProbe", "livenessProbe", "resources", "args"):
        assert one.container[key] == two.container[key]
    grace = "terminationGracePeriodSeconds"
    assert one.pod[grace] == two.pod[grace]
    for key in ("POD_GRACE_SECONDS", "POD_MAX_STARTUP_SECONDS"):
        assert environment(one)[key] == environment(two)[key]


def test_nothing_prevents_the_drain_of_a_node(render):
    release = render((CHART / "ci/distributed.yaml").read_text())
    assert release.of_kind("PodDisruptionBudget") == []


@pytest.mark.parametrize("count", [1, 2, 4, 999])
def test_another_number_of_workers_is_another_job_of_the_same_run(render, count):
    one, other = render({"workers.count": 3}), render({"workers.count": count})
    assert other.name != one.name
    assert run_name(other) == run_name(one)
    # The configuration and the data, by name and content.
    assert other.config_map == one.config_map
    assert other.data_maps == one.data_maps


def test_an_upgrade_from_two_workers_to_one_resumes_the_named_and_the_unnamed_run(render):
    for given in ({}, {"config.run.name": "mine"}):
        two, one = (render({**given, "workers.count": count}) for count in (2, 1))
        assert run_name(two) == run_name(one)
        assert two.name != one.name
        again = render({**given, "workers.count": 2})
        assert again.objects == two.objects


@pytest.mark.parametrize("section", [{"devices": "cpu:2"}, {"devices": "gpu"}, {}])
def test_how_workers_share_the_work_is_not_in_the_name_of_a_run(render, section):
    changed = {"workers.count": 2, "config.distribution": section}
    assert run_name(render(changed)) == run_name(render())


def test_the_chart_sets_nothing_of_the_distribution(render):
    config = json.loads(render({"workers.count": 2}).config_file)
    assert "distribution" not in config


@pytest.mark.parametrize("release", ["r" * 53, "a." + "b" * 51, "x", "1"])
def test_the_names_of_many_workers_fit(render, release):
    rendered = render({"workers.count": 999}, name=release)
    for one in rendered.objects:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    (service,) = rendered.of_kind("Service")
    name = service["metadata"]["name"]
    # The name of a Service begins with a letter, also where a release does not.
    assert name[0].isalpha()
    assert len(name) <= 63
    addresses = environment(rendered)["WORKER_ADDRESSES"]
    hosts = [address.partition(".")[0] for address in addresses.split(",")]
    assert len(set(hosts)) == 999
    assert len(f"{max(hosts, key=len)}-abcde") <= 63
    # Linux limits one variable to 128 KiB.
    assert len(f"WORKER_ADDRESSES={addresses}") < 131_072


def test_workers_can_be_spread_and_kept_close(render):
    release = render((CHART / "ci/distributed.yaml").read_text())
    (constraint,) = release.pod["topologySpreadConstraints"]
    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    (preferred,) = release.pod["affinity"]["podAffinity"][
        "preferredDuringSchedulingIgnoredDuringExecution"
    ]
    assert preferred["podAffinityTerm"]["topologyKey"] == "topology.kubernetes.io/zone"
    assert "topologySpreadConstraints" not in render().pod


@pytest.mark.parametrize("count", [1, 2])
def test_there_is_no_network_policy_unless_it_is_asked_for(render, count):
    assert render({"workers.count": count}).of_kind("NetworkPolicy") == []


def policy(release):
    (found,) = release.of_kind("NetworkPolicy")
    kubernetes_validate.validate(found, KUBERNETES, strict=True)
    return found["spec"]


def test_a_network_policy_lets_workers_meet_and_reach_dns_and_https(render):
    release = render({"workers.count": 2, "networkPolicy.enabled": True})
    assert policy(release) == {
        "podSelector": {"matchLabels": OWN},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": 9090}]}, {"from": PEERS, "ports": CLUSTER_PORTS}],
        "egress": [DNS_AND_HTTPS, {"to": PEERS, "ports": CLUSTER_PORTS}],
    }
    assert release.template["metadata"]["labels"] == OWN


def test_a_network_policy_of_one_worker_lets_prometheus_in(render):
    spec = policy(render({"networkPolicy.enabled": True, "config.metrics.port": 9400}))
    assert spec["ingress"] == [{"ports": [{"port": 9400}]}]
    assert spec["egress"] == [DNS_AND_HTTPS]


def test_a_network_policy_without_metrics_lets_only_workers_in(render):
    closed = {"networkPolicy.enabled": True, "config.metrics.enabled": False}
    assert "ingress" not in policy(render(closed))
    spec = policy(render({**closed, "workers.count": 2}))
    assert spec["ingress"] == [{"from": PEERS, "ports": CLUSTER_PORTS}]


def test_a_network_policy_takes_more_rules_and_leaves_the_job_alone(render):
    rule = {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 9000}]}
    changed = {"networkPolicy.enabled": True, "networkPolicy.extraEgress": [rule]}
    release = render(changed)
    assert policy(release)["egress"] == [DNS_AND_HTTPS, rule]
    assert release.job == render().job


def test_notes_name_the_chief_and_the_followers(render):
    release = render({"workers.count": 2})
    job = f"batch.kubernetes.io/job-name={release.name}"
    chief = f"{job},batch.kubernetes.io/job-completion-index=0"
    assert f"is trained by 2 workers of Job {release.name}." in release.notes
    assert f"logs --follow --tail=-1 --selector {chief}\n" in release.notes
    assert f"--prefix --max-log-requests=10 --selector {job}\n" in release.notes
    assert f"--field-selector status.phase=Running --selector {chief}) 9090" in release.notes
    # kubectl takes any pod of the Job.
    assert "logs --follow job/" not in release.notes
    assert "port-forward job/" not in release.notes


def test_notes_say_that_only_the_chief_holds_a_run_that_is_in_no_volume(render):
    warning = (
        "WARNING: this directory is inside the pod of worker 0 and is lost with it: the pods"
    )
    assert warning in render({"workers.count": 2}).notes
    assert warning not in render({"workers.count": 1}).notes
    bucket = {"workers.count": 2, "config.run.root": "gs://bucket/prefix"}
    assert "WARNING" not in render(bucket).notes


@pytest.mark.parametrize(("count", "is_said"), [(1, False), (2, True)])
def test_notes_say_that_a_volume_is_mounted_by_every_worker(render, count, is_said):
    notes = render(
        {
            "workers.count": count,
            "config.run.root": "/runs",
            "extraVolumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
            "extraVolumeMounts": [{"name": "v", "mountPath": "/runs"}],
        }
    ).notes
    assert ("access mode must be ReadWriteMany" in notes) == is_said
    assert "WARNING" not in notes
