import json

import pytest

from job.data.quarantine import NOTHING_QUARANTINED, BadRow, Quarantine
from job.errors import FencedError
from job.run.finalize import write_quarantine
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore


def written(store: MemoryStore) -> dict:
    return json.loads(store.read("quarantine.json").data)


def test_rows_that_were_kept_out_are_written_down_with_their_reasons():
    rows = (
        BadRow("a.csv", 7, "label", "label must be 0 or 1, got '2'", "['a', 'b', '2']"),
        BadRow("b\udc80.csv", 2, "empty", "left is empty", "['', 'b', '1']"),
    )
    store = MemoryStore()
    write_quarantine(acquired(store), Quarantine(500, {"label": 1, "empty": 1}, rows))
    content = written(store)
    assert (content["schema"], content["rows_read"], content["bad"]) == (1, 500, 2)
    assert content["counts"] == {"empty": 1, "label": 1}
    first = content["samples"][0]
    assert (first["file"], first["line"], first["reason"]) == ("a.csv", 7, "label")
    assert first["detail"] == "label must be 0 or 1, got '2'"
    assert first["sample"] == "['a', 'b', '2']"
    assert content["samples"][1]["file"] == "b\udc80.csv"


def test_a_run_without_bad_rows_says_so():
    store = MemoryStore()
    write_quarantine(acquired(store), NOTHING_QUARANTINED)
    assert written(store) == {
        "schema": 1,
        "rows_read": 0,
        "bad": 0,
        "counts": {},
        "samples": [],
    }


def test_an_attempt_that_lost_the_run_leaves_the_report_of_the_newer_one():
    store = MemoryStore()
    old, new = acquired(store, name="a"), acquired(store, name="b")
    write_quarantine(new, NOTHING_QUARANTINED)
    with pytest.raises(FencedError):
        write_quarantine(old, Quarantine(5, {"label": 1}, ()))
    assert written(store)["bad"] == 0
