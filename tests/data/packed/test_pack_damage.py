"""Packed sets that are not what was written, and how each is refused."""

import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from job.data.packed import manifest
from job.data.packed.pack import _write_array
from job.errors import DataError, PermissionDeniedError
from tests.data.packed.some_packs import (
    dataset_of,
    flip,
    named_dataset_of,
    opened,
    pack,
    record_of,
    section_of,
)


def edit_record(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes dataset.json and makes its checksum right again, if it is still a record."""
    path = folder / "dataset.json"
    record = json.loads(path.read_text())
    change(record)
    with suppress(ValidationError):
        parsed = manifest._ADAPTER.validate_json(json.dumps(record))
        record["crc32c"] = manifest._crc32c_of(parsed)
    path.write_text(json.dumps(record))


def cut(name: str, by: int) -> Callable[[Path], object]:
    return lambda folder: os.truncate(folder / name, (folder / name).stat().st_size - by)


def record(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    return lambda folder: edit_record(folder, change)


def text(content: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "dataset.json").write_text(content)


def pipe(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


DAMAGE = {
    "a pipe": (pipe("values.npy"), (r"there is no file values\.npy in",)),
    "a bit of the values": (
        lambda folder: flip(folder / "values.npy", -1),
        (r"values\.npy has crc32c [0-9a-f]{8} and was written with [0-9a-f]{8}",),
    ),
    "a file cut short": (
        cut("offsets.npy", 8),
        (r"offsets\.npy has \d+ bytes and was written with \d+", "copied or written in part"),
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
        ("contains no dataset.json, which is written last", "an incomplete one"),
    ),
    "dataset.json cut short": (cut("dataset.json", 20), (r"dataset\.json': JSON: ",)),
    "dataset.json nested": (text("[" * 100_000), (r"dataset\.json': JSON: ",)),
    "dataset.json edited": (
        lambda folder: (folder / "dataset.json").write_text(
            (folder / "dataset.json").read_text().replace('"rows_read": 9', '"rows_read": 8')
        ),
        (r"crc32c is [0-9a-f]{8}, and the content has ", "edited or damaged"),
    ),
    "no checksum of itself": (
        lambda folder: (folder / "dataset.json").write_text(
            re.sub(r',\s*"crc32c": \d+\s*\}\s*$', "}", (folder / "dataset.json").read_text())
        ),
        ("crc32c is 00000000",),
    ),
    "an earlier schema": (
        record(lambda r: r.update(schema=2)),
        (r"schema: Input should be 3 \(got 2\)",),
    ),
    "a missing key": (record(lambda r: r.pop("fingerprint")), ("fingerprint: ",)),
    "an unknown key": (record(lambda r: r.update(more=1)), ("more: ",)),
    "another shape": (
        record(lambda r: r["files"]["values"].update(shape=[1 << 40])),
        (r"values\.npy is \|u1 \(\d+,\) and was written as \|u1 \(1099511627776,\)",),
    ),
    "another type": (
        record(lambda r: r["files"]["train_left"].update(dtype="<f4")),
        (r"train_left\.npy is <i8 \(3,\) and was written as <f4",),
    ),
    "a type that no array has": (
        record(lambda r: r["files"]["values"].update(dtype="|O")),
        (r"files\.values\.dtype: ",),
    ),
    "an unknown array": (
        record(lambda r: r["files"].update({"../x": r["files"]["values"]})),
        (r"files\.\.\./x",),
    ),
    "an array that is not listed": (
        record(lambda r: r["files"].pop("test_right")),
        (r"dataset\.json lists no test_right\.npy",),
    ),
    "statistics of no kind": (
        record(lambda r: r.update(statistics={"kind": "nothing"})),
        ("vocabulary: ",),
    ),
    "counts of a split missing": (
        record(lambda r: r["counts"].pop("test")),
        ("training needs either",),
    ),
    "neither training pairs nor items": (
        record(lambda r: [r["files"].pop(f"train_{s}") for s in ("left", "right", "label")]),
        ("do not fit together .*training needs either pairs or items",),
    ),
    "texts called sequences": (
        record(lambda r: r.update(form="sequence")),
        (r"values are uint8 \(\d+,\), not sequence",),
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
    assert re.search("Pack the data again|Restore the file", message)


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


def test_groups_of_other_pairs_are_refused(tmp_path):
    folder = tmp_path / "out"
    pack(named_dataset_of(with_classes=False), folder)
    (folder / "test_groups.npy").unlink()
    written = asdict(_write_array(folder, "test_groups", np.array([0, 1, 2])))
    edit_record(folder, lambda r: r["files"].update(test_groups=written | {"shape": [3]}))
    with pytest.raises(DataError, match=r"do not fit together \(groups must be int64 \(2,\)"):
        opened(folder)


@pytest.mark.parametrize(("with_classes", "name"), [(True, "classes"), (False, "test_groups")])
def test_numbers_without_a_name_are_refused(tmp_path, with_classes, name):
    """Each file is as it was written; the names are of another set."""
    folder = tmp_path / "out"
    data = record_of(section_of(with_classes=with_classes))
    pack(named_dataset_of(with_classes=with_classes), folder, data=data)
    numbers = np.load(folder / f"{name}.npy")
    numbers[0] = 3
    (folder / f"{name}.npy").unlink()
    written = asdict(_write_array(folder, name, numbers))
    edit_record(
        folder, lambda r: r["files"].update({name: written | {"shape": [len(numbers)]}})
    )
    with pytest.raises(DataError, match=rf"{name} has the number 3, and there are 3 names"):
        opened(folder, data=data)


def test_a_shorter_file_whose_record_is_right_is_refused(packed):
    """As `offsets must end with the number of values`: a file of another set."""
    values = np.load(packed / "values.npy")[:-1]
    (packed / "values.npy").unlink()
    written = asdict(_write_array(packed, "values", values))
    edit_record(packed, lambda r: r["files"].update(values=written | {"shape": [len(values)]}))
    with pytest.raises(DataError, match=r"do not fit together .*offsets must begin with 0"):
        opened(packed)


def test_a_missing_folder_says_how_to_make_it(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*siamese-job data pack CONFIG"):
        opened(tmp_path / "gone")


def test_a_file_that_may_not_be_read_is_permission_denied(open_folder, unprivileged):
    pack(dataset_of(), open_folder / "out")
    for name in ("values.npy", "dataset.json"):
        (open_folder / "out" / name).chmod(0)
        with unprivileged(), pytest.raises(PermissionDeniedError, match=rf"read .*{name}"):
            opened(open_folder / "out")
        (open_folder / "out" / name).chmod(0o644)
