"""Every kind of item: killed, packed and on two replicas it ends in the same model."""

import signal

import pytest

from job.cli import main
from job.errors import ExitCode
from tests.e2e.test_processes import finish, start, summary, wait_for
from tests.tiny_kinds import KINDS, make_project

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


@pytest.fixture(params=KINDS)
def project(request, tmp_path):
    make_project(tmp_path, request.param)
    return tmp_path


def train(project, *sets):
    code, out, err = finish(start(project, *sets))
    assert code == ExitCode.FINISHED, err
    return out


def test_a_killed_run_ends_in_the_bits_of_one_from_a_pack_that_was_not(project, capsys):
    assert main(["data", "pack", str(project / "tiny.yaml"), str(project / "pack")]) == 0
    assert "pack" in capsys.readouterr().out
    train(project, "run.name=packed", "data.packed=pack")
    for sign in ("checkpoint committed", "epoch finished"):
        victim = start(project)
        wait_for(victim, sign)
        victim.send_signal(signal.SIGKILL)
        finish(victim)
    train(project, "training.input_threads=1")
    killed, packed = summary(project), summary(project, "packed")
    assert killed["attempts"] == 3
    assert killed["state_sha256"] == packed["state_sha256"]
    assert killed["metrics"] == packed["metrics"]


def test_two_replicas_train_the_same_model_as_one(project):
    out = {}
    for devices in ("cpu:1", "cpu:2"):
        name = devices.replace(":", "-")
        train(project, f"run.name={name}", f"distribution.devices={devices}")
        out[name] = summary(project, name)["metrics"]["validation"]["loss"]
    assert out["cpu-2"] == pytest.approx(out["cpu-1"], rel=1e-4)
