"""The JSON Schema of the configuration: for editors, for the chart, for other programs.

pydantic writes draft 2020-12 with shared definitions. The YAML servers of editors read
draft-07, where a `$ref` hides its siblings, and the chart embeds the schema below another key.
Every reference is therefore replaced by its target.

A test compares the committed `schema.json` with `schema_text()`.
"""

import json
from pathlib import Path
from typing import Any

from job.config.keys import ROOT, Key, child, default_kind, default_of, narrowed
from job.config.root import Config
from job.config.section import DEFAULT_KIND

COMMITTED = Path(__file__).with_name("schema.json")

_DRAFT = "http://json-schema.org/draft-07/schema#"
_TITLE = "siamese-job configuration"


def json_schema() -> dict[str, Any]:
    """The schema as a mapping: draft-07, without references, no unknown keys.

    A key that a resume may change carries `mutable: true`.
    """
    raw = Config.model_json_schema()
    schema = _inlined(raw, raw.pop("$defs"))
    _complete(schema, ROOT)
    return {"$schema": _DRAFT, "title": _TITLE, **schema}


def schema_text() -> str:
    """The content of the committed file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=True) + "\n"


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        # The description of the key is more specific than that of its section.
        return _inlined(
            {**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions
        )
    kept = {key: _inlined(value, definitions) for key, value in node.items()}
    if isinstance(kept.get("title"), str):
        del kept["title"]  # the key's name in title case
    kept.pop("discriminator", None)  # an OpenAPI word; `oneOf` and `const` say the same
    kept.pop(DEFAULT_KIND, None)  # expressed by the kinds that require `kind`
    return kept


def _complete(schema: dict[str, Any], key: Key) -> None:
    """Adds what pydantic leaves out: defaults made by a factory, and which kinds need a name.

    `kind` becomes required in every kind of a section but the default one. Without it a mapping
    that names no kind fits several of them, which `oneOf` rejects.
    """
    for alternative in (*schema.get("oneOf", []), *schema.get("anyOf", [])):
        kind = alternative.get("properties", {}).get("kind", {}).get("const")
        if "oneOf" in schema and kind != default_kind(key):
            alternative["required"] = ["kind", *alternative.get("required", [])]
        _complete(alternative, narrowed(key, kind))
    if key.item:
        _complete(schema.get("items", {}), Key((*key.path, 0), sections=key.item))
    for name, below in schema.get("properties", {}).items():
        at = child(key, name)
        if at is None:
            continue
        _complete(below, at)
        if not at.sections and not at.fields[0].is_required():
            below.setdefault("default", default_of(at.fields[0]))
