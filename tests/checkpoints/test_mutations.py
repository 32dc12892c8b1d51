"""With a step of the checkpoint protocol disabled, a test of this folder fails."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from job.checkpoints import acquire, commit, garbage, manager, rebuild, records, restore
from job.checkpoints.layout import COMMIT, CONFIG, HEAD, DirListing, list_dirs
from job.checkpoints.lease import Lease
from job.checkpoints.provenance import Identity
from job.checkpoints.records import CommitRecord, Head, ObjectRecord, parse
from job.storage import filesystem, local
from job.storage.filesystem import NewFile
from job.storage.local import FileStore
from job.storage.object_store import ObjectStat, ObjectStore, PreconditionFailedError
from tests.checkpoints import (
    test_acquire,
    test_crash_points,
    test_damage,
    test_garbage,
    test_identity,
    test_power_cut,
    test_two_writers,
)
from tests.checkpoints.enumeration import enumerate_crashes
from tests.checkpoints.fault_stores import Wrapped
from tests.checkpoints.tiny_run import MODEL, RESUME, STATE
from tests.fakes.memory_store import MemoryStore
from tests.mutations import Mutation, Patch, check_noticed, setting
from tests.storage import test_conformance

# The tests that notice.
CRASHES = test_crash_points.test_crash_at_any_call_in_memory_loses_nothing_committed
PAUSED = test_two_writers.test_attempt_paused_anywhere_is_fenced_by_the_one_that_took_over
REMOVED_RUN = partial(
    test_garbage.test_commits_of_a_removed_run_are_neither_used_nor_deleted, has_head=False
)
DAMAGE = partial(
    test_damage.test_damage_anywhere_ends_in_a_committed_state_or_a_refusal,
    number=300,
    damage=test_damage.flipped,
)
RESULTS = test_identity.test_results_of_a_fenced_attempt_never_replace_those_of_the_newer_one
LOST = test_crash_points.test_write_whose_response_was_lost_counts_as_done
POWER_CUT = test_power_cut.test_power_cut_at_any_moment_loses_nothing_committed


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


def out_of_order(call: str, *, first: str, then: str) -> Patch:
    """Every run of the enumeration does `first` before `then`, the wrong way round."""

    def wrap(store: ObjectStore) -> ObjectStore:
        return HoldingBack(store, call=call, held=then, until=first)

    return lambda patch: patch.setitem(enumerate_crashes.__kwdefaults__, "wrap", wrap)


def unconditional(name: str) -> Patch:
    """Writes of one object ignore which generation is expected, as one emulator does."""
    write = MemoryStore.write

    def careless(
        self: MemoryStore, written: str, data: bytes, *, if_generation: int | None
    ) -> ObjectStat:
        return write(
            self, written, data, if_generation=None if written == name else if_generation
        )

    return setting(MemoryStore, "write", careless)


def read_any_commit(store: ObjectStore, dir: str, *, identity: Identity, sha256: Any) -> Any:
    found = parse(CommitRecord, store.read(f"{dir}/{COMMIT}").data)
    mine = replace(identity, lineage=found.lineage)
    return restore.read_commit(store, dir, identity=mine, sha256=sha256)


def verify_any_writer(store: ObjectStore, dir: str, *, identity: Identity) -> Any:
    found = restore.read_commit(store, dir, identity=identity, sha256=None)
    return replace(found, record=replace(found.record, writer=mock.ANY))


NEXT_HEAD = acquire.next_head


def next_of_any_head(store: ObjectStore, found: Any, *args: Any, **options: Any) -> Head:
    if found.head is not None:
        lineage = options["identity"].lineage
        found = replace(found, head=replace(found.head, lineage=lineage))
    return NEXT_HEAD(store, found, *args, **options)


def unrecognised(
    store: ObjectStore, name: str, data: bytes, *, if_generation: int
) -> ObjectStat | None:
    """`write_if_generation` that takes its own write for that of another."""
    try:
        return store.write(name, data, if_generation=if_generation)
    except PreconditionFailedError:
        return None


class AnyText(str):
    """Text that is equal to any other."""

    def __ne__(self, other: object) -> bool:
        return False


def read_unchecked(store: ObjectStore, dir: str, wanted: ObjectRecord) -> bytes:
    return store.read(f"{dir}/{wanted.name}").data


def adopt_from_any_attempt(
    store: ObjectStore, head: Head, dirs: DirListing, *, identity: Identity
) -> Head:
    for found in dirs.committed:
        writer = parse(CommitRecord, store.read(f"{found.path}/{COMMIT}").data).writer
        owner = replace(head.owner, nonce=writer)
        of_writer = replace(head, token=found.token, owner=owner)
        adopted = rebuild.adopt_uncommitted_entries(store, of_writer, dirs, identity=identity)
        head = replace(adopted, token=head.token, owner=head.owner)
    return head


_left_behind = garbage.left_behind


def left_behind_by_anybody(
    store: ObjectStore, listing: DirListing, head: Head, **options: Any
) -> Iterator[str]:
    newest = replace(head, token=head.token + 9)
    return _left_behind(store, list_dirs(store), newest, **options)


def delete_before_head(patch: pytest.MonkeyPatch) -> None:
    update = Lease.update

    def too_early(self: Lease, change: Callable[[Head], Head]) -> Head:
        wanted = change(self.head)
        for one in self.head.checkpoints:
            if one not in wanted.checkpoints:
                names = [found.name for found in self._store.list(one.dir)]
                garbage.delete_objects(self._store, names)
        return update(self, change)

    patch.setattr(Lease, "update", too_early)


def forget_the_best(patch: pytest.MonkeyPatch) -> None:
    write = commit.write_checkpoint

    def forgetful(*args: Any, **options: Any) -> commit.Written:
        return replace(write(*args, **options), best=None)

    patch.setattr(manager, "write_checkpoint", forgetful)


@contextmanager
def unforced_file(path: Path) -> Iterator[NewFile]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    yield NewFile(fd)
    os.close(fd)


MUTATIONS = [
    Mutation("lineage", "in a commit", setting(rebuild, "read_commit", read_any_commit),
             REMOVED_RUN),
    Mutation("lineage", "in HEAD", setting(acquire, "next_head", next_of_any_head),
             test_identity.test_head_that_a_removed_run_left_is_replaced_not_continued),
    Mutation("lineage", "of what is garbage",
             setting(garbage, "_is_of_this_run", lambda *args: True), REMOVED_RUN),
    Mutation("lineage", "in config.json where HEAD is lost",
             setting(Lease, "_require_not_removed", lambda self: None),
             test_identity.test_last_save_of_a_removed_run_does_not_begin_its_successor),
    Mutation("nonce", "of a commit's writer", setting(rebuild, "_verified", verify_any_writer),
             test_identity.test_commit_of_a_fenced_process_with_the_same_number_is_not_adopted),
    Mutation("data", "fingerprint in config.json",
             setting(acquire, "require_same_data", lambda stored, **options: None),
             test_acquire.test_other_data_than_the_runs_are_refused_before_anything_is_written),
    Mutation("precondition", "of HEAD.json", unconditional(HEAD), PAUSED),
    Mutation("precondition", "of config.json", unconditional(CONFIG),
             test_identity.test_second_configuration_that_appears_during_the_start_is_compared),
    Mutation("precondition", "of results", unconditional("summary.json"),
             partial(RESULTS, when="between")),
    Mutation("precondition", "in a folder",
             setting(local, "_checked_generation", lambda path, _: local._generation(path)),
             test_conformance.test_create_only_write_refuses_an_object_that_exists),
    Mutation("precondition", "own write of HEAD recognised",
             setting(acquire, "write_if_generation", unrecognised), partial(LOST, lose_at=2)),
    Mutation("precondition", "own write of an object recognised",
             setting(commit, "write_if_generation", unrecognised), partial(LOST, lose_at=4)),
    Mutation("COMMIT", "after the data",
             out_of_order("write", first=COMMIT, then=STATE), CRASHES),
    Mutation("COMMIT", "after the weights of a best epoch",
             out_of_order("write", first=COMMIT, then=MODEL), CRASHES),
    Mutation("COMMIT", "after the rest of a best epoch",
             out_of_order("write", first=COMMIT, then=RESUME), CRASHES),
    Mutation("COMMIT", "before HEAD", out_of_order("write", first=HEAD, then=COMMIT), CRASHES),
    Mutation("COMMIT", "config.json before HEAD",
             out_of_order("write", first=HEAD, then=CONFIG), CRASHES),
    Mutation("COMMIT", "adopted if HEAD was not written",
             setting(acquire, "adopt_uncommitted_entries", lambda store, head, *_, **__: head),
             CRASHES),
    Mutation("checksum", "of records", setting(records, "_sha256_of", lambda _: AnyText()),
             DAMAGE),
    Mutation("checksum", "of objects", setting(restore, "read_object", read_unchecked), DAMAGE),
    Mutation("fencing", "owner of HEAD",
             setting(Lease, "_require_own", lambda self, other: None), PAUSED),
    Mutation("fencing", "lease before results", setting(Lease, "verify", lambda self: None),
             partial(RESULTS, when="before")),
    Mutation("fencing", "adopting from the last attempt only",
             setting(acquire, "adopt_uncommitted_entries", adopt_from_any_attempt),
             test_two_writers
             .test_late_commit_stays_out_even_if_the_next_attempt_saved_nothing),
    Mutation("fencing", "deleting from older attempts only",
             setting(garbage, "left_behind", left_behind_by_anybody),
             test_two_writers
             .test_garbage_of_earlier_attempts_is_told_from_what_a_newer_one_writes),
    Mutation("deletes", "after HEAD", delete_before_head, CRASHES),
    Mutation("deletes", "commit record first",
             out_of_order("delete", first=STATE, then=COMMIT), CRASHES),
    Mutation("deletes", "what dead attempts left",
             setting(garbage, "left_behind", lambda *args, **options: ()), CRASHES),
    Mutation("deletes", "never the best", forget_the_best, CRASHES),
    Mutation("fsync", "of content", setting(filesystem, "durable_file", unforced_file),
             POWER_CUT),
    Mutation("fsync", "of names", setting(filesystem, "sync_folder", lambda folder: None),
             POWER_CUT),
]  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    """For the test of conformance."""
    return FileStore(tmp_path)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_disabled_step_is_noticed(mutation: Mutation, request: pytest.FixtureRequest) -> None:
    check_noticed(mutation, request)
