"""Columns that `match` adds are not lost, and not written twice."""

import numpy as np
import pytest

from job.config.data import ColumnsConfig
from job.data.dataset import ItemTable
from job.data.quarantine import QuarantineBuilder
from job.errors import ConfigError
from job.preprocessing.ragged import RaggedArray
from job.scoring.collection import Collection
from job.scoring.match_output import require_free_for_groups, require_free_to_label


def collection(*columns: str) -> Collection:
    return Collection(
        name=f"{columns[0]}.csv",
        items=ItemTable("text", RaggedArray.from_bytes([])),
        item=np.empty(0, np.int64),
        text=[],
        columns=columns,
        rows=[],
        quarantine=QuarantineBuilder("a.csv", unit="line").quarantine(),
    )


@pytest.mark.parametrize(
    ("collections", "name"),
    [
        ([collection("a", "group")], "group"),
        ([collection("b"), collection("a", "group")], "group"),
        ([collection("b"), collection("a", "side")], "side"),
    ],
)
def test_items_with_a_column_of_the_groups_are_refused(collections, name):
    with pytest.raises(ConfigError, match=rf"'a\.csv' has a column '{name}' already"):
        require_free_for_groups(collections)


def test_one_collection_may_have_a_side():
    require_free_for_groups([collection("a", "side")])


@pytest.mark.parametrize("columns", [{"left": "why"}, {"right": "score"}, {"label": "why"}])
def test_a_model_with_a_column_of_the_pairs_to_label_is_refused(columns):
    with pytest.raises(ConfigError, match="'why' and 'score' are added to the pairs"):
        require_free_to_label(ColumnsConfig(**columns))


def test_the_usual_columns_are_free():
    require_free_to_label(ColumnsConfig())
