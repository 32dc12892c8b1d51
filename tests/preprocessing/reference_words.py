"""Sentences with their words, and where words end decided slowly for any two neighbours."""

import unicodedata

from hypothesis import strategies as st

ZERO_WIDTH_JOINER = "\u200d"
BOTH = "'.\u2018\u2019\u2024\ufe52\uff07\uff0e"
BETWEEN = {
    "letter": ":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a" + BOTH,
    "digit": (
        ",;\u037e\u0589\u060c\u060d\u066b\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b"
        + BOTH
    ),
}

FAMILY = "\U0001f469\u200d\u2764\ufe0f\u200d\U0001f468"
SCOTLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f"

SENTENCES = [
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
]

# One of each kind, and what joins them; random code points alone would hardly ever meet.
TELLING = (
    "aZ\u00e9\u03c9\u05d0\u0639\u0915\u0e01\uac00\U00010400"  # letters of several scripts
    "07\u0663\u0967\U0001d7ce\u00bd\u2167\u2460_\u203f"  # digits, numbers, connectors
    "\u4e2d\u3005\u3007\u3042\u30ab\u30fc\uff76\uff70\U00020000\U0001b000"  # Han and kana
    "\u0301\u0941\u0e49\u3099\uff9e\ufe0f\u20e3\u00ad\u200c\u200d\u2060"  # what stays
    "\U0001f468\U0001f469\u2764\U0001f44d\U0001f3fd\U0001f3f4\U000e0067\U0001f1e9\U0001f1ea"
    "'\u2019.:\u00b7,;\u066b-!#\u3002\uff0e\ufffd\u0378\ue000\U0010ffff"
    " \t\n\x01\x7f\x85\u00a0\u200b\u2028\u3000"
)


def texts() -> st.SearchStrategy[str]:
    """Texts of any characters that this Python's Unicode version knows, telling ones mostly."""
    anything = st.characters(exclude_categories=["Cs", "Cn"])
    characters = st.one_of(*[st.sampled_from(TELLING)] * 3, anything)
    return st.lists(characters, max_size=12).map("".join)


def slow_words(text: str) -> list[str]:
    """The tokens of a text."""
    tokens: list[str] = []
    for place, character in enumerate(text):
        if kind(character) == "separator":
            continue
        if place and tokens and stays(text, place):
            tokens[-1] += character
        else:
            tokens.append(character)
    return tokens


def kind(character: str) -> str:
    category = unicodedata.category(character)
    name = unicodedata.name(character, "")
    if character == ZERO_WIDTH_JOINER:
        return "joiner"
    if character == "\u200b" or category in ("Zs", "Zl", "Zp", "Cc"):
        return "separator"
    if (
        category in ("Mn", "Mc", "Me", "Cf")
        or name.startswith("EMOJI MODIFIER")
        or (name.startswith("HALFWIDTH KATAKANA") and name.endswith("VOICED SOUND MARK"))
    ):
        return "mark"
    if name.startswith("REGIONAL INDICATOR"):
        return "regional"
    scripts = ("CJK UNIFIED", "CJK COMPATIBILITY IDEOGRAPH", "HIRAGANA", "KATAKANA")
    others = ("HALFWIDTH KATAKANA", "HENTAIGANA", "IDEOGRAPHIC", "VERTICAL", "HANGZHOU", "MASU")
    iteration = ("OLD CHINESE ITERATION",)
    if category in ("Lo", "Lm", "Nl") and name.startswith(scripts + others + iteration):
        return "han or kana"
    if category[0] == "L":
        return "letter"
    if category == "Nd":
        return "digit"
    if category in ("Nl", "No", "Pc"):
        return "other of words"
    return "symbol" if category[0] == "S" else "sign"


def base(text: str, place: int, *, step: int) -> int:
    """The next place from here, this one included, that is no mark; -1 or the end without."""
    while 0 <= place < len(text) and kind(text[place]) in ("mark", "joiner"):
        place += step
    return place


def stays(text: str, place: int) -> bool:
    """Whether the character at a place belongs to the token before it."""
    before, here = kind(text[place - 1]), kind(text[place])
    if before == "separator":
        return False
    if here in ("mark", "joiner"):
        return True
    owner = base(text, place - 1, step=-1)
    if owner < 0 or kind(text[owner]) == "separator":
        return False
    if here == "symbol" and before == "joiner":
        return kind(text[owner]) in ("symbol", "sign", "han or kana")
    if here == "regional" and before == "regional":
        start = place
        while start and kind(text[start - 1]) == "regional":
            start -= 1
        return (place - start) % 2 == 1
    in_words = ("letter", "digit", "other of words")
    if kind(text[owner]) in in_words and here in in_words:
        return True
    after = base(text, place + 1, step=1)
    return is_between(text, owner, place, after) or is_between(
        text, base(text, owner - 1, step=-1), owner, place
    )


def is_between(text: str, left: int, middle: int, right: int) -> bool:
    """Whether a character between two letters, or two digits, joins them."""
    if left < 0 or right >= len(text):
        return False
    sides = kind(text[left])
    return sides == kind(text[right]) and text[middle] in BETWEEN.get(sides, "")
