"""Where words end, decided slowly between any two neighbouring characters."""

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


def texts(*, nul: bool = True) -> st.SearchStrategy[str]:
    """Texts of any characters that UTF-8 can hold, telling ones most of the time."""
    anything = st.characters(
        exclude_categories=["Cs"], exclude_characters=() if nul else ("\0",)
    )
    characters = st.one_of(*[st.sampled_from(TELLING)] * 3, anything)
    return st.lists(characters, max_size=12).map("".join)


def cut_slowly(text: str) -> list[str]:
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
    if category in ("Lo", "Lm", "Nl", "No") and name.startswith(scripts + others):
        return "han or kana"
    if category[0] == "L" or category == "Nl":
        return "letter"
    if category == "Nd":
        return "digit"
    if category in ("No", "Pc"):
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
    """Whether a sign stands between two letters, or two digits, and may."""
    if left < 0 or right >= len(text):
        return False
    sides = kind(text[left])
    return sides == kind(text[right]) and text[middle] in BETWEEN.get(sides, "")
