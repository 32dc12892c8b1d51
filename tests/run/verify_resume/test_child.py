import os

import pytest

from job.distribution.cluster import cluster_of
from job.distribution.kubernetes import pod_of
from job.errors import ExitCode
from job.run.verify_resume.child import ChildError, Copy, Limits, _environment, run_attempt
from tests.fakes.memory_store import MemoryStore


@pytest.mark.slow
def test_a_copy_that_fails_by_itself_ends_with_its_exit_code_and_message(tmp_path):
    copy = Copy(tmp_path / "absent.yaml", [], MemoryStore(), 1, tmp_path)
    with pytest.raises(ChildError, match=r"(?s)ended with 2\. .*absent\.yaml") as caught:
        run_attempt(copy, number=1, kill=None, limits=Limits(60.0))
    assert caught.value.exit_code == ExitCode.CONFIG


def test_a_copy_in_the_pod_of_a_worker_trains_alone(monkeypatch):
    monkeypatch.setenv("WORKER_ADDRESSES", "a:2222,b:2222")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    monkeypatch.setenv("JOB_UID", "3f6e")
    monkeypatch.setenv("SIAMESE_TRAINING__INPUT_THREADS", "2")
    assert cluster_of(os.environ).num_workers == 2
    env = _environment()
    assert (cluster_of(env).num_workers, pod_of(env)) == (1, None)
    assert env["SIAMESE_TRAINING__INPUT_THREADS"] == "2"
