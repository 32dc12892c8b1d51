"""The JSON Schema of the configuration: for editors, for the chart, for other programs.

pydantic writes 2020-12 with shared definitions. Editors' YAML servers read draft-07, where a
`$ref` hides what stands beside it, and the chart embeds the schema below a key of its own; so
every reference is replaced by what it refers to.

`schema.json` beside this module is `schema_text()`, and a test keeps it so.
"""

import json
from pathlib import Path
from typing import Any

from job.config.keys import ROOT, Key, child, default_kind
from job.config.root import Config
from job.config.section import DEFAULT_KIND

COMMITTED = Path(__file__).with_name("schema.json")

_DRAFT = "http://json-schema.org/draft-07/schema#"
_TITLE = "siamese-job configuration"


def json_schema() -> dict[str, Any]:
    """The schema as a mapping: draft-07, without references, unknown keys refused everywhere.

    A key that a resume may change carries `mutable: true`.
    """
    raw = Config.model_json_schema()
    schema = _inlined(raw, raw.pop("$defs"))
    _name_kinds(schema, ROOT)
    return {"$schema": _DRAFT, "title": _TITLE, **schema}


def schema_text() -> str:
    """The schema as the committed file holds it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=True) + "\n"


def _inlined(node: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [_inlined(item, definitions) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        # The key's own description says more than that of the section it refers to.
        return _inlined(
            {**target, **{k: v for k, v in node.items() if k != "$ref"}}, definitions
        )
    kept = {key: _inlined(value, definitions) for key, value in node.items()}
    if isinstance(kept.get("title"), str):
        del kept["title"]  # the key's name in title case
    kept.pop("discriminator", None)  # of OpenAPI; `oneOf` and `const` say the same
    kept.pop(DEFAULT_KIND, None)  # said by which kinds require `kind`
    return kept


def _name_kinds(schema: dict[str, Any], key: Key) -> None:
    """Requires `kind` in every kind of a section but the default one.

    Without it a mapping that names no kind fits several of them, which `oneOf` refuses.
    """
    for kind in schema.get("oneOf", []):
        if kind["properties"]["kind"].get("const") != default_kind(key):
            kind["required"] = ["kind", *kind.get("required", [])]
    for alternative in (*schema.get("oneOf", []), *schema.get("anyOf", [])):
        _name_kinds(alternative, key)
    if key.item:
        _name_kinds(schema.get("items", {}), Key((*key.path, 0), sections=key.item))
    for name, below in schema.get("properties", {}).items():
        at = child(key, name)
        if at is not None:
            _name_kinds(below, at)
