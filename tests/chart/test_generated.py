"""What is generated is fresh, complete and says what its sources say."""

import base64
import json
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml

from job import __version__
from job.config.loader.load_config import load_config
from tests.chart.conftest import CHART, ROOT, Release
from tests.tiny import save_config
from tools.chart import generate, helm
from tools.chart.values_comments import read_entries
from tools.chart.values_from import BINARY, left_out, values_from

pytestmark = pytest.mark.chart
SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def test_nothing_of_the_chart_is_stale():
    assert generate.stale(generate.chart_files()) == []


plain_folders = pytest.mark.parametrize("plain", generate.PLAIN, ids=lambda plain: plain.folder)


@plain_folders
def test_the_plain_manifests_are_fresh(plain):
    files = generate.manifests(plain)
    assert generate.stale(files) == []
    assert generate.leftovers(plain.path, {path.name for path in files}) == []


def test_every_folder_of_k8s_is_generated():
    folders = {path.name for path in (ROOT / "k8s").iterdir() if path.is_dir()}
    assert folders == {plain.folder for plain in generate.PLAIN}


def test_a_changed_file_is_stale_and_a_strange_one_is_left_over(tmp_path):
    (tmp_path / "a").write_text("old")
    (tmp_path / "b").write_text("same")
    files = {tmp_path / "a": "new", tmp_path / "b": "same", tmp_path / "c": "missing"}
    assert generate.stale(files) == [tmp_path / "a", tmp_path / "c"]
    assert generate.leftovers(tmp_path, {"a"}) == [tmp_path / "b"]


@plain_folders
def test_every_plain_manifest_is_listed_and_names_its_source(plain):
    listed = yaml.safe_load((plain.path / "kustomization.yaml").read_text())["resources"]
    manifests = sorted(plain.path.glob("*.yaml"))
    assert sorted([*listed, "kustomization.yaml"]) == [path.name for path in manifests]
    for path in manifests:
        first = path.read_text().splitlines()[0]
        assert first == "# Rendered from charts/siamese-job by `make manifests`; do not edit."
        assert "helm.sh/chart" not in path.read_text()
        assert "managed-by" not in path.read_text()


def test_the_plain_manifests_are_small_enough_for_kubectl_apply():
    # It keeps a copy of each object in an annotation.
    for path in (ROOT / "k8s").glob("*/*.yaml"):
        assert len(json.dumps(yaml.safe_load(path.read_text()))) < 250_000


def test_the_objects_of_two_folders_may_be_in_one_namespace():
    objects = [
        (one["kind"], one["metadata"]["name"])
        for path in (ROOT / "k8s").glob("*/*.yaml")
        if "metadata" in (one := yaml.safe_load(path.read_text()))
    ]
    assert len(objects) == len(set(objects)) == 7


def test_the_chart_belongs_to_this_version_of_the_program():
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert metadata["appVersion"] == __version__
    assert metadata["kubeVersion"] == ">=1.33.0-0"
    assert metadata["description"]


def test_every_value_is_explained_and_in_the_table():
    text = (CHART / "values.yaml").read_text()
    entries = {entry.key: entry for entry in read_entries(text)}

    def keys(node, path=""):
        for key, part in node.items():
            yield path + key
            if isinstance(part, dict) and f"{path}{key}" not in ("podSecurityContext",):
                yield from keys(part, f"{path}{key}.")

    below = re.compile(r"workers\.resources\..*")
    wanted = {key for key in keys(yaml.safe_load(text)) if not below.match(key)}
    assert set(entries) == wanted
    readme = (CHART / "README.md").read_text()
    assert '| `image.repository` | `"siamese-job"` |' in readme
    assert all(entry.description.endswith(".") for entry in entries.values())


def nodes(node, path=""):
    """Every schema within a schema that describes a key, by its path."""
    if "properties" in node or "additionalProperties" in node or "description" in node:
        yield path, node
    for key, part in node.get("properties", {}).items():
        yield from nodes(part, f"{path}.{key}")
    for part in (node.get("items"), node.get("additionalProperties")):
        if isinstance(part, dict):
            yield from nodes(part, f"{path}[]")
    for part in node.get("allOf", []):
        yield from nodes(part.get("then", {}), path)


def test_the_schema_is_a_valid_one_without_references():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert "$ref" not in json.dumps(SCHEMA)


def test_every_object_of_the_schema_is_closed_and_every_key_described():
    # Kubernetes' own objects, and the arguments of a person's own callbacks.
    open_objects = re.compile(
        r"\.(podSecurityContext|extraVolumes\[\]|extraVolumeMounts\[\]|affinity\.\w+"
        r"|topologySpreadConstraints\[\]|networkPolicy\.extraEgress\[\]"
        r"|envFrom\[\]\.\w+|extraEnv\[\]\.valueFrom\[\]"
        r"|config\.callbacks\.custom\[\]\.arguments)"
    )
    for path, node in nodes(SCHEMA):
        if "properties" in node:
            for key, part in node["properties"].items():
                assert part.get("description"), f"{path}.{key}"
            assert "additionalProperties" in node, path
        if node.get("additionalProperties") in (True, {}):
            assert open_objects.fullmatch(path), path


def test_every_value_is_in_the_schema():
    text = (CHART / "values.yaml").read_text()
    described = {path.removeprefix(".") for path, _ in nodes(SCHEMA)}
    assert {entry.key for entry in read_entries(text)} <= described


def test_the_schema_knows_every_key_of_the_configuration():
    def keys(node, path=""):
        for key, part in node.get("properties", {}).items():
            yield f"{path}.{key}"
            yield from keys(part, f"{path}.{key}")
        for part in [*node.get("anyOf", []), *node.get("oneOf", [])]:
            yield from keys(part, path)
        for part in node.get("allOf", []):
            yield from keys(part["then"], path)

    program = json.loads((ROOT / "job/config/schema.json").read_text())
    assert set(keys(program)) == set(keys(SCHEMA["properties"]["config"]))


def test_the_example_is_trained_from_the_values_made_of_it(tmp_path):
    path = ROOT / "examples/text.yaml"
    made = values_from(path)
    release = Release(helm.render(CHART, made, name="typos"))
    (tmp_path / "config.yaml").write_text(release.config_file)
    arrived = load_config(tmp_path / "config.yaml", env={}, sets=[]).config
    assert arrived.data == load_config(path, env={}, sets=[]).config.data
    files = release.files()
    assert set(files) == {arrived.data.train, arrived.data.validation, arrived.data.test}
    for name, content in files.items():
        assert base64.b64decode(content) == (path.parent / name).read_bytes()


def test_values_of_data_elsewhere_leave_its_root_out(project):
    save_config(project, lambda config: config["data"].update(root=str(project)))
    made = values_from(project / "tiny.yaml")
    assert "root" not in made["config"]["data"]
    assert set(made["data"]["files"]) == {"train.csv", "validation.csv", "test.csv"}


def kind_of_run(folder, **data):
    """A configuration of pictures; the files are there, whatever is in them."""
    for name in ("pictures/cat/1.png", "pictures/dog/1.png", "pairs.csv", "items.csv.gz"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"abc")
    path = folder / "run.yaml"
    model = {"encoder": {"kind": "cnn"}}
    config = {"run": {"name": "a"}, "data": {"kind": "image", **data}, "model": model}
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.mark.parametrize(
    ("data", "files", "said"),
    [
        (
            {"train": "pictures", "rows": "items"},
            {"pictures/cat/1.png", "pictures/dog/1.png"},
            [],
        ),
        ({"train": "pairs.csv"}, {"pairs.csv"}, ["data.train: the files that the rows of"]),
        (
            {"train": "pairs.csv", "items": "items.csv.gz"},
            {"pairs.csv", "items.csv.gz"},
            ["data.items: the files that the rows of items.csv.gz name"],
        ),
        (
            {"train": ["pairs.csv", "items.csv.gz", "gs://bucket/c.csv"]},
            {"pairs.csv", "items.csv.gz"},
            ["data.train: the files that the rows of pairs.csv | items.csv.gz | gs://"],
        ),
        ({"train": "pairs.csv", "root": "gs://bucket/faces"}, set(), []),
        ({"train": "gs://bucket/faces/pairs.csv"}, set(), ["data.train: the files"]),
        ({"train": "pairs.csv", "packed": "gs://bucket/pack"}, set(), []),
        ({"train": "pairs.csv", "packed": "pack"}, set(), ["data.packed: pack is left out"]),
    ],
)
def test_values_hold_the_files_that_are_named_and_say_what_they_lack(
    tmp_path, data, files, said
):
    path = kind_of_run(tmp_path, **data)
    made = values_from(path)
    assert set(made["data"]["files"]) == files
    lines = left_out(path, made)
    assert len(lines) == len(said)
    assert all(line.startswith(words) for line, words in zip(lines, said, strict=True))


def test_the_command_prints_values_that_helm_reads_back(tmp_path):
    command = [sys.executable, "-m", "tools.chart.values_from", "examples/text.yaml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    made = values_from(ROOT / "examples/text.yaml")
    assert yaml.safe_load(done.stdout) == made
    one, other = (helm.render(CHART, given, name="r") for given in (made, done.stdout))
    assert one == other


def test_the_command_says_what_is_wrong_with_a_configuration(tmp_path):
    (tmp_path / "bad.yaml").write_text("run: {name: a}\n")
    command = [sys.executable, "-m", "tools.chart.values_from", str(tmp_path / "bad.yaml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "data" in done.stderr
    assert "Traceback" not in done.stderr


def said_of(path):
    """Exit status and stderr of the command."""
    command = [sys.executable, "-m", "tools.chart.values_from", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stderr


def test_the_command_names_a_data_file_that_is_no_text(project):
    (project / "test.csv").write_bytes(
        "left,right,label\nna\u00efve,naive,1\n".encode("latin-1")
    )
    code, said = said_of(project / "tiny.yaml")
    path = project / "test.csv"
    assert (code, said) == (
        2,
        f"data.test: {path} is not UTF-8 text (byte 19 is 0xef). Convert it to UTF-8.\n",
    )


def test_the_command_says_which_callbacks_it_leaves_out(project):
    (project / "ring.py").touch()
    targets = [{"target": "installed.elsewhere:Bell"}, {"target": "ring:Ring"}]
    save_config(project, lambda config: config.update(callbacks={"custom": targets}))
    code, said = said_of(project / "tiny.yaml")
    assert code == 0
    (line,) = said.splitlines()
    assert line.startswith("callbacks.custom[1].target: ring.py is left out. Add it to")


def test_everybody_says_the_same_of_which_files_are_binary():
    template = (CHART / "templates/_config.tpl").read_text()
    names = re.search(r"\[\.\]\(([a-z|]+)\)\$", template)[1].split("|")
    suffixes = tuple(f".{name}" for name in names)
    assert suffixes == BINARY
    *most, last = suffixes
    comment = re.sub(r"\s+# ", " ", (CHART / "values.yaml").read_text())
    assert f"Names ending in {', '.join(most)} or {last} hold base64" in comment
    assert (
        f"names ending in `{' '.join(suffixes)}` hold"
        in (ROOT / "docs/kubernetes.md").read_text()
    )


def test_the_generator_finds_everything_fresh():
    command = [sys.executable, "-m", "tools.chart.generate", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
