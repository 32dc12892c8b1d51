"""The objects of a release, as Kubernetes gets them."""

import kubernetes_validate
import pytest
import yaml

from job.config.loader.yaml12 import read_document
from job.distribution.kubernetes import Pod, pod_of
from job.errors import EXIT_CODES
from tests.chart.conftest import CHART, CI
from tools.chart import helm

pytestmark = pytest.mark.chart
KUBERNETES = "1.34"
ci_files = pytest.mark.parametrize("path", CI, ids=lambda path: path.stem)


def test_there_are_values_files_for_the_usual_cases():
    assert [path.stem for path in CI] == [
        "bucket",
        "distributed",
        "files",
        "gpu",
        "minimal",
    ]


@ci_files
def test_every_object_of_a_values_file_is_valid_for_the_api(render, path):
    for one in render(path.read_text()).objects:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)


def test_the_validation_refuses_an_unknown_field(render):
    job = render().job
    job["spec"]["backofLimit"] = 3
    with pytest.raises(kubernetes_validate.ValidationError, match="backofLimit"):
        kubernetes_validate.validate(job, KUBERNETES, strict=True)


@ci_files
def test_lint_finds_nothing(path):
    assert helm.lint(CHART, read_document(path.read_bytes()).values) == []


def test_lint_finds_nothing_in_the_defaults():
    assert helm.lint(CHART, {}) == []


@ci_files
def test_every_object_is_labelled_with_its_release(render, path):
    for one in render(path.read_text(), name="r1").objects:
        labels = one["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "siamese-job"
        assert labels["app.kubernetes.io/instance"] == "r1"
        assert labels["app.kubernetes.io/component"] == "trainer"
        assert labels["helm.sh/chart"].startswith("siamese-job-")
        assert "namespace" not in one["metadata"]


def test_a_pod_has_no_label_that_changes_with_a_version(render):
    assert render().template["metadata"]["labels"] == {
        "app.kubernetes.io/name": "siamese-job",
        "app.kubernetes.io/instance": "typos",
        "app.kubernetes.io/component": "trainer",
    }


def test_one_worker_is_an_indexed_job_too(render):
    spec = render().job["spec"]
    assert spec["completionMode"] == "Indexed"
    assert spec["completions"] == spec["parallelism"] == 1
    assert "suspend" not in spec
    assert "successPolicy" not in spec


def test_a_fault_is_retried_and_a_job_is_bounded(render):
    changed = {"failure.maxRestarts": 7, "failure.maxDurationSeconds": 1_000_000}
    spec = render(changed).job["spec"]
    assert spec["backoffLimitPerIndex"] == 7
    assert spec["maxFailedIndexes"] == 0
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["activeDeadlineSeconds"] == 1_000_000
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_a_job_may_have_no_deadline(render):
    spec = render({"failure.maxDurationSeconds": None}).job["spec"]
    assert "activeDeadlineSeconds" not in spec


def test_the_pod_failure_policy_says_what_the_exit_code_table_says(render):
    disruption, *by_code = render().job["spec"]["podFailurePolicy"]["rules"]
    assert disruption == {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    }
    assert [rule["action"] for rule in by_code] == ["FailJob", "Ignore"]
    for rule in by_code:
        codes = [r.code for r in EXIT_CODES if r.pod_failure_action == rule["action"]]
        assert rule["onExitCodes"] == {
            "containerName": "trainer",
            "operator": "In",
            "values": sorted(int(code) for code in codes),
        }


@pytest.mark.parametrize(("given", "found"), [(60, 60), (0, 0), (None, None)])
def test_a_finished_job_is_deleted_after_a_time_or_never(render, given, found):
    spec = render({"ttlSecondsAfterFinished": given}).job["spec"]
    assert spec.get("ttlSecondsAfterFinished") == found


def test_a_finished_job_stays_a_week_by_default(render):
    assert render().job["spec"]["ttlSecondsAfterFinished"] == 604800


def test_the_pod_is_restricted(render):
    release = render()
    assert release.pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "runAsGroup": 10001,
        "fsGroup": 10001,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert release.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_the_user_may_be_another_one_or_the_clusters_choice(render):
    other = render({"podSecurityContext.runAsUser": 4711}).pod["securityContext"]
    assert (other["runAsUser"], other["runAsGroup"]) == (4711, 10001)
    none = render({"podSecurityContext.runAsUser": None}).pod["securityContext"]
    assert "runAsUser" not in none
    assert none["runAsNonRoot"] is True


def test_no_pod_gets_a_token_of_the_api(render):
    release = render()
    (account,) = release.of_kind("ServiceAccount")
    assert account["automountServiceAccountToken"] is False
    assert release.pod["automountServiceAccountToken"] is False
    assert release.pod["enableServiceLinks"] is False
    assert release.pod["serviceAccountName"] == account["metadata"]["name"] == "typos"
    assert {one["kind"] for one in release.objects} == {"ServiceAccount", "ConfigMap", "Job"}


def test_the_service_account_may_be_somebody_elses(render):
    release = render({"serviceAccount.create": False})
    assert release.of_kind("ServiceAccount") == []
    assert release.pod["serviceAccountName"] == "default"
    release = render({"serviceAccount.create": False, "serviceAccount.name": "team"})
    assert release.pod["serviceAccountName"] == "team"


def test_the_service_account_can_stand_for_an_identity_of_a_cloud(render):
    (account,) = render({"serviceAccount.annotations": {"a/b": "c"}}).of_kind("ServiceAccount")
    assert account["metadata"]["annotations"] == {"a/b": "c"}


def test_the_container_trains_the_mounted_configuration_without_a_shell(render):
    container = render().container
    assert container["name"] == "trainer"
    assert "command" not in container
    assert container["args"] == ["train", "/etc/siamese/config.yaml"]
    assert container["workingDir"] == "/scratch"


def test_only_scratch_can_be_written(render):
    render({"scratch.sizeLimit": "2097152Ki", "image.repository": "here.test:5000/team/job"})
    release = render({"scratch.sizeLimit": "3Gi"})
    mounts = {one["mountPath"]: one for one in release.container["volumeMounts"]}
    assert set(mounts) == {"/etc/siamese", "/scratch", "/tmp", "/dev/shm"}
    assert mounts["/etc/siamese"]["readOnly"] is True
    volumes = {one["name"]: one for one in release.pod["volumes"]}
    assert volumes["scratch"]["emptyDir"] == {"sizeLimit": "3Gi"}
    assert volumes["tmp"]["emptyDir"] == {"sizeLimit": "1Gi"}
    assert volumes["shm"]["emptyDir"] == {"medium": "Memory", "sizeLimit": "64Mi"}


def test_the_pod_knows_which_attempt_it_is(render):
    env = [one for one in render().container["env"] if "valueFrom" in one]
    paths = {one["name"]: one["valueFrom"]["fieldRef"]["fieldPath"] for one in env}
    prefix = "batch.kubernetes.io/"
    assert paths == {
        "POD_NAME": "metadata.name",
        "POD_NAMESPACE": "metadata.namespace",
        "JOB_UID": f"metadata.labels['{prefix}controller-uid']",
        "JOB_FAILURES": f"metadata.annotations['{prefix}job-index-failure-count']",
        "JOB_PREEMPTIONS": f"metadata.annotations['{prefix}job-index-ignored-failure-count']",
    }


def test_the_program_knows_its_pod_as_the_chart_describes_it(render):
    changed = {"terminationGracePeriodSeconds": 25, "failure.maxStartupSeconds": 95}
    env = {one["name"]: one.get("value", "set") for one in render(changed).container["env"]}
    assert pod_of({**env, "JOB_FAILURES": "1", "JOB_PREEMPTIONS": "2"}) == Pod(
        "set", "set", "typos", "set", 1, 2, 25, 95
    )
    env = render({"config.metrics.enabled": False}).container["env"]
    assert "POD_MAX_STARTUP_SECONDS" not in {one["name"] for one in env}


def test_the_last_words_of_a_pod_are_kept(render):
    container = render().container
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_logs_of_the_job_are_those_of_the_trainer(render):
    annotations = render({"podAnnotations": {"a": "b"}}).template["metadata"]["annotations"]
    assert annotations == {"kubectl.kubernetes.io/default-container": "trainer", "a": "b"}


def test_probes_ask_the_metrics_port(render):
    container = render({"failure.maxStartupSeconds": 95}).container
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    assert ports == {"cluster": 2222, "metrics": 9090}
    paths = {
        kind: container[f"{kind}Probe"]["httpGet"]
        for kind in ("startup", "readiness", "liveness")
    }
    assert paths == {
        "startup": {"path": "/startupz", "port": "metrics"},
        "readiness": {"path": "/readyz", "port": "metrics"},
        "liveness": {"path": "/livez", "port": "metrics"},
    }
    startup = container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 100


def test_without_metrics_there_is_nothing_to_probe(render):
    release = render({"config.metrics.enabled": False})
    assert [one["name"] for one in release.container["ports"]] == ["cluster"]
    assert not [key for key in release.container if key.endswith("Probe")]
    assert "port-forward" not in release.notes


def test_resources_are_set_and_memory_is_guaranteed(render):
    resources = render().container["resources"]
    assert resources["requests"]["cpu"] == 1
    assert resources["requests"]["memory"] == resources["limits"]["memory"] == "2Gi"
    assert set(resources["limits"]) == {"memory", "ephemeral-storage"}


def test_what_a_pod_may_need_is_passed_on(render):
    release = render((CHART / "ci/gpu.yaml").read_text())
    assert release.pod["runtimeClassName"] == "nvidia"
    assert release.pod["priorityClassName"] == "training"
    assert release.pod["tolerations"][0]["key"] == "nvidia.com/gpu"
    assert "nodeAffinity" in release.pod["affinity"]
    assert release.container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert {"name": "runs", "mountPath": "/runs"} in release.container["volumeMounts"]
    assert {"runs", "data"} < {one["name"] for one in release.pod["volumes"]}
    release = render((CHART / "ci/bucket.yaml").read_text())
    assert release.pod["imagePullSecrets"] == [{"name": "registry"}]
    assert release.pod["nodeSelector"] == {"cloud.google.com/gke-spot": "true"}
    assert release.container["envFrom"] == [{"secretRef": {"name": "proxy"}}]
    assert release.pod["terminationGracePeriodSeconds"] == 25
    release = render((CHART / "ci/files.yaml").read_text())
    assert release.job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "team"
    assert release.template["metadata"]["labels"]["team"] == "words"
    assert release.container["env"][-2] == {"name": "TZ", "value": "UTC"}


@pytest.mark.parametrize(
    ("changes", "image"),
    [
        ({}, "siamese-job:{version}"),
        ({"image.tag": "1.2"}, "siamese-job:1.2"),
        ({"image.repository": "a.example:5000/b/c", "image.tag": "t"}, "a.example:5000/b/c:t"),
        (
            {"image.digest": "sha256:" + "0" * 64},
            "siamese-job:{version}@sha256:" + "0" * 64,
        ),
    ],
)
def test_the_image_is_the_programs_version_unless_told(render, changes, image):
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    container = render(changes).container
    assert container["image"] == image.format(version=version)
    assert container["imagePullPolicy"] == "IfNotPresent"
