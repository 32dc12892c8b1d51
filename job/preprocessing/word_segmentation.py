"""Splits texts into words with one regular expression, for Python and for the exported graph.

Words end where Unicode's rules say, except where those need a dictionary::

    split_words("Don't pay 3.14!")  # ["Don't", "pay", "3.14", "!"]

- A word is a run of letters, numbers and connectors such as `_`. An apostrophe, middle dot,
  colon or full stop belongs to it between two letters; a comma, semicolon, full stop or
  apostrophe between two digits (WB6, WB7, WB11, WB12).
- Each Han, hiragana and katakana character is a token, including half-width forms, iteration
  marks and the prolonged sound mark.
- In other scripts without spaces, such as Thai, Lao and Khmer, a token ends at the next
  separator. Hangul is written with spaces.
- Combining marks and invisible characters (joiners, soft hyphens, skin tones, half-width voiced
  sound marks) belong to the character before them (WB4); without one they are a token.
- Two regional indicators are one flag (WB15). A symbol behind a zero-width joiner belongs to
  the symbol before it (WB3c), so an emoji of several people is one token.
- Spaces, control characters and the zero-width space separate tokens and are dropped.
- Every other character is a token, also if this Unicode version does not know it.

The pattern uses only syntax that the package `regex` and TensorFlow's RE2 interpret alike: no
look-around, and Unicode properties instead of `re`'s classes. Both take the first alternative
that matches, as long as possible. Their Unicode versions differ: `regex` and RE2 may split
characters differently that were added to Unicode after 2021.

Source: Unicode Standard Annex 29, section 4.1.
"""

from functools import cache

import regex

# Words may be split differently by a release with another Unicode version.
REGEX_VERSION: str = regex.__version__

_ZERO_WIDTH_SPACE, JOINER = "\u200b", "\u200d"
SEPARATOR_PATTERN = f"[\\p{{Z}}\\p{{Cc}}{_ZERO_WIDTH_SPACE}]"

_VOICED_MARKS = "\uff9e\uff9f"
_CJK = "\\p{Han}\\p{Hiragana}\\p{Katakana}\u3006\u3031-\u3035\u303c\u30fc\uff70"
_FLAG = "\U0001f1e6-\U0001f1ff"
# A negated class of a negated property is the property without the other members.
_LETTER = f"[^\\P{{L}}{_CJK}{_VOICED_MARKS}]"
_DIGIT = "\\p{Nd}"
_OTHER_OF_WORDS = "(?:[^\\P{N}\\p{Nd}\\p{Han}]|\\p{Pc})"
_SYMBOL = f"[^\\P{{S}}{_FLAG}]"
MARK_PATTERN = f"[\\p{{M}}\\p{{Cf}}{_VOICED_MARKS}\U0001f3fb-\U0001f3ff]"
_SINGLE = f"(?:[{_CJK}]|[^\\p{{L}}\\p{{N}}\\p{{M}}\\p{{Pc}}\\p{{Z}}\\p{{Cc}}\\p{{Cf}}])"

# Word_Break = MidNumLet, Single_Quote; MidLetter; MidNum and the Arabic decimal separator.
_BETWEEN_BOTH = "'.\u2018\u2019\u2024\ufe52\uff07\uff0e"
_BETWEEN_LETTERS = f"[:\u00b7\u0387\u055f\u05f4\u2027\ufe13\ufe55\uff1a{_BETWEEN_BOTH}]"
_BETWEEN_DIGITS = (
    "[,;\u037e\u0589\u060c\u060d\u066b\u066c\u07f8\u2044\ufe10\ufe14\ufe50\ufe54\uff0c\uff1b"
    f"{_BETWEEN_BOTH}]"
)

_LETTERS, _DIGITS, _OTHERS = (
    f"(?:{one}+{MARK_PATTERN}*)+" for one in (_LETTER, _DIGIT, _OTHER_OF_WORDS)
)
# Matches one token in a text whose zero-width spaces are spaces.
TOKEN_PATTERN = "|".join(
    [
        f"(?:{_LETTERS}(?:{_BETWEEN_LETTERS}{MARK_PATTERN}*{_LETTERS})*"
        f"|{_DIGITS}(?:{_BETWEEN_DIGITS}{MARK_PATTERN}*{_DIGITS})*|{_OTHERS})+",
        f"{MARK_PATTERN}+",
        f"[{_FLAG}]{{1,2}}{MARK_PATTERN}*",
        # A joiner is a mark, too: first try it with the symbol behind it.
        f"{_SINGLE}(?:{JOINER}{_SYMBOL}?|{MARK_PATTERN})*",
    ]
)

# Matches a character that is a token unless a mark is behind it or a joiner in front of it: not
# for RE2.
WORD_BY_ITSELF_PATTERN = (
    f"(?!{MARK_PATTERN}|{_BETWEEN_LETTERS}|{_BETWEEN_DIGITS}|[{_FLAG}]){_SINGLE}"
)


def split_words(text: str) -> list[str]:
    """The tokens of a text, in order; a text of separators has none."""
    tokens: list[str] = _token().findall(text.replace(_ZERO_WIDTH_SPACE, " "))
    return tokens


@cache
def _token() -> "regex.Pattern[str]":
    return regex.compile(TOKEN_PATTERN)
