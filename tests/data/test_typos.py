"""The committed example data: small, honest, and what `prepare.py` makes."""

import gzip
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from job.config.data import TextDataConfig
from job.data.dataset import Dataset
from job.data.load import load_dataset
from job.inspection.issues import find_issues
from job.inspection.measure import Inspection, inspect_dataset
from job.types import SPLITS

FOLDER = Path(__file__).parents[2] / "examples/data/typos"
NAMES = {split: f"{split}.csv.gz" for split in SPLITS}
SECTION = TextDataConfig.model_validate(NAMES)


@pytest.fixture(scope="module")
def typos() -> Dataset:
    return load_dataset(SECTION, folder=FOLDER, seed=0)


@pytest.fixture(scope="module")
def inspection(typos: Dataset) -> Inspection:
    return inspect_dataset(typos, section=SECTION)


def test_the_files_fit_a_config_map():
    assert sum((FOLDER / name).stat().st_size for name in NAMES.values()) <= 300 * 1024


def test_every_row_is_good_and_the_counts_are_those_of_the_readme(typos):
    assert typos.quarantine.num_bad == 0
    readme = (FOLDER / "README.md").read_text()
    for split, pairs in typos.pairs.items():
        assert pairs.num_positive == pairs.num_negative
        items = len(pairs.items())
        assert f"| {split} | {len(pairs):,} | {pairs.num_positive:,} | {items:,} |" in readme


def test_the_licence_is_named_beside_the_data():
    licence = (FOLDER / "LICENSE").read_text()
    assert "Creative Commons Attribution-ShareAlike 3.0" in licence
    assert "codespell" in licence
    assert "Wikipedia" in licence


def test_no_word_family_and_no_item_straddles_two_splits(typos, inspection):
    families = {}
    for split, pairs in typos.pairs.items():
        words = typos.items.texts(pairs.right[pairs.label == 1])
        families[split] = {word[:4].lower() for word in words}
    for one in SPLITS:
        for other in SPLITS:
            if one != other:
                assert not families[one] & families[other]
                assert inspection.shared_items[one][other] == 0


def test_every_misspelling_is_one_match_and_one_hard_non_match(typos):
    for pairs in typos.pairs.values():
        assert pairs.label.tolist() == [1, 0] * (len(pairs) // 2)
        assert np.array_equal(pairs.left[::2], pairs.left[1::2])
        assert not (pairs.right[::2] == pairs.right[1::2]).any()
        # The non-match is a correction of the same split.
        assert set(pairs.right[1::2].tolist()) <= set(pairs.right[::2].tolist())
        # At most four misspellings of a word.
        assert np.bincount(pairs.right[::2]).max() <= 4


def test_one_side_does_not_give_the_label_away(inspection):
    assert inspection.one_sided.left == pytest.approx(0.5, abs=0.02)
    assert inspection.one_sided.right < 0.6


def test_nothing_is_found_to_be_wrong(inspection):
    assert find_issues(inspection, section=SECTION) == []


@pytest.mark.slow
def test_prepare_makes_the_committed_files(tmp_path):
    subprocess.run([sys.executable, str(FOLDER / "prepare.py"), str(tmp_path)], check=True)
    for name in NAMES.values():
        made, committed = (tmp_path / name).read_bytes(), (FOLDER / name).read_bytes()
        assert gzip.decompress(made) == gzip.decompress(committed)
        # Another implementation of zlib packs the same rows into other bytes.
        if "ng" not in zlib.ZLIB_RUNTIME_VERSION:
            assert made == committed
