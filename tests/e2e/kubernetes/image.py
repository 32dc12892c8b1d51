"""Runs the image under test without Kubernetes, on what the chart mounted into a pod."""

import base64
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.kubernetes.bucket import Bucket
from tests.e2e.kubernetes.cluster import Cluster
from tests.image.docker import DOCKER, named

needs_docker = pytest.mark.skipif(
    shutil.which(DOCKER) is None, reason=f"{DOCKER} is not installed"
)


def unpack_mounted(cluster: Cluster, job: str, *, into: Path) -> None:
    """Writes the configuration of a Job and its data into a folder, for every user."""
    volumes = cluster.get("job", job)["spec"]["template"]["spec"]["volumes"]
    sources = next(v["projected"]["sources"] for v in volumes if "projected" in v)
    for source in sources:
        _unpack(cluster, source["configMap"], folder=into)
    config = yaml.safe_load((into / "config.yaml").read_text(encoding="utf-8"))
    config["metrics"]["linger_seconds"] = 0
    (into / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    for path in (into, *into.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def run_image(image: str, *command: str, bucket: Bucket, folder: Path) -> str:
    """Runs `siamese-job COMMAND` on a folder of `unpack_mounted`; what it wrote.

    The run goes to `docker` in the bucket. It must finish.
    """
    words = ["--network", "host", "-e", f"STORAGE_EMULATOR_HOST=http://{bucket.address}"]
    # Docker may be configured to hand proxies to its containers.
    words += [word for name in ("no_proxy", "NO_PROXY") for word in ("-e", f"{name}=*")]
    words += ["-v", f"{folder}:/etc/siamese:ro", image]
    words += [*command, "/etc/siamese/config.yaml", "--set", "run.root=gs://runs/docker"]
    with named() as name:
        result = subprocess.run(
            [DOCKER, "run", "--name", name, *words],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def _unpack(cluster: Cluster, source: Mapping[str, Any], *, folder: Path) -> None:
    """Writes what a ConfigMap mounts."""
    config_map = cluster.get("configmap", source["name"])
    content = {key: text.encode() for key, text in config_map.get("data", {}).items()}
    for key, text in config_map.get("binaryData", {}).items():
        content[key] = base64.b64decode(text)
    paths = {item["key"]: item["path"] for item in source.get("items", [])}
    for key, data in content.items():
        target = folder / paths.get(key, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
