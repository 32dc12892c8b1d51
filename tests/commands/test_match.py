"""`siamese-job match` finds what `score` finds, and nothing is left half written."""

import csv
import gzip
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from job.cli import main
from job.errors import ExitCode
from job.export import loaded
from job.export.loaded import open_export
from job.scoring import match_items
from tests.fakes.gcs_server import FakeGcs
from tests.scoring.exports import image_export, sequence_export, text_export, words
from tests.tiny import files_below

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow

HEADS = ("cosine", "euclidean", "mlp")


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports")
    return {head: text_export(folder / head, head) for head in HEADS}


@pytest.fixture(autouse=True)
def loaded_once(monkeypatch):
    """Loading a model takes longer than all that these tests do with it."""

    def open_once(stored):
        if stored.place not in LOADED:
            LOADED[stored.place] = open_export(stored)
        return LOADED[stored.place]

    monkeypatch.setattr(loaded, "open_export", open_once)


LOADED = {}
EVERY_SCORE = {}


def write_items(path, items, *, start=0):
    """An id, an item and a note on each row; the note needs quotes."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("id", "item", "note"))
        writer.writerows((f"i{n}", item, f"\u00e9, {n}") for n, item in enumerate(items, start))


def rows_of(path):
    opened = gzip.open if path.name.endswith(".gz") else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        if ".jsonl" in path.name:
            return [json.loads(line) for line in file]
        return list(csv.DictReader(file, delimiter="\t" if ".tsv" in path.name else ","))


def match(export, *arguments):
    return main(["match", str(export), *map(str, arguments)])


def every_score(export, place, left, right):
    """The score of every pair, by position, from `score`."""
    key = (export, *left, "", *right)
    if key not in EVERY_SCORE:
        pairs = [
            (i, j)
            for i, j in itertools.product(range(len(left)), range(len(right)))
            if left is not right or i < j
        ]
        with (place / "pairs.csv").open("w") as file:
            file.write("left,right\n")
            file.writelines(f"{left[i]},{right[j]}\n" for i, j in pairs)
        assert main(["score", str(export), "pairs.csv", "-o", "scored.csv"]) == 0
        scores = [float(row["score"]) for row in rows_of(place / "scored.csv")]
        EVERY_SCORE[key] = dict(zip(pairs, scores, strict=True))
    return EVERY_SCORE[key]


def a_threshold(scores, *, share=0.1):
    """One that a share of the pairs reaches, between two scores."""
    best = sorted(scores.values())[-int(share * len(scores)) - 1 :]
    return 0.5 * (best[0] + best[1])


def by_scoring(scores, threshold):
    return {pair: score for pair, score in scores.items() if score >= threshold}


def numbers_of(rows):
    """The pairs of rows that ids tell."""
    return [(int(row["left_id"][1:]), int(row["right_id"][1:])) for row in rows]


@pytest.mark.parametrize("is_within", [True, False], ids=["within", "between"])
@pytest.mark.parametrize("head", HEADS)
def test_finds_what_scoring_every_pair_finds(exports, place, head, is_within, capsys):
    left = words(60)
    right = left if is_within else words(40, seed=1)
    write_items(place / "a.csv", left)
    write_items(place / "b.csv", right)
    where = ["--within", "a.csv"] if is_within else ["--between", "a.csv", "b.csv"]
    every = every_score(exports[head], place, left, right)
    threshold = a_threshold(every)
    expected = by_scoring(every, threshold)
    capsys.readouterr()
    arguments = [*where, "-o", "out.csv", "--json", "--threshold", threshold]
    assert match(exports[head], *arguments) == 0
    report = json.loads(capsys.readouterr().out)
    rows = rows_of(place / "out.csv")
    assert len(expected) == pytest.approx(0.1 * len(every), abs=1)
    assert dict(
        zip(numbers_of(rows), (float(row["score"]) for row in rows), strict=True)
    ) == pytest.approx(expected, abs=1e-6)
    assert (report["matches"], report["method"]) == (len(rows), "exact")
    order = [
        (left, -float(row["score"]))
        for (left, _), row in zip(numbers_of(rows), rows, strict=True)
    ]
    assert order == sorted(order)
    assert list(rows[0]) == [
        *("left_id", "left_item", "left_note", "right_id", "right_item", "right_note"),
        *("score", "probability"),
    ]
    assert all(row["left_note"] == f"\u00e9, {row['left_id'][1:]}" for row in rows)


def test_top_keeps_the_best_of_each_item(exports, place):
    items = words(50)
    write_items(place / "a.csv", items)
    write_items(place / "b.csv", items)
    expected = every_score(exports["cosine"], place, items, items)
    arguments = ["--threshold", 0, "--top", 3, "-o", "out.csv"]
    assert match(exports["cosine"], "--within", "a.csv", *arguments) == 0
    best = set()
    for item in range(50):
        of_item = {pair: score for pair, score in expected.items() if item in pair}
        best |= set(sorted(of_item, key=of_item.get, reverse=True)[:3])
    assert set(numbers_of(rows_of(place / "out.csv"))) == best
    assert match(exports["cosine"], "--between", "a.csv", "b.csv", *arguments) == 0
    found = numbers_of(rows_of(place / "out.csv"))
    assert [left for left, _ in found] == sorted(list(range(50)) * 3)
    assert {(n, n) for n in range(50)} <= set(found)


def test_rows_with_the_same_item_match_and_make_a_group(exports, place):
    items = ["abcd", "hgfe", "abcd", "bbbb", "abcd"]
    write_items(place / "a.csv", items)
    arguments = ["--threshold", 0.98, "-o", "out.csv.gz", "--groups"]
    assert match(exports["cosine"], "--within", "a.csv", *arguments) == 0
    assert numbers_of(rows_of(place / "out.csv.gz")) == [(0, 2), (0, 4), (2, 4)]
    groups = rows_of(place / "out.groups.csv.gz")
    assert [row["group"] for row in groups] == ["0", "1", "0", "2", "0"]
    assert [row["item"] for row in groups] == items
    assert [row["note"] for row in groups] == [f"\u00e9, {n}" for n in range(5)]


def test_groups_of_two_files_name_the_side(exports, place):
    write_items(place / "a.csv", ["abcd", "hgfe"])
    (place / "b.jsonl").write_text('{"item": "abcd", "n": 1}\n{"item": "fffff"}\n')
    arguments = ["--threshold", 0.98, "-o", "out.jsonl", "--groups"]
    assert match(exports["cosine"], "--between", "a.csv", "b.jsonl", *arguments) == 0
    [found] = rows_of(place / "out.jsonl")
    assert list(found) == [
        *("left_id", "left_item", "left_note", "right_item", "right_n"),
        *("score", "probability"),
    ]
    assert found["right_n"] == 1
    groups = [
        (row["side"], row["item"], row["group"]) for row in rows_of(place / "out.groups.jsonl")
    ]
    assert groups == [
        ("left", "abcd", 0),
        ("left", "hgfe", 1),
        ("right", "abcd", 0),
        ("right", "fffff", 2),
    ]


@pytest.mark.parametrize("method", ["candidates", "index"])
def test_other_searches_say_how_much_they_find(exports, place, method, monkeypatch, capsys):
    monkeypatch.setattr(match_items, "MOST_EXACT_PAIRS", 0)
    items = words(150)
    write_items(place / "a.csv", items)
    every = every_score(exports["mlp"], place, items, items)
    threshold = a_threshold(every, share=0.2)
    expected = by_scoring(every, threshold)
    more = ["--index"] if method == "index" else []
    arguments = ["--within", "a.csv", "-o", "out.csv", "--candidates", 10, "--json", *more]
    arguments += ["--threshold", threshold]
    capsys.readouterr()
    assert match(exports["mlp"], *arguments) == 0
    report = json.loads(capsys.readouterr().out)
    found = set(numbers_of(rows_of(place / "out.csv")))
    assert found < set(expected)
    assert report["method"] == method
    recall = report["recall"]
    # All 150 items are in the sample, so that the measured recall is the recall.
    assert recall["share"] == pytest.approx(len(found) / len(expected), abs=1e-12)
    assert recall["interval"][0] < recall["share"] < recall["interval"][1]
    arguments[arguments.index("--json")] = "--exact"
    if method == "candidates":
        arguments = [a for a in arguments if a not in ("--candidates", 10)]
        assert match(exports["mlp"], *arguments) == 0
        assert "none is missed" in capsys.readouterr().out
        assert set(numbers_of(rows_of(place / "out.csv"))) == set(expected)


def test_the_screen_tells_the_recall(exports, place, monkeypatch, capsys):
    monkeypatch.setattr(match_items, "MOST_EXACT_PAIRS", 0)
    write_items(place / "a.csv", words(50))
    arguments = ["--within", "a.csv", "--threshold", 0, "-o", "out.csv"]
    assert match(exports["mlp"], *arguments) == 0
    assert "recall 100.0% (95 % interval" in capsys.readouterr().out


@pytest.mark.parametrize("head", ["cosine", "mlp"])
def test_pairs_to_label_are_in_the_training_format(exports, place, head, capsys):
    items = words(60)
    write_items(place / "a.csv", [*items, items[0]])
    every = every_score(exports[head], place, items, items)
    threshold = a_threshold(every)
    capsys.readouterr()
    arguments = ["--within", "a.csv", "-o", "label.csv", "--uncertain", 20]
    arguments += ["--threshold", threshold]
    assert match(exports[head], *arguments, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    rows = rows_of(place / "label.csv")
    assert list(rows[0]) == ["left", "right", "label", "why", "score"]
    assert len(rows) == len({(row["left"], row["right"]) for row in rows}) == 20
    assert all(row["label"] == "" and row["left"] != row["right"] for row in rows)
    near = [row for row in rows if row["why"] == "near the threshold"]
    assert (report["pairs"], report["near_threshold"]) == (20, len(near))
    assert len(near) >= 10
    number = {item: place for place, item in enumerate(items)}
    gaps = sorted(abs(score - threshold) for score in every.values())
    for row in near[:3]:
        pair = number[row["left"]], number[row["right"]]
        assert every[pair] == pytest.approx(float(row["score"]), abs=1e-6)
        assert abs(every[pair] - threshold) <= gaps[10]


def test_a_collection_in_a_bucket(exports, place, monkeypatch):
    write_items(place / "a.csv", words(30))
    with FakeGcs(bucket="sets") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("SIAMESE_RUN__ALLOW_EMULATOR", "true")
        from job.commands.shared import open_argument

        store = open_argument("gs://sets/in", key="A")
        store.write("a.csv", (place / "a.csv").read_bytes(), if_generation=None)
        arguments = ["--within", "gs://sets/in/a.csv", "-o", "gs://sets/out/m.csv"]
        assert match(exports["cosine"], *arguments) == 0
        assert match(exports["cosine"], "--within", "a.csv", "-o", "m.csv") == 0
        written = open_argument("gs://sets/out", key="B").read("m.csv").data
        assert written == (place / "m.csv").read_bytes()


def test_sequences_of_an_npz(place, tmp_path):
    export = sequence_export(tmp_path)
    random = np.random.default_rng(0)
    lengths = np.array([3, 5, 2, 4])
    values = random.normal(size=(lengths.sum(), 2)).astype(np.float32)
    np.savez(place / "a.npz", values=values, lengths=lengths)
    assert match(export, "--within", "a.npz", "--threshold", 0, "-o", "out.csv") == 0
    pairs = [(row["left_row"], row["right_row"]) for row in rows_of(place / "out.csv")]
    assert sorted(pairs) == [
        (str(i), str(j)) for i, j in itertools.combinations(range(1, 5), 2)
    ]
    np.savez(place / "b.npz", values=values, lengths=lengths, id=np.array(list("wxyz")))
    assert match(export, "--within", "b.npz", "--threshold", 0, "-o", "out.csv") == 0
    assert set(rows_of(place / "out.csv")[0]) >= {"left_id", "right_id"}


def test_images_of_a_folder(place, tmp_path):
    export = image_export(tmp_path)
    random = np.random.default_rng(0)
    for name in ("a.png", "x/b.png", "x/y/c.png"):
        path = place / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (9, 8, 3), np.uint8)).save(path)
    assert match(export, "--within", "photos", "--threshold", 0, "-o", "out.csv") == 0
    rows = rows_of(place / "out.csv")
    assert {(row["left_path"], row["right_path"]) for row in rows} == set(
        itertools.combinations(("photos/a.png", "photos/x/b.png", "photos/x/y/c.png"), 2)
    )


GOOD = "item\nabc\nabd\n"


@pytest.mark.parametrize(
    ("arguments", "content", "code", "wanted"),
    [
        (["--top", "0"], GOOD, 2, "--top: must be 1 or more, got 0"),
        (["--threshold", "1.5"], GOOD, 2, "--threshold: must be from 0 to 1, got 1.5"),
        (["--threshold", "nan"], GOOD, 2, "--threshold: must be from 0 to 1, got nan"),
        (["--uncertain", "0"], GOOD, 2, "--uncertain: must be 1 or more"),
        (["--seed", "-1"], GOOD, 2, "--seed: must be 0 or more, got -1"),
        (["--candidates", "0"], GOOD, 2, "--candidates: must be 1 or more"),
        (["--uncertain", "5", "--groups"], GOOD, 2, "--groups has no effect with --uncertain"),
        (["--exact", "--index"], GOOD, 2, "not allowed with argument"),
        (["--exact", "--candidates", "5"], GOOD, 2, "--candidates has no effect with --exact"),
        (["--between", "a.csv", "a.csv"], GOOD, 2, "not allowed with argument"),
        (["--max-bad-fraction", "2"], GOOD, 2, "--max-bad-fraction: must be from 0 to 1"),
        (["-o", "out.xlsx"], GOOD, 2, "'.xlsx' is not a known format"),
        (["-o", "a.csv"], GOOD, 2, "'a.csv' is the file of --within"),
        (["-o", "none/out.csv"], GOOD, 2, "there is no folder"),
        (["--item", "name"], GOOD, 3, "no column 'name'"),
        ([], "item,id\n", 3, "'a.csv' holds no rows"),
        ([], "", 3, "is empty"),
        ([], "itme\nabc\n", 3, "no column 'item', which should hold the items. Did you mean"),
        ([], "itme,id\nabc,1\n", 3, "'itme', 'id'. Name the column that holds them: --item"),
        ([], b"item\n\xff\xfe\n\xff\n", 3, "every one of the 2 rows of 'a.csv' is bad"),
        ([], None, 3, "no such file"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(
    exports, place, capsys, arguments, content, code, wanted
):
    if content is not None:
        data = content if isinstance(content, bytes) else content.encode()
        (place / "a.csv").write_bytes(data)
    before = files_below(place)
    options = ["--within", "a.csv", *(["-o", "out.csv"] if "-o" not in arguments else [])]
    assert match(exports["cosine"], *options, *arguments) == code
    assert wanted in capsys.readouterr().err
    assert files_below(place) == before


@pytest.mark.parametrize(
    ("header", "where", "column"),
    [
        ("item,group", ["--within", "a.csv"], "group"),
        ("item,side", ["--between", "a.csv", "a.csv.gz"], "side"),
    ],
)
def test_a_column_of_the_groups_is_refused_before_the_model_is_loaded(
    exports, place, monkeypatch, capsys, header, where, column
):
    monkeypatch.setattr("job.commands.match.load_model", lambda stored: pytest.fail("loaded"))
    content = f"{header}\nabc,1\nabd,2\n"
    (place / "a.csv").write_text(content)
    (place / "a.csv.gz").write_bytes(gzip.compress(content.encode()))
    arguments = [*where, "-o", "out.csv", "--groups"]
    assert match(exports["cosine"], *arguments) == ExitCode.CONFIG
    assert f"'a.csv' has a column {column!r} already" in capsys.readouterr().err
    assert not list(place.glob("out*"))


def test_a_place_without_a_model_is_named(place, capsys):
    (place / "a.csv").write_text(GOOD)
    assert match(place / "none", "--within", "a.csv", "-o", "out.csv") == ExitCode.CONFIG
    assert "there is neither a run" in capsys.readouterr().err


def test_items_of_another_kind_are_refused(place, tmp_path, capsys):
    export = sequence_export(tmp_path / "model")
    (place / "a.csv").write_text(GOOD)
    assert match(export, "--within", "a.csv", "-o", "out.csv") == ExitCode.DATA
    assert "every one of the 2 rows" in capsys.readouterr().err
    assert not (place / "out.csv").exists()


def test_a_bucket_that_does_not_exist(exports, place, monkeypatch, capsys):
    (place / "a.csv").write_text(GOOD)
    with FakeGcs(bucket="sets") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("SIAMESE_RUN__ALLOW_EMULATOR", "true")
        arguments = ["--within", "a.csv", "-o", "gs://other/out.csv"]
        assert match(exports["cosine"], *arguments) == ExitCode.CONFIG
    assert "other" in capsys.readouterr().err


@pytest.mark.parametrize(
    "number", [pytest.param(signal.SIGINT, marks=pytest.mark.prove), signal.SIGTERM]
)
def test_a_signal_leaves_nothing_behind(exports, place, number):
    # So many matches that writing them takes minutes.
    write_items(place / "a.csv", words(12_000))
    command = [sys.executable, "-m", "job", "match", str(exports["cosine"])]
    command += ["--within", "a.csv", "--threshold", "0", "-o", "out.csv", "--groups"]
    process = subprocess.Popen(
        command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True
    )
    partial = place / "out.csv.partial"
    while process.poll() is None and not (partial.exists() and partial.stat().st_size):
        time.sleep(0.02)
    process.send_signal(number)
    _, error = process.communicate(timeout=300)
    expected = {signal.SIGINT: ExitCode.INTERRUPTED, signal.SIGTERM: ExitCode.TERMINATED}
    assert process.returncode == expected[number], error
    assert [path.name for path in place.iterdir()] == ["a.csv"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_leaves_nothing_behind(exports, place, capsys):
    write_items(place / "a.csv", words(300))
    disk = place / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        arguments = ["--within", "a.csv", "--threshold", "0", "-o", "disk/out.csv"]
        assert match(exports["cosine"], *arguments) == ExitCode.LOCAL_STORAGE
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)
    assert "no space for" in capsys.readouterr().err
