"""A place that nobody can open is refused with the configuration."""

import pytest

from job.config.uris import DATA_PLACES, FOLDERS, RUN_PLACES, Places, checked_place
from tests.config.conftest import Complaints

RUN_WORDS = "must be a folder, file:///folder or gs://bucket/prefix"
DATA_WORDS = "must be a path of this machine or gs://bucket/name"


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ("runs", RUN_PLACES),
        ("/srv/runs", RUN_PLACES),
        ("file:///srv/runs", RUN_PLACES),
        ("gs://models/runs", RUN_PLACES),
        ("gs://a.b-c.d", DATA_PLACES),
        ("pairs.csv", DATA_PLACES),
        ("day-1:pairs.csv", DATA_PLACES),
        ("mirror", FOLDERS),
    ],
)
def test_a_place_is_taken_as_it_is_written(place: str, allowed: Places) -> None:
    assert checked_place(place, allowed=allowed) == place


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ("s3://b/x", RUN_PLACES),
        ("GS://bucket/x", RUN_PLACES),
        ("gs:bucket", RUN_PLACES),
        ("memory://", RUN_PLACES),
        ("file:///pairs.csv", DATA_PLACES),
        ("hdfs+x.1://a", DATA_PLACES),
        ("gs://bucket/x", FOLDERS),
    ],
)
def test_another_scheme_is_refused(place: str, allowed: Places) -> None:
    with pytest.raises(ValueError, match=rf"must be {allowed.words} \(got '"):
        checked_place(place, allowed=allowed)


@pytest.mark.parametrize(
    "place", ["gs://b/x?sig=hidden", "gs://b/x#hidden", "https://b?hidden"]
)
def test_a_query_or_a_fragment_is_refused_and_not_repeated(place: str) -> None:
    with pytest.raises(ValueError, match=r"must be a URI without query and frag") as caught:
        checked_place(place, allowed=DATA_PLACES)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "bucket", ["", "ab", "Models", "-ab", "a..b", "a" * 64, ".".join("a" * 120)]
)
def test_a_name_no_bucket_has_is_refused(bucket: str) -> None:
    with pytest.raises(ValueError, match="must name a bucket after gs://"):
        checked_place(f"gs://{bucket}/x", allowed=DATA_PLACES)


@pytest.mark.parametrize("key", ["train", "validation", "test", "items", "root", "packed"])
def test_every_place_of_data_is_looked_at(conflicts: Complaints, key: str) -> None:
    said = conflicts(f"data: {{{key}: 's3://b/x'}}")
    assert any(f"data.{key}: {DATA_WORDS} (got 's3://b/x')" in line for line in said), said


def test_the_places_of_runs_and_of_copies_are_looked_at(conflicts: Complaints) -> None:
    said = conflicts("run: {root: 's3://b/x'}\ndata: {mirror: 'gs://bucket/x'}")
    assert any(f"run.root: {RUN_WORDS} (got 's3://b/x')" in line for line in said), said
    assert any(
        "data.mirror: must be a folder of this machine (got 'gs://bucket/x')" in line
        for line in said
    ), said
