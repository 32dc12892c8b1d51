"""Where a word ends: one regular expression for Python and for the exported graph.

Words are cut after Unicode's rules, with choices of our own where those need a dictionary::

    cut("Don't pay 3.14!")  # ["Don't", "pay", "3.14", "!"]

- A word is a run of letters, numbers and connectors such as `_`. An apostrophe, middle dot,
  colon or full stop stays in it between two letters; a comma, semicolon, full stop or
  apostrophe between two digits (WB6, WB7, WB11, WB12).
- Each Han, hiragana and katakana character is a token, the half-width ones, the iteration marks
  and the prolonged sound mark too. Which of them form a word takes a dictionary.
- Thai, Lao, Khmer and the like are written without blanks as well; there a token is what stands
  between two blanks. Hangul is written with blanks.
- Combining marks and invisible signs (joiners, soft hyphens, skin tones, the half-width voiced
  sound marks) stay with what they follow (WB4); with nothing before them they are a token.
- Two regional indicators are one flag (WB15). A symbol that a joiner ties to another sign stays
  with it (WB3c), so an emoji of several people is one token.
- Every other sign is a token of its own, also one that this version of Unicode does not know.
- Blanks and control characters separate and are dropped, and so is the zero-width space.

The expression uses only what Python's `re` and RE2 read alike: no look-around, and characters
as explicit ranges from `unicodedata`, so that the Unicode version of RE2 plays no part. Both
take the first alternative that matches, and as much of it as they can. The ranges are collected
at first use, in about 0.2 seconds.

Source: Unicode Standard Annex 29, section 4.1.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache

# Characters are cut differently where a later version of Unicode knows more of them.
UNICODE_VERSION = unicodedata.unidata_version

LAST_CODE_POINT = 0x10FFFF
LAST_OF_FIRST_PLANE = 0xFFFF

# What a character is, as one letter:
#   a  letter                d  decimal digit      w  other number, or connector
#   m  mark or invisible     j  zero-width joiner  r  regional indicator
#   s  symbol                b  blank or control
#   o  any other sign: Han, kana, punctuation, unassigned, private
_OF_CATEGORY: Mapping[str, str] = {
    **dict.fromkeys(("Lu", "Ll", "Lt", "Lm", "Lo", "Nl"), "a"),
    "Nd": "d",
    **dict.fromkeys(("No", "Pc"), "w"),
    **dict.fromkeys(("Mn", "Mc", "Me", "Cf"), "m"),
    **dict.fromkeys(("Sm", "Sc", "Sk", "So"), "s"),
    **dict.fromkeys(("Zs", "Zl", "Zp", "Cc"), "b"),
}
_EXCEPTIONS: Mapping[int, str] = {
    0x200B: "b",  # zero-width space: stands between words of Thai and Khmer
    0x200D: "j",
    **dict.fromkeys((0xFF9E, 0xFF9F), "m"),  # half-width voiced sound marks
    **dict.fromkeys(range(0x1F1E6, 0x1F200), "r"),
    **dict.fromkeys(range(0x1F3FB, 0x1F400), "m"),  # skin tones
}
# Planes 2 and 3 hold Han; the others hold nothing yet, or what anybody may use as they like.
_OF_SEVERAL_CLASSES = (range(0x20000), range(0xE0000, 0xF0000))

# unicodedata knows no scripts, but names begin with them.
_FIRST_HAN_OR_KANA = 0x3005
_HAN_OR_KANA = (
    "CJK UNIFIED IDEOGRAPH",
    "CJK COMPATIBILITY IDEOGRAPH",
    "IDEOGRAPHIC",
    "VERTICAL IDEOGRAPHIC",
    "HANGZHOU NUMERAL",
    "HIRAGANA",
    "HENTAIGANA",
    "KATAKANA",
    "HALFWIDTH KATAKANA",
    "VERTICAL KANA",
    "MASU MARK",
)

# Word_Break = MidNumLet, Single_Quote; MidLetter; MidNum with the Arabic decimal separator.
_BETWEEN_BOTH = "'.\u2018\u2019\u2024\ufe52\uff07\uff0e"
_BETWEEN_LETTERS = ":\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a" + _BETWEEN_BOTH
_BETWEEN_DIGITS = (
    ",;\u037e\u0589\u060c\u060d\u066b\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b"
    + _BETWEEN_BOTH
)


def cutter(*, last: int = LAST_CODE_POINT) -> Callable[[str], list[str]]:
    """What cuts a text into its tokens, in order; a blank text has none.

    Args:
        last: No text holds a code point above this. Up to LAST_OF_FIRST_PLANE cutting is
            several times faster, since `re` looks those up in a table.
    """
    return _compiled(last).findall


def cut(text: str) -> list[str]:
    """The tokens of a text, in order; a blank text has none."""
    return cutter()(text)


@cache
def token_pattern(*, last: int = LAST_CODE_POINT) -> str:
    """The expression that matches one token; what it never matches are separators.

    Args:
        last: The largest code point that the classes name.
    """

    def one_of(classes: str, *, but: bool = False) -> str:
        return f"[{'^' if but else ''}{_ranges(classes, last=last)}]"

    def run(start: str, between: str) -> str:
        part = f"{one_of(start)}{one_of(f'{start}mj')}*"
        return f"{part}(?:[{between}]{marks}{part})*" if between else part

    marks = f"{one_of('mj')}*"
    words = (run("a", _BETWEEN_LETTERS), run("d", _BETWEEN_DIGITS), run("w", ""))
    tokens = [
        f"(?:{'|'.join(words)})+",
        # The joiner is taken together with the symbol behind it, where there is one.
        f"{one_of('abdjmrw', but=True)}(?:{one_of('m')}|\u200d{one_of('s')}?)*",
        f"{one_of('mj')}+",
    ]
    if _ranges("r", last=last):
        tokens.append(f"{one_of('r')}{{1,2}}{marks}")
    return "|".join(tokens)


@cache
def separator_pattern() -> str:
    """The expression that matches one or more separators."""
    return f"[{_ranges('b', last=LAST_CODE_POINT)}]+"


@cache
def _compiled(last: int) -> re.Pattern[str]:
    return re.compile(token_pattern(last=last))


def _ranges(classes: str, *, last: int) -> str:
    """The characters of some classes as the inside of a bracket expression."""
    found = re.finditer(f"[{classes}]+", _classes()[: last + 1])
    return "".join(
        f"{_escaped(run.start())}-{_escaped(run.end() - 1)}"
        if run.end() - run.start() > 1
        else _escaped(run.start())
        for run in found
    )


def _escaped(code_point: int) -> str:
    character = chr(code_point)
    # Every sign of ASCII may be escaped, in both dialects; letters and digits may not.
    return f"\\{character}" if character.isascii() and not character.isalnum() else character


@cache
def _classes() -> str:
    """What each code point is: LAST_CODE_POINT + 1 letters."""
    classes = ["o"] * (LAST_CODE_POINT + 1)
    for planes in _OF_SEVERAL_CLASSES:
        for code_point in planes:
            classes[code_point] = _class_of(code_point)
    return "".join(classes)


def _class_of(code_point: int) -> str:
    if code_point in _EXCEPTIONS:
        return _EXCEPTIONS[code_point]
    character = chr(code_point)
    found = _OF_CATEGORY.get(unicodedata.category(character), "o")
    if found in "aw" and code_point >= _FIRST_HAN_OR_KANA:
        # Python gives no name to some ideographs of other scripts.
        return "o" if unicodedata.name(character, "").startswith(_HAN_OR_KANA) else found
    return found
