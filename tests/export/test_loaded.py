"""An export loaded back scores as the trained model; what is wrong with a place is said."""

import json

import numpy as np
import pytest

from job.data.dataset import ItemTable
from job.errors import ConfigError, DataError
from job.evaluation.calibration import Calibration
from job.export.loaded import load_exported
from job.export.writer import export_model
from job.preprocessing.ragged import RaggedArray
from tests.export import tiny_models as tiny

TEXTS = (["a", "don't a", "\u4e2d a,"], ["b", "\u00e9", "don't\u3000x"])
PLATT = Calibration("platt", (2.0, -0.5))
ISOTONIC = Calibration("isotonic", (-1.0, 0.0, 0.25), (0.125, 0.5, 0.75))


def write_export(folder, siamese, statistics, golden, **facts):
    def write(name, data):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    export_model(
        siamese,
        statistics=statistics,
        facts=tiny.facts(siamese, **facts),
        golden=golden,
        write=write,
    )
    return folder / "export"


def text_export(folder, **facts):
    siamese = tiny.text_model(tiny.WORDS)
    golden = tiny.golden_texts(siamese, tiny.WORDS, *TEXTS)
    return write_export(folder, siamese, tiny.WORDS, golden, **facts), golden


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return text_export(tmp_path_factory.mktemp("text"), threshold=0.25, calibration=PLATT)


def table_of(texts):
    return ItemTable("text", RaggedArray.from_bytes([text.encode() for text in texts]))


@pytest.mark.parametrize("kind", ["text", "sequence", "image"])
def test_the_golden_pairs_have_their_scores(kind, tmp_path):
    if kind == "text":
        export = text_export(tmp_path)[0]
    elif kind == "sequence":
        siamese = tiny.sequence_model()
        golden = tiny.golden_sequences(siamese, [5, 1, 3], [2, 6, 6])
        export = write_export(tmp_path, siamese, tiny.MOMENTS, golden)
    else:
        siamese = tiny.image_model()
        export = write_export(tmp_path, siamese, None, tiny.golden_images(siamese, 3))
    model = load_exported(export)
    assert model.kind == kind
    assert model.check_golden() <= 1e-6


def test_items_are_embedded_and_compared(text):
    export, golden = text
    model = load_exported(str(export))
    items = table_of([*TEXTS[0], *TEXTS[1]])
    embedding = model.embed(items, np.array([5, 0, 0]))
    both = model.embed(items, np.arange(6))
    assert embedding.shape == (3, model.embedding_size)
    np.testing.assert_allclose(embedding, both[[5, 0, 0]], rtol=0, atol=1e-6)
    scores = model.compare(both[:3], both[3:])
    np.testing.assert_allclose(scores.score, golden.score, rtol=0, atol=1e-6)
    np.testing.assert_allclose(scores.score, 1 / (1 + np.exp(-scores.logit)), atol=1e-6)
    assert scores.match.tolist() == (scores.score >= np.float32(0.25)).tolist()


@pytest.mark.parametrize("calibration", [Calibration("none"), PLATT, ISOTONIC])
def test_probabilities_are_those_of_the_calibration(calibration, tmp_path):
    model = load_exported(text_export(tmp_path, calibration=calibration)[0])
    assert model.calibration == calibration
    rng = np.random.default_rng(0)
    left, right = rng.normal(0, 3, (2, 200, model.embedding_size)).astype(np.float32)
    scores = model.compare(left, right)
    assert (scores.logit < -1).any()
    assert (scores.logit > 0.25).any()
    np.testing.assert_allclose(
        scores.probability, calibration.apply(scores.logit), rtol=0, atol=1e-6
    )


def test_no_items_have_no_embeddings(text):
    model = load_exported(text[0])
    assert model.embed(table_of([]), np.zeros(0, np.int64)).shape == (0, model.embedding_size)
    nothing = np.zeros((0, model.embedding_size), np.float32)
    assert model.compare(nothing, nothing).match.shape == (0,)


def test_what_the_model_needs_is_told(text):
    model = load_exported(text[0])
    assert (model.data.kind, model.data.max_length) == ("text", 256)
    assert (model.distance, model.threshold) == (None, 0.25)


def test_items_of_another_kind_are_refused(text):
    images = ItemTable("decoded", RaggedArray(np.zeros((8, 8, 3), np.uint8), np.array([0, 8])))
    with pytest.raises(ConfigError, match="takes items of kind text, got image"):
        load_exported(text[0]).embed(images, np.array([0]))


def damaged(folder, change):
    export = text_export(folder)[0]
    change(export)
    return export


def set_schema(export):
    manifest = json.loads((export / "manifest.json").read_text())
    (export / "manifest.json").write_text(json.dumps(manifest | {"schema": 2}))


DAMAGES = {
    "another byte": (
        lambda export: (export / "scorer/saved_model.pb").write_bytes(b"x"),
        DataError,
        "saved_model.pb is not what was exported",
    ),
    "no vocabulary": (
        lambda export: (export / "vocabulary.json").unlink(),
        DataError,
        "vocabulary.json is missing",
    ),
    "half a manifest": (
        lambda export: (export / "manifest.json").write_text('{"schema": 3, "thresh'),
        DataError,
        "is not the manifest of an export",
    ),
    "another release": (set_schema, ConfigError, "has schema 2; this release .* reads 3"),
    "no manifest": (
        lambda export: (export / "manifest.json").unlink(),
        ConfigError,
        "neither a run .* nor an export",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_export_is_refused(name, tmp_path):
    change, kind, words = DAMAGES[name]
    with pytest.raises(kind, match=words):
        load_exported(damaged(tmp_path, change))


def test_other_scores_on_this_machine_are_refused(tmp_path):
    export = text_export(tmp_path)[0]
    rows = json.loads((export / "golden.json").read_text(encoding="utf-8"))
    rows[1]["score"] += 0.001
    (export / "golden.json").write_text(json.dumps(rows), encoding="utf-8")
    model = load_exported(resealed(export))
    with pytest.raises(DataError, match=r"differs on this machine by 0.001 .* 3 golden pairs"):
        model.check_golden()


def resealed(export):
    """The export with the hashes of its files as they are."""
    import hashlib

    manifest = json.loads((export / "manifest.json").read_text())
    digests = {
        name: hashlib.sha256((export / name).read_bytes()).hexdigest()
        for name in manifest["sha256"]
    }
    (export / "manifest.json").write_text(json.dumps(manifest | {"sha256": digests}))
    return export
