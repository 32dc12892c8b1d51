"""The weights that a run starts from, where reading them needs a temporary file."""

import tempfile

import keras
import pytest

from job.errors import ConfigError, DiskFullError
from job.run.initial_weights import _load_model
from tests.full_disk import no_file_above

URI = "gs://models/one/export"


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_a_model_is_loaded_and_its_copy_removed(place, tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="only")])
    model.save(tmp_path / "pair_model.keras")
    data = (tmp_path / "pair_model.keras").read_bytes()
    loaded = _load_model(data, uri=URI)
    assert loaded.get_layer("only").kernel.numpy().tolist() == model.get_weights()[0].tolist()
    assert list(place.iterdir()) == []


def test_a_full_temporary_folder_is_named_and_not_the_model(place):
    with (
        pytest.raises(DiskFullError, match=f"temporary folder '{place}' has no space.*TMPDIR"),
        no_file_above(100),
    ):
        _load_model(bytes(1000), uri=URI)


def test_what_is_no_model_is_named(place):
    with pytest.raises(ConfigError, match=f"run.init_from: '{URI}' cannot be loaded"):
        _load_model(bytes(1000), uri=URI)
    assert list(place.iterdir()) == []
