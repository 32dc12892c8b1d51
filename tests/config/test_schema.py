"""The schema says what the models say."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from job.config.keys import all_keys
from job.config.loader.merge import from_document, with_default_kinds
from job.config.loader.yaml12 import read_document
from job.config.root import Config
from job.config.schema import COMMITTED, json_schema, schema_text
from tests.config.conftest import MINIMAL

REPOSITORY = Path(__file__).parents[2]


def values_of(text: str) -> Any:
    document = read_document(text.encode())
    assert not document.problems
    return document.values


def schema_accepts(values: Any) -> bool:
    return bool(Draft7Validator(json_schema()).is_valid(values))


def models_accept(text: str) -> bool:
    layered = with_default_kinds(from_document(read_document(text.encode()), path="c.yaml"))
    try:
        Config.model_validate(layered.values)
    except ValueError:
        return False
    return True


def nodes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [found for item in node for found in nodes(item)]
    if not isinstance(node, dict):
        return []
    return [node, *(found for item in node.values() for found in nodes(item))]


def test_the_committed_schema_is_the_generated_one() -> None:
    assert COMMITTED.read_text(encoding="utf-8") == schema_text(), (
        "run: siamese-job config schema > job/config/schema.json"
    )


def test_the_schema_is_valid_draft_07_without_references() -> None:
    Draft7Validator.check_schema(json_schema())
    assert json_schema()["$schema"] == "http://json-schema.org/draft-07/schema#"
    text = schema_text()
    for later in ('"$ref"', '"$defs"', '"definitions"', '"discriminator"', '"prefixItems"'):
        assert later not in text


def test_every_section_refuses_unknown_keys() -> None:
    sections = [
        node for node in nodes(json_schema()) if isinstance(node.get("properties"), dict)
    ]
    sections = [node for node in sections if node.get("type") == "object"]
    assert len(sections) > 20
    assert all(node["additionalProperties"] is False for node in sections)


def test_every_key_is_described_and_the_mutable_ones_marked() -> None:
    for name, key in all_keys().items():
        for field in key.fields:
            assert field.description, name
            assert field.description.endswith("."), name
    properties = json_schema()["properties"]
    assert properties["training"]["properties"]["epochs"]["mutable"] is True
    assert "mutable" not in properties["run"]["properties"]["seed"]
    # The key's own description, not that of the section class it refers to.
    assert properties["data"]["description"] == ("What an item is and where pairs come from.")
    assert properties["model"]["properties"]["encoder"]["description"] == (
        "The encoder both items share."
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "training: {optimizer: {learning_rate: 0.1}}",
        "training: {optimizer: {kind: sgd, momentum: 0.5}}",
        "training: {optimizer: {kind: rmsprop}}",
        "training: {optimizer: {}}",
        "training: {optimizer: {learning_rate: 1}}",
        "callbacks: {early_stopping: null}",
        "callbacks: {early_stopping: {patience_epochs: 0}}",
        "callbacks: {custom: [{target: 'a.b:C', arguments: {x: [1, {y: null}]}}]}",
        "data: {train: a, root: null, columns: {group: g}, split: {by: group}}",
        "distribution: {devices: 'gpu:12'}",
        "data: {train: a, tokens: {kind: words, min_count: 1}}",
        "data: {train: a, rows: items, sampling: {positives_per_epoch: 9}}",
        "data: {train: a, rows: items, sampling: null}",
        "data: {kind: sequence, train: a, num_features: 3, augmentation: {crop: 0.5}}",
        "data: {kind: image, train: a}\nmodel: {encoder: {kind: cnn, filters: [8, 2048]}}",
        "data: {kind: image, train: a, size: 71}\nmodel: {encoder: {kind: xception}}",
        "checkpoint: {monitor: val_eer}",
    ],
)
def test_what_the_models_accept_the_schema_accepts(text: str) -> None:
    text = (
        MINIMAL.splitlines()[0]
        + "\n"
        + (text if "data:" in text else f"{text}\ndata: {{train: a}}")
    )
    assert models_accept(text)
    assert schema_accepts(values_of(text))


@pytest.mark.parametrize(
    "text",
    [
        "zzz: 1",
        "training: {epoch: 1}",
        "training: {epochs: 0}",
        "training: {epochs: '3'}",
        "training: {epochs: true}",
        "training: {epochs: 1.5}",
        "training: {global_batch_size: null}",
        "training: null",
        "training: []",
        "training: {optimizer: {kind: adagrad}}",
        "training: {optimizer: {kind: null}}",
        "training: {optimizer: {momentum: 0.5}}",
        "training: {optimizer: {kind: adam, momentum: 0.5}}",
        "training: {optimizer: {learning_rate: 0}}",
        "training: {optimizer: adam}",
        "model: {encoder: {kind: gru}}",
        "model: {encoder: {filters: [8]}}",
        "model: {encoder: {kind: cnn, filters: [0]}}",
        "model: {encoder: {kind: cnn, filters: []}}",
        "model: {precision: float16}",
        "model: {encoder: {dropout: 1.0}}",
        "callbacks: {early_stopping: true}",
        "callbacks: {early_stopping: {patience: 1}}",
        "callbacks: {custom: [{target: a}]}",
        "callbacks: {custom: [{arguments: {}}]}",
        "callbacks: {custom: {}}",
        "callbacks: {terminate_on_nan: no}",
        "distribution: {devices: 'cpu:0'}",
        "checkpoint: {monitor: val_acc}",
        "logging: {level: info}",
        "metrics: {port: 65536}",
        "metrics: {host: ''}",
        "metrics: {enabled: 1}",
    ],
)
def test_what_the_models_refuse_the_schema_refuses(text: str) -> None:
    assert models_accept(MINIMAL)
    assert not models_accept(MINIMAL + text)
    assert not schema_accepts(values_of(MINIMAL + text))


@pytest.mark.parametrize(
    "text",
    [
        "data: {train: a}",
        "run: {name: a}",
        "run: {}\ndata: {train: a}",
        "run: {name: A_b}\ndata: {train: a}",
        "run: {name: -a}\ndata: {train: a}",
        "run: {name: false}\ndata: {train: a}",
        "run: {name: a, seed: -1}\ndata: {train: a}",
        "run: {name: a}\ndata: {train: a, kind: video}",
        "run: {name: a}\ndata: {kind: sequence}",
    ],
)
def test_what_is_missing_is_refused_by_both(text: str) -> None:
    assert not models_accept(text)
    assert not schema_accepts(values_of(text))


@pytest.mark.parametrize("path", sorted((REPOSITORY / "examples").glob("*.yaml")), ids=str)
def test_every_example_fits_the_schema_its_mode_line_names(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    mode, _, schema = text.splitlines()[0].partition("$schema=")
    assert mode == "# yaml-language-server: "
    assert (path.parent / schema).resolve() == COMMITTED
    assert schema_accepts(json.loads(json.dumps(values_of(text))))
    assert models_accept(text)
