"""The table of rules: which value each key gets, when, and the reason written beside it.

For each key the first rule that applies decides. Every threshold is measured: `docs/init.md`
shows on which data sets, `benchmarks/init_rules.py` repeats it::

    for choice in choose(facts):
        choice.key, choice.value, choice.why
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from job.init.facts import Facts

# Below this share of unknown words, words carry over from training to new texts.
KNOWN_WORDS = 0.1
# Texts of fewer words are names, codes or single words: their spelling counts.
FEW_WORDS = 4.0
# Two texts of a pair in different scripts: nothing of their spelling can agree.
OTHER_SCRIPT = 0.5
# Classes with fewer items than this are compared within a batch.
FEW_ITEMS = 20.0
# The share of matches below which they are weighted.
RARE_MATCHES = 0.3


@dataclass(frozen=True)
class Choice:
    """The value of a key, and why it has it.

    Attributes:
        key: Dotted, as in `training.loss`.
        value: A scalar, a list, or a mapping with a `kind`.
        why: The reason, one sentence without its full stop.
    """

    key: str
    value: Any
    why: str


@dataclass(frozen=True)
class Rule:
    """One row of the table.

    Attributes:
        key: What it decides.
        when: Whether it applies.
        value: The value, or what computes it.
        why: The reason, or what words it.
    """

    key: str
    when: Callable[[Facts], bool]
    value: Any
    why: str | Callable[[Facts], str]

    def choice(self, facts: Facts) -> Choice:
        """The rule applied to a data set."""
        value = self.value(facts) if callable(self.value) else self.value
        return Choice(self.key, value, self.why(facts) if callable(self.why) else self.why)


def _always(facts: Facts) -> bool:
    return True


def _is_text(facts: Facts) -> bool:
    return facts.kind == "text"


def _crosses_scripts(facts: Facts) -> bool:
    return facts.sides_differ >= OTHER_SCRIPT


def _has_known_words(facts: Facts) -> bool:
    return (
        _is_text(facts) and facts.mean_words >= FEW_WORDS and facts.share_unknown <= KNOWN_WORDS
    )


def _is_in_batch(facts: Facts) -> bool:
    """Whether the items of a batch are compared with each other."""
    if facts.rows == "items":
        return facts.class_size < FEW_ITEMS
    return _crosses_scripts(facts)


def _rare_matches(facts: Facts) -> bool:
    return facts.matching is not None and facts.matching < RARE_MATCHES


RULES: Sequence[Rule] = (
    Rule(
        "data.tokens",
        _has_known_words,
        {"kind": "words"},
        lambda f: f"validation has {f.share_unknown:.1%} words that training lacks",
    ),
    Rule(
        "data.tokens",
        _is_text,
        {"kind": "characters"},
        lambda f: (
            f"{f.share_unknown:.0%} of the words of validation do not occur in training, so "
            "words say little about new texts"
            if f.share_unknown > KNOWN_WORDS
            else f"{f.mean_words:.1f} words in a text: their spelling counts"
        ),
    ),
    Rule(
        "model.encoder",
        lambda f: f.kind == "image",
        {"kind": "cnn"},
        "for images of this size",
    ),
    Rule(
        "model.encoder",
        lambda f: f.kind == "sequence" or _has_known_words(f),
        {"kind": "lstm", "bidirectional": True, "pooling": "mean"},
        "reads both ways; the mean over time does not forget the beginning",
    ),
    Rule(
        "model.encoder",
        _is_text,
        {"kind": "lstm", "bidirectional": True, "pooling": "max"},
        "reads both ways; the maximum over time keeps what any part of a text says",
    ),
    Rule("model.head", lambda f: f.kind != "text" or _is_in_batch(f), {"kind": "cosine"}, "-"),
    Rule("model.head", _always, {"kind": "abs_diff_product"}, "weighs each number"),
    Rule(
        "training.loss",
        _is_in_batch,
        {"kind": "multiple_negatives", "temperature": 0.1, "symmetric": True},
        "each pair of a batch is compared with all others of the batch",
    ),
    Rule(
        "training.loss",
        _rare_matches,
        lambda f: {
            "kind": "binary_crossentropy",
            "positive_weight": round(_odds(f), 1),
        },
        lambda f: f"{f.matching:.0%} of the pairs match; weighted, both count alike",
    ),
    Rule("training.loss", _always, {"kind": "binary_crossentropy"}, "labels of both kinds"),
    Rule("training.global_batch_size", _always, 128, "-"),
    Rule(
        "training.optimizer",
        _always,
        {"kind": "adam", "learning_rate": 0.003},
        "a small model learns fast",
    ),
)


def choose(facts: Facts) -> list[Choice]:
    """The choices for a data set, in the order of the table."""
    chosen: dict[str, Choice] = {}
    for rule in RULES:
        if rule.key not in chosen and rule.when(facts):
            chosen[rule.key] = rule.choice(facts)
    return list(chosen.values())


def as_mapping(choices: Sequence[Choice]) -> Mapping[str, Any]:
    """The choices as nested mappings."""
    root: dict[str, Any] = {}
    for choice in choices:
        *above, last = choice.key.split(".")
        place = root
        for part in above:
            place = place.setdefault(part, {})
        place[last] = choice.value
    return root


def _odds(facts: Facts) -> float:
    """Pairs that do not match over pairs that do."""
    matching = facts.matching or 0.5
    return (1.0 - matching) / matching
