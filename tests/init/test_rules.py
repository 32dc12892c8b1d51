"""What the rules choose, for data sets described by a few numbers."""

from dataclasses import replace

import pytest

from job.config.root import Config
from job.init.candidates import candidates_for, changed
from job.init.facts import Facts, SplitFact
from job.init.judge import batch_size, num_epochs, patience, steps_in_epoch
from job.init.rules import RULES, as_mapping, choose
from job.inspection.item_measures import Distribution

SPLIT = SplitFact("identity", 0.1, "because")
PAIRS = Facts(
    kind="text",
    rows="pairs",
    num_rows=40_000,
    num_items=30_000,
    spelling=0.8,
    baseline="ngram_cosine",
    split=SPLIT,
    matching=0.5,
    lengths=Distribution(2, 9, 12, 15, 34),
    mean_words=1.0,
    share_unknown=0.9,
)
SENTENCES = replace(PAIRS, mean_words=13.0, share_unknown=0.01)
TRANSLATIONS = replace(SENTENCES, sides_differ=1.0, spelling=0.5)
RARE = replace(PAIRS, matching=0.1)
VERY_RARE = replace(PAIRS, matching=0.02)
ALMOST_NONE = replace(PAIRS, matching=0.00001)
FEW = replace(PAIRS, num_rows=2_000)
TEXTS = replace(PAIRS, rows="items", matching=None, num_classes=1_000, class_size=3.0)
LONG = replace(PAIRS, lengths=Distribution(2, 100, 200, 300, 700))
IMAGES = Facts(
    kind="image",
    rows="items",
    num_rows=4_000,
    num_items=4_000,
    spelling=0.8,
    baseline="centred_pixel_cosine",
    split=SPLIT,
    num_classes=800,
    class_size=5.0,
    image_side=32,
    is_coloured=True,
)
DIGITS = replace(IMAGES, num_classes=10, class_size=400.0, image_side=8, is_coloured=False)
PHOTOS = replace(IMAGES, image_side=3_000, num_classes=60)
SERIES = Facts(
    kind="sequence",
    rows="items",
    num_rows=1_700,
    num_items=1_700,
    spelling=0.9,
    baseline="resampled_cosine",
    split=SPLIT,
    num_classes=7,
    class_size=250.0,
    lengths=Distribution(150, 150, 150, 150, 150),
)
RECORDINGS = replace(SERIES, lengths=Distribution(7, 15, 40, 60, 600_000))
SPEAKERS = replace(SERIES, num_classes=90, lengths=Distribution(7, 15, 40, 60, 20_000))
EVERY = {
    "pairs": PAIRS,
    "sentences": SENTENCES,
    "translations": TRANSLATIONS,
    "rare": RARE,
    "very rare": VERY_RARE,
    "almost none": ALMOST_NONE,
    "few": FEW,
    "texts": TEXTS,
    "long": LONG,
    "images": IMAGES,
    "digits": DIGITS,
    "photos": PHOTOS,
    "series": SERIES,
    "recordings": RECORDINGS,
    "speakers": SPEAKERS,
}


def configured(facts: Facts, choices=None) -> Config:
    mapping = as_mapping(choices if choices is not None else choose(facts))
    data = {"kind": facts.kind, "train": "a.csv", "rows": facts.rows, **mapping["data"]}
    return Config.model_validate({"run": {"name": "a"}, **mapping, "data": data})


@pytest.mark.parametrize("facts", EVERY.values(), ids=EVERY)
def test_what_the_rules_choose_goes_together(facts):
    configured(facts)
    for choice in choose(facts):
        assert choice.why.strip(), choice.key
        assert not choice.why.endswith(".")


def test_every_rule_decides_for_some_data_set():
    used = {
        id(next(rule for rule in RULES if rule.key == choice.key and rule.when(facts)))
        for facts in EVERY.values()
        for choice in choose(facts)
    }
    assert [rule.key for rule in RULES if id(rule) not in used] == []


@pytest.mark.parametrize(
    ("facts", "tokens", "pooling", "head", "loss"),
    [
        (PAIRS, "characters", "max", "abs_diff_product", "binary_crossentropy"),
        (SENTENCES, "words", "mean", "abs_diff_product", "binary_crossentropy"),
        (TRANSLATIONS, "words", "mean", "cosine", "multiple_negatives"),
        (RARE, "characters", "max", "cosine", "multiple_negatives"),
        (VERY_RARE, "characters", "max", "abs_diff_product", "binary_crossentropy"),
        (FEW, "characters", "max", "cosine", "multiple_negatives"),
        (TEXTS, "characters", "max", "cosine", "multiple_negatives"),
    ],
)
def test_texts_get_tokens_pooling_head_and_loss(facts, tokens, pooling, head, loss):
    config = configured(facts)
    assert config.data.tokens.kind == tokens
    assert config.model.encoder.pooling == pooling
    assert (config.model.head.kind, config.training.loss.kind) == (head, loss)


def test_rare_matches_that_no_batch_holds_are_weighted():
    assert configured(VERY_RARE).training.loss.positive_weight == 49.0
    assert configured(PAIRS).training.loss.positive_weight == 1.0
    assert configured(VERY_RARE).evaluation.threshold == "f1"


@pytest.mark.parametrize(
    ("facts", "sampling", "batch"),
    [(IMAGES, "classes", 128), (PHOTOS, "classes", 32), (DIGITS, "pairs", 64)],
)
def test_classes_are_compared_in_a_batch_if_they_fill_one(facts, sampling, batch):
    config = configured(facts)
    assert config.data.sampling.kind == sampling
    assert config.training.global_batch_size == batch


@pytest.mark.parametrize(("facts", "size"), [(IMAGES, 32), (DIGITS, 8), (PHOTOS, 64)])
def test_images_keep_their_size_unless_they_are_large(facts, size):
    assert configured(facts).data.size == size


def test_no_item_is_too_long_for_the_configuration():
    assert configured(LONG).data.max_length == 1024
    assert configured(SPEAKERS).data.max_length == 32_768
    assert "data.max_length" not in {choice.key for choice in choose(PAIRS)}


def test_small_data_get_more_epochs_and_more_patience():
    assert (steps_in_epoch(PAIRS), num_epochs(PAIRS), patience(PAIRS)) == (156, 6, 3)
    assert (steps_in_epoch(FEW), num_epochs(FEW), patience(FEW)) == (31, 32, 10)
    tiny = replace(FEW, num_rows=60)
    assert (steps_in_epoch(tiny), num_epochs(tiny)) == (1, 60)
    assert steps_in_epoch(replace(FEW, num_rows=6)) == 1
    assert batch_size(replace(FEW, num_rows=6)) == 4  # training refuses more than there are
    huge = replace(PAIRS, num_rows=10_000_000)
    assert (num_epochs(huge), patience(huge)) == (3, 3)


@pytest.mark.parametrize("facts", EVERY.values(), ids=EVERY)
def test_every_candidate_is_a_valid_configuration_and_differs(facts):
    choices = choose(facts)
    mapping = as_mapping(choices)
    seen = []
    for candidate in candidates_for(facts, chosen=mapping):
        config = configured(facts, changed(choices, candidate, why="tried"))
        assert config not in seen, candidate.name
        seen.append(config)
    assert len(seen) >= 3


def test_a_change_of_kind_drops_the_keys_of_the_kind_before():
    choices = choose(TRANSLATIONS)
    labels = candidates_for(TRANSLATIONS, chosen=as_mapping(choices))[1]
    loss = as_mapping(changed(choices, labels, why="tried"))["training"]["loss"]
    assert loss == {"kind": "binary_crossentropy"}
