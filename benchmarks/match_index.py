"""The index of `siamese-job match --index`: recall and time at a million items.

    .venv/bin/python -m benchmarks.match_index [--items N] [--json FILE]

The items are made: 64 numbers each, of identities with four items. Each item of an identity is
its centre with noise, so that its nearest items are its own and the farther ones are anyone's.
For each setting of the index: seconds to build and to search all items, by the clock and of all
cores together, and the share of the true ten nearest that are found, over a sample of items
which are compared with every item. A million items take ten minutes of two free cores.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from job.scoring import index_search
from job.scoring.index_search import NeighbourIndex
from job.scoring.search import Search, near_pairs
from job.scoring.vectors import compared_vectors
from job.telemetry.terminal import aligned_columns

ITEMS, SIZE, COPIES, NOISE = 1_000_000, 64, 4, 0.5
LATENT = 24
TOP, SAMPLE = 10, 1000
# (connectivity, expansion while adding, expansion while searching)
SETTINGS = ((16, 64, (64, 128, 256)),)


def made_embeddings(num_items: int) -> np.ndarray:
    """float32 (N, 64): identities on a curved surface of 24 dimensions, and noise."""
    random = np.random.default_rng(0)
    latent = random.standard_normal((num_items // COPIES, LATENT), dtype=np.float32)
    mixing = random.standard_normal((LATENT, SIZE), dtype=np.float32) / np.float32(LATENT**0.5)
    centre = np.repeat(np.tanh(latent @ mixing), COPIES, axis=0)
    noise = random.standard_normal(centre.shape, dtype=np.float32)
    embedding = centre + np.float32(NOISE) * noise * centre.std()
    return embedding[random.permutation(len(embedding))]


def true_neighbours(embedding: np.ndarray, sample: np.ndarray) -> list[set[int]]:
    """The ten nearest of each sampled item, by comparing it with every item."""
    left, right = compared_vectors(embedding, embedding, distance="cosine")
    search = Search(left.take(sample), right, top=TOP, own=sample)
    nearest: list[set[int]] = [set() for _ in sample]
    for block in near_pairs(search):
        hits = block.hits
        product = search.queries.values[hits.query] * right.values[hits.candidate]
        order = np.lexsort((-product.sum(axis=1), hits.query))
        for query, candidate in zip(hits.query[order], hits.candidate[order], strict=True):
            if len(nearest[query]) < TOP:
                nearest[query].add(int(candidate))
    return nearest


def measure(embedding: np.ndarray) -> list[dict[str, Any]]:
    """One row for each setting."""
    sample = np.sort(np.random.default_rng(1).choice(len(embedding), SAMPLE, replace=False))
    true = true_neighbours(embedding, sample)
    rows = []
    for connectivity, adding, searching in SETTINGS:
        index_search.CONNECTIVITY = connectivity
        index_search.EXPANSION_ADD = adding
        started, cpu = time.perf_counter(), time.process_time()
        index = NeighbourIndex.build(embedding, distance="cosine")
        built, built_cpu = time.perf_counter() - started, time.process_time() - cpu
        for expansion in searching:
            index._index.expansion_search = expansion
            hits = 0
            for block in index.search(embedding[sample], top=TOP, own=sample):
                for query in range(block.first, block.end):
                    found = block.hits.candidate[block.hits.query == query]
                    hits += len(true[query].intersection(found.tolist()))
            some = min(20_000, len(embedding))
            started, cpu = time.perf_counter(), time.process_time()
            for _ in index.search(embedding[:some], top=TOP, own=np.arange(some)):
                pass
            factor = len(embedding) / some
            seconds = factor * (time.perf_counter() - started)
            seconds_cpu = factor * (time.process_time() - cpu)
            row = {
                "connectivity": connectivity,
                "expansion_add": adding,
                "expansion_search": expansion,
                "build_seconds": round(built),
                "build_cpu_seconds": round(built_cpu),
                "search_seconds": round(seconds),
                "search_cpu_seconds": round(seconds_cpu),
                "recall_at_10": hits / (TOP * SAMPLE),
            }
            print(row, flush=True)
            rows.append(row)
    return rows


def main() -> None:
    """Prints a table, and writes it as JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    rows = measure(made_embeddings(arguments.items))
    header = tuple(rows[0])
    print(aligned_columns(header, [[f"{row[name]:g}" for name in header] for row in rows]))
    if arguments.json:
        facts = {"items": arguments.items, "cores": len(os.sched_getaffinity(0)), "rows": rows}
        arguments.json.write_text(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
