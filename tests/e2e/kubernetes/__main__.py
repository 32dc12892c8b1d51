"""`make e2e`: a cluster, the image in it, then every test that needs either.

With `KUBECONFIG` it uses that cluster, and `E2E_IMAGE` names an image it can pull. Else
`E2E_CLUSTER` is a folder of scripts: `docker-up`, `base-image`, `kube-up`, which prints what to
export, and `kube-load TAG`.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]
# What the image is made from; everything else is kept out of the build by .dockerignore.
SOURCES = ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements", "job", "examples")
BASE_IMAGE = "localhost/python:3.11-slim-bookworm"


def main(arguments: list[str]) -> int:
    """Prepares, then becomes pytest with `arguments`."""
    env = dict(os.environ)
    if "KUBECONFIG" not in env:
        env = _with_cluster(env)
    if "E2E_IMAGE" not in env:
        sys.exit("E2E_IMAGE is not set. Name an image that the cluster of KUBECONFIG can pull.")
    _say(f"cluster {env['KUBECONFIG']}, image {env['E2E_IMAGE']}")
    tests = [sys.executable, "-m", "pytest", "-m", "cluster or image", *arguments]
    return subprocess.call(tests, cwd=REPOSITORY, env=env)


def image_key() -> str:
    """Twelve digits that change with whatever goes into the image."""
    digest = hashlib.sha256()
    for source in SOURCES:
        path = REPOSITORY / source
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(REPOSITORY)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def _with_cluster(env: dict[str, str]) -> dict[str, str]:
    """Starts the cluster of E2E_CLUSTER and puts the image into it."""
    if "E2E_CLUSTER" not in env:
        sys.exit(
            "No cluster: neither KUBECONFIG nor E2E_CLUSTER is set. Give KUBECONFIG and "
            "E2E_IMAGE, or in E2E_CLUSTER a folder with docker-up, base-image, kube-up and "
            "kube-load."
        )
    folder = Path(env["E2E_CLUSTER"]).resolve()
    # One after the other: each may install Debian packages, which one process at a time can.
    _run(str(folder / "docker-up"), env=env)
    _run(str(folder / "base-image"), BASE_IMAGE, env=env)
    _say("starting Kubernetes")
    exports = subprocess.run(
        [str(folder / "kube-up")], env=env, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    script = f"{exports}\nenv -0"
    variables = subprocess.run(
        ["bash", "-c", script], env=env, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    env = dict(entry.split("=", 1) for entry in variables.split("\0") if "=" in entry)
    tag = f"siamese-job:e2e-{image_key()}"
    _build(tag, env=env)
    _load(tag, folder=folder, env=env)
    return {**env, "E2E_IMAGE": tag}


def _build(tag: str, *, env: dict[str, str]) -> None:
    if subprocess.run(["docker", "image", "inspect", tag], capture_output=True).returncode == 0:
        _say(f"{tag} is built")
        return
    flags = "DOCKER_BUILD_FLAGS=--network host"
    _run("make", "--no-print-directory", "image", f"BASE_IMAGE={BASE_IMAGE}", flags, env=env)
    version = _version()
    _run("docker", "tag", f"siamese-job:{version}", tag, env=env)


def _load(tag: str, *, folder: Path, env: dict[str, str]) -> None:
    names = subprocess.run(
        ["kubectl", "get", "nodes", "-o", "jsonpath={.items[*].status.images[*].names}"],
        env=env,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    if tag in names:
        _say(f"{tag} is loaded")
        return
    _run(str(folder / "kube-load"), tag, env=env)


def _version() -> str:
    from job import __version__

    return __version__


def _run(*command: str, env: dict[str, str]) -> None:
    _say(" ".join(command))
    subprocess.run(command, cwd=REPOSITORY, env=env, check=True)


def _say(line: str) -> None:
    sys.stdout.write(f"e2e: {line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
