"""Which pairs of a batch, and which of their sides, an encoder call holds.

Dropout draws numbers by side and pair, and batch statistics are those of a side, so such layers
must know what the rows of a call are. A Keras model hands its layers no argument of this kind:
it travels in a context variable, which they read while their graph is traced::

    with encoding(LEFT):
        u_BD = encoder(left, training=True)
    with micro_batch(1, count=4):
        u_BD, v_BD = siamese.embed_sides(left, right, training=True)
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

LEFT, RIGHT = 0, 1
BOTH = (LEFT, RIGHT)


@dataclass(frozen=True)
class MicroBatch:
    """A part of the pairs of a replica.

    Attributes:
        index: int or int32 (), in [0, count).
        count: Parts of equal size.
    """

    index: Any = 0
    count: int = 1


_WHOLE = MicroBatch()
_sides: ContextVar[tuple[int, ...]] = ContextVar("sides", default=BOTH)
_micro_batch: ContextVar[MicroBatch] = ContextVar("micro_batch", default=_WHOLE)


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


def micro_batch_in_call() -> MicroBatch:
    """The part of a replica's pairs that a call holds; all of them unless said otherwise."""
    return _micro_batch.get()


@contextmanager
def micro_batch(index: Any, *, count: int) -> Iterator[None]:
    """Says that the calls within hold a part of the replica's pairs.

    Args:
        index: int or int32 (), the number of the part.
        count: Parts of equal size.
    """
    token = _micro_batch.set(MicroBatch(index, count))
    try:
        yield
    finally:
        _micro_batch.reset(token)
