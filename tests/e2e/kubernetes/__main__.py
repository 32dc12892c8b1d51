"""`make e2e`: a cluster, the image in it, then every test that needs either.

`make prove` gives `--prove`: the scenarios that take minutes, and none of the others.

Variables, where an empty one counts as not set:

- `KUBECONFIG` and `E2E_IMAGE`: a cluster there is, and an image that it can pull and that
  Docker here, if there is one, has. Pods must reach this machine at `E2E_HOST`, an address of
  it, where tests serve a bucket (default: the InternalIP of the first node); and this machine
  must reach pods at their own addresses, where Prometheus scrapes them.
- `E2E_CLUSTER`, without `KUBECONFIG`: a folder of scripts that start one: `docker-up`,
  `base-image TAG`, `kube-up`, which prints what to export, and `kube-load TAG`. The image is
  built and loaded, or only loaded where `E2E_IMAGE` names one.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from tests.e2e.kubernetes.leftovers import is_alive, leftovers, machine
from tests.e2e.kubernetes.network import let_pods_talk
from tests.e2e.kubernetes.phases import REPOSITORY, obey_sigterm, phase, run, say

BASE_IMAGE = "localhost/python:3.11-slim-bookworm"
# Every test that needs the cluster, the image, or a program that comes with the cluster.
TESTS = (
    "tests/e2e/kubernetes",
    "tests/image",
    "tests/chart/test_server.py",
    "tests/storage/gcs/test_third_party_server.py",
)
TESTS_SECONDS = 20 * 60
# Scenarios mostly wait, so three run at once: each worker has its own namespace and bucket.
# The tests of a file share a worker, and with it the run that their fixture trains.
IN_PARALLEL = ("--numprocesses", "3", "--dist", "loadfile", "-m", "not prove")

PROOFS = ("tests/e2e/kubernetes",)
PROOFS_SECONDS = 90 * 60
# A node that is drained has no room for the pods of another scenario, so one runs at a time.
ONE_BY_ONE = ("-m", "prove", "-o", "faulthandler_timeout=1800")


def main(arguments: list[str]) -> int:
    """Prepares, then runs pytest with `arguments`; its exit status."""
    obey_sigterm()
    command, seconds = [*IN_PARALLEL, *TESTS], TESTS_SECONDS
    if arguments[:1] == ["--prove"]:
        command, seconds = [*ONE_BY_ONE, *PROOFS], PROOFS_SECONDS
        arguments = arguments[1:]
    env = {name: value for name, value in os.environ.items() if value}
    if "KUBECONFIG" not in env:
        env = _with_cluster(env)
    elif "E2E_IMAGE" not in env:
        sys.exit(
            "e2e: KUBECONFIG is set and E2E_IMAGE is not. Name an image that its cluster can "
            "pull; or unset KUBECONFIG, and E2E_CLUSTER starts a cluster."
        )
    _delete_leftovers(env)
    say(f"cluster {env['KUBECONFIG']}, image {env['E2E_IMAGE']}")
    code, _ = run(
        sys.executable, "-m", "pytest", *command, *arguments, env=env, seconds=seconds
    )
    if code is None:
        sys.exit(f"e2e: the tests were stopped after {seconds} s")
    return code


def image_key() -> str:
    """Twelve digits that change with whatever goes into the image."""
    digest = hashlib.sha256()
    for file in image_sources():
        digest.update(f"{file.relative_to(REPOSITORY)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def image_sources() -> list[Path]:
    """The files that the image is made from, by Dockerfile and .dockerignore."""
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    copied = re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", dockerfile)
    names = [name for line in copied for name in line.split()]
    ignored = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8")
    left_out = re.findall(r"(?m)^\*\*/(.+)$", ignored)
    found = set()
    for path in [REPOSITORY / name for name in ("Dockerfile", ".dockerignore", *names)]:
        for file in path.rglob("*") if path.is_dir() else [path]:
            parts = file.relative_to(REPOSITORY).parts
            if file.is_file() and not any(fnmatch(p, out) for p in parts for out in left_out):
                found.add(file)
    return sorted(found)


def _with_cluster(env: dict[str, str]) -> dict[str, str]:
    """Starts the cluster of E2E_CLUSTER and puts the image into it."""
    if "E2E_CLUSTER" not in env:
        sys.exit(
            "e2e: no cluster: neither KUBECONFIG nor E2E_CLUSTER is set. Give KUBECONFIG and "
            "E2E_IMAGE, or in E2E_CLUSTER a folder with docker-up, base-image, kube-up and "
            "kube-load."
        )
    folder = Path(env["E2E_CLUSTER"]).resolve()
    # One after the other: each may install Debian packages, which one process at a time can.
    phase(str(folder / "docker-up"), env=env, seconds=300)
    if "E2E_IMAGE" in env:
        tag = env["E2E_IMAGE"]
        if not _is_built(tag):
            sys.exit(f"e2e: E2E_IMAGE is {tag}, which Docker does not have. Build or pull it.")
    else:
        tag = f"siamese-job:e2e-{image_key()}"
        phase(str(folder / "base-image"), BASE_IMAGE, env=env, seconds=600)
    # The cluster starts while the image is built, which installs nothing on this machine.
    with ThreadPoolExecutor() as beside:
        started = beside.submit(
            phase, str(folder / "kube-up"), env=env, seconds=600, is_read=True
        )
        if "E2E_IMAGE" not in env:
            _build(tag, env=env)
        exports = started.result()
    variables = subprocess.run(
        ["bash", "-c", f"{exports}\nenv -0"], env=env, stdout=subprocess.PIPE, check=True
    ).stdout.decode()
    env = dict(entry.split("=", 1) for entry in variables.split("\0") if "=" in entry)
    let_pods_talk(env)
    _load(tag, folder=folder, env=env)
    return {**env, "E2E_IMAGE": tag}


def _is_built(tag: str) -> bool:
    command = ["docker", "image", "inspect", tag]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _build(tag: str, *, env: dict[str, str]) -> None:
    if _is_built(tag):
        say(f"{tag} is built")
        return
    flags = "DOCKER_BUILD_FLAGS=--network host"
    make = ["make", "--no-print-directory", "image", f"BASE_IMAGE={BASE_IMAGE}", flags]
    phase(*make, env=env, seconds=1800)
    phase("docker", "tag", f"siamese-job:{_version()}", tag, env=env, seconds=60)


def _load(tag: str, *, folder: Path, env: dict[str, str]) -> None:
    path = "jsonpath={.items[*].status.images[*].names}"
    names = phase("kubectl", "get", "nodes", "-o", path, env=env, seconds=60, is_read=True)
    # A tag of somebody's own may have been built again since.
    if f'{tag}"' in names and tag.startswith("siamese-job:e2e-"):
        say(f"{tag} is loaded")
        return
    phase(str(folder / "kube-load"), tag, env=env, seconds=900)


def _delete_leftovers(env: dict[str, str]) -> None:
    listing = ["kubectl", "get", "namespaces", "-o", "json"]
    found = json.loads(phase(*listing, env=env, seconds=60, is_read=True))["items"]
    names = leftovers(found, now=datetime.now(UTC), here=machine(), is_alive=is_alive)
    if names:
        # Not waited for: what holds one back must not hold up the tests.
        phase("kubectl", "delete", "namespace", *names, "--wait=false", env=env, seconds=60)


def _version() -> str:
    from job import __version__

    return __version__


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
