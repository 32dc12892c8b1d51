"""Which sides of some pairs an encoder call holds.

Dropout draws numbers by side and pair, and batch statistics are those of a side, so such layers
must know what the rows of a call are. A Keras model hands its layers no argument of this kind:
it travels in a context variable, which they read while their graph is traced::

    with encoding(LEFT):
        u_BD = encoder(left, training=True)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LEFT, RIGHT = 0, 1
BOTH = (LEFT, RIGHT)

_sides: ContextVar[tuple[int, ...]] = ContextVar("sides", default=BOTH)


def sides_in_call() -> tuple[int, ...]:
    """The sides whose items a call holds, in the order of its rows; both unless said otherwise.

    With both, the first half of the rows are the left items of some pairs and the second half
    their right items.
    """
    return _sides.get()


@contextmanager
def encoding(*sides: int) -> Iterator[None]:
    """Says that the calls within hold the items of these sides.

    Args:
        *sides: `LEFT`, `RIGHT`, or both in this order.
    """
    token = _sides.set(sides)
    try:
        yield
    finally:
        _sides.reset(token)
