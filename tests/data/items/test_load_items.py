from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter

from job.config.data import Data
from job.data.dataset import Dataset, SplitCounts
from job.data.load import load_dataset
from job.errors import DataError
from job.preprocessing.vocabulary import CharacterVocabulary
from job.types import SPLITS
from tests.data.archives import npz_of
from tests.preprocessing.some_images import one_colour

ROOT = Path(__file__).parents[3]


def pairs_to_measure(number: int) -> dict[str, object]:
    return {"kind": "pairs", "evaluation_pairs": number}


def load(folder: Path, seed: int = 0, **data: object) -> Dataset:
    data = {"kind": "text", "rows": "items", "sampling": pairs_to_measure(8), **data}
    section = TypeAdapter(Data).validate_python(data)
    return load_dataset(section, folder=folder, seed=seed)


def write(folder: Path, name: str, rows: list[tuple[str, ...]], *more: str) -> str:
    lines = [",".join(("item", "class", *more)), *(",".join(row) for row in rows)]
    (folder / name).write_text("\n".join(lines))
    return name


def words(classes: str, *, each: int = 4) -> list[tuple[str, str]]:
    return [(f"{name}{number}", name) for name in classes for number in range(each)]


@pytest.fixture
def three_files(tmp_path):
    write(tmp_path, "train.csv", words("abc"))
    write(tmp_path, "validation.csv", words("de"))
    write(tmp_path, "test.csv", words("fg"))
    return tmp_path


FILES = {split: f"{split}.csv" for split in SPLITS}


def test_labelled_items_have_classes_and_pairs_to_measure_on(three_files, caplog):
    dataset = load(three_files, **FILES)
    assert dataset.items.item_class.tolist() == np.repeat(np.arange(7), 4).tolist()
    assert [dataset.items.class_name(number) for number in range(7)] == list("abcdefg")
    assert dataset.training_items.tolist() == list(range(12))
    assert list(dataset.pairs) == ["validation", "test"]
    for split, low, high in (("validation", 12, 20), ("test", 20, 28)):
        pairs = dataset.pairs[split]
        assert (len(pairs), pairs.num_positive) == (8, 4)
        assert pairs.items().min() >= low
        assert pairs.items().max() < high
        classes = dataset.items.item_class
        same = classes[pairs.left] == classes[pairs.right]
        assert same.tolist() == pairs.label.astype(bool).tolist()
        assert (pairs.left != pairs.right).all()
    # The vocabulary is that of the training items.
    assert dataset.statistics == CharacterVocabulary("0123abc")
    assert not caplog.records


def test_the_seed_decides_which_pairs_are_measured(three_files):
    one, again, other = (load(three_files, seed=seed, **FILES) for seed in (0, 0, 1))
    assert one.fingerprint == again.fingerprint != other.fingerprint


@pytest.mark.parametrize(
    ("sampling", "pairs", "positive"),
    [
        ({}, 24, 12),
        ({"positives_per_epoch": 5}, 17, 5),
        ({"negatives_per_epoch": 5}, 17, 12),
        ({"positives_per_epoch": 7, "negatives_per_epoch": 5}, 12, 7),
        ({"kind": "classes"}, 6, 6),
        ({"kind": "classes", "pairs_per_epoch": 50}, 50, 50),
    ],
)
def test_training_counts_the_pairs_of_an_epoch(three_files, sampling, pairs, positive):
    sampling = {"kind": "pairs", "evaluation_pairs": 6, **sampling}
    dataset = load(three_files, **FILES, sampling=sampling)
    assert dataset.counts["train"] == SplitCounts(pairs, positive, items=12, classes=3)
    assert dataset.counts["test"].pairs == 6
    assert dataset.counts["test"].positive == 3


def members(dataset: Dataset) -> list[set[int]]:
    """Distinct items of each split; every one is of some evaluation pair, there are so many."""
    pairs = [dataset.pairs[split].items().tolist() for split in ("validation", "test")]
    return [set(dataset.training_items.tolist()), *map(set, pairs)]


MANY = {"sampling": pairs_to_measure(500)}


def test_a_cut_by_identity_keeps_classes_whole(tmp_path, caplog):
    write(tmp_path, "train.csv", words("abcdefghij"))
    dataset = load(
        tmp_path,
        train="train.csv",
        split={"validation_fraction": 0.2, "test_fraction": 0.2},
        **MANY,
    )
    found = members(dataset)
    assert list(map(len, found)) == [24, 8, 8]
    assert len(set.union(*found)) == 40
    classes = [set(dataset.items.item_class[list(items)].tolist()) for items in found]
    assert len(set.union(*classes)) == sum(map(len, classes)) == 10
    assert not caplog.records


def test_a_cut_by_row_is_stratified_and_says_that_classes_are_shared(tmp_path, caplog):
    write(tmp_path, "train.csv", words("abc", each=20))
    dataset = load(tmp_path, train="train.csv", split={"by": "row"}, **MANY)
    found = members(dataset)
    assert [np.bincount(dataset.items.item_class[list(items)]).tolist() for items in found] == [
        [16] * 3,
        [2] * 3,
        [2] * 3,
    ]
    assert [(r.message, r.validation, r.test) for r in caplog.records] == [
        ("splits share classes", "3 of 3", "3 of 3")
    ]


def test_a_cut_by_group_keeps_groups_whole(tmp_path):
    rows = [
        (f"{name}{who}{i}", name, who) for name in "ab" for who in "pqrstuvwxy" for i in "12"
    ]
    write(tmp_path, "train.csv", rows, "who")
    dataset = load(
        tmp_path, train="train.csv", columns={"group": "who"}, split={"by": "group"}, **MANY
    )
    found = members(dataset)
    assert list(map(len, found)) == [32, 4, 4]
    people = [{text[1] for text in dataset.items.texts(np.array(list(i)))} for i in found]
    assert len(set.union(*people)) == sum(map(len, people)) == 10


def test_a_column_may_say_the_split_of_a_row(tmp_path):
    rows = [(text, name, "train" if name in "abc" else "test") for text, name in words("abcde")]
    rows += [(text, name, "validation") for text, name in words("fg")]
    write(tmp_path, "train.csv", rows, "part")
    dataset = load(tmp_path, train="train.csv", columns={"split": "part"}, **MANY)
    assert [sorted(items) for items in members(dataset)] == [
        list(range(12)),
        list(range(20, 28)),
        list(range(12, 20)),
    ]


def test_an_item_of_two_files_is_one_and_warned_of(three_files, caplog):
    write(three_files, "test.csv", [*words("fg"), ("a0", "a")])
    dataset = load(three_files, **FILES, **MANY)
    assert len(dataset.items) == 28
    assert 0 in members(dataset)[2]
    assert [(r.message, getattr(r, "of", None)) for r in caplog.records] == [
        ("splits share items", 9),
        ("splits share classes", None),
    ]


@pytest.mark.parametrize(
    ("files", "words_"),
    [
        ({"train": "one.csv"}, "data.train: 'one.csv': the train split has 4 items of 1 class"),
        ({"test": "one.csv"}, "data.test: 'one.csv': the test split has 4 items of 1 class"),
        (
            {"validation": "single.csv"},
            "data.validation: 'single.csv': the validation split has 3 items of 3 classes",
        ),
    ],
)
def test_a_split_of_which_no_pairs_can_be_drawn_is_refused(three_files, files, words_):
    write(three_files, "one.csv", words("z"))
    write(three_files, "single.csv", words("xyz", each=1))
    with pytest.raises(DataError) as caught:
        load(three_files, **(FILES | files))
    assert str(caught.value).startswith(words_)


def test_a_cut_that_leaves_a_split_one_class_says_what_to_do(tmp_path):
    write(tmp_path, "train.csv", words("abcdefghij"))
    with pytest.raises(DataError) as caught:
        load(tmp_path, train="train.csv")
    assert str(caught.value).startswith(
        "data.split.by: identity: the validation split has 4 items of 1 class, the largest of "
        "4; it needs two classes for non-matches, and two items of one class for matches. "
    )


def sources_of_images(folder: Path) -> list[str]:
    """The same images as a folder, a table and arrays."""
    rows, pixels = [], []
    for number, name in enumerate(np.repeat(list("abcdefghij"), 4).tolist()):
        path = folder / f"images/{name}/{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(one_colour(colour=(number, 0, 0)))
        rows.append((str(path.relative_to(folder)), name))
        pixels.append(np.full((8, 8, 3), [number, 0, 0], np.uint8))
    write(folder, "table.csv", rows)
    classes = np.array([name for _, name in rows])
    npz_of(folder / "arrays.npz", images=np.stack(pixels), **{"class": classes})
    return ["images", "table.csv", "arrays.npz"]


def test_a_folder_a_table_and_arrays_give_the_same_images(tmp_path):
    split = {"validation_fraction": 0.2, "test_fraction": 0.2}
    found = [
        load(tmp_path, kind="image", train=name, size=8, split=split)
        for name in sources_of_images(tmp_path)
    ]
    assert len({dataset.fingerprint for dataset in found}) == 1
    assert found[0].items.form == "decoded"
    assert found[0].items.values.row(39)[0, 0].tolist() == [39, 0, 0]


def test_files_next_to_arrays_become_pixels_too(tmp_path):
    folder, _, arrays = sources_of_images(tmp_path)
    dataset = load(
        tmp_path,
        kind="image",
        train=arrays,
        validation=folder,
        test=folder,
        size=8,
    )
    assert dataset.items.form == "decoded"
    assert len(dataset.items) == 80
    alone = load(
        tmp_path,
        kind="image",
        train=folder,
        test=folder,
        validation=folder,
        size=8,
        storage="encoded",
    )
    assert alone.items.form == "encoded"
    assert len(alone.items) == 40


def test_sequences_of_arrays_have_moments_of_training_alone(tmp_path):
    values = np.arange(24, dtype=np.float64).reshape(12, 2)
    npz_of(
        tmp_path / "a.npz",
        values=values,
        lengths=np.ones(12, int),
        **{"class": np.array([0, 0, 1] * 4)},
        split=np.array(["train", "validation", "test"]).repeat(4),
    )
    dataset = load(tmp_path, kind="sequence", train="a.npz", columns={"split": "split"})
    assert dataset.training_items.tolist() == [0, 1, 2, 3]
    assert dataset.statistics.mean == (3.0, 4.0)
    assert dataset.items.values.values.dtype == np.float32


def test_the_emoji_are_read():
    dataset = load(
        ROOT / "examples/data",
        kind="image",
        train="emoji/emoji.npz",
        size=32,
        sampling=pairs_to_measure(1000),
    )
    assert len(dataset.items) == 7403
    assert dataset.items.values.values.shape == (7403 * 32, 32, 3)
    assert {split: it.classes for split, it in dataset.counts.items()}["train"] == 1133
    assert dataset.quarantine.num_bad == 0
