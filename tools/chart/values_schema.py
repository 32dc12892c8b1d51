"""The JSON Schema of the chart's values, from three places that each say one thing.

`values.schema.yaml` says what values may look like, the comments of `siamese-job/values.yaml`
what they mean, and the program's own schema what `config` holds::

    schema = values_schema(constraints, descriptions, config_schema)
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

Schema = dict[str, Any]

# Helm reads YAML 1.1 and its `--set` knows no fractions. A `const` that never matches is the
# one way to have a validator say something of our own.
QUOTE = "text in quotes: without them YAML makes no, yes, on, off and 007 something else"
SET_JSON = "a number; on the command line give it with --set-json, as --set makes it text"
QUANTITY: Schema = {
    "type": ["string", "number"],
    "pattern": r"^[0-9]+(\.[0-9]+)?([KMGTPE]i|[munkMGTPE]|[eE][+-]?[0-9]+)?$",
}


def values_schema(
    constraints: Schema,
    descriptions: Mapping[str, str],
    config: Schema,
    *,
    defaults: Mapping[str, Any],
) -> Schema:
    """Puts the schema of the chart's values together.

    Args:
        constraints: What values may look like; `$config` and `$quantity` stand for schemas.
        descriptions: What values mean, by dotted key.
        config: The schema of the program's configuration.
        defaults: The content of `values.yaml`.

    Returns:
        A draft-07 schema without references.
    """
    schema = _filled(constraints, "", descriptions, _config_part(config))
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart siamese-job",
        "description": "One training run.",
        **_explained(_requiring(schema, defaults)),
    }


def _requiring(node: Schema, defaults: Mapping[str, Any]) -> Schema:
    """A node that demands every key which has a default.

    Helm drops a key that is set to null before it validates; a template would then make 0 or
    nothing of it. Keys that the schema lets be null stay optional.
    """
    properties = dict(node["properties"])
    required = []
    for key, default in defaults.items():
        if "null" not in _kinds(properties[key]):
            required.append(key)
        if isinstance(default, dict) and default and "properties" in properties[key]:
            properties[key] = _requiring(properties[key], default)
    return {**node, "properties": properties, "required": required}


def _filled(node: Schema, path: str, descriptions: Mapping[str, str], config: Schema) -> Schema:
    """A node with placeholders replaced, objects closed and descriptions added."""
    node = dict(node)
    if node.pop("$config", False):
        node = deepcopy(config)
    if node.pop("$quantity", False):
        node = {**QUANTITY, **node}
    if path in descriptions:
        node = {"description": descriptions[path], **node}
    for key, part in node.get("properties", {}).items() if path != "config" else ():
        below = f"{path}.{key}" if path else key
        node["properties"] = {
            **node["properties"],
            key: _filled(part, below, descriptions, config),
        }
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            node[key] = _filled(node[key], f"{path}[]", descriptions, config)
    if "properties" in node or "additionalProperties" in node:
        node = {"type": "object", "additionalProperties": False, **node}
    return node


def _config_part(config: Schema) -> Schema:
    """The program's schema, less what the chart adds (`run.name`) or checks itself (`data`)."""
    part = {key: value for key, value in config.items() if key not in ("$schema", "title")}
    part = deepcopy(part)
    part.pop("required")
    part["properties"]["run"]["required"].remove("name")
    for kind in part["properties"]["data"]["oneOf"]:
        kind["required"].remove("train")
    return part


def _explained(node: Any) -> Any:
    """The same schema, whose failures say more to a person."""
    if isinstance(node, list):
        return [_explained(part) for part in node]
    if not isinstance(node, dict):
        return node
    node = {key: _explained(part) for key, part in _nullable(node).items()}
    if node.get("required") == []:
        del node["required"]
    if "oneOf" in node and all("properties" in branch for branch in node["oneOf"]):
        node = _chosen_by_kind(node)
    kinds = _kinds(node)
    # A validator stops at a wrong type, so the types to say more about are let through to `if`.
    if "string" in kinds and "number" not in kinds:
        kinds |= {"boolean", "number"}
        hint = {"if": {"type": ["boolean", "number"]}, "then": {"const": QUOTE}}
    elif kinds & {"number", "integer"} and "string" not in kinds:
        kinds |= {"string"}
        hint = {"if": {"type": "string"}, "then": {"const": SET_JSON}}
    else:
        return node
    return {**node, "type": sorted(kinds), **hint}


def _nullable(node: Schema) -> Schema:
    """`anyOf` a schema and null as one schema, so that only its problems are reported."""
    branches = [part for part in node.get("anyOf", []) if part != {"type": "null"}]
    if len(branches) != 1:
        return node
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    return {**branches[0], **rest, "type": sorted({*_kinds(branches[0]), "null"})}


def _kinds(node: Schema) -> set[str]:
    kind = node.get("type", "object" if "oneOf" in node else [])
    return {kind} if isinstance(kind, str) else set(kind)


def _chosen_by_kind(node: Schema) -> Schema:
    """`oneOf` as a list of conditions, so that only the chosen kind's problems are reported."""
    branches = node["oneOf"]
    kinds = [branch["properties"]["kind"]["const"] for branch in branches]
    known: Schema = {}
    for branch in branches:
        for key, part in branch["properties"].items():
            known.setdefault(key, {"description": part["description"]})
    known["kind"]["enum"] = kinds
    conditions = []
    for kind, branch in zip(kinds, branches, strict=True):
        # Null, where it is allowed, has no properties that could be wrong.
        condition: Schema = {"type": "object", "properties": {"kind": {"const": kind}}}
        if "kind" in branch.get("required", []):
            condition["required"] = ["kind"]
        conditions.append({"if": condition, "then": branch})
    rest = {key: value for key, value in node.items() if key != "oneOf"}
    return {
        "type": "object",
        **rest,
        "additionalProperties": False,
        "properties": known,
        "allOf": conditions,
    }
