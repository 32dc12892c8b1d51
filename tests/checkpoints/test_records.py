import json
from dataclasses import replace
from typing import Any

import pytest

from job.checkpoints import layout
from job.checkpoints.canonical_json import DamagedError, loads
from job.checkpoints.layout import CheckpointDir, list_dirs
from job.checkpoints.records import (
    BestCheckpoint,
    BestEntry,
    CheckpointEntry,
    CommitRecord,
    Head,
    NewerSchemaError,
    ObjectRecord,
    Owner,
    Rejected,
    StoredConfig,
    dumps,
    parse,
    sealed,
)
from job.errors import ConfigError
from tests.checkpoints.tiny_run import MODEL, STATE
from tests.fakes.memory_store import MemoryStore

DIRS = [f"ckpt/{step:012d}-000001-0000000{step}" for step in (1, 2)]
BEST = BestCheckpoint(DIRS[0], 1, 1, "val_loss", 0.5)
LINEAGE = "0123456789abcdef" * 2
COMMIT = CommitRecord(
    schema=2,
    run="typos",
    lineage=LINEAGE,
    created="2026-01-01T00:00:00Z",
    step=1,
    epoch=0,
    step_in_epoch=1,
    token=1,
    writer="abc",
    nonce="00000001",
    config_sha256="a" * 64,
    fingerprint="data",
    versions={"tensorflow": "2.21.0"},
    topology={"replicas": 1, "cpu": "x86", "one_dnn": True, "share": 0.5},
    objects=(ObjectRecord("model-00000-of-00001.npz", 10, 2**32 - 1, "b" * 64),),
    metrics={"val_loss": 0.1, "loss": float("inf")},
    finite=True,
    best=BEST,
)
HEAD = Head(
    schema=2,
    run="typos",
    lineage=LINEAGE,
    token=2,
    owner=Owner("ns", "release", "job-uid", "pod-0", 1, "abc"),
    seq=7,
    written="2026-01-01T00:00:00Z",
    status="completed",
    reason="all epochs done",
    facts={"epochs": 2, "outcome": "completed", "nested": {"list": [1, None, "x"]}},
    results={"summary.json": "results/x/summary.json"},
    checkpoints=(
        CheckpointEntry(1, DIRS[0], "c" * 64, True),
        CheckpointEntry(2, DIRS[1], "d" * 64, False),
    ),
    last=DIRS[1],
    best=BestEntry.of(BEST, commit_sha256="c" * 64),
    rejected=(Rejected(DIRS[0].replace("1", "3"), "truncated"),),
    superseded=("3f6e",),
    has_trained=True,
    fruitless=4,
)
CONFIG = StoredConfig(
    schema=2,
    lineage=LINEAGE,
    created="2026-01-01T00:00:00Z",
    writer="abc",
    config={"run": {"name": "typos"}, "x": [1, 2.5, None]},
    config_sha256="e" * 64,
    fingerprint="data",
    derived={"steps_per_call": 8},
)


@pytest.mark.parametrize("record", [COMMIT, HEAD, CONFIG], ids=lambda one: type(one).__name__)
def test_record_comes_back_from_its_bytes(record: Any) -> None:
    data = dumps(record)
    assert parse(type(record), data) == record
    assert dumps(parse(type(record), data)) == data
    json.loads(data, parse_constant=pytest.fail)  # plain JSON for every other tool


def test_fields_of_the_records_are_frozen() -> None:
    # The files outlive the program that wrote them: a change here needs a new schema number.
    assert sorted(json.loads(dumps(HEAD))) == [
        "best", "checkpoints", "facts", "fruitless", "has_trained", "last", "lineage", "owner",
        "reason", "rejected", "results", "run", "schema", "seq", "sha256", "status",
        "superseded", "token", "written",
    ]  # fmt: skip
    assert sorted(json.loads(dumps(COMMIT))) == [
        "best", "config_sha256", "created", "epoch", "fingerprint", "finite", "lineage",
        "metrics", "nonce", "objects", "run", "schema", "sha256", "step", "step_in_epoch",
        "token", "topology", "versions", "writer",
    ]  # fmt: skip
    assert sorted(json.loads(dumps(CONFIG))) == [
        "config", "config_sha256", "created", "derived", "fingerprint", "lineage", "schema",
        "sha256", "writer",
    ]  # fmt: skip


def changed(record: Any, path: str, value: Any) -> bytes:
    """The record with one value replaced, or removed where `value` is `...`."""
    tree = loads(dumps(record), limit_bytes=1 << 20)
    del tree["sha256"]
    *parents, last = path.split(".")
    node = tree
    for part in parents:
        node = node[int(part)] if isinstance(node, list) else node[part]
    if value is ...:
        del node[last]
    else:
        node[int(last) if isinstance(node, list) else last] = value
    return sealed(tree)


@pytest.mark.parametrize(
    ("record", "path", "value", "reason"),
    [
        (COMMIT, "step", -1, "greater than or equal to 0"),
        (COMMIT, "step", 1.5, "valid integer"),
        (COMMIT, "step", "1", "valid integer"),
        (COMMIT, "step", True, "valid integer"),
        (COMMIT, "step", ..., "required"),
        (COMMIT, "token", 0, "greater than or equal to 1"),
        (COMMIT, "extra", 1, "nexpected"),
        (COMMIT, "schema", 1, "should be 2"),
        (COMMIT, "schema", True, "a number is missing"),
        (COMMIT, "schema", ..., "a number is missing"),
        (COMMIT, "finite", 1, "valid boolean"),
        (COMMIT, "versions", {"tensorflow": 2}, "valid string"),
        (COMMIT, "config_sha256", "A" * 64, "match pattern"),
        (COMMIT, "objects.0.crc32c", 2**32, "less than 4294967296"),
        (COMMIT, "objects.0.name", "../HEAD.json", "match pattern"),
        (COMMIT, "objects.0.name", "/etc/passwd", "match pattern"),
        (COMMIT, "objects.0.name", ".partial", "match pattern"),
        (COMMIT, "objects.0.name", "a\n", "match pattern"),
        (COMMIT, "objects.0", [], "CommitRecord.objects.0"),
        (HEAD, "status", "paused", "should be 'running', 'preempted'"),
        (HEAD, "last", "ckpt/../secret", "match pattern"),
        (HEAD, "last", DIRS[0], "the newest checkpoint is"),
        (HEAD, "last", None, "the newest checkpoint is"),
        (HEAD, "lineage", "0" * 31, "match pattern"),
        (COMMIT, "lineage", ..., "required"),
        (CONFIG, "lineage", LINEAGE.upper(), "match pattern"),
        (HEAD, "checkpoints.0.finite", ..., "required"),
        (HEAD, "fruitless", -1, "greater than or equal to 0"),
        (HEAD, "checkpoints.1.dir", DIRS[0], "repeated or out of order"),
        (HEAD, "checkpoints.0.step", 9, "repeated or out of order"),
        (HEAD, "owner.nonce", "", "at least 1 character"),
        (CONFIG, "config", [], "StoredConfig.config"),
    ],
)
def test_record_that_breaks_a_rule_is_refused_with_the_field(
    record: Any, path: str, value: Any, reason: str
) -> None:
    with pytest.raises(DamagedError, match=reason):
        parse(type(record), changed(record, path, value))


@pytest.mark.parametrize("data", [b"[]", b"null", b"1", b'"x"', b"{}", b"[" * 10_000])
def test_json_that_is_not_a_record_is_rejected(data: bytes) -> None:
    for kind in (CommitRecord, Head, StoredConfig):
        with pytest.raises(DamagedError):
            parse(kind, data)


@pytest.mark.parametrize("record", [COMMIT, HEAD, CONFIG], ids=lambda one: type(one).__name__)
def test_every_flipped_bit_of_a_record_is_noticed(record: Any) -> None:
    data = dumps(record)
    for place in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << (place % 8)
        with pytest.raises(DamagedError):
            parse(type(record), bytes(flipped))


def test_record_of_a_later_program_is_told_apart_from_damage() -> None:
    with pytest.raises(NewerSchemaError, match="Head has schema 3; this program reads up to 2"):
        parse(Head, changed(HEAD, "schema", 3))


def test_record_over_its_limit_is_neither_written_nor_read() -> None:
    room = (1 << 20) - len(dumps(replace(HEAD, reason="")))
    largest = replace(HEAD, reason="x" * room)
    assert parse(Head, dumps(largest)) == largest
    with pytest.raises(ConfigError, match=r"1048577 bytes, .*lower checkpoint\.keep_last"):
        dumps(replace(HEAD, reason="x" * (room + 1)))
    with pytest.raises(DamagedError, match="the limit is 1048576"):
        parse(Head, dumps(largest) + b" ")


def test_best_checkpoint_need_not_be_one_that_can_be_resumed() -> None:
    older = replace(HEAD, checkpoints=HEAD.checkpoints[1:])
    assert (HEAD.is_best_restorable, older.is_best_restorable) == (True, False)
    assert DIRS[0] in older.referenced_dirs
    assert not replace(HEAD, best=None).is_best_restorable


def test_head_references_usable_and_rejected_directories() -> None:
    assert HEAD.referenced_dirs == {*DIRS, HEAD.rejected[0].dir}


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        ("ckpt/000000000500-000002-0a1b2c3d", CheckpointDir(500, 2, "0a1b2c3d")),
        ("ckpt/1000000000000-1000000-0a1b2c3d", CheckpointDir(10**12, 10**6, "0a1b2c3d")),
        ("ckpt/0000000000500-000002-0a1b2c3d", None),  # another spelling of the same numbers
        ("ckpt/500-2-0a1b2c3d", None),
        ("ckpt/000000000500-000002-0A1B2C3D", None),
        ("ckpt/000000000500-000002-0a1b2c3d/more", None),
        ("ckpt/000000000500-000002-0a1b2c3d\n", None),
        ("other/000000000500-000002-0a1b2c3d", None),
        ("", None),
    ],
)
def test_directory_name_has_step_attempt_and_nonce(
    path: str, folder: CheckpointDir | None
) -> None:
    assert CheckpointDir.parse(path) == folder
    if folder is not None:
        assert folder.path == path


def test_listing_separates_committed_directories_from_others_and_ignores_the_rest() -> None:
    store = MemoryStore()
    done, torn = CheckpointDir(2, 1, "00000001"), CheckpointDir(1, 3, "00000002")
    for name in (
        f"{done.path}/{layout.COMMIT}",
        f"{done.path}/{STATE}",
        f"{torn.path}/{MODEL}",
        "ckpt/notes.txt",
        f"{torn.path}/deeper/{layout.COMMIT}",
        "ckpt/my-copy/COMMIT.json",
        "HEAD.json",
    ):
        store.write(name, b"", if_generation=0)
    found = list_dirs(store)
    assert (found.committed, found.uncommitted) == ([done], [torn])
    assert found.objects[done.path] == [layout.COMMIT, STATE]
    assert found.newest_token == 3
    assert list_dirs(MemoryStore()).newest_token == 0
