"""Writes a person down as forms hold it: with errors, gaps, short names and old addresses.

Every choice comes from a hash of what it is about, so that any version of Python makes the same
records::

    record = written(person, errors=LATER, other=someone, draws=Draws("person 7"))
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

NAMES = ("given_name", "surname")
ADDRESS = ("street", "suburb", "postcode")
COLUMNS = (*NAMES, "date_of_birth", *ADDRESS)

# Short forms of given names that are frequent in FEBRL, which writes "emiily".
NICKNAMES: Mapping[str, str] = {
    "abigail": "abby", "alexander": "alex", "alexandra": "lexi", "amelia": "millie",
    "andrew": "drew", "anthony": "tony", "benjamin": "ben", "bethany": "beth",
    "cameron": "cam", "charlotte": "lottie", "christopher": "kit",
    "daniel": "danny", "dominic": "nick", "edward": "ted",
    "eliza": "liz", "elizabeth": "betty", "emiily": "emmy", "georgia": "gigi",
    "hannah": "anna", "harrison": "harry", "isabella": "bella", "isabelle": "izzy",
    "jackson": "jax", "jacob": "jake", "james": "jim", "jasmine": "jaz",
    "jessica": "jess", "jonathan": "jon", "joseph": "joe", "joshua": "josh",
    "katherine": "kate", "lachlan": "lockie", "madeline": "maddy",
    "matthew": "matt", "michael": "mick", "mitchell": "mitch",
    "nathan": "nate", "nicholas": "nico", "oliver": "ollie", "olivia": "liv",
    "patrick": "paddy", "rachel": "shelly", "rebecca": "becky", "robert": "bob",
    "samantha": "sam", "samuel": "sammy", "sarah": "sally", "sophie": "soph",
    "stephanie": "steph", "thomas": "tom", "timothy": "tim", "victoria": "vicky",
    "william": "bill", "zachary": "zac",
}  # fmt: skip
STREETS: Mapping[str, str] = {
    "street": "st", "road": "rd", "avenue": "av", "crescent": "cres", "place": "pl",
    "circuit": "cct", "close": "cl", "drive": "dr", "court": "ct", "parade": "pde",
}  # fmt: skip
# Keys beside one another, and letters that sound alike.
NEIGHBOURS: Mapping[str, str] = {
    "a": "sqe", "b": "vnp", "c": "kxs", "d": "sft", "e": "iaw", "f": "dgv", "g": "fhj",
    "h": "gjn", "i": "eyu", "j": "hkg", "k": "jlc", "l": "kop", "m": "n", "n": "mb",
    "o": "uip", "p": "ob", "q": "wk", "r": "ets", "s": "azc", "t": "rdy", "u": "oiy",
    "v": "bfw", "w": "vqe", "x": "zc", "y": "iut", "z": "xs",
    "0": "96", "1": "27", "2": "13", "3": "28", "4": "59", "5": "46", "6": "50",
    "7": "18", "8": "73", "9": "04",
}  # fmt: skip

Person = Mapping[str, str]  # a cell of each of COLUMNS


class Draws:
    """A sequence of pseudo-random numbers that depends only on its name."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._number = 0

    def below(self, limit: int) -> int:
        """A number from 0 to `limit - 1`."""
        self._number += 1
        digest = hashlib.sha256(f"{self._name}/{self._number}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % limit

    def hits(self, percent: int) -> bool:
        """True in that many of a hundred cases."""
        return self.below(100) < percent


@dataclass(frozen=True)
class Errors:
    """How often each thing happens, in percent of the cells or of the records.

    Attributes:
        typo: Of cells: one letter is wrong, missing, doubled or swapped with the next.
        missing: Of cells: it is empty.
        nickname: The given name is a short form, or at times an initial if none is known.
        swapped: Given name and surname are in each other's column.
        day_month: Day and month of birth are exchanged.
        surname: The surname is another one, as after a marriage.
        moved: The address is another one.
    """

    typo: int
    missing: int
    nickname: int
    swapped: int
    day_month: int
    surname: int
    moved: int


ABBREVIATED = 50  # percent of the streets, if their kind has an abbreviation

# Of the first record of a person, and of the others, which are written years later.
FIRST = Errors(typo=8, missing=2, nickname=15, swapped=1, day_month=2, surname=0, moved=0)
LATER = Errors(typo=18, missing=7, nickname=40, swapped=6, day_month=8, surname=5, moved=35)


def written(person: Person, *, errors: Errors, other: Person, draws: Draws) -> Person:
    """A record of a person.

    Args:
        person: The truth.
        errors: How often each error happens.
        other: Whose surname and address the person may have by now.
        draws: Decides.
    """
    record = dict(person)
    if draws.hits(errors.moved):
        record |= {column: other[column] for column in ADDRESS}
    if draws.hits(errors.surname):
        record["surname"] = other["surname"]
    if draws.hits(errors.nickname):
        name = record["given_name"]
        record["given_name"] = NICKNAMES.get(name, name[0] if draws.hits(25) else name)
    if draws.hits(errors.day_month):
        born = record["date_of_birth"]
        record["date_of_birth"] = born[:4] + born[6:] + born[4:6]
    head, _, kind = record["street"].rpartition(" ")
    if draws.hits(ABBREVIATED):
        record["street"] = f"{head} {STREETS.get(kind, kind)}".strip()
    for column in COLUMNS:
        if draws.hits(errors.typo):
            record[column] = misspelt(record[column], draws)
    if draws.hits(errors.swapped):
        record |= {"given_name": record["surname"], "surname": record["given_name"]}
    for column in COLUMNS:
        if draws.hits(errors.missing):
            record[column] = ""
    return record


def misspelt(cell: str, draws: Draws) -> str:
    """The cell with one letter wrong, missing, doubled or swapped with the next."""
    at = draws.below(len(cell))
    before, letter, after = cell[:at], cell[at], cell[at + 1 :]
    kind = draws.below(4)
    if kind == 0 and before + after:
        return before + after
    if kind == 1:
        return before + letter + letter + after
    if kind == 2 and after:
        return before + after[0] + letter + after[1:]
    near = NEIGHBOURS.get(letter, letter)
    return before + near[draws.below(len(near))] + after
