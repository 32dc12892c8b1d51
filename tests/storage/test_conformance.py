"""One contract for every store; a new kind of store joins by one line in `STORES`."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import google_crc32c
import pytest

from job.storage.gcs.store import GsStore
from job.storage.local import FileStore
from job.storage.object_store import (
    ListedObject,
    ObjectMissingError,
    ObjectStat,
    ObjectStore,
    ObjectTooLargeError,
    PreconditionFailedError,
    StoredObject,
    checked_name,
    checked_prefix,
)
from tests.fakes.gcs_server import FakeGcs
from tests.fakes.memory_store import MemoryStore

REPOSITORY = Path(__file__).parents[2]


@contextmanager
def _bucket(_: Path) -> Iterator[ObjectStore]:
    with FakeGcs() as server:
        store = GsStore("gs://runs/team/typos", emulator=server.url)
        yield store
        store.close()


STORES: dict[str, Callable[[Path], AbstractContextManager[ObjectStore]]] = {
    "memory": lambda folder: nullcontext(MemoryStore()),
    "file": lambda folder: nullcontext(FileStore(folder / "store")),
    "gs": _bucket,
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    with STORES[request.param](tmp_path) as opened:
        yield opened


def test_what_is_written_is_read_back_with_its_generation(store: ObjectStore) -> None:
    written = store.write("ckpt/a/state.npz", b"123456789", if_generation=0)
    # 0xE3069283 is the published check value of CRC-32C over "123456789".
    assert written == ObjectStat("ckpt/a/state.npz", 9, written.generation, 0xE3069283)
    assert written.generation > 0
    assert store.read("ckpt/a/state.npz") == StoredObject(b"123456789", written.generation)
    assert store.stat("ckpt/a/state.npz") == written


def test_create_only_write_refuses_an_object_that_exists(store: ObjectStore) -> None:
    store.write("a", b"first", if_generation=0)
    with pytest.raises(PreconditionFailedError):
        store.write("a", b"second", if_generation=0)
    assert store.read("a").data == b"first"


def test_overwrite_needs_the_present_generation(store: ObjectStore) -> None:
    first = store.write("a", b"first", if_generation=0)
    second = store.write("a", b"second", if_generation=first.generation)
    assert second.generation > first.generation
    with pytest.raises(PreconditionFailedError):
        store.write("a", b"third", if_generation=first.generation)
    assert store.read("a") == StoredObject(b"second", second.generation)


def test_conditional_write_of_a_missing_object_fails(store: ObjectStore) -> None:
    with pytest.raises(PreconditionFailedError):
        store.write("a", b"", if_generation=7)
    assert store.stat("a") is None


def test_unconditional_write_replaces_whatever_is_there(store: ObjectStore) -> None:
    generations = [
        store.write("a", bytes([i]), if_generation=None).generation for i in range(50)
    ]
    assert generations == sorted(set(generations))
    assert store.read("a").data == bytes([49])


def test_generation_grows_across_delete_and_rewrite(store: ObjectStore) -> None:
    first = store.write("a", b"", if_generation=0)
    store.delete("a", if_generation=None)
    assert store.write("a", b"", if_generation=0).generation > first.generation


def test_missing_object_has_no_stat_and_cannot_be_read_or_deleted(store: ObjectStore) -> None:
    store.write("ckpt/a", b"", if_generation=0)
    for name in ("b", "ckpt", "ckpt/a/b", "ckpt/b/c"):
        assert store.stat(name) is None
        with pytest.raises(ObjectMissingError):
            store.read(name)
        with pytest.raises(ObjectMissingError):
            store.delete(name, if_generation=None)
        with pytest.raises(ObjectMissingError):
            store.delete(name, if_generation=1)


def test_delete_needs_the_present_generation(store: ObjectStore) -> None:
    first = store.write("a", b"1", if_generation=0)
    second = store.write("a", b"2", if_generation=None)
    with pytest.raises(PreconditionFailedError):
        store.delete("a", if_generation=first.generation)
    assert store.read("a").data == b"2"
    store.delete("a", if_generation=second.generation)
    assert store.stat("a") is None


@pytest.mark.parametrize(
    ("prefix", "names"),
    [
        (
            "",
            ["HEAD.json", "ckpt/000-1/a", "ckpt/000-1/b", "ckpt/000-2/a", "ckpt/001-1/a", "z"],
        ),
        ("ckpt/", ["ckpt/000-1/a", "ckpt/000-1/b", "ckpt/000-2/a", "ckpt/001-1/a"]),
        ("ckpt/000", ["ckpt/000-1/a", "ckpt/000-1/b", "ckpt/000-2/a"]),
        ("ckpt/000-1/b", ["ckpt/000-1/b"]),
        ("HEAD.json", ["HEAD.json"]),
        ("ckpt/9", []),
        ("none/", []),
        ("z/", []),
    ],
)
def test_list_takes_any_beginning_of_a_name_and_sorts(
    store: ObjectStore, prefix: str, names: list[str]
) -> None:
    unsorted = (
        "z",
        "ckpt/001-1/a",
        "ckpt/000-2/a",
        "ckpt/000-1/b",
        "HEAD.json",
        "ckpt/000-1/a",
    )
    written = {name: store.write(name, name.encode(), if_generation=0) for name in unsorted}
    assert store.list(prefix) == [
        ListedObject(name, len(name), written[name].generation) for name in names
    ]


def test_deleted_object_leaves_no_trace_in_the_listing(store: ObjectStore) -> None:
    store.write("a/b/c", b"", if_generation=0)
    store.delete("a/b/c", if_generation=None)
    assert store.list("") == []
    # A name that was a folder's is free again.
    assert store.write("a", b"1", if_generation=0).size == 1


def test_new_store_is_empty_and_reading_it_writes_nothing(
    store: ObjectStore, tmp_path: Path
) -> None:
    assert store.list("") == []
    assert store.stat("a") is None
    with pytest.raises(ObjectMissingError):
        store.read("a")
    with pytest.raises(ObjectMissingError):
        store.delete("a", if_generation=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, 5_000_000])
def test_content_of_any_length_survives(store: ObjectStore, size: int) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    written = store.write("a", data, if_generation=0)
    assert (written.size, written.crc32c) == (size, google_crc32c.value(data))
    assert store.read("a").data == data


def test_read_refuses_more_than_its_limit(store: ObjectStore) -> None:
    store.write("a", b"12345", if_generation=0)
    assert store.read("a", limit_bytes=5).data == b"12345"
    with pytest.raises(ObjectTooLargeError, match=r"limit (of )?4"):
        store.read("a", limit_bytes=4)


@pytest.mark.parametrize(
    ("start", "length", "part"),
    [(0, 1, b"1"), (0, 9, b"123456789"), (3, 4, b"4567"), (8, 1, b"9")],
)
def test_a_part_is_read_without_the_rest(
    store: ObjectStore, start: int, length: int, part: bytes
) -> None:
    written = store.write("a/b", b"123456789", if_generation=0)
    read = store.read_range("a/b", start=start, length=length, generation=written.generation)
    assert read == part


@pytest.mark.parametrize(("start", "length"), [(0, 10), (8, 2), (9, 1), (100, 5)])
def test_a_part_beyond_the_end_is_an_error_and_not_a_short_part(
    store: ObjectStore, start: int, length: int
) -> None:
    written = store.write("a", b"123456789", if_generation=0)
    with pytest.raises(ValueError, match="bytes before the range does"):
        store.read_range("a", start=start, length=length, generation=written.generation)


def test_a_part_is_of_the_generation_asked_for_or_missing(store: ObjectStore) -> None:
    first = store.write("a", b"first", if_generation=0)
    second = store.write("a", b"second", if_generation=None)
    with pytest.raises(ObjectMissingError):
        store.read_range("a", start=0, length=5, generation=first.generation)
    assert store.read_range("a", start=0, length=6, generation=second.generation) == b"second"
    store.delete("a", if_generation=None)
    with pytest.raises(ObjectMissingError):
        store.read_range("a", start=0, length=6, generation=second.generation)


# Above 8 MiB a bucket takes an upload in parts.
@pytest.mark.parametrize("size", [0, 1, 3_000_000, 9_000_000])
def test_a_file_is_written_as_its_bytes_would_be(
    store: ObjectStore, tmp_path: Path, size: int
) -> None:
    data = (bytes(range(251)) * (size // 251 + 1))[:size]
    path = tmp_path / "file"
    path.write_bytes(data)
    written = store.write_file("a/b", path, if_generation=0)
    assert (written.name, written.size) == ("a/b", size)
    assert written.crc32c == google_crc32c.value(data)
    assert store.read("a/b") == StoredObject(data, written.generation)
    assert store.stat("a/b") == written


def test_a_file_is_written_on_the_condition_asked_for(
    store: ObjectStore, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"second")
    first = store.write("a", b"first", if_generation=0)
    with pytest.raises(PreconditionFailedError):
        store.write_file("a", path, if_generation=0)
    assert store.read("a").data == b"first"
    assert store.write_file("a", path, if_generation=None).generation > first.generation
    assert store.read("a").data == b"second"


BAD_NAMES = [
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    ".",
    "a/./b",
    ".store-lock",
    "a/.hidden",
    "a\nb",
    "a\x00b",
    "a\x7fb",
    "a\x85b",
    "x" * 1025,
    "\ud800",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_name_that_could_escape_or_hide_is_refused(store: ObjectStore, name: str) -> None:
    for call in (
        lambda: store.read(name),
        lambda: store.read_range(name, start=0, length=1, generation=1),
        lambda: store.write(name, b"", if_generation=None),
        lambda: store.write_file(name, Path(__file__), if_generation=None),
        lambda: store.delete(name, if_generation=None),
        lambda: store.stat(name),
    ):
        with pytest.raises(ValueError, match="object name"):
            call()
    assert store.list("") == []


@pytest.mark.parametrize("prefix", ["/", "../", "a//", "a/../", ".", "a\n"])
def test_prefix_that_no_name_can_have_is_refused(store: ObjectStore, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        store.list(prefix)


def test_names_and_prefixes_that_are_fine_pass() -> None:
    for name in ("a", "a.b", "ckpt/0-1-ab/state.npz", "x" * 1024, "\u00e4/\u4e2d"):
        assert checked_name(name) == name
        assert checked_prefix(name) == name
    assert checked_prefix("") == ""
    assert checked_prefix("a/") == "a/"


@pytest.fixture
def _busy_scheduler() -> Iterator[None]:
    """Threads take turns so often that a missing lock shows."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_busy_scheduler")
def test_of_several_threads_exactly_one_wins_each_round(store: ObjectStore) -> None:
    num_threads, num_rounds = 4, 50
    barrier = threading.Barrier(num_threads)
    wins: list[tuple[int, int]] = []

    def compete(me: int) -> None:
        for turn in range(num_rounds):
            barrier.wait()
            seen = store.stat("a")
            barrier.wait()
            try:
                store.write(
                    "a", f"{turn} {me}".encode(), if_generation=seen.generation if seen else 0
                )
                wins.append((turn, me))
            except PreconditionFailedError:
                pass

    threads = [threading.Thread(target=compete, args=(me,)) for me in range(num_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [turn for turn, _ in sorted(wins)] == list(range(num_rounds))
    assert store.read("a").data.decode() == "{} {}".format(*max(wins))


COUNTER = """
import sys
from pathlib import Path
from job.storage.local import FileStore
from job.storage.object_store import PreconditionFailedError
store = FileStore(Path(sys.argv[1]))
won = 0
while won < 30:
    seen = store.read("counter")
    try:
        store.write("counter", b"%d" % (int(seen.data) + 1), if_generation=seen.generation)
        won += 1
    except PreconditionFailedError:
        pass
"""


def test_no_increment_of_several_processes_is_lost(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    store.write("counter", b"0", if_generation=0)
    processes = [
        subprocess.Popen([sys.executable, "-c", COUNTER, str(tmp_path)], cwd=REPOSITORY)
        for _ in range(3)
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    assert store.read("counter").data == b"90"
