"""Makes the typo pairs from the dictionary of codespell 2.4.3.

    pip install codespell==2.4.3 numpy
    python examples/data/typos/prepare.py [FOLDER]

A match is (misspelling, its correction). Its hard negative is (the same misspelling, the
nearest other correction of the same split by character n-grams). A word family, all corrections
that begin with the same four letters, is in one split. The output is deterministic to the byte.
"""

import csv
import gzip
import hashlib
import io
import sys
from collections import defaultdict
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

VERSION = "2.4.3"
SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
FAMILY_LETTERS = 4
TYPOS_PER_WORD = 4  # more would exceed the 300 KiB limit of the chart's `data.files`
GRAM_SIZES = (2, 3)


def corrections() -> list[tuple[str, str]]:
    """(misspelling, correction) of every line that names a single correction."""
    if version("codespell") != VERSION:
        raise SystemExit(f"codespell {version('codespell')} is installed, {VERSION} is needed")
    spec = find_spec("codespell_lib")
    if spec is None or spec.origin is None:
        raise SystemExit(f"codespell_lib is not installed: pip install codespell=={VERSION}")
    text = (Path(spec.origin).parent / "data/dictionary.txt").read_text(encoding="utf-8")
    lines = (line.split("->") for line in text.splitlines())
    return [(typo, word) for typo, word in lines if "," not in word]


def hashed(text: str) -> bytes:
    """Pseudo-random bytes that depend only on the text."""
    return hashlib.sha256(text.encode()).digest()


def split_of(word: str) -> str:
    """The split of the word's family."""
    draw = int.from_bytes(hashed(word[:FAMILY_LETTERS].lower())[:4], "big") / 2**32
    if draw < SHARES["train"]:
        return "train"
    return "validation" if draw < SHARES["train"] + SHARES["validation"] else "test"


def grams(word: str) -> list[str]:
    """The distinct character n-grams of a word, its ends marked."""
    marked = f"^{word}$"
    return sorted({marked[i : i + n] for n in GRAM_SIZES for i in range(len(marked) - n + 1)})


class NearestOther:
    """Finds the word nearest to a misspelling that is not its correction."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._row = {word: row for row, word in enumerate(words)}
        self._sizes = np.sqrt([len(grams(word)) for word in words])
        postings: dict[str, list[int]] = defaultdict(list)
        for row, word in enumerate(words):
            for gram in grams(word):
                postings[gram].append(row)
        self._postings = {gram: np.array(rows) for gram, rows in postings.items()}

    def __call__(self, typo: str, *, correction: str) -> str:
        found = [self._postings[gram] for gram in grams(typo) if gram in self._postings]
        shared = np.bincount(np.concatenate(found), minlength=len(self._words))
        # Cosine of the two sets of n-grams, up to a factor that depends on the typo alone. Ties
        # go to the alphabetically first word.
        cosine = shared / self._sizes
        cosine[self._row[correction]] = -1.0
        return self._words[int(cosine.argmax())]


def rows_of(pairs: list[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """The rows of one split, by correction, then by misspelling, the match first."""
    typos: dict[str, list[str]] = defaultdict(list)
    for typo, word in pairs:
        typos[word].append(typo)
    words = sorted(typos)
    nearest = NearestOther(words)
    rows = []
    for word in words:
        for typo in sorted(sorted(typos[word], key=hashed)[:TYPOS_PER_WORD]):
            rows.append((typo, word, 1))
            rows.append((typo, nearest(typo, correction=word), 0))
    return rows


def compressed(rows: list[tuple[str, str, int]]) -> bytes:
    """The rows as gzipped CSV, without name and time stamp."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("left", "right", "label"))
    writer.writerows(rows)
    data = io.BytesIO()
    # Not gzip.compress: the header it writes depends on the version of Python.
    with gzip.GzipFile("", "wb", compresslevel=9, fileobj=data, mtime=0) as stream:
        stream.write(text.getvalue().encode())
    return data.getvalue()


def main() -> None:
    """Writes the three files into the folder of the first argument, default: this script's."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    pairs: dict[str, list[tuple[str, str]]] = {split: [] for split in SHARES}
    for typo, word in corrections():
        pairs[split_of(word)].append((typo, word))
    for split, chosen in pairs.items():
        rows = rows_of(chosen)
        data = compressed(rows)
        (folder / f"{split}.csv.gz").write_bytes(data)
        print(f"{split}: {len(rows)} rows, {len(data)} bytes")


if __name__ == "__main__":
    main()
