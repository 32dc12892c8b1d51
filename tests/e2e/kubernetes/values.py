"""Values files of the scenarios."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.tiny import tiny_config, write_pairs

REPOSITORY = Path(__file__).parents[3]
SPLITS = ("train", "validation", "test")


def text_example(*, image: str, host_of_bucket: str, **training: Any) -> dict[str, Any]:
    """`examples/text.yaml` and its data, into the bucket, on two logical CPUs."""
    config = yaml.safe_load((REPOSITORY / "examples" / "text.yaml").read_text(encoding="utf-8"))
    config["training"].update(training)
    config["distribution"] = {"devices": "cpu:2"}
    del config["run"]["name"]
    files = {}
    for split in SPLITS:
        name = config["data"][split]
        content = (REPOSITORY / "examples" / name).read_bytes()
        files[name] = base64.b64encode(content).decode()
    return _values(config, files=files, image=image, host_of_bucket=host_of_bucket)


def tiny(folder: Path, *, image: str, host_of_bucket: str) -> dict[str, Any]:
    """A run that takes seconds, with text files."""
    files = {}
    for seed, split in enumerate(SPLITS):
        path = folder / f"{split}.csv"
        write_pairs(path, rows=160, seed=seed)
        files[f"pairs/{path.name}"] = path.read_text(encoding="utf-8")
    config = tiny_config(folder)
    del config["run"]["name"]
    config["data"] = {split: f"pairs/{split}.csv" for split in SPLITS}
    return _values(config, files=files, image=image, host_of_bucket=host_of_bucket)


def planted(
    folder: Path, name: str, *, image: str, host_of_bucket: str, **arguments: float
) -> dict[str, Any]:
    """A run of half a minute with a callback of `planted.py`, which is shipped with it.

    None of these callbacks changes what is learned, so all such runs end in the same bits.
    """
    values = tiny(folder, image=image, host_of_bucket=host_of_bucket)
    values["config"]["training"].update(epochs=15, steps_per_call=2)
    values["config"]["export"] = {"enabled": False}
    callback = {"target": f"planted:{name}", "arguments": arguments}
    values["config"]["callbacks"] = {"custom": [callback]}
    source = Path(__file__).with_name("planted.py")
    values["data"]["files"][source.name] = source.read_text(encoding="utf-8")
    return values


def in_two_pods(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same run on two workers with one replica each."""
    config = {**values["config"], "distribution": {"devices": "cpu"}}
    return {**values, "config": config, "workers": {**values["workers"], "count": 2}}


def _values(
    config: dict[str, Any], *, files: Mapping[str, str], image: str, host_of_bucket: str
) -> dict[str, Any]:
    config["run"] |= {"root": "gs://runs/e2e", "allow_emulator": True}
    config["logging"] = {"every_seconds": 1}
    config["metrics"] = {"linger_seconds": 0}
    repository, _, tag = image.rpartition(":")
    return {
        "image": {"repository": repository, "tag": tag},
        "workers": {"resources": {"requests": {"cpu": "100m"}}},
        "config": config,
        "data": {"files": dict(files)},
        "extraEnv": [{"name": "STORAGE_EMULATOR_HOST", "value": f"http://{host_of_bucket}"}],
    }
