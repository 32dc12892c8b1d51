"""The files of a run, and that only its holder's chief writes them."""

import json
import math

import pytest

from job.data.quarantine import NOTHING_QUARANTINED, BadRow, Quarantine
from job.errors import DiskFullError, FencedError
from job.export.writer import FOLDER
from job.run.artifacts import EXPORT, RunArtifacts, encode_history
from tests.checkpoints.fault_stores import Refusing
from tests.checkpoints.tiny_run import acquired
from tests.fakes.memory_store import MemoryStore


def artifacts_in(store: MemoryStore, *, attempt="a") -> RunArtifacts:
    return RunArtifacts(acquired(store, name=attempt).files)


def written(store: MemoryStore, name: str):
    return json.loads(store.read(name).data)


def test_rejected_rows_are_written_with_their_reasons():
    rows = (
        BadRow("a.csv", 7, "label", "label must be 0 or 1, got '2'", "['a', 'b', '2']"),
        BadRow("b\udc80.csv", 2, "empty", "left is empty", "['', 'b', '1']"),
    )
    store = MemoryStore()
    quarantine = Quarantine(500, {"label": 1, "empty": 1}, rows)
    artifacts_in(store).write_quarantine(quarantine)
    content = written(store, "quarantine.json")
    assert (content["schema"], content["rows_read"], content["bad"]) == (1, 500, 2)
    assert content["counts"] == {"empty": 1, "label": 1}
    first = content["samples"][0]
    assert (first["file"], first["line"], first["reason"]) == ("a.csv", 7, "label")
    assert first["detail"] == "label must be 0 or 1, got '2'"
    assert first["sample"] == "['a', 'b', '2']"
    assert content["samples"][1]["file"] == "b\udc80.csv"


def test_a_run_without_rejected_rows_has_an_empty_report():
    store = MemoryStore()
    artifacts_in(store).write_quarantine(NOTHING_QUARANTINED)
    assert written(store, "quarantine.json") == {
        "schema": 1,
        "rows_read": 0,
        "bad": 0,
        "counts": {},
        "samples": [],
    }


def test_the_history_is_json_and_the_same_bytes_whatever_the_order_of_names():
    first = encode_history([{"loss": math.nan, "accuracy": 0.5}])
    assert json.loads(first) == [{"accuracy": 0.5, "loss": None}]
    assert encode_history([{"accuracy": 0.5, "loss": math.inf}]) == first


def test_a_fenced_attempt_leaves_the_files_of_the_newer_one():
    store = MemoryStore()
    old, new = artifacts_in(store), artifacts_in(store, attempt="b")
    new.write_quarantine(NOTHING_QUARANTINED)
    with pytest.raises(FencedError):
        old.write_quarantine(Quarantine(5, {"label": 1}, ()))
    assert written(store, "quarantine.json")["bad"] == 0


@pytest.mark.parametrize("name", ["export/model.keras", "history.json"])
def test_a_full_disk_names_the_export_if_there_is_one(name):
    full = DiskFullError("cannot write: free some space.")
    store = Refusing(MemoryStore(), full, lambda call, written: written.endswith(name))
    artifacts = artifacts_in(store)
    with pytest.raises(DiskFullError) as caught:
        artifacts.publish({name: b""}, directory="results/1")
    assert EXPORT == FOLDER
    assert str(caught.value).startswith("cannot write: free some space.")
    assert ("export.enabled" in str(caught.value)) is name.startswith("export")
