import pytest

from job.checkpoints.layout import CONFIG, HEAD
from job.checkpoints.restore import read_head, read_stored
from job.errors import CheckpointError, ConfigError, FencedError
from tests.checkpoints.fault_stores import Meanwhile
from tests.checkpoints.tiny_run import RUN_CONFIG, SPEC, acquired, head_of, saved_steps
from tests.fakes.memory_store import MemoryStore


def test_new_run_has_nothing_to_restore_and_stores_its_configuration() -> None:
    store = MemoryStore()
    assert read_head(store) is None
    assert read_stored(store) is None
    manager = acquired(store)
    assert manager.restore(SPEC) is None
    assert manager.attempt == 1
    assert read_stored(store).config == RUN_CONFIG  # type: ignore[union-attr]
    head = head_of(store)
    assert (head.status, head.token, head.checkpoints, head.last) == ("running", 1, (), None)


def test_each_attempt_has_the_next_number_and_the_first_configuration_stays() -> None:
    store = MemoryStore()
    first = acquired(store)
    written = store.read(CONFIG)
    second = acquired(store, name="b")
    assert (first.attempt, second.attempt, head_of(store).owner.nonce) == (1, 2, "b")
    assert store.read(CONFIG) == written


def test_run_whose_configuration_is_lost_is_refused_and_left_alone() -> None:
    store = MemoryStore()
    saved_steps(store, steps=1)
    store.delete(CONFIG, if_generation=None)
    before = store.list("")
    with pytest.raises(CheckpointError, match=r"config\.json is missing"):
        acquired(store, name="b")
    assert store.list("") == before


def test_other_data_than_the_runs_are_refused_before_anything_is_written() -> None:
    store = MemoryStore()
    saved_steps(store, steps=1)
    before = store.list("")
    with pytest.raises(ConfigError, match=r"other data t.* started with data") as caught:
        acquired(store, name="b", data="other data than then")
    assert "Restore the earlier files" in str(caught.value)
    assert store.list("") == before


def test_configuration_of_a_run_whose_head_is_lost_is_compared_and_kept() -> None:
    store = MemoryStore()
    saved_steps(store, steps=1)
    store.delete(HEAD, if_generation=None)
    before = store.list("")
    with pytest.raises(ConfigError, match="another configuration"):
        acquired(store, name="b", config={"training": {"epochs": 9}})
    assert store.list("") == before


def test_attempt_that_was_overtaken_while_it_started_takes_the_run_over_again() -> None:
    store = MemoryStore()
    slow = acquired(Meanwhile(store, HEAD, lambda: acquired(store, name="quick")), name="slow")
    assert (slow.attempt, head_of(store).owner.nonce) == (2, "slow")


def test_two_first_attempts_with_one_configuration_share_it() -> None:
    store = MemoryStore()
    acquired(Meanwhile(store, CONFIG, lambda: acquired(store, name="b")))
    assert head_of(store).token == 2


def test_attempt_gives_up_where_others_keep_taking_the_run() -> None:
    store = MemoryStore()
    names = iter(range(1000))
    contended = Meanwhile(store, HEAD, lambda: acquired(store, name=f"{next(names)}"))
    contended.times = 1000
    with pytest.raises(FencedError, match="20 times"):
        acquired(contended, name="slow")
