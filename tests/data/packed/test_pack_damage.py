"""Packed sets that are not what was written, and how each is refused."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from job.data.packed import manifest as pack_record
from job.data.packed.arrays import write_array
from job.errors import DataError, PermissionDeniedError
from tests.data.packed.some_packs import (
    dataset_of,
    flip,
    opened,
    pack,
)


@pytest.fixture(autouse=True)
def _no_power_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is forced to disk takes long, and is there without while there is power."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    pack(dataset_of(), tmp_path / "out")
    return tmp_path / "out"


def edit_record(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes dataset.json and makes its checksum right again."""
    path = folder / "dataset.json"
    record = json.loads(path.read_text())
    del record["sha256"]
    change(record)
    path.write_text(json.dumps({**record, "sha256": pack_record._digest(record)}))


def cut(name: str, by: int) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - by)


def record(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda folder: edit_record(folder, change)


def text(content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "dataset.json").write_text(content)


def other_header(folder: Path) -> None:
    array = np.load(folder / "train_left.npy")
    np.save(folder / "train_left.npy", array.view(np.uint64))


def pipe(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


DAMAGE = {
    "a pipe": (pipe("values.npy"), (r"there is no file values\.npy in",)),
    "a pipe for the record": (pipe("dataset.json"), ("dataset.json",)),
    "a bit of the values": (
        lambda folder: flip(folder / "values.npy", -1),
        (r"values\.npy has another checksum .*crc32c [0-9a-f]{8}, expected [0-9a-f]{8}",),
    ),
    "a bit of a label": (
        lambda folder: flip(folder / "test_label.npy", -1),
        (r"test_label\.npy has another checksum",),
    ),
    "a bit of a header": (
        lambda folder: flip(folder / "train_left.npy", 30),
        (r"train_left\.npy does not begin as an array of shape \(3,\) and type <i8",),
    ),
    "another type of the same length": (other_header, (r"train_left\.npy does not begin",)),
    "a file cut short": (
        cut("offsets.npy", 8),
        (r"offsets\.npy has \d+ bytes and was written with \d+", "copied or written in part"),
    ),
    "a file too long": (
        lambda folder: os.truncate(folder / "values.npy", 1000),
        (r"values\.npy has \d+ bytes",),
    ),
    "a missing file": (
        lambda folder: (folder / "test_left.npy").unlink(),
        (r"there is no file test_left\.npy",),
    ),
    "a folder for a file": (
        lambda folder: ((folder / "values.npy").unlink(), (folder / "values.npy").mkdir()),
        (r"there is no file values\.npy",),
    ),
    "no dataset.json": (
        lambda folder: (folder / "dataset.json").unlink(),
        ("holds no dataset.json, which is written last", "only a part of one"),
    ),
    "dataset.json cut short": (cut("dataset.json", 20), (r"dataset\.json': not what was",)),
    "dataset.json empty": (text(""), (r"dataset\.json': not what was written",)),
    "dataset.json no object": (text("[]"), ("it must be an object",)),
    "dataset.json nested": (text("[" * 100_000), (r"not what was written",)),
    "dataset.json with NaN": (text('{"schema": NaN}'), ("NaN is no number",)),
    "dataset.json with a key twice": (
        text('{"schema": 1, "schema": 1}'),
        ("a key occurs twice",),
    ),
    "dataset.json edited": (
        lambda folder: (folder / "dataset.json").write_text(
            (folder / "dataset.json").read_text().replace('"rows_read": 9', '"rows_read": 8')
        ),
        (r"its checksum \(sha256\) is not that of its content", "edited or damaged"),
    ),
    "no checksum of itself": (
        lambda folder: (folder / "dataset.json").write_text(
            json.dumps(
                {
                    key: value
                    for key, value in json.loads((folder / "dataset.json").read_text()).items()
                    if key != "sha256"
                }
            )
        ),
        ("sha256: is missing",),
    ),
    "a later schema": (
        record(lambda r: r.update(schema=2)),
        ("schema: is 2; this program reads 1",),
    ),
    "no schema": (record(lambda r: r.pop("schema")), ("schema: is None",)),
    "true for a schema": (record(lambda r: r.update(schema=True)), ("schema: is True",)),
    "a missing key": (record(lambda r: r.pop("fingerprint")), ("fingerprint: ",)),
    "an unknown key": (record(lambda r: r.update(more=1)), ("more: ",)),
    "an unknown form": (record(lambda r: r.update(form="audio")), ("form: ",)),
    "a number as text": (
        record(lambda r: r["files"]["values"].update(crc32c="1")),
        (r"files\.values\.crc32c: ",),
    ),
    "a count below zero": (
        record(lambda r: r["files"]["values"].update(bytes=-1)),
        (r"files\.values\.bytes: ",),
    ),
    "a shape that does not fit its bytes": (
        record(lambda r: r["files"]["values"].update(shape=[1 << 40])),
        (r"files\.values: .*bytes and shape leave",),
    ),
    "a type that no array has": (
        record(lambda r: r["files"]["values"].update(dtype="|O")),
        (r"files\.values\.dtype: ",),
    ),
    "an unknown array": (
        record(lambda r: r["files"].update({"../x": r["files"]["values"]})),
        (r"files must be whole \(unknown \['\.\./x'\]",),
    ),
    "an array that is not listed": (
        record(lambda r: r["files"].pop("test_right")),
        (r"missing \['test_right'\]",),
    ),
    "statistics of no kind": (
        record(lambda r: r.update(statistics={"kind": "nothing"})),
        ("vocabulary: ",),
    ),
    "counts of a split missing": (
        record(lambda r: r["counts"].pop("test")),
        ("training has pairs",),
    ),
    "neither training pairs nor items": (
        record(lambda r: [r["files"].pop(f"train_{s}") for s in ("left", "right", "label")]),
        ("do not fit together .*training has pairs and items to draw them from, or neither",),
    ),
    "texts called sequences": (
        record(lambda r: r.update(form="sequence")),
        (r"values are uint8 \(\d+,\), no sequence",),
    ),
    "pairs of different lengths": (
        record(lambda r: r["files"].update(train_left=r["files"]["test_left"])),
        (r"train_left\.npy has \d+ bytes",),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_set_is_refused_by_name(packed, damage):
    spoil, words = DAMAGE[damage]
    spoil(packed)
    with pytest.raises(DataError) as caught:
        opened(packed)
    assert caught.value.exit_code == 3
    message = str(caught.value)
    for pattern in words:
        assert re.search(pattern, message), message
    assert message.startswith(("data.packed: ", "vocabulary: "))
    assert re.search("Make it again|Restore the file|Use the version", message)


def test_arrays_that_do_not_fit_together_are_refused(packed):
    """Each file is as it was written; only together they are wrong."""

    def swap(r):
        files = r["files"]
        files["train_left"], files["test_left"] = files["test_left"], files["train_left"]

    (packed / "train_left.npy").rename(packed / "kept")
    (packed / "test_left.npy").rename(packed / "train_left.npy")
    (packed / "kept").rename(packed / "test_left.npy")
    edit_record(packed, swap)
    with pytest.raises(DataError, match=r"do not fit together \(left, right .* one shape"):
        opened(packed)


def test_a_shorter_file_whose_record_is_right_is_refused(packed):
    """As `offsets must end with the number of values`: a file of another set."""
    values = np.load(packed / "values.npy")[:-1]
    (packed / "values.npy").unlink()
    written = write_array(packed / "values.npy", values)
    edit_record(
        packed,
        lambda r: r["files"].update(
            values={
                "dtype": written.dtype,
                "shape": list(written.shape),
                "bytes": written.bytes,
                "crc32c": written.crc32c,
                "sha256": written.sha256,
            }
        ),
    )
    with pytest.raises(DataError, match=r"do not fit together .*offsets must begin with 0"):
        opened(packed)


def test_a_missing_folder_says_how_to_make_it(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*siamese-job data pack CONFIG"):
        opened(tmp_path / "gone")


def test_a_dataset_json_without_end_is_not_read_to_it(packed, monkeypatch):
    monkeypatch.setattr("job.data.packed.pack.LIMIT_BYTES", 100)
    with pytest.raises(DataError, match="is longer than 100 bytes"):
        opened(packed)


def test_a_vocabulary_that_no_reader_would_take_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr("job.data.packed.manifest.LIMIT_BYTES", 100)
    with pytest.raises(DataError, match=r"lower data\.tokens\.max_vocabulary"):
        pack(dataset_of(), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_may_not_be_read_is_permission_denied(open_folder, unprivileged):
    pack(dataset_of(), open_folder / "out")
    for name in ("values.npy", "dataset.json"):
        (open_folder / "out" / name).chmod(0)
        with unprivileged(), pytest.raises(PermissionDeniedError, match=rf"read .*{name}"):
            opened(open_folder / "out")
        (open_folder / "out" / name).chmod(0o644)
