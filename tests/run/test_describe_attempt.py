from types import SimpleNamespace

from job.run import describe_attempt


def test_provenance_names_what_decides_the_last_bits(monkeypatch):
    config = SimpleNamespace(
        run=SimpleNamespace(name="tiny"),
        training=SimpleNamespace(global_batch_size=64, tf32=False),
    )
    monkeypatch.setattr(describe_attempt, "as_record", lambda config: {"run": "tiny"})
    gpu = {"gpu": "H200", "cudnn": "9"}
    monkeypatch.setattr(describe_attempt, "describe_gpu", lambda: gpu)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    found = describe_attempt.provenance_of(
        SimpleNamespace(config=config),
        SimpleNamespace(
            strategy=SimpleNamespace(num_replicas_in_sync=2),
            device_kind="GPU",
            compute_threads=4,
        ),
        SimpleNamespace(
            schedule=SimpleNamespace(grid_steps=8), data=SimpleNamespace(steps_in_epoch=10)
        ),
        SimpleNamespace(fingerprint="f" * 64, kind="text"),
        custom_code={"mine": "c0de"},
    )
    assert set(found.versions) == {
        "python",
        "siamese-job",
        "tensorflow",
        "keras",
        "numpy",
        "mine",
    }
    assert found.topology == {
        "replicas": 2,
        "global_batch_size": 64,
        "devices": "GPU",
        "threads": 4,
        "cpu": found.topology["cpu"],
        "onednn": "0",
        "tf32": False,
        "gpu": "H200",
        "cudnn": "9",
    }
