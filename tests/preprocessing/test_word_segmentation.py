import subprocess
import sys
import unicodedata
from itertools import chain

import pytest
from hypothesis import given, settings

from job.preprocessing.word_segmentation import LAST_OF_FIRST_PLANE, cut, cutter
from tests.preprocessing.reference_words import cut_slowly, texts

FAMILY = "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("Don't stop", ["Don't", "stop"]),
        ("don\u2019t 'quote' rock'n'roll", ["don\u2019t", "'", "quote", "'", "rock'n'roll"]),
        ("U.S.A. e.g., i.e.", ["U.S.A", ".", "e.g", ".", ",", "i.e", "."]),
        (
            "3.14 1,000.5 -2 50% 10:30",
            ["3.14", "1,000.5", "-", "2", "50", "%", "10", ":", "30"],
        ),
        ("v1.2b 2nd a1.b x2y", ["v1.2b", "2nd", "a1", ".", "b", "x2y"]),
        ("snake_case __init__ _", ["snake_case", "__init__", "_"]),
        (
            "https://a-b.org/x?q=1",
            ["https", ":", "/", "/", "a", "-", "b.org", "/", "x", "?", "q", "=", "1"],
        ),
        ("me@ex.com #tag...", ["me", "@", "ex.com", "#", "tag", ".", ".", "."]),
        ("col\u00b7lecci\u00f3 k:a", ["col\u00b7lecci\u00f3", "k:a"]),
        (
            "Stra\u00dfenbahn \u201e\u00dcber\u201c",
            ["Stra\u00dfenbahn", "\u201e", "\u00dcber", "\u201c"],
        ),
        ("cafe\u0301 x\u00ady", ["cafe\u0301", "x\u00ady"]),
        (
            "\u5143\u59cb\u306b\u795e\u3002",
            ["\u5143", "\u59cb", "\u306b", "\u795e", "\u3002"],
        ),
        ("\u30e9\u30fc\u30e1\u30f3", ["\u30e9", "\u30fc", "\u30e1", "\u30f3"]),
        ("\u4eba\u3005\uff76\uff9eA", ["\u4eba", "\u3005", "\uff76\uff9e", "A"]),
        ("\u304b\u3099\u845b\U000e0100", ["\u304b\u3099", "\u845b\U000e0100"]),
        ("Python\u306e3\u3064", ["Python", "\u306e", "3", "\u3064"]),
        ("\ud55c\uad6d\uc5b4 \uacf5\ubd80", ["\ud55c\uad6d\uc5b4", "\uacf5\ubd80"]),
        (
            "\u0939\u093f\u0928\u094d\u0926\u0940 \u0939\u0948\u0964",
            ["\u0939\u093f\u0928\u094d\u0926\u0940", "\u0939\u0948", "\u0964"],
        ),
        (
            "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627\u060c \u0663\u066b\u0661",
            [
                "\u0645\u064e\u0631\u0652\u062d\u064e\u0628\u064b\u0627",
                "\u060c",
                "\u0663\u066b\u0661",
            ],
        ),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            ["\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"],
        ),
        (
            "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e04\u0e23\u0e31\u0e1a\u200b\u0e01",
            ["\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e04\u0e23\u0e31\u0e1a", "\u0e01"],
        ),
        (f"{FAMILY}!{SCOTLAND}", [FAMILY, "!", SCOTLAND]),
        ("\U0001f44d\U0001f3fd\U0001f600", ["\U0001f44d\U0001f3fd", "\U0001f600"]),
        (
            "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7\U0001f1ef",
            ["\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7", "\U0001f1ef"],
        ),
        ("1\ufe0f\u20e3 #\ufe0f\u20e3", ["1\ufe0f\u20e3", "#\ufe0f\u20e3"]),
        ("\u0301a \u0302\u0303", ["\u0301", "a", "\u0302\u0303"]),
        ("a\u3000b\u00a0c\u2028d\x00e", ["a", "b", "c", "d", "e"]),
        ("\u0378\ue000\U0010ffff", ["\u0378", "\ue000", "\U0010ffff"]),
        ("", []),
        (" \t\u200b\u3000", []),
    ],
)
def test_words_of(text, tokens):
    assert cut(text) == tokens
    assert cut_slowly(text) == tokens


@settings(max_examples=1000)
@given(texts())
def test_it_cuts_where_the_rules_say(text):
    assert cut(text) == cut_slowly(text)


@settings(max_examples=300)
@given(texts().map(lambda text: "".join(c for c in text if ord(c) <= LAST_OF_FIRST_PLANE)))
def test_the_fast_cutter_cuts_alike(text):
    assert cutter(last=LAST_OF_FIRST_PLANE)(text) == cut(text)


@given(texts())
def test_nothing_but_separators_is_dropped(text):
    dropped = {"Zs", "Zl", "Zp", "Cc"}
    kept = [c for c in text if unicodedata.category(c) not in dropped and c != "\u200b"]
    assert "".join(cut(text)) == "".join(kept)


def test_it_knows_every_character_of_the_blocks_with_exceptions():
    blocks = (range(0x2000, 0x2100), range(0x3000, 0x3400), range(0xFF00, 0x10000))
    points = [*chain(*blocks), *range(0x1AFF0, 0x1B170), *range(0x1F000, 0x1FA00)]
    for around in ("a{}a", "\u4e2d{}\u4e2d", "#\u200d{}1"):
        for text in map(around.format, map(chr, points)):
            assert cut(text) == cut_slowly(text), ascii(text)


def test_tables_are_built_at_first_use_only():
    script = (
        "import job.preprocessing.vocabulary, job.preprocessing.word_segmentation as rules; "
        "assert rules._classes.cache_info().currsize == 0"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
