"""What is said of files that are wrong in two ways does not depend on threads."""

import time

import numpy as np
import pytest

from job.config.data import SequenceDataConfig
from job.data.items.item_store import ItemStore, read_ahead
from job.data.items.readers import reader_of
from job.data.sources.files import DataFiles
from job.data.sources.sequence_file import Features


def test_a_bad_sequence_does_not_say_how_many_features_all_have(tmp_path):
    np.save(tmp_path / "bad.npy", np.full((3, 5), np.nan))
    np.save(tmp_path / "good.npy", np.zeros((3, 2)))
    features = Features(None)
    reader = reader_of(
        SequenceDataConfig(train="a.csv"),
        files=DataFiles(tmp_path.resolve()),
        form="sequence",
        features=features,
    )
    with ItemStore(reader, features=features) as items:
        assert items.lookup("bad.npy", column="left").reason == "not_finite"
        assert items.lookup("good.npy", column="left").key == "good.npy"


@pytest.mark.parametrize("delay", [0.0, 0.02])
def test_the_features_come_before_the_content(tmp_path, delay):
    np.save(tmp_path / "good.npy", np.zeros((3, 2)))
    for number in range(12):
        np.save(tmp_path / f"{number}.npy", np.full((3, 5), np.nan))
    features = Features(None)
    section = SequenceDataConfig(train="a.csv")
    files = DataFiles(tmp_path.resolve())
    reader = reader_of(section, files=files, form="sequence", features=features)
    found = []
    rows = ["good.npy", *(f"{number}.npy" for number in range(12))]
    with ItemStore(reader, features=features) as items:
        for row in read_ahead(rows, items=items, cells=lambda row: (row,)):
            time.sleep(delay)  # some were read before the first one is looked at, or none
            found.append(items.lookup(row, column="left"))
    assert {problem.reason for problem in found[1:]} == {"shape"}
