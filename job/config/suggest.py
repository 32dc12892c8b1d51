"""Finds what a person probably meant."""

import difflib
from collections.abc import Iterable

_LONGEST = 100  # difflib is quadratic, and nobody mistypes a longer word than this


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, upper and lower case alike; None when none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word[:_LONGEST].lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[near[0]] if near else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Names the known word nearest to a mistyped one.

    Args:
        word: What was received.
        known: The words that would have been accepted.

    Returns:
        " Did you mean 'x'?" with its leading blank, or "" when nothing is near.
    """
    near = nearest(word, known)
    return f" Did you mean {near!r}?" if near else ""
