"""Stores that fail, or let something happen, exactly where told."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import COMMIT, HEAD
from job.checkpoints.records import CheckpointEntry, Head
from job.checkpoints.restore import load_entry
from job.errors import JobError
from job.storage.object_store import (
    ListedObject,
    ObjectStat,
    ObjectStore,
    PreconditionFailedError,
    StoredObject,
)
from tests.checkpoints.tiny_run import IDENTITY, SPEC, Attempt, fingerprint, head_of


class Crash(BaseException):
    """Stands for the process ending here: no `except` of the code under test may run on it."""


class Wrapped:
    """A store that lets `around` see every call; `around` returns or raises the result."""

    def __init__(self, inner: ObjectStore) -> None:
        self.inner = inner

    @property
    def uri(self) -> str:
        return self.inner.uri

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        return do()

    def read(self, name: str, *, limit_bytes: int | None = None) -> StoredObject:
        return self.around("read", name, lambda: self.inner.read(name, limit_bytes=limit_bytes))

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        return self.around(
            "write", name, lambda: self.inner.write(name, data, if_generation=if_generation)
        )

    def read_range(self, name: str, *, start: int, length: int, generation: int) -> bytes:
        return self.around(
            "read",
            name,
            lambda: self.inner.read_range(
                name, start=start, length=length, generation=generation
            ),
        )

    def write_file(self, name: str, path: Path, *, if_generation: int | None) -> ObjectStat:
        return self.around(
            "write",
            name,
            lambda: self.inner.write_file(name, path, if_generation=if_generation),
        )

    def list(self, prefix: str) -> list[ListedObject]:
        return self.around("list", prefix, lambda: self.inner.list(prefix))

    def delete(self, name: str, *, if_generation: int | None) -> None:
        self.around(
            "delete", name, lambda: self.inner.delete(name, if_generation=if_generation)
        )

    def stat(self, name: str) -> ObjectStat | None:
        return self.around("stat", name, lambda: self.inner.stat(name))


class CrashingStore(Wrapped):
    """Ends the process before or after call number `crash_at`, counted from 1."""

    def __init__(self, inner: ObjectStore, *, crash_at: int, after: bool) -> None:
        super().__init__(inner)
        self.crash_at = crash_at
        self.after = after
        self.calls = 0

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls != self.crash_at:
            return do()
        if self.after:
            with suppress(Exception):  # an answer that nobody hears, good or bad
                do()
        raise Crash(f"{'after' if self.after else 'before'} {call} {name}")


class LostAnswerStore(Wrapped):
    """Carries out write number `lose_at`, then reports what a repeated request would get."""

    def __init__(self, inner: ObjectStore, *, lose_at: int) -> None:
        super().__init__(inner)
        self.lose_at = lose_at
        self.writes = 0

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        result = do()
        if call == "write":
            self.writes += 1
            if self.writes == self.lose_at:
                raise PreconditionFailedError(name)
        return result


class WatchedStore(Wrapped):
    """Checks after each change what must hold, whoever made it."""

    def __init__(self, inner: ObjectStore) -> None:
        super().__init__(inner)
        self.clock = 0
        self.committed_at: dict[str, int] = {}
        self.taken_at: dict[int, int] = {}
        self.owners: dict[int, str] = {}
        self.verified: dict[str, tuple[ListedObject, ...]] = {}

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        result = do()
        self.clock += 1
        if call == "write" and name.endswith(COMMIT):
            self.committed_at[name.rpartition("/")[0]] = self.clock
        if (call, name) == ("write", HEAD) or call == "delete":
            self.check_head(head_of(self.inner))
        return result

    def check_head(self, head: Head) -> None:
        self.taken_at.setdefault(head.token, self.clock)
        assert head.token == max(self.taken_at), "an older attempt wrote HEAD"
        owner = self.owners.setdefault(head.token, head.owner.nonce)
        assert owner == head.owner.nonce, "two attempts have one number"
        for entry in head.checkpoints:
            self.check_entry(entry)
            writer = int(entry.dir.split("-")[1])
            later = [at for token, at in self.taken_at.items() if token > writer]
            assert self.committed_at[entry.dir] < min(later, default=self.clock + 1), (
                f"{entry.dir} was committed after its attempt had been fenced"
            )

    def check_entry(self, entry: CheckpointEntry) -> None:
        seen = tuple(self.inner.list(f"{entry.dir}/"))
        if self.verified.get(entry.dir) == seen:
            return
        try:
            load_entry(self.inner, entry, identity=IDENTITY, expected=SPEC)
        except DamagedError as error:
            raise AssertionError(f"HEAD names {entry.dir}: {error}") from error
        self.verified[entry.dir] = seen


class Meanwhile(Wrapped):
    """Something else happens just before the first write to one name."""

    def __init__(self, inner: ObjectStore, name: str, action: Callable[[], object]) -> None:
        super().__init__(inner)
        self.name, self.action = name, action
        self.times = 1

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        if (call, name) == ("write", self.name) and self.times > 0:
            self.times -= 1
            self.action()
        return do()


class Refusing(Wrapped):
    """Fails the calls that `when` picks."""

    def __init__(
        self, inner: ObjectStore, error: JobError, when: Callable[[str, str], bool]
    ) -> None:
        super().__init__(inner)
        self.error, self.when = error, when

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        if self.when(call, name):
            raise self.error
        return do()


class Turns(Wrapped):
    """Runs an attempt in a thread that waits for leave before each of its calls."""

    def __init__(self, inner: ObjectStore, name: str, **options: Any) -> None:
        super().__init__(inner)
        self.go, self.paused = threading.Semaphore(0), threading.Semaphore(0)
        self.ended = self.killed = False
        self.outcome: object = None
        self.attempt = Attempt(self, name, **options)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.paused.acquire()

    def _run(self) -> None:
        try:
            self.outcome = fingerprint(self.attempt.train())
        except BaseException as error:  # noqa: BLE001 (looked at by the test)
            self.outcome = error
        self.ended = True
        self.paused.release()

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        self.paused.release()
        self.go.acquire()
        if self.killed:
            raise Crash
        return do()

    def turn(self) -> None:
        if not self.ended:
            self.go.release()
            self.paused.acquire()

    def finish(self) -> None:
        while not self.ended:
            self.turn()

    def kill(self) -> None:
        self.killed = True
        self.turn()
        self.thread.join()
