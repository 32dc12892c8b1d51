"""How much threads may hold at a time, together.

room = Room()
with room.taken(pixels, limit=max_pixels):  # waits until the others have left enough
    ...
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """Lets threads in while what they hold together stays within a limit.

    Whoever wants more than the limit comes in alone.
    """

    def __init__(self) -> None:
        self._held = 0
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, amount: int, *, limit: int) -> Iterator[None]:
        """Holds an amount while the block runs.

        Args:
            amount: What this thread is about to hold, >= 0.
            limit: What all of them may hold at a time.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._held or self._held + amount <= limit)
            self._held += amount
        try:
            yield
        finally:
            with self._changed:
                self._held -= amount
                self._changed.notify_all()
