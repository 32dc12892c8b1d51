"""What is packed is what is opened, and only where reading the files would give the same."""

from pathlib import Path

import numpy as np
import pytest

from job.data.dataset import Dataset, ItemTable, SplitCounts, fingerprint_of
from job.data.packed import open_packed
from job.data.quarantine import NOTHING_QUARANTINED
from job.errors import ConfigError, DataError
from job.preprocessing.ragged import RaggedArray
from tests.data.packed.some_packs import (
    assert_same,
    dataset_of,
    named_dataset_of,
    opened,
    pack,
    record_of,
    section_of,
)

FORMS = ("text", "sequence", "encoded", "decoded")


@pytest.mark.parametrize("with_classes", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_what_is_packed_is_opened_again(tmp_path, form, with_classes):
    dataset = dataset_of(form, with_classes=with_classes)
    data = record_of(section_of(form, with_classes=with_classes))
    pack(dataset, tmp_path / "out", data=data)
    again = opened(tmp_path / "out", data=data)
    assert_same(again, dataset)
    found = fingerprint_of(again.items, again.pairs, again.training_items)
    assert found == dataset.fingerprint


@pytest.mark.parametrize("with_classes", [False, True])
def test_names_and_groups_are_packed_as_arrays(tmp_path, with_classes):
    dataset = named_dataset_of(with_classes=with_classes)
    data = record_of(section_of(with_classes=with_classes))
    pack(dataset, tmp_path / "out", data=data)
    again = opened(tmp_path / "out", data=data)
    assert_same(again, dataset)
    groups = again.pairs["test"].groups
    names = again.items.class_names if with_classes else groups.names
    assert isinstance(names.values, np.memmap)
    assert isinstance(names.offsets, np.memmap)


def test_an_opened_set_can_be_packed_again(packed, tmp_path):
    pack(opened(packed), tmp_path / "copy")
    for path in packed.iterdir():
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()


def test_arrays_are_mapped_and_cannot_be_written(packed):
    dataset = opened(packed)
    pairs = dataset.pairs["train"]
    for array in (dataset.items.values.values, dataset.items.values.offsets, pairs.left):
        assert isinstance(array, np.memmap)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_the_files_are_npy_files_that_others_can_read(packed):
    dataset = dataset_of()
    np.testing.assert_array_equal(np.load(packed / "values.npy"), dataset.items.values.values)
    np.testing.assert_array_equal(np.load(packed / "test_label.npy"), [1, 0])


def test_arrays_larger_than_a_chunk_and_in_any_order_of_memory_survive(tmp_path):
    values = np.asfortranarray(np.arange(3_000_000, dtype=np.float32).reshape(-1, 2))
    dataset = dataset_of("sequence")
    offsets = np.linspace(0, len(values), len(dataset.items) + 1).astype(np.int64)
    items = ItemTable("sequence", RaggedArray(values, offsets))
    large = Dataset(
        items,
        dataset.pairs,
        None,
        dataset.statistics,
        dataset.counts,
        NOTHING_QUARANTINED,
        fingerprint_of(items, dataset.pairs),
    )
    data = record_of(section_of("sequence"))
    pack(large, tmp_path / "out", data=data)
    assert_same(opened(tmp_path / "out", data=data), large)


def test_an_empty_array_is_opened_too(tmp_path):
    dataset = dataset_of()
    items = ItemTable("text", RaggedArray(np.zeros(0, np.uint8), np.zeros(7, np.int64)))
    empty = Dataset(
        items,
        dataset.pairs,
        None,
        None,
        dataset.counts,
        NOTHING_QUARANTINED,
        fingerprint_of(items, dataset.pairs),
    )
    pack(empty, tmp_path / "out")
    assert_same(opened(tmp_path / "out"), empty)


def test_opening_reads_no_large_array(tmp_path, monkeypatch):
    """Its time does not depend on the number of pairs."""
    monkeypatch.setattr("job.data.packed.open_packed.CHECKED_BYTES", 200)
    read: list[str] = []
    real = Path.read_bytes
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: (read.append(path.name), real(path))[1]
    )
    pack(dataset_of("decoded"), tmp_path / "out", data=record_of(section_of("decoded")))
    large = {
        path.name for path in (tmp_path / "out").glob("*.npy") if path.stat().st_size > 200
    }
    opened(tmp_path / "out", data=record_of(section_of("decoded")))
    assert "values.npy" in large
    assert "test_label.npy" in read
    assert not large & set(read)


@pytest.mark.parametrize(
    ("form", "classes", "change"),
    [
        ("text", False, {"root": "/elsewhere"}),
        ("text", False, {"packed": "x"}),
        ("text", False, {"mirror": "x"}),
        ("sequence", False, {"augmentation": {"jitter": 0.5}}),
        ("decoded", False, {"augmentation": {"flip": True}}),
        ("encoded", False, {"size": 128}),
        ("encoded", False, {"resize": "stretch"}),
        ("text", True, {"sampling": {"kind": "pairs", "positives_per_epoch": 3}}),
        ("text", True, {"sampling": {"kind": "classes", "items_per_class": 4}}),
        ("text", True, {"sampling": {"kind": "classes", "evaluation_pairs": 10_000}}),
    ],
)
def test_a_setting_without_effect_on_what_is_packed_may_differ(tmp_path, form, classes, change):
    made = section_of(form, with_classes=classes)
    now = section_of(form, with_classes=classes, **change)
    assert record_of(made) != record_of(now)
    pack(dataset_of(form, with_classes=classes), tmp_path / "out", data=record_of(made))
    opened(tmp_path / "out", data=record_of(now))


@pytest.mark.parametrize(
    ("form", "classes", "change", "line"),
    [
        (
            "text",
            False,
            {"max_length": 9},
            "data.max_length: the pack has 256, the config says 9",
        ),
        ("text", False, {"train": "t.csv"}, 'data.train: the pack has "train.csv", the config'),
        ("text", False, {"tokens": {"kind": "words"}}, "data.tokens: the pack has "),
        ("text", False, {"max_bad_fraction": 0.5}, "data.max_bad_fraction: the pack has 0.01"),
        ("text", False, {"split": {"test_fraction": 0.2}}, "data.split: "),
        ("text", False, {"columns": {"left": "l"}}, "data.columns: "),
        ("text", False, {"rows": "items"}, "data.rows: "),
        ("sequence", False, {"num_features": 2}, "data.num_features: the pack has null"),
        ("decoded", False, {"size": 128}, "data.size: "),
        ("decoded", False, {"resize": "stretch"}, "data.resize: "),
        ("decoded", False, {"storage": "encoded"}, "data.storage: "),
        (
            "text",
            True,
            {"sampling": {"kind": "classes", "evaluation_pairs": 50}},
            "data.sampling.evaluation_pairs: the pack has 10000, the config says 50",
        ),
    ],
)
def test_a_setting_that_decides_what_is_packed_is_refused(
    tmp_path, form, classes, change, line
):
    made = section_of(form, with_classes=classes)
    now = section_of(form, with_classes=classes, **change)
    pack(dataset_of(form, with_classes=classes), tmp_path / "out", data=record_of(made))
    with pytest.raises(ConfigError) as caught:
        opened(tmp_path / "out", data=record_of(now))
    lines = str(caught.value).splitlines()
    assert lines[0] == f"data.packed: '{tmp_path / 'out'}' was packed with other settings:"
    assert any(one.strip().startswith(line) for one in lines[1:-1])
    assert "siamese-job data pack" in lines[-1]


GIVEN = {"validation": "v.csv", "test": "t.csv"}


@pytest.mark.parametrize(
    ("classes", "given", "matters"),
    [
        (False, {}, True),
        (False, {"validation": "v.csv"}, True),
        (False, GIVEN, False),
        (False, {"columns": {"split": "part"}}, False),
        (True, GIVEN, True),
    ],
)
def test_the_seed_must_agree_where_it_decided_something(tmp_path, classes, given, matters):
    data = record_of(section_of(with_classes=classes, **given))
    pack(dataset_of(with_classes=classes), tmp_path / "out", data=data, seed=3)
    opened(tmp_path / "out", data=data, seed=3)
    if not matters:
        opened(tmp_path / "out", data=data, seed=4)
        return
    with pytest.raises(ConfigError, match=r"run\.seed: the pack has 3, the config says 4"):
        opened(tmp_path / "out", data=data, seed=4)


def test_shares_of_a_split_that_is_cut_matter(tmp_path):
    made, now = (
        record_of(section_of(test="t.csv", split={"validation_fraction": share}))
        for share in (0.1, 0.2)
    )
    pack(dataset_of(), tmp_path / "out", data=made)
    with pytest.raises(ConfigError, match=r"data\.split: "):
        opened(tmp_path / "out", data=now)


@pytest.mark.parametrize(
    ("sampling", "pairs", "positive"),
    [
        (None, 8, 4),
        ({"kind": "pairs", "positives_per_epoch": 3}, 7, 3),
        ({"kind": "pairs", "positives_per_epoch": 3, "negatives_per_epoch": 1}, 4, 3),
        ({"kind": "classes"}, 2, 2),
        ({"kind": "classes", "pairs_per_epoch": 30}, 30, 30),
    ],
)
def test_the_pairs_of_an_epoch_are_those_of_the_sampling_now(
    tmp_path, sampling, pairs, positive
):
    data = record_of(section_of(with_classes=True))
    pack(dataset_of(with_classes=True), tmp_path / "out", data=data)
    now = record_of(section_of(with_classes=True, sampling=sampling))
    counts = opened(tmp_path / "out", data=now).counts["train"]
    assert counts == SplitCounts(pairs=pairs, positive=positive, items=4, classes=2)


def test_what_was_packed_decides_and_not_what_was_asked_for(tmp_path):
    # Pictures that were pixels already, in a set of a version that took any `storage` for them.
    made, now = section_of("encoded"), section_of("encoded", size=128)
    pack(dataset_of("decoded"), tmp_path / "out", data=record_of(made))
    with pytest.raises(ConfigError, match=r"data\.size: the pack has "):
        opened(tmp_path / "out", data=record_of(now))


def test_a_set_replaced_while_it_is_opened_is_refused(tmp_path, monkeypatch):
    out = tmp_path / "out"
    pack(dataset_of(), out)
    real = open_packed._open_array

    def replaced_before(path, record):
        monkeypatch.setattr(open_packed, "_open_array", real)
        array = real(path, record)
        pack(dataset_of("sequence", seed=1), out, force=True)
        # The first array is the old one; the rest of the record still fits the new files.
        monkeypatch.setattr(open_packed, "_require_intact", lambda *args, **options: None)
        return array

    monkeypatch.setattr(open_packed, "_open_array", replaced_before)
    with pytest.raises(DataError, match="was replaced while it was opened"):
        opened(out)
