import itertools
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from job.config.losses import (
    CircleConfig,
    MultipleNegativesConfig,
    OnlineContrastiveConfig,
    TripletConfig,
)
from job.config.model import (
    HEADS,
    AbsDiffProductConfig,
    CosineConfig,
    LstmConfig,
    MlpConfig,
    ModelConfig,
)
from job.config.training import TrainingConfig
from job.data.dataset import ItemTable, PairTable
from job.data.pipeline import batches
from job.data.pipeline.batches import item_batches
from job.errors import PreemptedError
from job.evaluation.evaluate import SplitScorer, SplitScores, measure
from job.evaluation.metrics import DECISIONS, RANKINGS
from job.evaluation.retrieval import search_by_class, search_by_match, search_metrics
from job.models import pair_scorer
from job.models.distances import DISTANCES
from job.models.heads import build_head
from job.models.pair_scorer import PairScorer, PairScores
from job.models.siamese import build_siamese
from job.preprocessing.ragged import RaggedArray, offsets_of
from tests.feeds import IdFeed
from tests.models.losses import reference_losses as reference
from tests.models.losses.test_in_batch import pair_batch

LENGTHS = np.array([3, 1, 7, 2, 9, 4])
TOKENS = RaggedArray(
    np.random.default_rng(0).integers(2, 9, LENGTHS.sum()).astype(np.int32),
    offsets_of(LENGTHS),
)
FEED = IdFeed(TOKENS)
CLASSES = np.array([0, 0, 1, -1, 1, 0])
ITEMS = ItemTable("text", TOKENS, CLASSES)
PAIRS = PairTable(
    np.array([0, 1, 2, 5, 0]), np.array([1, 1, 4, 2, 5]), np.array([1, 1, 0, 0, 1], np.uint8)
)


@pytest.fixture(scope="module")
def siamese():
    section = ModelConfig(encoder=LstmConfig(units=4, embedding_size=3))
    return build_siamese(section, training=TrainingConfig(), item=FEED.input, seed=1)


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_scores_are_those_of_the_pair_model_whatever_the_batches(siamese, batch_size):
    scorer = PairScorer(siamese, check_stop=lambda: None)
    scores = SplitScorer(scorer, FEED, ITEMS, batch_size).score(PAIRS).pairs
    everything = TOKENS.padded(np.arange(6))
    expected = siamese.scorer([everything[PAIRS.left], everything[PAIRS.right]]).numpy()[:, 0]
    np.testing.assert_allclose(scores.score, expected, rtol=1e-5)
    np.testing.assert_allclose(1 / (1 + np.exp(-scores.logit)), expected, rtol=1e-5)
    np.testing.assert_array_equal(scores.label, PAIRS.label)
    likelihood = np.where(PAIRS.label == 1, expected, 1 - expected)
    np.testing.assert_allclose(scores.loss, -np.log(likelihood), rtol=1e-4)


def test_only_the_items_of_the_pairs_are_encoded_and_each_once(siamese):
    seen = []
    scorer = PairScorer(siamese, check_stop=lambda: None)
    encode = scorer._encode
    scorer._encode = lambda ids: seen.append(ids.shape[0]) or encode(ids)
    SplitScorer(scorer, FEED, ITEMS, batch_size=2).score(PAIRS)
    assert sum(seen) == 5  # item 3 is in no pair


def test_what_is_encoded_at_a_time_fits_into_the_budget(siamese, monkeypatch):
    monkeypatch.setattr(batches, "_BATCH_BYTES", 400)
    seen = []
    scorer = PairScorer(siamese, check_stop=lambda: None)
    encode = scorer._encode
    scorer._encode = lambda ids: seen.append(ids.shape) or encode(ids)
    SplitScorer(scorer, FEED, ITEMS, batch_size=100).score(PAIRS)
    # 1 token id and 4 numbers of state a step, 4 bytes each: 20 steps fit. Items 1, 0 and 5
    # are 3 x 4 steps and with item 2 would be 4 x 7; items 2 and 4 are 2 x 9.
    assert [rows for rows, _ in seen] == [3, 2]


@pytest.mark.parametrize(
    ("head", "size", "values"),
    [(AbsDiffProductConfig(), 2048, 20_000), (MlpConfig(units=4096), 8, 4_000)],
)
def test_what_is_judged_at_a_time_fits_into_the_budget(siamese, head, size, values):
    num_items, num_pairs = 50, 5_000
    rng = np.random.default_rng(0)
    embedding = rng.normal(0, 1, (num_items, size)).astype(np.float32)
    left, right = rng.integers(0, num_items, (2, num_pairs))
    encoder = SimpleNamespace(output_shape=(None, size))
    built = build_head(head, embedding_size=size, seed=1)
    scorer = PairScorer(replace(siamese, encoder=encoder, head=built), check_stop=lambda: None)
    judge, calls = scorer._judge, []

    def noted(first, end, *batch):
        calls.append((end - first, *(rows.shape for rows in batch)))
        return judge(first, end, *batch)

    scorer._judge = noted
    scores = scorer.score(
        embedding,
        left=left,
        right=right,
        label=np.zeros(num_pairs, np.uint8),
        item=np.arange(num_items),
        item_class=np.full(num_items, -1),
        loss_block_size=num_pairs,
    )
    assert sum(judged for judged, *_ in calls) == num_pairs
    for judged, label, u, v, *_ in calls:
        assert 4 * values * judged <= pair_scorer.CALL_BYTES
        assert label == (judged,)
        assert u == v == (judged, size)
    assert len(calls) < 20  # not so few pairs that calls are what takes the time
    expected = built([embedding[left], embedding[right]]).numpy()[:, 0]
    np.testing.assert_allclose(scores.logit, expected, atol=1e-5)


def test_a_stop_is_noticed_between_batches(siamese):
    def stop():
        raise PreemptedError("now")

    scorer = PairScorer(siamese, check_stop=stop)
    with pytest.raises(PreemptedError):
        scorer.embed(item_batches(FEED, batch_size=2, rows=np.arange(6)), num_items=6)


@pytest.mark.parametrize("stop_after", [1, 2, None])
def test_measuring_draws_no_random_number_also_when_it_is_stopped(stop_after):
    encoder = LstmConfig(units=4, embedding_size=3, dropout=0.5)
    section = ModelConfig(encoder=encoder)
    built = build_siamese(section, training=TrainingConfig(), item=FEED.input, seed=1)
    before = {key: np.array(x.numpy()) for key, x in built.variables().items()}
    polls = itertools.count()

    def check_stop():
        if next(polls) == stop_after:
            raise PreemptedError("now")

    scorer = PairScorer(built, check_stop=check_stop)
    with pytest.raises(PreemptedError) if stop_after else nullcontext():
        scorer.embed(item_batches(FEED, batch_size=2, rows=np.arange(6)), num_items=6)
    assert any("seed_generator" in key for key in before)
    assert all(np.array_equal(x.numpy(), before[key]) for key, x in built.variables().items())


def test_a_model_that_diverged_has_no_quality():
    label = np.float32([0, 1])
    logit, score, loss = np.float32([[np.nan, 0.0], [np.nan, 0.5], [np.nan, 0.1]])
    split = SplitScores(PairScores(label, logit, score, loss), {"mrr": 0.5})
    measured = measure(split, threshold=0.5)
    assert set(measured) == {"loss", *RANKINGS, *DECISIONS, "raw_brier", "mrr"}
    assert all(np.isnan(value) for value in measured.values())


IN_BATCH = {
    "multiple_negatives": (
        MultipleNegativesConfig(temperature=0.5, symmetric=True),
        lambda batch: reference.multiple_negatives(
            batch, kind="cosine", temperature=0.5, symmetric=True
        ),
    ),
    "semi_hard": (
        TripletConfig(margin=1.0),
        lambda batch: reference.triplet(batch, kind="cosine", margin=1.0, mining="semi_hard"),
    ),
    "batch_hard": (
        TripletConfig(margin=1.0, mining="batch_hard"),
        lambda batch: reference.triplet(batch, kind="cosine", margin=1.0, mining="batch_hard"),
    ),
    "circle": (
        CircleConfig(gamma=2.0),
        lambda batch: reference.circle(batch, margin=0.25, gamma=2.0),
    ),
    "online_contrastive": (
        OnlineContrastiveConfig(),
        lambda batch: reference.online_contrastive(batch, kind="cosine", margin=1.0),
    ),
}


@pytest.mark.parametrize("name", IN_BATCH)
def test_a_loss_that_looks_at_the_batch_sees_consecutive_blocks_of_pairs(name, monkeypatch):
    loss, expected = IN_BATCH[name]
    section = ModelConfig(encoder=LstmConfig(units=4, embedding_size=3), head=CosineConfig())
    built = build_siamese(section, training=TrainingConfig(loss=loss), item=FEED.input, seed=1)
    scorer = PairScorer(built, check_stop=lambda: None)
    embedding = built.encoder(TOKENS.padded(np.arange(6))).numpy()
    # With 400 bytes the losses that hold a table judge one pair or two of a block at a time.
    for block_size, call_bytes in [(1, 32e6), (2, 32e6), (3, 32e6), (100, 32e6), (100, 400)]:
        monkeypatch.setattr(pair_scorer, "CALL_BYTES", int(call_bytes))
        scores = SplitScorer(scorer, FEED, ITEMS, block_size).score(PAIRS).pairs
        losses = []
        for start in range(0, len(PAIRS), block_size):
            losses += expected(block_of(embedding, slice(start, start + block_size)))
        np.testing.assert_allclose(scores.loss, losses, rtol=1e-4, atol=1e-5)
        assert len(scores.loss) == len(PAIRS)


def block_of(embedding, part):
    left, right = PAIRS.left[part], PAIRS.right[part]
    return pair_batch(
        embedding[left],
        embedding[right],
        label=PAIRS.label[part],
        items=(left, right),
        classes=(CLASSES[left], CLASSES[right]),
    )


def test_the_table_of_a_loss_fits_into_the_budget():
    section = ModelConfig(encoder=LstmConfig(units=4, embedding_size=3), head=CosineConfig())
    training = TrainingConfig(loss=TripletConfig())
    built = build_siamese(section, training=training, item=FEED.input, seed=1)
    scorer = PairScorer(built, check_stop=lambda: None)
    judge, calls = scorer._judge, []

    def noted(first, end, *batch):
        calls.append((end - first, len(batch[0])))
        return judge(first, end, *batch)

    scorer._judge = noted
    num_pairs = 700
    scorer.score(
        np.random.default_rng(0).normal(0, 1, (6, 4)).astype(np.float32),
        left=np.zeros(num_pairs, np.int64),
        right=np.ones(num_pairs, np.int64),
        label=np.ones(num_pairs, np.uint8),
        item=np.arange(6),
        item_class=CLASSES,
        loss_block_size=600,
    )
    # The whole table of 600 pairs is 58 MB. Both calls compare with all pairs of the block.
    assert calls == [(349, 600), (251, 600), (100, 100)]


@pytest.mark.parametrize("kind", ["cosine", "euclidean"])
@pytest.mark.parametrize("call_bytes", [1, 1000, 32 << 20])
def test_similarities_rank_as_the_head_does_whatever_fits_into_a_call(
    siamese, monkeypatch, kind, call_bytes
):
    monkeypatch.setattr(pair_scorer, "CALL_BYTES", call_bytes)
    rng = np.random.default_rng(0)
    embedding = rng.normal(0, 1, (9, 4)).astype(np.float32)
    head = build_head(HEADS[kind](), embedding_size=4, seed=1)
    scorer = PairScorer(siamese, check_stop=lambda: None, distance=DISTANCES[kind])
    query, candidate = np.array([3, 0]), np.arange(9)
    found = scorer.similarities(embedding, query, candidate)
    for row, number in zip(found, query, strict=True):
        logit = head([embedding[np.full(9, number)], embedding]).numpy()[:, 0]
        assert np.argsort(row).tolist() == np.argsort(logit).tolist()


@pytest.mark.parametrize("classes", [CLASSES, None])
def test_a_split_is_searched_by_class_or_by_known_match(classes):
    section = ModelConfig(encoder=LstmConfig(units=4, embedding_size=3), head=CosineConfig())
    built = build_siamese(section, training=TrainingConfig(), item=FEED.input, seed=1)
    scorer = PairScorer(built, check_stop=lambda: None, distance=DISTANCES["cosine"])
    items = ItemTable("text", TOKENS, classes)
    found = SplitScorer(scorer, FEED, items, 8, max_queries=100).score(PAIRS).search
    embedding = built.encoder(TOKENS.padded(np.arange(6))).numpy()
    unit = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
    if classes is None:
        search = search_by_match(PAIRS.left, PAIRS.right, label=PAIRS.label, max_queries=100)
    else:
        search = search_by_class(np.where(np.arange(6) == 3, -1, classes), max_queries=100)
    assert found == search_metrics(search, similarity=lambda q, c: unit[q] @ unit[c].T)
    assert 0 < found["mrr"] <= 1
    assert SplitScorer(scorer, FEED, items, 8).score(PAIRS).search == {}
