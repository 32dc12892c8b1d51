"""`make e2e` itself: what it hashes, deletes, runs and says when something fails."""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.kubernetes import __main__ as command
from tests.e2e.kubernetes import phases
from tests.e2e.kubernetes.leftovers import MACHINE, PROCESS, leftovers, machine, owner_labels
from tests.e2e.kubernetes.phases import REPOSITORY, phase, run

pytestmark = pytest.mark.slow
NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def test_the_image_is_made_again_for_whatever_the_build_is_sent():
    names = {str(path.relative_to(REPOSITORY)) for path in command.image_sources()}
    tops = {re.sub("/.*", "", name) for name in names}
    ignored = (REPOSITORY / ".dockerignore").read_text()
    sent = {name.split("/")[0] for name in re.findall(r"(?m)^!(.+)$", ignored)}
    assert tops == sent | {"Dockerfile", ".dockerignore"}
    assert {"README.md", "LICENSE", "job/cli.py", "requirements/image-cpu.txt"} <= names
    assert not [name for name in names if "__pycache__" in name or "/runs/" in name]
    assert "requirements/dev.txt" not in names


def test_every_test_that_needs_a_cluster_or_an_image_is_run():
    mark = re.compile(r"pytest\.mark\.(cluster|image)\b|shutil\.which\(.fake-gcs-server")
    for path in (REPOSITORY / "tests").rglob("test_*.py"):
        name = str(path.relative_to(REPOSITORY))
        if mark.search(path.read_text(encoding="utf-8")) and path.name != "test_command.py":
            assert name.startswith(command.TESTS), name
    assert all((REPOSITORY / name).exists() for name in command.TESTS)


def namespace(name, *, age=timedelta(), labels=()):
    made = (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"metadata": {"name": name, "creationTimestamp": made, "labels": dict(labels)}}


def owned(process, *, on="here"):
    return {MACHINE: on, PROCESS: str(process)}


@pytest.mark.parametrize(
    ("name", "age", "labels", "is_left"),
    [
        ("siamese-e2e-1", timedelta(minutes=1), owned(7), True),
        ("siamese-e2e-1", timedelta(minutes=1), owned(1), False),
        ("siamese-e2e-1", timedelta(minutes=1), owned(7, on="elsewhere"), False),
        ("siamese-e2e-1", timedelta(hours=3), owned(7, on="elsewhere"), True),
        ("siamese-e2e-1", timedelta(minutes=1), {}, False),
        ("siamese-e2e-1", timedelta(hours=3), {}, True),
        ("production", timedelta(days=300), {}, False),
        ("production", timedelta(days=300), owned(7), False),
    ],
)
def test_only_namespaces_whose_tests_are_over_are_deleted(name, age, labels, is_left):
    found = leftovers(
        [namespace(name, age=age, labels=labels)],
        now=NOW, here="here", is_alive=lambda process: process == 1,
    )  # fmt: skip
    assert found == ([name] if is_left else [])


def test_the_labels_of_a_namespace_are_valid_and_ours():
    labels = owner_labels()
    assert labels[MACHINE] == machine()
    for value in labels.values():
        assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?", value)


def test_a_phase_says_how_long_it_took_and_gives_what_it_printed(capfd):
    assert phase("echo", "there", env={}, seconds=30, is_read=True) == "there\n"
    assert re.search(r"(?m)^e2e: echo there: \d+ s$", capfd.readouterr().out)


@pytest.mark.parametrize(
    ("words", "seconds", "said"),
    [
        (["false"], 30, r"e2e: false: failed with 1 after \d+ s; see above"),
        (["sleep", "60"], 0.1, r"e2e: sleep 60: stopped, not done after \d+ s"),
        (["/nowhere/kube-up"], 30, r"e2e: kube-up: No such file or directory"),
    ],
    ids=["fails", "hangs", "is missing"],
)
def test_a_phase_that_fails_ends_in_one_line(words, seconds, said):
    with pytest.raises(SystemExit) as caught:
        phase(*words, env={"PATH": "/usr/bin:/bin"}, seconds=seconds)
    assert re.fullmatch(said, str(caught.value))


def test_a_command_that_hangs_is_ended_with_what_it_started(monkeypatch):
    monkeypatch.setattr(phases, "GRACE_SECONDS", 0.2)
    # Neither heeds SIGINT; reading ends once nobody has the pipe open any more.
    script = "trap '' INT; sleep 60 & sleep 60"
    code, _ = run(
        "bash", "-c", script, env={"PATH": "/usr/bin:/bin"}, seconds=0.5, is_read=True
    )
    assert code is None


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, "e2e: no cluster: neither KUBECONFIG nor E2E_CLUSTER is set."),
        ({"KUBECONFIG": "", "E2E_CLUSTER": ""}, "e2e: no cluster: neither KUBECONFIG nor"),
        ({"KUBECONFIG": "here"}, "e2e: KUBECONFIG is set and E2E_IMAGE is not."),
        ({"KUBECONFIG": "here", "E2E_IMAGE": ""}, "e2e: KUBECONFIG is set and E2E_IMAGE"),
        ({"E2E_CLUSTER": "/nowhere"}, "e2e: docker-up: No such file or directory"),
    ],
)
def test_what_is_missing_is_said_in_one_line(variables, said):
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.kubernetes"], cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


CLUSTER = {
    "docker-up": "",
    "base-image": "",
    "kube-up": 'echo "export KUBECONFIG=/made"',
    "kube-load": "",
    "iptables": "exit 1",  # without Docker's chain nothing is changed
    "docker": "",
    "kubectl": """case "$*" in *namespaces*) echo '{"items": []}' ;; esac""",
    "python": 'echo "python $KUBECONFIG $E2E_IMAGE" >> "$CALLS"',
}


@pytest.fixture
def run_command(tmp_path, monkeypatch):
    """Runs `make e2e` with programs that only write down how they are called."""
    for name, script in CLUSTER.items():
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "$CALLS"\n{script}\n')
        path.chmod(0o755)
    calls = tmp_path / "calls"
    for name in [name for name in os.environ if name.startswith(("E2E_", "KUBE"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("CALLS", str(calls))
    monkeypatch.setenv("E2E_CLUSTER", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(command, "obey_sigterm", lambda: None)

    def run_command(*arguments, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        assert command.main([*arguments, "-k", "x"]) == 0
        return calls.read_text().splitlines()

    return run_command


def test_a_given_image_is_loaded_and_tested_not_replaced(run_command):
    calls = run_command(E2E_IMAGE="mine:1")
    assert [call.split()[0] for call in calls] == [
        "docker-up", "docker", "kube-up", "iptables", "kubectl", "kube-load", "kubectl",
        "python", "python",
    ]  # fmt: skip
    assert "kube-load mine:1" in calls
    assert calls[-2].endswith(" -k x")
    assert calls[-1] == "python /made mine:1"


def test_an_image_that_is_built_is_loaded(run_command):
    calls = run_command()
    tag = f"siamese-job:e2e-{command.image_key()}"
    assert f"docker image inspect {tag}" in calls
    assert not [call for call in calls if "make" in call]
    assert f"kube-load {tag}" in calls
    assert calls[-1] == f"python /made {tag}"


def test_the_image_of_a_cluster_of_ones_own_is_left_to_it(run_command):
    calls = run_command(KUBECONFIG="/mine", E2E_IMAGE="mine:1")
    assert [call.split()[0] for call in calls] == ["kubectl", "python", "python"]
    assert calls[-1] == "python /mine mine:1"


@pytest.mark.parametrize(
    ("arguments", "chosen", "folder"),
    [
        ([], "--numprocesses 3 --dist loadfile -m not prove", "tests/image"),
        (["--prove"], "-m prove -o faulthandler_timeout=1800", "tests/e2e/kubernetes"),
    ],
)
def test_what_takes_minutes_is_run_for_a_proof_only_and_then_alone(
    run_command, arguments, chosen, folder
):
    call = run_command(*arguments, KUBECONFIG="/mine", E2E_IMAGE="mine:1")[-2]
    assert call.startswith(f"python -m pytest {chosen} ")
    assert folder in call.split()
    assert call.endswith(" -k x")


@pytest.mark.parametrize(
    ("answers", "calls"),
    [
        ("exit 1", ["-S"]),  # there is no such chain
        ("exit 0", ["-S", "-C"]),  # the rule is there
        ("test $3 != -C", ["-S", "-C", "-I"]),
    ],
)
def test_a_rule_lets_pods_talk_where_docker_has_its_chain(
    run_command, tmp_path, answers, calls
):
    iptables = tmp_path / "iptables"
    iptables.write_text(f'#!/bin/sh\necho "iptables $*" >> "$CALLS"\n{answers}\n')
    made = [call for call in run_command(E2E_IMAGE="mine:1") if call.startswith("iptables")]
    assert [call.split()[3:5] for call in made] == [[call, "DOCKER-USER"] for call in calls]
