"""What follows from the facts of a data set: what kind of task it is, and sizes that fit it.

Every threshold is measured (`docs/init.md`). `rules` decides by these functions::

    is_in_batch(facts), batch_size(facts), num_epochs(facts)
"""

from pydantic.fields import FieldInfo

from job.config.data import SequenceDataConfig, TextDataConfig
from job.config.losses import BinaryCrossentropyConfig
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
PATIENCE_STEPS, LEAST_PATIENCE = 300, 3
# Images are reduced to this size: a small network sees no more.
LARGEST_IMAGE = 64
# Lengths differ so much that padding costs time.
UNEVEN_LENGTHS = 1.3


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
        pairs = facts.num_rows if facts.rows == "pairs" else 2 * facts.num_items
        return max(size for size in (1, 2, 4, 8, 16, 32, 64) if size <= max(pairs, 1))
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
    """The limit of `data.max_length`: the next power of two that the configuration allows."""
    field = _max_length_of(facts)
    longest = facts.lengths.max if facts.lengths else 0
    limit: int = field.default
    while limit < longest:
        limit *= 2
    return int(min(limit, _most_of(field)))


def is_longer_than_default(facts: Facts) -> bool:
    """Whether an item is longer than the configuration allows by default."""
    return facts.lengths is not None and facts.lengths.max > _max_length_of(facts).default


def odds(facts: Facts) -> float:
    """Pairs that do not match over pairs that do, as far as the configuration allows."""
    matching = facts.matching or 0.5
    weight = BinaryCrossentropyConfig.model_fields["positive_weight"]
    return float(min(round((1.0 - matching) / matching, 1), _most_of(weight)))


def _max_length_of(facts: Facts) -> FieldInfo:
    section = TextDataConfig if is_text(facts) else SequenceDataConfig
    return section.model_fields["max_length"]


def _most_of(field: FieldInfo) -> float:
    """The largest number that a field allows."""
    [most] = [mark.le for mark in field.metadata if hasattr(mark, "le")]
    return float(most)


def is_uneven(facts: Facts) -> bool:
    """Whether lengths differ so much that padding costs time."""
    lengths = facts.lengths
    return lengths is not None and lengths.p90 > UNEVEN_LENGTHS * max(lengths.median, 1.0)


def worded_lengths(facts: Facts) -> str:
    """The lengths of the items, for a comment."""
    it = facts.lengths
    unit = "characters" if is_text(facts) else "time steps"
    return f"{it.min:,.0f} to {it.max:,.0f} {unit}, half below {it.median:,.0f}" if it else ""
