"""The table of rules: which value each key gets, when, and the reason written beside it.

For each key the first rule that applies decides. `docs/init.md` shows what the rules were
measured on, and `benchmarks/init_rules.py` repeats it::

    for choice in choose(facts):
        choice.key, choice.value, choice.why
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from job.init.facts import Facts
from job.init.judge import (
    KNOWN_WORDS,
    LARGEST_IMAGE,
    always,
    batch_size,
    crosses_scripts,
    has_known_words,
    is_drawn,
    is_in_batch,
    is_longer_than_default,
    is_rare,
    is_text,
    is_uneven,
    max_length,
    num_epochs,
    num_pairable,
    odds,
    patience,
    steps_in_epoch,
    worded_lengths,
)


@dataclass(frozen=True)
class Choice:
    """The value of a key, and why it has it.

    Attributes:
        key: Dotted, as in `training.loss`.
        value: A scalar, a list, or a mapping.
        why: The reason, one sentence without its full stop; "" for none.
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


def _why_in_batch(facts: Facts) -> str:
    if crosses_scripts(facts):
        reason = "two scripts share no spelling"
    elif is_rare(facts):
        reason = f"only {facts.matching:.0%} of the pairs match"
    else:
        reason = f"{facts.num_rows:,} pairs are few"
    return f"{reason}: each item looks for its match among all items of the batch"


_LSTM = {"kind": "lstm", "bidirectional": True}

RULES: Sequence[Rule] = (
    Rule(
        "data.tokens",
        has_known_words,
        {"kind": "words"},
        lambda f: (
            f"{f.mean_words:.0f} words in a text, and training holds "
            f"{1.0 - f.share_unknown:.1%} of the words of validation: they carry the meaning"
        ),
    ),
    Rule(
        "data.tokens",
        is_text,
        {"kind": "characters"},
        lambda f: (
            f"training does not hold {f.share_unknown:.0%} of the words of validation, so "
            "spelling has to tell"
            if f.share_unknown > KNOWN_WORDS
            else f"{f.mean_words:.1f} words in a text: their spelling has to tell"
        ),
    ),
    Rule(
        "data.max_length",
        is_longer_than_default,
        max_length,
        lambda f: f"{worded_lengths(f)}; a longer one is left out",
    ),
    Rule(
        "data.size",
        lambda f: f.kind == "image",
        lambda f: max(8, min(f.image_side, LARGEST_IMAGE)),
        lambda f: (
            f"images have {f.image_side} pixels"
            if f.image_side <= LARGEST_IMAGE
            else f"of {f.image_side} pixels; larger ones take longer to learn"
        ),
    ),
    Rule(
        "data.augmentation",
        lambda f: f.is_coloured and is_in_batch(f),
        {"crop": 0.1, "colour": 0.2},
        lambda f: f"{f.class_size:.0f} images of a class: varied, they count for more",
    ),
    Rule(
        "data.sampling",
        is_drawn,
        {"kind": "pairs"},
        lambda f: (
            f"{num_pairable(f):,} classes are too few to fill a batch with different ones, so "
            "pairs are drawn one by one"
        ),
    ),
    Rule(
        "data.sampling",
        lambda f: f.rows == "items",
        {"kind": "classes"},
        lambda f: (
            f"{num_pairable(f):,} classes fill a batch: two items of each, compared with all"
        ),
    ),
    Rule(
        "model.encoder",
        lambda f: f.kind == "image",
        {"kind": "cnn"},
        lambda f: f"{f.num_items:,} images are too few for more than a small network",
    ),
    Rule(
        "model.encoder",
        has_known_words,
        {**_LSTM, "units": 64, "embedding_size": 64, "pooling": "mean"},
        "reads both ways; the mean over the words, of which each says a little",
    ),
    Rule(
        "model.encoder",
        is_text,
        {**_LSTM, "pooling": "max"},
        "reads both ways; the maximum keeps what any part of a text shows",
    ),
    Rule(
        "model.encoder",
        always,
        {**_LSTM, "pooling": "mean"},
        "reads both ways; the mean does not forget the beginning",
    ),
    Rule(
        "model.head",
        lambda f: is_in_batch(f) or f.rows == "items",
        {"kind": "cosine"},
        "a distance of embeddings, which an index can search by",
    ),
    Rule(
        "model.head",
        always,
        {"kind": "abs_diff_product"},
        "labelled matches and non-matches show which differences count",
    ),
    Rule(
        "training.loss",
        is_in_batch,
        {"kind": "multiple_negatives", "temperature": 0.1, "symmetric": True},
        lambda f: (
            "each item looks for its match among all items of the batch"
            if f.rows == "items"
            else _why_in_batch(f)
        ),
    ),
    Rule(
        "training.loss",
        is_rare,
        lambda f: {"kind": "binary_crossentropy", "positive_weight": odds(f)},
        lambda f: f"{f.matching:.0%} of the pairs match; weighted, both sides count alike",
    ),
    Rule(
        "training.loss",
        always,
        {"kind": "binary_crossentropy"},
        lambda f: (
            f"{f.matching:.0%} of the pairs match: no weight needed"
            if f.matching is not None
            else "half of the drawn pairs match"
        ),
    ),
    Rule(
        "training.epochs",
        always,
        num_epochs,
        lambda f: (
            f"{num_epochs(f) * steps_in_epoch(f):,} steps, of which an epoch takes "
            f"{steps_in_epoch(f):,}"
        ),
    ),
    Rule(
        "training.global_batch_size",
        always,
        batch_size,
        lambda f: (
            "the more items are compared, the more a step teaches"
            if is_in_batch(f)
            else "small enough for many steps, large enough to be fast"
        ),
    ),
    Rule(
        "training.bucket_window_batches",
        lambda f: is_uneven(f) and not (f.rows == "items" and is_in_batch(f)),
        None,
        lambda f: f"automatic: {worded_lengths(f)}; like lengths share a batch",
    ),
    Rule(
        "training.optimizer",
        lambda f: f.kind == "image",
        {"kind": "adam", "learning_rate": 0.002},
        "a small network bears a high rate",
    ),
    Rule(
        "training.optimizer",
        always,
        {"kind": "adam", "learning_rate": 0.003},
        "a small network bears a high rate",
    ),
    Rule(
        "callbacks.early_stopping",
        always,
        lambda f: {"monitor": "val_roc_auc", "patience_epochs": patience(f)},
        lambda f: f"ends after about {patience(f) * steps_in_epoch(f):,} steps without gain",
    ),
    Rule(
        "callbacks.reduce_learning_rate",
        lambda f: not is_in_batch(f),
        lambda f: {
            "monitor": "val_loss",
            "factor": 0.3,
            "patience_epochs": max(1, patience(f) // 3),
        },
        "smaller steps once the loss stops falling",
    ),
    Rule(
        "checkpoint.monitor",
        always,
        "val_roc_auc",
        "the best epoch ranks matches above non-matches best, at whatever threshold",
    ),
    Rule(
        "evaluation.threshold",
        is_rare,
        "f1",
        lambda f: f"{f.matching:.0%} match: accuracy would be won by never saying yes",
    ),
    Rule(
        "evaluation.threshold",
        always,
        "accuracy",
        "both errors cost alike; another target if yours do not",
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
