"""What the tests of the chart render with, and the least they render."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tools.chart import helm

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts/siamese-job"
CI = sorted((CHART / "ci").glob("*.yaml"))
PAIRS = "left,right,label\nrecieve,receive,1\nrecieve,deceive,0\n"

Values = dict[str, Any]


def values(changes: Values | None = None) -> Values:
    """The least that installs, with changes by dotted key; `~` stands for a dot in a key."""
    made: Values = {
        "config": {"data": {"train": "pairs.csv"}},
        "data": {"files": {"pairs.csv": PAIRS}},
    }
    for key, value in (changes or {}).items():
        *above, last = key.split(".")
        part = made
        for name in above:
            part = part.setdefault(name.replace("~", "."), {})
        part[last.replace("~", ".")] = deepcopy(value)
    return made


class Release:
    """A rendered release, its objects by what they are."""

    def __init__(self, rendered: helm.Rendered) -> None:
        self.objects = rendered.objects
        self.notes = rendered.notes
        (self.job,) = self.of_kind("Job")
        self.template: Any = self.job["spec"]["template"]
        self.pod: Any = self.template["spec"]
        (self.container,) = self.pod["containers"]
        maps = self.of_kind("ConfigMap")
        (self.config_map,) = [one for one in maps if "config.yaml" in one.get("data", {})]
        self.data_maps = [one for one in maps if one is not self.config_map]
        self.config_file: str = self.config_map["data"]["config.yaml"]

    def of_kind(self, kind: str) -> list[Any]:
        return [one for one in self.objects if one["kind"] == kind]

    @property
    def name(self) -> str:
        return self.job["metadata"]["name"]

    def files(self) -> dict[str, Any]:
        """What lies beside the configuration in the pod: text or base64 by path."""
        (volume,) = [one for one in self.pod["volumes"] if one["name"] == "config"]
        _, *sources = volume["projected"]["sources"]
        found = {}
        for source, data_map in zip(sources, self.data_maps, strict=True):
            assert source["configMap"]["name"] == data_map["metadata"]["name"]
            content = data_map.get("data", {}) | data_map.get("binaryData", {})
            for item in source["configMap"]["items"]:
                found[item["path"]] = content.pop(item["key"])
            assert content == {}
        return found


Render = Callable[..., Release]


@pytest.fixture
def render() -> Render:
    """Renders changes to the least values, or a whole values file given as text."""

    def render(
        changes: Values | str | None = None, *, name: str = "typos", chart: Path = CHART
    ) -> Release:
        given = changes if isinstance(changes, str) else values(changes)
        return Release(helm.render(chart, given, name=name, namespace="team"))

    return render


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Helm's message for values that it must refuse."""

    def refusal(changes: Values | None = None, *, given: Values | str | None = None) -> str:
        with pytest.raises(helm.HelmError) as caught:
            helm.render(CHART, given or values(changes), name="typos")
        return str(caught.value)

    return refusal
