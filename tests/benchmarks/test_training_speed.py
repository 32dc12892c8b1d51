import json

import numpy as np
import pytest

from benchmarks import cases, training_speed
from benchmarks.cases import CASES, GPU_CASES
from job.config.loader.load_config import load_config
from job.data.load import load_dataset


@pytest.mark.parametrize(
    ("bf16", "chosen"),
    [
        (False, ["b", "a"]),  # c and d would be the third and fourth
        (True, ["e, bf16"]),
    ],
)
def test_variants_that_are_about_the_best_of_their_precision_are_measured_again(bf16, chosen):
    brief = {"a": 95.0, "b": 100.0, "c": 89.0, "d": 94.0, "e, bf16": 50.0, "f, bf16": 37.0}
    assert training_speed.shortlist(brief, bf16=bf16) == chosen


def test_a_case_in_bfloat16_shares_the_peers_of_the_case_in_float32():
    groups = training_speed.by_model(list(CASES.values()))
    assert [[case.name for case in group] for group in groups] == [
        ["book_lstm_b64"],
        ["book_lstm_b256"],
        ["xception_96", "xception_96_bf16"],
    ]


def test_a_peer_may_answer_bfloat16_with_float32_but_not_the_other_way_round():
    found = {
        "xception_96": [10.0],
        "xception_96_bf16": [20.0],
        "keras_fit: plain": [9.0],
        "keras_fit: plain, bf16": [8.0],
        "pytorch_best: plain": [5.0],
        "pytorch_best: plain, bf16": [15.0],
    }
    brief = {"keras_fit": {}, "pytorch_best": {}}
    plain, bf16 = (
        training_speed._result(CASES[name], found, brief=brief)
        for name in ("xception_96", "xception_96_bf16")
    )
    assert (plain.ours, plain.peers) == (10.0, {"keras_fit": 9.0, "pytorch_best": 5.0})
    assert (bf16.ours, bf16.peers) == (20.0, {"keras_fit": 9.0, "pytorch_best": 15.0})


@pytest.mark.parametrize("case", [*CASES.values(), *GPU_CASES.values()], ids=lambda it: it.name)
def test_the_program_reads_what_is_written_for_each_case(case, tmp_path, monkeypatch):
    monkeypatch.setattr(cases, "_PAIRS_PER_EPOCH", 100)
    config = load_config(cases.write_files(case, tmp_path), env={}, sets=[]).config
    dataset = load_dataset(config.data, folder=tmp_path, seed=0)
    assert config.training.global_batch_size == case.batch
    assert len(dataset.items.values) == case.items
    assert {split for split, pairs in dataset.pairs.items() if len(pairs)} >= {
        "validation",
        "test",
    }


def test_a_peer_gets_pairs_of_the_same_shape():
    left, right, label = cases.pair_arrays(CASES["xception_96"])
    assert left.shape == right.shape == (32, 96, 96, 3)
    assert left.dtype == right.dtype == label.dtype == np.float32
    assert set(label.tolist()) <= {0.0, 1.0}


def test_a_measurement_never_reaches_the_end_of_the_epoch(tmp_path):
    content = json.loads(cases.write_files(CASES["book_lstm_b64"], tmp_path).read_text())
    sampling = content["data"]["sampling"]
    pairs = sampling["positives_per_epoch"] + sampling["negatives_per_epoch"]
    assert pairs >= 30 * 20_000  # half a minute at more than was ever measured
