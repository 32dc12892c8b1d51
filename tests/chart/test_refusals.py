"""What Helm refuses before anything is installed, and what a person reads then."""

import json

import pytest
import yaml

from tests.chart.conftest import CHART, values
from tools.chart import helm

pytestmark = pytest.mark.chart
QUOTE = "text in quotes"


@pytest.mark.parametrize(
    ("changes", "key", "reason"),
    [
        ({"config.modle": {}}, "/config'", "'modle' not allowed"),
        ({"config.model.encoder.unit": 3}, "/config/model/encoder'", "'unit' not allowed"),
        ({"config.training.epochs": 0}, "/config/training/epochs'", "got 0, want 1"),
        (
            {"config.model.encoder.kind": "gru"},
            "/config/model/encoder/kind'",
            "must be one of 'lstm', 'cnn', 'xception'",
        ),
        (
            {"config.model.encoder": {"kind": "cnn", "filters": [0]}},
            "/config/model/encoder/filters/0'",
            "got 0, want 1",
        ),
        (
            {"config.data.kind": "video"},
            "/config/data/kind'",
            "must be one of 'text', 'sequence', 'image'",
        ),
        ({"config.data.size": 64}, "/config/data'", "'size' not allowed"),
        (
            {"config.data.sampling": {"items_per_class": 4}},
            "/config/data/sampling'",
            "'items_per_class' not allowed",
        ),
        (
            {"config.callbacks.early_stopping.monitor": "val_acc"},
            "/config/callbacks/early_stopping/monitor'",
            "'val_accuracy'",
        ),
        (
            {"config.training.optimizer.kind": "adm"},
            "/config/training/optimizer/kind'",
            "must be one of 'adam', 'adamw', 'rmsprop', 'sgd'",
        ),
        (
            {"config.training.optimizer": {"kind": "adam", "momentum": 0.5}},
            "/config/training/optimizer'",
            "'momentum' not allowed",
        ),
        ({"config.run.name": "My Run"}, "/config/run/name'", "does not match pattern"),
        ({"config.run.name": 7}, "/config/run/name'", QUOTE),
        ({"config.data.columns.left": False}, "/config/data/columns/left'", QUOTE),
        ({"config.data.validation": True}, "/config/data/validation'", QUOTE),
        ({"config.data.max_bad_fraction": "0.1"}, "/config/data/max_bad", "--set-json"),
        ({"config.training.epochs": "3"}, "/config/training/epochs'", "--set-json"),
        ({"config.training.epochs": 1.5}, "/config/training/epochs'", "want null or integer"),
        ({"workers.count": 0}, "/workers/count'", "got 0, want 1"),
        ({"workers.count": -1}, "/workers/count'", "got -1, want 1"),
        ({"workers.count": 1000}, "/workers/count'", "got 1,000, want 999"),
        ({"workers.count": 1.5}, "/workers/count'", "want integer"),
        ({"workers.count": "2"}, "/workers/count'", "--set-json"),
        ({"workers.counts": 1}, "/workers'", "'counts' not allowed"),
        ({"learningRate": 1}, "''", "'learningRate' not allowed"),
        ({"image.digest": "sha256:beef"}, "/image/digest'", "does not match pattern"),
        ({"image.pullPolicy": "Sometimes"}, "/image/pullPolicy'", "'IfNotPresent'"),
        ({"extraEnv": [{"name": "A", "value": 1}]}, "/extraEnv/0/value'", QUOTE),
        ({"extraEnv": [{"value": "1"}]}, "/extraEnv/0'", "'name'"),
        ({"podLabels": {"a": True}}, "/podLabels/a'", QUOTE),
        ({"scratch.sizeLimit": "2ki"}, "/scratch/sizeLimit'", "does not match pattern"),
        ({"scratch.sizeLimit": "1..2Gi"}, "/scratch/sizeLimit'", "does not match pattern"),
        ({"image.repository": "reg/siamese:1.0"}, "/image/repository'", "does not match"),
        ({"image.repository": "siamese:1"}, "/image/repository'", "does not match"),
        ({"image.repository": "Siamese-Job"}, "/image/repository'", "does not match"),
        ({"scratch.sizeLimit": "lots"}, "/scratch/sizeLimit'", "does not match pattern"),
        ({"ttlSecondsAfterFinished": -1}, "/ttlSecondsAfterFinished'", "got -1, want 0"),
        ({"networkPolicy.enabled": "yes"}, "/networkPolicy/enabled'", "want boolean"),
        ({"networkPolicy.egress": []}, "/networkPolicy'", "'egress' not allowed"),
        (
            {"topologySpreadConstraints": [{"maxSkew": 1}]},
            "/topologySpreadConstraints/0'",
            "missing properties 'topologyKey', 'whenUnsatisfiable'",
        ),
    ],
)
def test_the_schema_names_the_key_and_what_is_wrong(refusal, changes, key, reason):
    message = refusal(changes)
    assert key in message
    assert reason in message


def test_all_problems_are_reported_at_once(refusal):
    message = refusal({"config.modle": {}, "config.training.epochs": 0, "workers.count": 0})
    assert message.count("- at '/") >= 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": {}}, "config is empty. Give the run's configuration below it"),
        (
            {"config": {"training": {"epochs": 1}}},
            "config.data.train is missing. Name the pair",
        ),
        ({"config.metrics.host": "127.0.0.1"}, 'config.metrics.host is "127.0.0.1", where'),
        ({"config.metrics.host": "::1"}, 'config.metrics.host is "::1", where'),
        ({"config.metrics.port": 2222}, "config.metrics.port is 2222, where the workers"),
        ({"config.metrics.port": 2223}, "config.metrics.port is 2223, where the workers"),
        ({"config.run.root": "/runs"}, 'config.run.root is "/runs", which cannot be written'),
        ({"config.run.root": "../x"}, 'config.run.root is "../x", which cannot be written'),
        (
            {"extraEnv": [{"name": "JOB_UID", "value": "1"}]},
            'extraEnv: "JOB_UID" is set by the chart or by Kubernetes itself. Remove it.',
        ),
        (
            {"extraEnv": [{"name": "JOB_COMPLETION_INDEX", "value": "1"}]},
            'extraEnv: "JOB_COMPLETION_INDEX" is set by',
        ),
        (
            {"extraEnv": [{"name": "WORKER_ADDRESSES", "value": "a:2222"}]},
            'extraEnv: "WORKER_ADDRESSES" is set by',
        ),
        (
            {"extraEnv": [{"name": "SIAMESE_METRICS__PORT", "value": "1"}]},
            "Set config.metrics.port instead.",
        ),
        (
            {"extraEnv": [{"name": "siamese_run__name", "value": "a"}]},
            'extraEnv: "siamese_run__name" would hide config.run.name from the chart.',
        ),
        (
            {"extraEnv": [{"name": "SIAMESE_RUN__ROOT", "value": "gs://bucket"}]},
            "Set config.run.root instead.",
        ),
        (
            {"extraEnv": [{"name": "SIAMESE_RUN", "value": "{root: /runs}"}]},
            "Set config.run instead.",
        ),
        (
            {"extraEnv": [{"name": "SIAMESE_DATA__COLUMNS__LEFT", "value": "a"}]},
            "Set config.data.columns.left instead.",
        ),
        (
            {"extraEnv": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]},
            'extraEnv: "A" is given twice. Keep one of the two.',
        ),
        (
            {"extraVolumes": [{"name": "scratch", "emptyDir": {}}]},
            'extraVolumes: a volume "scratch" is there already',
        ),
        (
            {"extraVolumes": [{"name": "a"}, {"name": "a"}]},
            'extraVolumes: a volume "a" is there already',
        ),
        (
            {"extraVolumeMounts": [{"name": "a", "mountPath": "/a"}]},
            'extraVolumeMounts: there is no volume "a". Describe it in extraVolumes.',
        ),
        (
            {
                "extraVolumes": [{"name": "a"}],
                "extraVolumeMounts": [{"name": "a", "mountPath": "/tmp/"}],
            },
            'extraVolumeMounts: something is mounted at "/tmp" already',
        ),
        (
            {
                "extraVolumes": [{"name": "a"}],
                "extraVolumeMounts": [{"name": "a", "mountPath": "/etc/siamese/data"}],
            },
            "lies in the read-only folder of the configuration",
        ),
        (
            {
                "config.run.root": "/gcs/runs",
                "extraVolumes": [
                    {"name": "a", "csi": {"driver": "gcsfuse.csi.storage.gke.io"}}
                ],
                "extraVolumeMounts": [{"name": "a", "mountPath": "/gcs"}],
            },
            'config.run.root is "/gcs/runs", in a volume of the driver "gcsfuse.csi.storage',
        ),
        (
            {"podLabels": {"app.kubernetes.io/instance": "x"}},
            'podLabels: "app.kubernetes.io/instance" is set by the chart.',
        ),
        (
            {"jobLabels": {"helm.sh/chart": "x"}},
            'jobLabels: "helm.sh/chart" is set by the chart.',
        ),
    ],
)
def test_values_that_cannot_work_together_are_refused_with_what_to_do(
    refusal, changes, message
):
    assert message in refusal(changes)


def test_an_empty_configuration_is_the_default_and_says_what_to_give(refusal):
    message = refusal(given={"image": {"tag": "x"}})
    assert "config is empty" in message
    assert "`config.data.train`" in message
    assert "examples/text.yaml" in message


def test_a_bucket_mounted_for_data_alone_is_accepted(render):
    bucket = {"name": "a", "csi": {"driver": "gcsfuse.csi.storage.gke.io"}}
    mounts = [{"name": "a", "mountPath": "/gcs"}, {"name": "b", "mountPath": "/gcs-runs"}]
    release = render(
        {
            "config.run.root": "/gcs-runs",
            "extraVolumes": [
                bucket,
                {"name": "b", "persistentVolumeClaim": {"claimName": "c"}},
            ],
            "extraVolumeMounts": mounts,
        }
    )
    assert release.container["volumeMounts"][-2:] == mounts


def keys_of(node, path=""):
    """Every key of the values by its dotted name, sections included."""
    for key, part in node.items():
        yield f"{path}{key}"
        if isinstance(part, dict):
            yield from keys_of(part, f"{path}{key}.")


def count_of(node, key):
    """How often a mapping within the objects of a release has the key."""
    if isinstance(node, list):
        return sum(count_of(part, key) for part in node)
    if not isinstance(node, dict):
        return 0
    return (key in node) + sum(count_of(part, key) for part in node.values())


KEYS = list(keys_of(yaml.safe_load((CHART / "values.yaml").read_text())))
# Null is an answer: no deadline, no deletion, what the cluster decides.
NULL_IS_SAID = {
    "failure.maxDurationSeconds": "activeDeadlineSeconds",
    "ttlSecondsAfterFinished": "ttlSecondsAfterFinished",
    "workers.resources.requests.cpu": "cpu",
}


@pytest.mark.parametrize("key", KEYS)
def test_null_is_refused_by_name_or_leaves_the_key_out(render, key):
    above, _, last = key.rpartition(".")
    is_free = above.startswith(("podSecurityContext", "workers.resources.")) and above
    if not is_free and key not in NULL_IS_SAID:
        with pytest.raises(helm.HelmError) as caught:
            helm.render(CHART, values({key: None}), name="typos")
        assert f"missing property '{last}'" in str(caught.value) or "config is empty" in str(
            caught.value
        )
        return
    field = NULL_IS_SAID.get(key, last)
    before, after = render().objects, render({key: None}).objects
    assert count_of(after, field) == count_of(before, field) - 1
    assert "null" not in json.dumps(after)
