"""`siamese-job score`: the scores are those of the evaluation, and nothing is half written."""

import csv
import errno
import gzip
import json
import os
import shutil
import signal
import tempfile
from dataclasses import dataclass

import numpy as np
import pytest

from job.cli import main
from job.commands import shared
from job.data.sources.table import Table
from job.errors import ExitCode
from job.scoring import score_pairs
from tests.fakes.gcs_server import FakeGcs
from tests.full_disk import no_file_above
from tests.tiny import files_below, make_project, save_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run whose golden pairs are all of test."""
    folder = tmp_path_factory.mktemp("score")
    make_project(folder)
    save_config(folder, lambda config: config.update(export={"num_golden_pairs": 64}))
    assert main(["train", str(folder / "tiny.yaml")]) == 0
    return folder


@pytest.fixture
def place(trained, tmp_path, monkeypatch):
    """A working directory with a copy of the test pairs."""
    shutil.copy(trained / "test.csv", tmp_path / "test.csv")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def score(trained, *arguments, run="runs/tiny"):
    return main(["score", str(trained / run), *map(str, arguments)])


def rows_of(path):
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def golden(trained):
    return json.loads((trained / "runs/tiny/export/golden.json").read_text())


@pytest.mark.parametrize("block", [7, 1 << 15])
def test_scores_are_those_of_the_evaluation(trained, place, block, monkeypatch, capsys):
    monkeypatch.setattr(score_pairs, "BLOCK_PAIRS", block)
    assert score(trained, "test.csv", "-o", "out.csv", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    rows, expected = rows_of(place / "out.csv"), golden(trained)
    assert [(r["left"], r["right"]) for r in rows] == [
        (g["left"], g["right"]) for g in expected
    ]
    found = np.array([float(row["score"]) for row in rows])
    np.testing.assert_allclose(found, [g["score"] for g in expected], rtol=0, atol=1e-6)
    summary = json.loads((trained / "runs/tiny/summary.json").read_text())
    assert [r["match"] == "1" for r in rows] == (found >= summary["threshold"]).tolist()
    test = summary["metrics"]["test"]
    for name, value in report["metrics"].items():
        assert value == pytest.approx(test[name], abs=1e-6), name
    assert {"roc_auc", "accuracy"} <= set(report["metrics"])
    assert {drift["level"] for drift in report["drift"].values()} == {"none"}


def test_each_item_is_encoded_once(trained, place, monkeypatch, capsys):
    from job.export.loaded import ExportedModel

    monkeypatch.setattr(score_pairs, "BLOCK_PAIRS", 5)
    encoded = []
    embed_all = ExportedModel.embed_all

    def counted(self, feed, *, num_items):
        encoded.append(num_items)
        return embed_all(self, feed, num_items=num_items)

    monkeypatch.setattr(ExportedModel, "embed_all", counted)
    assert score(trained, "test.csv", "-o", "out.csv", "--json") == 0
    words = {row[side] for row in rows_of(place / "test.csv") for side in ("left", "right")}
    golden_items = 2 * 64
    assert sum(encoded) - golden_items == len(words)
    assert json.loads(capsys.readouterr().out)["items"] == len(words)


@pytest.mark.parametrize("out", ["out.tsv", "out.jsonl.gz"])
def test_formats_of_both_files_are_independent(trained, place, out):
    pairs = [{"id": 1, "left": "abc", "right": "abd"}, {"id": 2, "left": "abc", "right": "hha"}]
    text = "".join(f"{json.dumps(pair)}\n" for pair in pairs)
    (place / "pairs.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert score(trained, "pairs.jsonl.gz", "-o", out) == 0
    assert score(trained, "pairs.jsonl.gz", "-o", "out.csv") == 0
    rows = rows_of(place / "out.csv")
    assert list(rows[0]) == ["id", "left", "right", "score", "probability", "match"]
    with Table(place / out, key="OUT", name=out).records({"a": "id", "b": "score"}) as records:
        found = [[float(field) for field in record.fields] for record in records]
    assert found == [[float(row["id"]), float(row["score"])] for row in rows]


def test_labels_may_be_missing(trained, place, capsys):
    (place / "a.csv").write_text(
        "note,right,left,label\nx,abc,abd,\ny,abc,hha,1\nz,aaa,hha,0\n"
    )
    assert score(trained, "a.csv", "-o", "out.csv", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["pairs"], report["labels"]) == (3, {"labelled": 2, "matching": 1})
    assert [row["note"] for row in rows_of(place / "out.csv")] == ["x", "y", "z"]


def test_bad_rows_are_left_out_and_told(trained, place, capsys):
    text = 'left,right\nabc,abd\n,abd\n"a,b",c,d\n' + "abc,hha\n" * 7
    (place / "a.csv").write_text(text)
    assert score(trained, "a.csv", "-o", "out.csv", "--max-bad-fraction", "0.2") == 0
    captured = capsys.readouterr()
    assert "2 rows are bad and left out (empty 1, malformed 1)" in captured.out
    assert "a.csv line 3: left is empty" in captured.out
    assert "rows quarantined" in captured.err
    assert len(rows_of(place / "out.csv")) == 8


def test_a_run_in_a_bucket_scores_pairs_in_a_bucket(trained, place, monkeypatch, capsys):
    from job.storage.gcs.store import GsStore

    with FakeGcs(bucket="sets") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("SIAMESE_RUN__ALLOW_EMULATOR", "true")
        store = GsStore("gs://sets", emulator=server.url)
        for name, data in files_below(trained / "runs/tiny").items():
            if not any(part.startswith(".") for part in name.split("/")):
                store.write(f"tiny/{name}", data, if_generation=0)
        store.write("x/test.csv", (place / "test.csv").read_bytes(), if_generation=0)
        run = "gs://sets/tiny"
        assert main(["score", run, "gs://sets/x/test.csv", "-o", "gs://sets/y/out.csv"]) == 0
        data = store.read("y/out.csv").data
    assert score(trained, "test.csv", "-o", "here.csv") == 0
    assert data == (place / "here.csv").read_bytes()


# Everything a user can get wrong.


@dataclass(frozen=True)
class Case:
    """Arguments besides the model, what is done before, and what the user must read."""

    name: str
    words: tuple[str, ...]
    code: ExitCode = ExitCode.DATA
    pairs: str = "a.csv"
    out: str = "out.csv"
    content: str | bytes | None = None
    more: tuple[str, ...] = ()
    run: str = "runs/tiny"

    def __str__(self):
        return self.name


GOOD = "left,right\nabc,abd\n"
CASES = [
    Case(
        "no run",
        ("neither a run", "manifest.json"),
        ExitCode.CONFIG,
        content=GOOD,
        run="runs/x",
    ),
    Case(
        "a configuration",
        ("give the folder of its run",),
        ExitCode.CONFIG,
        content=GOOD,
        run="other.yaml",
    ),
    Case(
        "the SavedModel alone",
        ("give the folder above it",),
        ExitCode.CONFIG,
        content=GOOD,
        run="runs/tiny/export/scorer",
    ),
    Case("no such file", ("PAIRS", "no such file", "a.csv")),
    Case("no such folder", ("PAIRS", "there is no folder"), pairs="b/a.csv"),
    Case("an unknown format", ("PAIRS", ".xlsx", "Known"), ExitCode.CONFIG, pairs="a.xlsx"),
    Case(
        "an unknown format of OUT", ("OUT", ".txt"), ExitCode.CONFIG, out="a.txt", content=GOOD
    ),
    Case(
        "OUT is PAIRS", ("is the file of PAIRS",), ExitCode.CONFIG, out="./a.csv", content=GOOD
    ),
    Case(
        "no folder of OUT",
        ("there is no folder",),
        ExitCode.CONFIG,
        out="b/o.csv",
        content=GOOD,
    ),
    Case("an empty file", ("PAIRS: 'a.csv' is empty",), content=""),
    Case("only a header", ("holds no rows",), content="left,right\n"),
    Case("no rows of JSON", ("holds no rows",), pairs="a.jsonl", content="\n"),
    Case(
        "a column is missing",
        ("no column 'left'", "Did you mean 'letf'"),
        content="letf,right\n",
    ),
    Case(
        "a column is there already",
        ("has a column 'match' already",),
        ExitCode.CONFIG,
        content="left,right,match\na,b,1\n",
    ),
    Case(
        "a key is there already",
        ("line 2, has a column 'score' already",),
        ExitCode.CONFIG,
        pairs="a.jsonl",
        content='{"left": "a", "right": "b"}\n{"left": "a", "right": "b", "score": 1}\n',
    ),
    Case(
        "labels in another form",
        ("every one of the 2 rows", "label must be 0 or 1, got 'yes'", "a.csv line 2"),
        content="left,right,label\nabc,abd,yes\nabc,abe,no\n",
    ),
    Case(
        "too many bad rows",
        ("1 of the 3 rows", "--max-bad-fraction allows (1.00%)", "line 3: left is empty"),
        content="left,right\nabc,abd\n,abd\nabc,abe\n",
    ),
    Case("not text", ("is not UTF-8 text",), content=b"\xff\xfeL\0e\0"),
    Case("not gzip", ("is not intact gzip",), pairs="a.csv.gz", content=GOOD),
    Case(
        "a share beyond 1",
        ("--max-bad-fraction: must be from 0 to 1, got 2.0",),
        ExitCode.CONFIG,
        content=GOOD,
        more=("--max-bad-fraction", "2"),
    ),
    Case(
        "items in a file that is not there",
        ("--items", "no such file"),
        content=GOOD,
        more=("--items", "items.csv"),
    ),
    Case(
        "OUT is the file of items",
        ("is the file of --items, which is only read",),
        ExitCode.CONFIG,
        content=GOOD,
        more=("--items", "out.csv"),
    ),
    Case("OUT is missing", ("-o",), ExitCode.CONFIG, out="", content=GOOD),
    Case(
        "a bucket of another kind",
        ("siamese-job: RUN_OR_EXPORT: 's3://a/b'",),
        ExitCode.CONFIG,
        content=GOOD,
        run="s3://a/b",
    ),
    Case(
        "another kind of OUT",
        ("siamese-job: OUT: 's3://a/b.csv'",),
        ExitCode.CONFIG,
        content=GOOD,
        out="s3://a/b.csv",
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_bad_input_is_told_and_nothing_is_written(case, trained, place, capsys):
    if case.content is not None:
        data = case.content.encode() if isinstance(case.content, str) else case.content
        (place / case.pairs).write_bytes(data)
    (place / "out.csv").write_bytes(b"old")
    before = files_below(place)
    run = case.run if "://" in case.run else str(trained / case.run)
    out = ("-o", case.out) if case.out else ()
    assert main(["score", run, case.pairs, *out, *case.more]) == case.code
    message = capsys.readouterr().err
    for word in case.words:
        assert word in message
    assert "Traceback" not in message
    assert files_below(place) == before


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_a_column_that_is_added_is_refused_before_the_model_is_loaded(
    trained, place, monkeypatch, name
):
    monkeypatch.setattr("job.commands.score.load_model", lambda stored: pytest.fail("loaded"))
    row = '{"left": "a", "right": "b", "match": 1}\n'
    (place / name).write_text(row if name == "a.jsonl" else "left,right,match\na,b,1\n")
    assert score(trained, name, "-o", "out.csv") == ExitCode.CONFIG


def test_a_run_that_has_not_finished_is_told_from_one_without_an_export(place, capsys):
    make_project(place)
    config = place / "tiny.yaml"
    stop = ["--set", "training.optimizer.learning_rate=1e38", "--set", "run.name=failed"]
    assert main(["train", str(config), *stop]) == ExitCode.DIVERGED
    assert main(["train", str(config), "--set", "export.enabled=false"]) == 0
    capsys.readouterr()
    for run, words in (
        ("failed", "has not finished: its status is"),
        ("tiny", "has no export"),
    ):
        assert main(["score", str(place / "runs" / run), "test.csv", "-o", "o.csv"]) == 2
        assert words in capsys.readouterr().err
    assert not (place / "o.csv").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, ExitCode.TERMINATED)]
)
def test_a_signal_in_the_middle_leaves_no_half_file(number, code, trained, place, monkeypatch):
    monkeypatch.setattr(score_pairs, "BLOCK_PAIRS", 5)
    (place / "out.csv.gz").write_bytes(b"old")
    before, begin, blocks = files_below(place), score_pairs._Scoring.score, []

    def interrupted(self, block):
        begin(self, block)
        blocks.append(len(list(place.glob("*.partial"))))
        if len(blocks) == 3:
            signal.raise_signal(number)

    monkeypatch.setattr(score_pairs._Scoring, "score", interrupted)
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a new process
    try:
        assert score(trained, "test.csv", "-o", "out.csv.gz") == code
    finally:
        signal.signal(signal.SIGINT, handlers[0])
    assert blocks == [1, 1, 1]
    assert files_below(place) == before
    # The handler that was there before is back.
    assert signal.getsignal(signal.SIGTERM) == handlers[1]


def test_a_full_disk_leaves_nothing(trained, place, monkeypatch, capsys):
    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    before = files_below(place)
    assert score(trained, "test.csv", "-o", "out.csv") == ExitCode.LOCAL_STORAGE
    assert "OUT: no space for" in capsys.readouterr().err
    assert files_below(place) == before


def test_a_full_temporary_folder_is_not_blamed_on_out(trained, place, capsys):
    before = files_below(place)
    with no_file_above(100):
        assert score(trained, "test.csv", "-o", "out.csv") == ExitCode.LOCAL_STORAGE
    message = capsys.readouterr().err
    assert f"the temporary folder '{tempfile.gettempdir()}' has no space left" in message
    assert "OUT" not in message
    assert files_below(place) == before


def test_a_bucket_that_is_away_is_told_before_the_work(trained, place, monkeypatch, capsys):
    monkeypatch.setattr(shared, "_OUTAGE_SECONDS", 0.0)
    monkeypatch.setenv("SIAMESE_RUN__ALLOW_EMULATOR", "true")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    assert score(trained, "test.csv", "-o", "gs://away/out.csv") == ExitCode.STORAGE_OUTAGE
    assert "away" in capsys.readouterr().err
