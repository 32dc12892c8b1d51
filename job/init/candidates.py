"""What `init --try` trains: the configuration of the rules, and the likeliest improvements.

candidates_for(facts, chosen=as_mapping(choices))
changed(choices, candidate, why="...")
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from job.init.facts import Facts
from job.init.rules import Choice

AS_RULED = "as the rules say"


@dataclass(frozen=True)
class Candidate:
    """A configuration to try.

    Attributes:
        name: What is different, for people.
        changes: Dotted key to value, beside the configuration of the rules.
    """

    name: str
    changes: Mapping[str, Any]


def candidates_for(facts: Facts, *, chosen: Mapping[str, Any]) -> list[Candidate]:
    """The candidates, the likeliest first.

    Args:
        facts: What was measured.
        chosen: The configuration of the rules as nested mappings.
    """
    return [Candidate(AS_RULED, {}), *_others(facts, chosen)]


def changed(choices: Sequence[Choice], candidate: Candidate, *, why: str) -> list[Choice]:
    """The choices with the changes of a candidate, and the reason beside what changed."""
    touched = {".".join(key.split(".")[:2]) for key in candidate.changes}
    values = {choice.key: choice for choice in choices}
    found = dict(values)
    for top in sorted(touched):
        value = values[top].value if top in values else {}
        for key, change in candidate.changes.items():
            if key == top:
                value = change
            elif key.startswith(f"{top}."):
                value = _with(value, key.removeprefix(f"{top}."), change)
        found[top] = Choice(top, value, why)
    return list(found.values())


def _with(value: Mapping[str, Any], key: str, change: Any) -> Mapping[str, Any]:
    """A section with one key changed; another kind drops the keys of the one before."""
    if key == "kind" and value.get("kind") != change:
        return {"kind": change}
    return {**value, key: change}


def _others(facts: Facts, chosen: Mapping[str, Any]) -> Iterator[Candidate]:
    if facts.rows == "items":
        yield from _of_items(chosen)
    else:
        yield from _of_pairs(facts, chosen)
    encoder = chosen["model"]["encoder"]
    if facts.kind == "text":
        other = "mean" if encoder["pooling"] == "max" else "max"
        yield Candidate(f"pooling {other}", {"model.encoder.pooling": other})
        words = chosen["data"]["tokens"]["kind"] == "words"
        name = "characters" if words else "words"
        yield Candidate(name, {"data.tokens.kind": name})
    if encoder["kind"] == "lstm":
        units = 2 * encoder.get("units", 32)
        yield Candidate(f"{units} units", {"model.encoder.units": units})
    yield Candidate("learning rate 0.001", {"training.optimizer.learning_rate": 0.001})


def _of_pairs(facts: Facts, chosen: Mapping[str, Any]) -> Iterator[Candidate]:
    if chosen["training"]["loss"]["kind"] == "multiple_negatives":
        yield Candidate(
            "labels alone",
            {
                "model.head.kind": "abs_diff_product",
                "training.loss.kind": "binary_crossentropy",
            },
        )
    else:
        yield Candidate("compared in the batch", _IN_BATCH)


def _of_items(chosen: Mapping[str, Any]) -> Iterator[Candidate]:
    if chosen["training"]["loss"]["kind"] == "binary_crossentropy":
        yield Candidate("compared in the batch", {"data.sampling.kind": "classes", **_IN_BATCH})
    else:
        yield Candidate(
            "drawn pairs",
            {"data.sampling.kind": "pairs", "training.loss.kind": "binary_crossentropy"},
        )
    if chosen["training"]["loss"]["kind"] != "triplet":
        yield Candidate(
            "triplets",
            {
                "data.sampling.kind": "classes",
                "data.sampling.items_per_class": 4,
                "model.head.kind": "cosine",
                "training.loss.kind": "triplet",
            },
        )


_IN_BATCH: Mapping[str, Any] = {
    "model.head.kind": "cosine",
    "training.loss.kind": "multiple_negatives",
    "training.loss.temperature": 0.1,
    "training.loss.symmetric": True,
}
