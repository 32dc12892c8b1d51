import itertools
from contextlib import nullcontext

import numpy as np
import pytest

from job.config.losses import MultipleNegativesConfig, TripletConfig
from job.config.model import CosineConfig, LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.data.dataset import ItemTable, PairTable
from job.data.pipeline.batches import item_batches
from job.errors import PreemptedError
from job.evaluation import evaluate
from job.evaluation.evaluate import measure, score_split
from job.evaluation.metrics import METRICS
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
    scores = score_split(
        PairScorer(siamese, check_stop=lambda: None),
        feed=FEED,
        pairs=PAIRS,
        batch_size=batch_size,
        items=ITEMS,
    )
    everything = TOKENS.padded(np.arange(6))
    expected = siamese.scorer([everything[PAIRS.left], everything[PAIRS.right]]).numpy()[:, 0]
    np.testing.assert_allclose(scores.score, expected, rtol=1e-5)
    np.testing.assert_array_equal(scores.label, PAIRS.label)
    likelihood = np.where(PAIRS.label == 1, expected, 1 - expected)
    np.testing.assert_allclose(scores.loss, -np.log(likelihood), rtol=1e-4)


def test_only_the_items_of_the_pairs_are_encoded_and_each_once(siamese):
    seen = []
    scorer = PairScorer(siamese, check_stop=lambda: None)
    encode = scorer._encode
    scorer._encode = lambda ids: seen.append(ids.shape[0]) or encode(ids)
    score_split(scorer, feed=FEED, pairs=PAIRS, batch_size=2, items=ITEMS)
    assert sum(seen) == 5  # item 3 is in no pair


def test_what_is_encoded_at_a_time_fits_into_the_budget(siamese, monkeypatch):
    monkeypatch.setattr(evaluate, "_BATCH_BYTES", 400)
    seen = []
    scorer = PairScorer(siamese, check_stop=lambda: None)
    encode = scorer._encode
    scorer._encode = lambda ids: seen.append(ids.shape) or encode(ids)
    score_split(scorer, feed=FEED, pairs=PAIRS, batch_size=100, items=ITEMS)
    # 1 token id and 4 numbers of state a step, 4 bytes each: 20 steps fit. Items 1, 0 and 5
    # are 3 x 4 steps and with item 2 would be 4 x 7; items 2 and 4 are 2 x 9.
    assert [rows for rows, _ in seen] == [3, 2]


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
    scores = PairScores(label, np.float32([np.nan, 0.5]), np.float32([np.nan, 0.1]))
    measured = measure(scores, threshold=0.5)
    assert set(measured) == {"loss", *METRICS}
    assert all(np.isnan(value) for value in measured.values())


IN_BATCH = {
    "multiple_negatives": (
        MultipleNegativesConfig(temperature=0.5),
        lambda batch: reference.multiple_negatives(
            batch, kind="cosine", temperature=0.5, symmetric=False
        ),
    ),
    "triplet": (
        TripletConfig(margin=1.0),
        lambda batch: reference.triplet(batch, kind="cosine", margin=1.0, mining="semi_hard"),
    ),
}


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
@pytest.mark.parametrize("name", IN_BATCH)
def test_a_loss_that_looks_at_the_batch_sees_consecutive_blocks_of_pairs(name, batch_size):
    loss, expected = IN_BATCH[name]
    section = ModelConfig(encoder=LstmConfig(units=4, embedding_size=3), head=CosineConfig())
    built = build_siamese(section, training=TrainingConfig(loss=loss), item=FEED.input, seed=1)
    scores = score_split(
        PairScorer(built, check_stop=lambda: None),
        feed=FEED,
        pairs=PAIRS,
        batch_size=batch_size,
        items=ITEMS,
    )
    embedding = built.encoder(TOKENS.padded(np.arange(6))).numpy()
    losses = []
    for start in range(0, len(PAIRS), batch_size):
        part = slice(start, start + batch_size)
        left, right = PAIRS.left[part], PAIRS.right[part]
        batch = pair_batch(
            embedding[left],
            embedding[right],
            label=PAIRS.label[part],
            items=(left, right),
            classes=(CLASSES[left], CLASSES[right]),
        )
        losses += expected(batch)
    np.testing.assert_allclose(scores.loss, losses, rtol=1e-4, atol=1e-5)
    assert len(scores.loss) == len(PAIRS)
