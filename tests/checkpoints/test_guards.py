"""Negative controls: with a guard of the protocol off, the enumeration of crashes must fail."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any
from unittest import mock

import pytest

from job.checkpoints import acquire, commit, garbage, manager, rebuild, records, restore
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import COMMIT, CONFIG, HEAD
from job.checkpoints.lease import Lease
from job.checkpoints.provenance import Identity
from job.checkpoints.records import CommitRecord, Head, ObjectRecord, parse
from job.errors import CheckpointError, ConfigError, StorageOutageError
from job.storage.object_store import ObjectStat, ObjectStore, PreconditionFailedError
from tests.checkpoints import test_acquire, test_damage, test_garbage, test_identity
from tests.checkpoints.enumeration import count_writes, enumerate_crashes, whole_run
from tests.checkpoints.fault_stores import LostAnswerStore, Wrapped
from tests.checkpoints.test_two_writers import check_race
from tests.checkpoints.tiny_run import MODEL, RESUME, STATE
from tests.fakes.memory_store import MemoryStore


class HoldingBack(Wrapped):
    """Does what matches `held` only once what matches `until` has been done."""

    def __init__(self, inner: ObjectStore, *, call: str, held: str, until: str) -> None:
        super().__init__(inner)
        self.call, self.held, self.until = call, held, until
        self.waiting: list[Callable[[], Any]] = []

    def write(self, name: str, data: bytes, *, if_generation: int | None) -> ObjectStat:
        if self.call == "write" and name.endswith(self.held):
            other = MemoryStore()
            self.waiting.append(
                lambda: self.inner.write(name, data, if_generation=if_generation)
            )
            stat = other.write(name, data, if_generation=None)
            return replace(stat, generation=10**6)
        return super().write(name, data, if_generation=if_generation)

    def delete(self, name: str, *, if_generation: int | None) -> None:
        if self.call == "delete" and name.endswith(self.held):
            self.waiting.append(lambda: self.inner.delete(name, if_generation=None))
            return
        super().delete(name, if_generation=if_generation)

    def around(self, call: str, name: str, do: Callable[[], Any]) -> Any:
        result = do()
        if call == self.call and name.endswith(self.until):
            while self.waiting:
                self.waiting.pop()()
        return result


WRONG_ORDERS = {
    "HEAD before the configuration": {"call": "write", "held": CONFIG, "until": HEAD},
    "commit record before the data": {"call": "write", "held": STATE, "until": COMMIT},
    "commit record before the weights": {"call": "write", "held": MODEL, "until": COMMIT},
    "commit record before the rest": {"call": "write", "held": RESUME, "until": COMMIT},
    "HEAD before the commit record": {"call": "write", "held": COMMIT, "until": HEAD},
    "data deleted before the commit record": {
        "call": "delete",
        "held": COMMIT,
        "until": STATE,
    },
}


@pytest.mark.parametrize("order", WRONG_ORDERS)
def test_enumeration_notices_a_wrong_order_of_calls(order: str) -> None:
    def wrap(store: ObjectStore) -> ObjectStore:
        return HoldingBack(store, **WRONG_ORDERS[order])

    whole_run(wrap(MemoryStore()))  # nobody notices as long as nothing dies
    with pytest.raises((AssertionError, DamagedError, CheckpointError)):
        enumerate_crashes(MemoryStore, wrap=wrap)


def delete_before_head(monkeypatch: pytest.MonkeyPatch) -> None:
    update = Lease.update

    def too_early(self: Lease, change: Callable[[Head], Head]) -> Head:
        wanted = change(self.head)
        for one in self.head.checkpoints:
            if one not in wanted.checkpoints:
                names = [found.name for found in self._store.list(one.dir)]
                garbage.delete_objects(self._store, names)
        return update(self, change)

    monkeypatch.setattr(Lease, "update", too_early)


def adopt_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        acquire, "adopt_uncommitted_entries", lambda store, head, dirs, *, identity: head
    )


def collect_no_garbage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager, "left_behind", lambda *args, **options: ())


def forget_the_best(monkeypatch: pytest.MonkeyPatch) -> None:
    write = commit.write_checkpoint

    def forgetful(*args: Any, **options: Any) -> commit.Written:
        return replace(write(*args, **options), best=None)

    monkeypatch.setattr(manager, "write_checkpoint", forgetful)


@pytest.mark.parametrize(
    "turn_off",
    [delete_before_head, adopt_nothing, collect_no_garbage, forget_the_best],
    ids=lambda function: function.__name__,
)
def test_enumeration_notices_a_missing_guard(
    monkeypatch: pytest.MonkeyPatch, turn_off: Callable[[pytest.MonkeyPatch], None]
) -> None:
    turn_off(monkeypatch)
    whole_run(MemoryStore())
    with pytest.raises((AssertionError, DamagedError, CheckpointError)):
        enumerate_crashes(MemoryStore)


def read_any_commit(store: ObjectStore, dir: str, *, identity: Identity, sha256: Any) -> Any:
    commit = parse(CommitRecord, store.read(f"{dir}/{COMMIT}").data)
    mine = replace(identity, lineage=commit.lineage)
    return restore.read_commit(store, dir, identity=mine, sha256=sha256)


def verify_any_writer(store: ObjectStore, dir: str, *, identity: Identity) -> Any:
    found = restore.read_commit(store, dir, identity=identity, sha256=None)
    return replace(found, record=replace(found.record, writer=mock.ANY))


def next_of_any_head(store: ObjectStore, found: Any, *args: Any, **options: Any) -> Head:
    if found.head is not None:
        lineage = options["identity"].lineage
        found = replace(found, head=replace(found.head, lineage=lineage))
    return acquire.next_head(store, found, *args, **options)


def read_unchecked(store: ObjectStore, dir: str, wanted: ObjectRecord) -> bytes:
    return store.read(f"{dir}/{wanted.name}").data


class AnyText(str):
    """Text that is equal to any other."""

    def __ne__(self, other: object) -> bool:
        return False


removed_run = partial(
    test_garbage.test_commits_of_a_removed_run_are_neither_used_nor_deleted, has_head=False
)
any_damage = partial(
    test_damage.test_damage_anywhere_ends_in_a_committed_state_or_a_refusal,
    number=300,
    damage=test_damage.flipped,
)
results = partial(
    test_identity.test_results_of_a_fenced_attempt_never_replace_those_of_the_newer_one,
    when="before",
)
# What is replaced by what, and the test that notices.
GUARDS: dict[str, tuple[Any, str, Callable[..., Any], Callable[..., None]]] = {
    "lineage of a commit": (rebuild, "read_commit", read_any_commit, removed_run),
    "lineage of garbage": (garbage, "_is_of_this_run", lambda *args: True, removed_run),
    "lineage of HEAD": (
        manager,
        "next_head",
        next_of_any_head,
        test_identity.test_head_that_a_removed_run_left_is_replaced_not_continued,
    ),
    "writer of a commit": (
        rebuild,
        "_verified",
        verify_any_writer,
        test_identity.test_commit_of_a_fenced_process_with_the_same_number_is_not_adopted,
    ),
    "configuration of a lost HEAD": (
        Lease,
        "_require_not_removed",
        lambda self: None,
        test_identity.test_last_save_of_a_removed_run_does_not_begin_its_successor,
    ),
    "same data": (
        acquire,
        "require_same_data",
        lambda stored, **options: None,
        test_acquire.test_other_data_than_the_runs_are_refused_before_anything_is_written,
    ),
    "owner of HEAD": (
        Lease,
        "_require_own",
        lambda self, other: None,
        partial(check_race, [0] * 20 + [1] * 100),
    ),
    "lease of results": (Lease, "verify", lambda self: None, results),
    "checksum of records": (records, "_sha256_of", lambda record: AnyText(), any_damage),
    "checksum of objects": (restore, "read_object", read_unchecked, any_damage),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_a_scenario_notices_a_missing_guard(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, guard: str
) -> None:
    owner, name, replacement, scenario = GUARDS[guard]
    options = {"caplog": caplog} if "caplog" in signature(scenario).parameters else {}
    scenario(**options)
    monkeypatch.setattr(owner, name, replacement)
    with pytest.raises((AssertionError, ConfigError, pytest.fail.Exception)):
        scenario(**options)


@pytest.mark.parametrize("user", [manager, commit], ids=lambda one: one.__name__)
def test_lost_responses_are_noticed_without_the_rule_for_them(
    monkeypatch: pytest.MonkeyPatch, user: Any
) -> None:
    def unrecognised(
        store: ObjectStore, name: str, data: bytes, *, if_generation: int
    ) -> ObjectStat | None:
        try:
            return store.write(name, data, if_generation=if_generation)
        except PreconditionFailedError:
            return None

    monkeypatch.setattr(user, "write_if_generation", unrecognised)
    taken_twice = failed = 0
    for lose_at in range(1, count_writes() + 1):
        try:
            attempts = whole_run(LostAnswerStore(MemoryStore(), lose_at=lose_at))
        except StorageOutageError:
            failed += 1
        else:
            taken_twice += attempts[-1].manager.attempt > 2
    assert (taken_twice, failed > 5) == ((2, False) if user is manager else (0, True))
