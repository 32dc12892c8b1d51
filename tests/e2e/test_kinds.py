"""Every kind of item: killed, packed and on two replicas it ends in the same model."""

import signal

import pytest

from job.cli import main
from job.errors import ExitCode
from tests.e2e.test_processes import finish, start, summary, wait_for
from tests.tiny_kinds import KINDS, make_project

pytestmark = [pytest.mark.slow, pytest.mark.e2e]


def train(project, *sets):
    code, _, err = finish(start(project, *sets))
    assert code == ExitCode.FINISHED, err


# What else kills runs in every `make test`: test_processes.py texts, test_workers.py sequences.
KILLED_ELSEWHERE = [
    pytest.param(kind, marks=pytest.mark.prove) if kind != "pictures" else kind
    for kind in KINDS
]


@pytest.fixture(scope="module", params=KINDS)
def project(request, tmp_path_factory):
    """A project with a run `packed`, which nobody disturbed and which read a packed set."""
    folder = tmp_path_factory.mktemp(request.param)
    make_project(folder, request.param)
    assert main(["data", "pack", str(folder / "tiny.yaml"), str(folder / "pack")]) == 0
    train(folder, "run.name=packed", "data.packed=pack")
    return folder


@pytest.mark.parametrize("project", KILLED_ELSEWHERE, indirect=True)
def test_a_killed_run_ends_in_the_bits_of_one_from_a_pack_that_was_not(project):
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


# test_processes.py trains texts on two replicas, test_workers.py sequences.
@pytest.mark.parametrize(
    "project",
    [pytest.param(kind, marks=[pytest.mark.prove] * (kind != "pictures")) for kind in KINDS],
    indirect=True,
)
def test_two_replicas_train_the_same_model_as_one(project):
    train(project, "run.name=two", "distribution.devices=cpu:2")
    one, two = (summary(project, name)["metrics"]["validation"] for name in ("packed", "two"))
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
