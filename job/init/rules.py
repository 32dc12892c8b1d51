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

# Below this share of unknown words, the words of training say something about new texts.
KNOWN_WORDS = 0.1
# Texts of fewer words are names or codes.
FEW_WORDS = 4.0
# Share of pairs in two scripts from which on spelling says nothing.
OTHER_SCRIPT = 0.5
# Classes that fill a batch with pairs of different classes.
LEAST_CLASSES = 32
# Below this share, matches are rare.
RARE_MATCHES = 0.3
# Pairs that are so few that an item has to be compared with more than its own pairs say.
FEW_PAIRS = 4_000
# Comparing the pairs of a batch needs this many matches in it.
SMALL_BATCH, LEAST_MATCHES = 128, 8
# Optimizer steps: pairs of a file are a fixed set, pairs of items are drawn without end.
STEPS_OF_PAIRS, STEPS_OF_ITEMS = 1_000, 500
LEAST_EPOCHS, MOST_EPOCHS = 3, 60
# Steps without improvement before training ends, in epochs of three or more.
PATIENCE_STEPS, LEAST_PATIENCE = 150, 3
# Images are reduced to this size: a small network sees no more.
LARGEST_IMAGE = 64
# Lengths differ so much that padding costs time.
UNEVEN_LENGTHS = 1.3


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


def always(facts: Facts) -> bool:
    """For the last rule of a key."""
    return True


def is_text(facts: Facts) -> bool:
    """Whether items are texts."""
    return facts.kind == "text"


def crosses_scripts(facts: Facts) -> bool:
    """Whether the two texts of a pair are mostly written in two scripts."""
    return facts.sides_differ >= OTHER_SCRIPT


def has_known_words(facts: Facts) -> bool:
    """Whether texts are sentences whose words training holds."""
    return (
        is_text(facts) and facts.mean_words >= FEW_WORDS and facts.share_unknown <= KNOWN_WORDS
    )


def is_drawn(facts: Facts) -> bool:
    """Whether pairs are drawn one by one: classes are too few for batches of many classes."""
    return facts.rows == "items" and num_pairable(facts) < LEAST_CLASSES


def is_in_batch(facts: Facts) -> bool:
    """Whether the pairs of a batch are compared with each other."""
    if facts.rows == "items":
        return not is_drawn(facts)
    if (facts.matching or 0.0) * SMALL_BATCH < LEAST_MATCHES:
        return False
    return crosses_scripts(facts) or is_rare(facts) or facts.num_rows < FEW_PAIRS


def is_rare(facts: Facts) -> bool:
    """Whether few pairs match."""
    return facts.matching is not None and facts.matching < RARE_MATCHES


def num_pairable(facts: Facts) -> int:
    """Classes of two items or more."""
    return round(facts.num_classes * (1.0 - facts.share_single))


def batch_size(facts: Facts) -> int:
    """Pairs in a batch: large, but many steps in an epoch, and a class at most once."""
    if is_drawn(facts) or (facts.rows == "pairs" and facts.num_rows < FEW_PAIRS):
        return 64
    if facts.rows == "items":
        return max(size for size in (32, 64, 128) if size <= num_pairable(facts))
    return 256 if facts.num_rows >= 20_000 and not is_in_batch(facts) else 128


def steps_in_epoch(facts: Facts) -> int:
    """Whole batches of an epoch."""
    pairs = facts.num_rows
    if facts.rows == "items":
        pairs = 2 * facts.num_items if is_drawn(facts) else facts.num_items // 2
    return max(1, pairs // batch_size(facts))


def num_epochs(facts: Facts) -> int:
    """As many as take the steps that such data need."""
    steps = STEPS_OF_ITEMS if facts.rows == "items" else STEPS_OF_PAIRS
    return min(max(round(steps / steps_in_epoch(facts)), LEAST_EPOCHS), MOST_EPOCHS)


def patience(facts: Facts) -> int:
    """Epochs without improvement before training ends."""
    return max(LEAST_PATIENCE, -(-PATIENCE_STEPS // steps_in_epoch(facts)))


def max_length(facts: Facts) -> int:
    """The limit of `data.max_length`: the next power of two, at least the default."""
    longest = facts.lengths.max if facts.lengths else 0
    limit = 256 if is_text(facts) else 16_384
    while limit < longest:
        limit *= 2
    return limit


def is_longer_than_default(facts: Facts) -> bool:
    """Whether an item is longer than the configuration allows by default."""
    return facts.lengths is not None and facts.lengths.max > (256 if is_text(facts) else 16_384)


def odds(facts: Facts) -> float:
    """Pairs that do not match over pairs that do."""
    matching = facts.matching or 0.5
    return round((1.0 - matching) / matching, 1)


def _uneven(facts: Facts) -> bool:
    lengths = facts.lengths
    return lengths is not None and lengths.p90 > UNEVEN_LENGTHS * max(lengths.median, 1.0)


def _lengths(facts: Facts) -> str:
    it = facts.lengths
    unit = "characters" if is_text(facts) else "time steps"
    return f"{it.min:,.0f} to {it.max:,.0f} {unit}, half below {it.median:,.0f}" if it else ""


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
        lambda f: f"{_lengths(f)}; a longer one is left out",
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
        lambda f: _uneven(f) and not (f.rows == "items" and is_in_batch(f)),
        None,
        lambda f: f"automatic: {_lengths(f)}; like lengths share a batch, against padding",
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
