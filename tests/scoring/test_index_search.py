"""The index against every pair, on collections small enough that it misses nothing."""

import builtins

import numpy as np
import pytest

from job.errors import ConfigError
from job.scoring.index_search import NeighbourIndex, require_index
from tests.scoring.comparisons import embeddings


def nearest(left, right, *, distance):
    if distance == "cosine":
        left, right = (
            rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (left, right)
        )
        return -left @ right.T
    return np.sum((left[:, None] - right[None]) ** 2, axis=-1)


@pytest.mark.parametrize("scale", [1.0, 1e6])
@pytest.mark.parametrize("is_within", [True, False])
@pytest.mark.parametrize("num_left", [1, 200])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_finds_the_nearest_items_of_a_small_collection(distance, num_left, is_within, scale):
    right = np.float32(scale) * embeddings(200, size=16)
    left = (
        right[:num_left]
        if is_within
        else np.float32(scale) * embeddings(num_left, size=16, seed=1)
    )
    table = nearest(left, right, distance=distance)
    own = np.arange(num_left) if is_within else None
    if own is not None:
        table[own, own] = np.inf
    index = NeighbourIndex.build(right, distance=distance, threads=1)
    found = [
        (query, candidate)
        for block in index.search(left, top=5, own=own)
        for query, candidate in zip(block.hits.query, block.hits.candidate, strict=True)
    ]
    expected = {(q, c) for q in range(num_left) for c in np.argsort(table[q])[:5]}
    assert len(found) == len(set(found)) == 5 * num_left
    assert len(expected - set(found)) <= 0.02 * len(expected)  # float16 turns some ties


def test_asks_for_no_more_than_there_is():
    right = embeddings(3)
    blocks = NeighbourIndex.build(right, distance="cosine").search(
        right, top=10, own=np.arange(3)
    )
    assert [len(block.hits) for block in blocks] == [6]


def test_no_items():
    none = np.empty((0, 4), np.float32)
    index = NeighbourIndex.build(none, distance="cosine")
    assert list(index.search(embeddings(3, size=4), top=2, own=None)) == []


def test_a_missing_extra_is_named(monkeypatch):
    load = builtins.__import__

    def without_usearch(name, *args, **kwargs):
        if name.startswith("usearch"):
            raise ModuleNotFoundError("No module named 'usearch'", name="usearch")
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_usearch)
    with pytest.raises(ConfigError, match=r"siamese-job\[index\].*--exact"):
        require_index()
