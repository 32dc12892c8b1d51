"""Pair files to order, and a bucket."""

from collections.abc import Iterator

import numpy as np
import pytest

from job.data.dataset import Dataset, ItemTable, PairTable, SplitCounts, fingerprint_of
from job.data.quarantine import NOTHING_QUARANTINED
from job.preprocessing.ragged import RaggedArray
from job.preprocessing.vocabulary import CharacterVocabulary
from job.storage.parallel import ParallelDownloader
from job.types import Split
from tests.fakes.gcs_server import FakeGcs

Row = tuple[str, str, int]


def pair_table(rows: list[tuple[int, int, int]]) -> PairTable:
    left, right, label = np.array(rows, np.int64).reshape(-1, 3).T
    return PairTable(left.copy(), right.copy(), label.astype(np.uint8))


def dataset_of(rows: dict[Split, list[Row]]) -> Dataset:
    numbers: dict[str, int] = {}
    pairs = {
        split: pair_table(
            [
                (
                    numbers.setdefault(left, len(numbers)),
                    numbers.setdefault(right, len(numbers)),
                    label,
                )
                for left, right, label in chosen
            ]
        )
        for split, chosen in rows.items()
    }
    items = ItemTable("text", RaggedArray.from_bytes([text.encode() for text in numbers]))
    return Dataset(
        items=items,
        pairs=pairs,
        training_items=None,
        statistics=CharacterVocabulary("".join(sorted(set("".join(numbers))))),
        counts={split: SplitCounts.of(table, items) for split, table in pairs.items()},
        quarantine=NOTHING_QUARANTINED,
        fingerprint=fingerprint_of(items, pairs),
    )


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGcs]:
    """A bucket `sets` on the loopback interface, whatever the shell says of others."""
    for name in ("STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with FakeGcs(bucket="sets") as server:
        yield server


@pytest.fixture
def access(gcs: FakeGcs) -> ParallelDownloader:
    """The way to that bucket; waiting costs no time."""
    return ParallelDownloader(
        allow_emulator=True,
        sleep=lambda seconds: None,
        env={"STORAGE_EMULATOR_HOST": gcs.url},
    )
