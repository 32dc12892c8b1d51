"""Makes data as nobody should give it: good rows, and one fault.

`python -m tests.data.bad_data FOLDER` reads what was made below a folder (each with its section
in `section.json`) and prints by how many bytes the process grew at most.
"""

import gzip
import io
import json
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from job.config.data import Data
from job.data.dataset import Dataset
from job.data.load import load_dataset
from job.errors import JobError

NUM_ROWS = 200
HUGE = 112 << 20  # bytes: more than reading may cost, even as float32

Section = dict[str, Any]
Build = Callable[[Path], Section]
FILES = {split: f"{split}.csv" for split in ("train", "validation", "test")}


def load(folder: Path, section: Section, **more: object) -> Dataset:
    validated: Data = TypeAdapter(Data).validate_python(section | more)
    return load_dataset(validated, folder=folder, seed=0)


def texts(last: bytes, *, name: str = "train.csv") -> Build:
    """Good pairs of texts, and one row of the training file as it stands."""

    def build(folder: Path) -> Section:
        rows = [b"left,right,label", *(b"a%d,b%d,%d" % (i, i, i % 2) for i in range(199))]
        for file in FILES.values():
            (folder / file).write_bytes(b"\n".join(rows[:9]))
        (folder / name).write_bytes(b"\n".join([*rows, last]))
        return {"kind": "text", **FILES, "train": name}

    return build


def text_file(content: Callable[[], bytes], *, name: str = "train.csv") -> Build:
    """Good pairs of texts, but for a training file of this content."""

    def build(folder: Path) -> Section:
        section = texts(b"x,y,1")(folder)
        (folder / name).write_bytes(content())
        return section | {"train": name}

    return build


def huge_rows() -> bytes:
    """Millions of rows in little more than a hundred thousandth."""
    row = b"%s,%s,1\n" % (b"text" * 60, b"word" * 60)
    member = gzip.compress(row * ((16 << 20) // len(row)))
    return gzip.compress(b"left,right,label\n") + member * (HUGE // (16 << 20))


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


def npy_header(shape: str, dtype: str = "<f8") -> bytes:
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


def image(kind: str = "PNG", *, mode: str = "RGB", size: int = 16) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (size, size, 3)).astype(np.uint8)
    Image.fromarray(pixels).convert(mode).save(stream, kind)
    return stream.getvalue()


def huge_png() -> bytes:
    """A PNG of a few bytes that says it has 3,600,000,000 pixels."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body


Make = bytes | Callable[[Path], object]


def files(kind: str, make: Make, *, path: str | None = None, **more: object) -> Build:
    """Good pairs of files, and one row that names a file of another make.

    Args:
        kind: `sequence` or `image`.
        make: The contents of that file, or what makes it, given its path.
        path: Its path as the row gives it; None: `x/bad` with the kind's extension.
        more: Of the section.
    """

    def build(folder: Path) -> Section:
        end = ".npy" if kind == "sequence" else ".png"
        (folder / "x").mkdir()
        for number in range(20):
            good = npy(np.full((3, 2), float(number))) if end == ".npy" else image()
            (folder / f"x/{number}{end}").write_bytes(good)
        rows = ["left,right,label"]
        rows += [f"x/{i % 20}{end},x/{(7 * i + 1) % 20}{end},{i % 2}" for i in range(199)]
        for file in FILES.values():
            (folder / file).write_text("\n".join(rows[:9]))
        bad = path or f"x/bad{end}"
        (folder / "train.csv").write_text("\n".join([*rows, f"x/0{end},{bad},1"]))
        if callable(make):
            make(folder / bad)
        elif make:
            (folder / bad).write_bytes(make)
        return {"kind": kind, **FILES, **more}

    return build


def sparse(start: bytes, size: int) -> Callable[[Path], object]:
    """Makes a file of that size that takes no room on the disk."""

    def make(path: Path) -> None:
        with path.open("wb") as file:
            file.write(start)
            file.truncate(size)

    return make


def link_out(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def nothing(path: Path) -> None:
    path.touch()


def ids(last_pair: str, *, last_item: str = "x199,item 199") -> Build:
    """Good pairs that name good items, and one more of either."""

    def build(folder: Path) -> Section:
        items = ["id,item", *(f"x{i},item {i}" for i in range(199)), last_item]
        (folder / "items.csv").write_text("\n".join(items))
        rows = ["left,right,label", *(f"x{i},x{i - i % 2},{i % 2}" for i in range(199))]
        for file in FILES.values():
            (folder / file).write_text("\n".join(rows[:9]))
        (folder / "train.csv").write_text("\n".join([*rows, last_pair]))
        return {"kind": "text", **FILES, "items": "items.csv"}

    return build


def ids_of_rows(folder: Path) -> Section:
    """Good pairs that name rows of an `.npz`, the last of which is bad."""
    section = ids("x1,x2,1")(folder)
    values = np.zeros((NUM_ROWS, 2))
    values[-1] = np.inf
    names = np.array([f"x{number}" for number in range(NUM_ROWS)])
    np.savez(folder / "a.npz", values=values, lengths=np.ones(NUM_ROWS, int), id=names)
    return section | {"kind": "sequence", "items": "a.npz"}


def labelled(last: str) -> Build:
    """Good labelled texts that say their split, and one more row."""

    def build(folder: Path) -> Section:
        rows = [
            f"text {i},{i % 9},{('train', 'validation', 'test')[i % 3]}" for i in range(199)
        ]
        (folder / "train.csv").write_text("\n".join(["item,class,split", *rows, last]))
        columns = {"split": "split"}
        return {"kind": "text", "rows": "items", "train": "train.csv", "columns": columns}

    return build


def class_folder(path: str, make: Make) -> Build:
    """Good images in class folders, and one more file."""

    def build(folder: Path) -> Section:
        for number in range(199):
            good = folder / f"train/{number % 20}/{number:03}.png"
            good.parent.mkdir(parents=True, exist_ok=True)
            good.write_bytes(image())
        if callable(make):
            make(folder / "train" / path)
        else:
            (folder / "train" / path).write_bytes(make)
        return {"kind": "image", "rows": "items", "train": "train"} | {
            "split": {"validation_fraction": 0.2, "test_fraction": 0.2}
        }

    return build


def arrays(
    change: Callable[[dict[str, np.ndarray]], object],
    *,
    damage: Callable[[bytes], bytes] = bytes,
    kind: str = "sequence",
    compressed: bool = False,
) -> Build:
    """An `.npz` of 200 labelled items, then changed, saved and damaged."""

    def build(folder: Path) -> Section:
        rows = np.arange(NUM_ROWS)
        found = {
            "class": rows % 9,
            "split": np.array(["train", "validation", "test"])[rows % 3],
        }
        if kind == "sequence":
            found |= {"values": np.zeros((600, 2)), "lengths": np.full(NUM_ROWS, 3)}
        else:
            found |= {"images": np.zeros((NUM_ROWS, 8, 8, 3), np.uint8)}
        change(found)
        stream = io.BytesIO()
        (np.savez_compressed if compressed else np.savez)(stream, **found)
        (folder / "a.npz").write_bytes(damage(stream.getvalue()))
        columns = {"split": "split"}
        return {"kind": kind, "rows": "items", "train": "a.npz", "columns": columns}

    return build


def put(name: str, value: object, *place: int) -> Callable[[dict[str, np.ndarray]], object]:
    """Sets one value of an array, or the whole of it."""

    def change(found: dict[str, np.ndarray]) -> None:
        if place:
            found[name][place] = value
        else:
            found[name] = np.asarray(value)

    return change


def lengths_of_row(length: int) -> Callable[[dict[str, np.ndarray]], object]:
    """Gives the last sequence another length, and the values it needs."""

    def change(found: dict[str, np.ndarray]) -> None:
        found["lengths"][-1] = length
        found["values"] = np.zeros((597 + length, 2))

    return change


@cache
def bomb() -> bytes:
    """An `.npz` of a few bytes that is sound, and whose values are HUGE."""
    steps = HUGE // 16
    lengths = np.full(steps // 16384, 16384)
    small = {
        "lengths": lengths,
        "class": np.arange(len(lengths)) % 9,
        "split": np.array(["train", "validation", "test"])[np.arange(len(lengths)) % 3],
    }
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        with archive.open("values.npy", "w") as member:
            member.write(npy_header(f"({steps}, 2)"))
            for _ in range(HUGE >> 20):
                member.write(bytes(1 << 20))
        for name, array in small.items():
            archive.writestr(f"{name}.npy", npy(array))
    return stream.getvalue()


def unchanged(found: Mapping[str, np.ndarray]) -> None:
    """Leaves the arrays as they are."""


def outside(section: Section) -> Build:
    """A root in a folder, and a pair file next to it."""

    def build(folder: Path) -> Section:
        good = texts(b"x,y,1")(folder)
        (folder / "root").mkdir()
        for file in FILES.values():
            (folder / "root" / file).write_bytes((folder / file).read_bytes())
        (folder / "root/link.csv").symlink_to("../train.csv")
        return good | {"root": "root", **section}

    return build


def peak() -> int:
    """Most bytes that were resident since this program began.

    `ru_maxrss` would count those of the process that started this one.
    """
    status = Path("/proc/self/status").read_text()
    return int(re.findall(r"VmHWM:\s*(\d+) kB", status)[0]) << 10


def main() -> None:
    """Reads everything; prints the growth in bytes."""
    sections = sorted(Path(sys.argv[1]).glob("*/section.json"))
    start = peak()
    for section in sections:
        for allowed in (0.01, 0.0):
            with suppress(JobError):
                load(section.parent, json.loads(section.read_text()), max_bad_fraction=allowed)
    sys.stdout.write(f"{peak() - start}\n")


if __name__ == "__main__":
    main()
