"""How thorough a test is: `make test` takes a few examples, `make prove` more of them."""

import os

# `PROVE_FACTOR=10` makes a test run longer and look for what is rare.
FACTOR = int(os.environ.get("PROVE_FACTOR", "1"))


def examples(number: int) -> int:
    """So many examples, times PROVE_FACTOR."""
    return number * FACTOR
