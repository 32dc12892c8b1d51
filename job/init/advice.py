"""Words errors of the data readers for a user of `init`, who has no configuration yet.

The readers name keys of a configuration. What `init` has a flag for becomes that flag; for the
other keys it is said how to get a file that holds them::

    with advising_on_init():
        read_rows(...)
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from job.errors import ConfigError, DataError

_FLAGS = {
    "left": "--left",
    "right": "--right",
    "label": "--label",
    "item_class": "--class",
    "item": "--item",
}
_COLUMN = re.compile(rf"\bdata\.columns\.({'|'.join(_FLAGS)})\b(:? NAME)?")
_FILE = re.compile(r"^data\.(train|validation|test)\b")
_KEY = re.compile(r"\bdata\.[a-z_]+")


@contextmanager
def advising_on_init() -> Iterator[None]:
    """Words the errors of the block for a user of `init`.

    Raises:
        ConfigError: As the block does.
        DataError: As the block does.
    """
    try:
        yield
    except (ConfigError, DataError) as error:
        raise type(error)(advice_on_init(str(error))) from error


def advice_on_init(message: str) -> str:
    """The message with flags in place of keys, and how to set the keys without a flag."""
    text = _FILE.sub("init", message)
    text = _COLUMN.sub(lambda found: f"{_FLAGS[found[1]]} NAME", text)
    if not text.startswith("init"):
        text = f"init: {text}"
    keys = list(dict.fromkeys(_KEY.findall(text)))
    if keys:
        text += (
            f" (`siamese-job init NEW.yaml` writes a configuration to start from, where "
            f"{' and '.join(keys)} can be set.)"
        )
    return text
