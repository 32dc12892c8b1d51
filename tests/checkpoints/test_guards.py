"""Negative controls: with a guard of the protocol off, the enumeration of crashes must fail."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from inspect import signature
from typing import Any
from unittest import mock

import pytest

from job.checkpoints import acquire, commit, garbage, manager, records, restore
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import COMMIT, CONFIG, HEAD
from job.checkpoints.lease import Lease
from job.checkpoints.records import CommitRecord, Head, Identity, parse
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
        acquire, "_adopt_uncommitted_entries", lambda store, head, dirs, *, identity: head
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


def accept_every_lineage(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_any(store: ObjectStore, dir: str, *, identity: Identity, sha256: Any) -> Any:
        commit = parse(CommitRecord, store.read(f"{dir}/{COMMIT}").data)
        mine = replace(identity, lineage=commit.lineage)
        return restore.read_commit(store, dir, identity=mine, sha256=sha256)

    monkeypatch.setattr(acquire, "read_commit", of_any)


def accept_every_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = acquire._verified

    def of_any(store: ObjectStore, dir: str, *, identity: Identity) -> Any:
        commit = verified(store, dir, identity=identity)
        return replace(commit, record=replace(commit.record, writer=mock.ANY))

    monkeypatch.setattr(acquire, "_verified", of_any)


def accept_every_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, "_require_own", lambda self, other: None)


def accept_other_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquire, "require_same_data", lambda stored, **options: None)


def revive_a_removed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, "_require_not_removed", lambda self: None)


def continue_a_leftover_head(monkeypatch: pytest.MonkeyPatch) -> None:
    next_head = manager.next_head

    def trusting(store: ObjectStore, found: Any, *args: Any, **options: Any) -> Head:
        identity = options["identity"]
        if found.head is not None:
            head = replace(found.head, lineage=identity.lineage)
            found = replace(found, head=head)
        return next_head(store, found, *args, **options)

    monkeypatch.setattr(manager, "next_head", trusting)


class AnyText(str):
    """Text that is equal to any other."""

    def __ne__(self, other: object) -> bool:
        return False


def trust_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_sha256_of", lambda record: AnyText())


def publish_without_the_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lease, "verify", lambda self: None)


def collect_foreign_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "_is_of_this_run", lambda store, found, identity: True)


TESTS: dict[Callable[[pytest.MonkeyPatch], None], Callable[..., None]] = {
    accept_every_lineage: partial(
        test_garbage.test_commits_of_a_removed_run_are_neither_used_nor_deleted, has_head=False
    ),
    accept_every_writer: (
        test_identity.test_commit_of_a_fenced_process_with_the_same_number_is_not_adopted
    ),
    accept_every_owner: partial(check_race, [0] * 20 + [1] * 100),
    accept_other_data: (
        test_acquire.test_other_data_than_the_runs_are_refused_before_anything_is_written
    ),
    revive_a_removed_run: (
        test_identity.test_last_save_of_a_removed_run_does_not_begin_its_successor
    ),
    continue_a_leftover_head: (
        test_identity.test_head_that_a_removed_run_left_is_replaced_not_continued
    ),
    trust_records: partial(
        test_damage.test_damage_anywhere_ends_in_a_committed_state_or_a_refusal,
        number=300,
        damage=test_damage.flipped,
    ),
    publish_without_the_lease: partial(
        test_identity.test_results_of_a_fenced_attempt_never_replace_those_of_the_newer_one,
        when="before",
    ),
    collect_foreign_commits: partial(
        test_garbage.test_commits_of_a_removed_run_are_neither_used_nor_deleted, has_head=False
    ),
}


@pytest.mark.parametrize("turn_off", TESTS, ids=lambda function: function.__name__)
def test_a_scenario_notices_a_missing_guard(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    turn_off: Callable[[pytest.MonkeyPatch], None],
) -> None:
    scenario = TESTS[turn_off]
    options = {"caplog": caplog} if "caplog" in signature(scenario).parameters else {}
    scenario(**options)
    turn_off(monkeypatch)
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
