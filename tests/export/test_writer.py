import dataclasses
import hashlib
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from job.config.export import ExportConfig
from job.errors import JobError
from job.export.writer import export_model
from job.preprocessing.vocabulary import vocabulary_from_json
from tests.export import tiny_models as tiny

THRESHOLD = 0.25
TEXTS = (["a", "don't a", "\u4e2d a,"], ["b", "\u00e9", "don't\u3000x"])


def exports():
    """Model, statistics and golden pairs of each kind."""
    for vocabulary in (tiny.LETTERS, tiny.WORDS):
        siamese = tiny.text_model(vocabulary)
        golden = tiny.golden_texts(siamese, vocabulary, *TEXTS)
        yield vocabulary.kind, (siamese, vocabulary, golden)
    siamese = tiny.sequence_model()
    golden = tiny.golden_sequences(siamese, [5, 1, 3], [2, 6, 6])
    yield "sequence", (siamese, tiny.MOMENTS, golden)
    siamese = tiny.image_model()
    yield "image", (siamese, None, tiny.golden_images(siamese, 3))


KINDS = ("characters", "words", "sequence", "image")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """By kind: golden pairs, folder written to, names in order of writing, artifacts."""
    found = {}
    for kind, (siamese, statistics, golden) in exports():
        folder, names = tmp_path_factory.mktemp(kind), []

        def write(name, data, *, folder=folder, names=names):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            names.append(name)

        artifacts = export_model(
            siamese,
            statistics=statistics,
            facts=tiny.facts(siamese, threshold=THRESHOLD, section=ExportConfig(onnx=True)),
            golden=golden,
            write=write,
        )
        found[kind] = golden, folder, names, artifacts
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_exported_model_scores_the_golden_pairs(exported, kind):
    golden, folder, _, artifacts = exported[kind]
    model = tf.saved_model.load(str(folder / artifacts["scorer"]))
    arguments = {name: tf.constant(value) for name, value in golden.arguments().items()}
    answer = model.score(**arguments)
    np.testing.assert_allclose(answer["score"], golden.score, rtol=0, atol=1e-6)
    assert answer["match"].numpy().tolist() == (golden.score >= THRESHOLD).tolist()
    assert set(model.signatures) == {"score", "serving_default", "embed", "compare"}
    served = model.signatures["score"](**arguments)
    assert np.array_equal(served["score"], answer["score"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_is_last_and_names_the_hash_of_every_other_file(exported, kind):
    _, folder, names, _ = exported[kind]
    assert names[-1] == "export/manifest.json"
    manifest = json.loads((folder / names[-1]).read_text())
    assert (manifest["schema"], manifest["threshold"]) == (3, THRESHOLD)
    digests = {f"export/{name}": digest for name, digest in manifest["sha256"].items()}
    assert digests == {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names[:-1]
    }


@pytest.mark.parametrize(
    ("kind", "item", "inputs", "encoder_input"),
    [
        (
            "characters",
            "text",
            {"left": ("string", [None]), "right": ("string", [None])},
            {"dtype": "int32", "shape": [None, None]},
        ),
        (
            "sequence",
            "sequence",
            {
                "left": ("float32", [None, None, 2]),
                "left_length": ("int64", [None]),
                "right": ("float32", [None, None, 2]),
                "right_length": ("int64", [None]),
            },
            {"dtype": "float32", "shape": [None, None, 2]},
        ),
        (
            "image",
            "image",
            {"left": ("uint8", [None, 8, 8, 3]), "right": ("uint8", [None, 8, 8, 3])},
            {"dtype": "float32", "shape": [None, 8, 8, 3]},
        ),
    ],
)
def test_the_manifest_describes_the_inputs(exported, kind, item, inputs, encoder_input):
    _, folder, _, _ = exported[kind]
    manifest = json.loads((folder / "export/manifest.json").read_text())
    assert manifest["kind"] == item
    assert manifest["encoder_input"] == encoder_input
    said = {
        name: (value["dtype"], value["shape"])
        for name, value in manifest["inputs"]["score"].items()
    }
    assert said == inputs
    embedded = {name.replace("left", "item") for name in inputs if "left" in name}
    assert set(manifest["inputs"]["embed"]) == embedded


@pytest.mark.parametrize("kind", KINDS)
def test_artifacts_name_the_written_files(exported, kind):
    _, folder, names, artifacts = exported[kind]
    assert all((folder / path).exists() for path in artifacts.values())
    assert artifacts["scorer"] == "export/scorer"
    files = {path for what, path in artifacts.items() if what not in ("scorer", "onnx")}
    others = {n for n in names if "/scorer/" not in n and "/onnx/" not in n}
    assert files | {"export/manifest.json"} == others


@pytest.mark.parametrize("vocabulary", [tiny.LETTERS, tiny.WORDS], ids=lambda v: v.kind)
def test_the_vocabulary_of_texts_is_written(exported, vocabulary):
    _, folder, _, artifacts = exported[vocabulary.kind]
    record = json.loads((folder / artifacts["vocabulary"]).read_text(encoding="utf-8"))
    assert vocabulary_from_json(record) == vocabulary


def test_golden_texts_are_json(exported):
    golden, folder, _, artifacts = exported["words"]
    rows = json.loads((folder / artifacts["golden_pairs"]).read_text(encoding="utf-8"))
    assert [row["left"] for row in rows] == TEXTS[0]
    assert [row["right"] for row in rows] == TEXTS[1]
    assert [row["score"] for row in rows] == golden.score.tolist()


@pytest.mark.parametrize("kind", ["sequence", "image"])
def test_golden_arrays_are_the_arguments_of_the_scorer(exported, kind):
    golden, folder, _, artifacts = exported[kind]
    with np.load(folder / artifacts["golden_pairs"], allow_pickle=False) as arrays:
        expected = golden.arguments() | {"score": golden.score}
        assert set(arrays) == set(expected)
        assert all(np.array_equal(arrays[name], expected[name]) for name in arrays)


def test_golden_sequences_are_padded_to_the_longest_of_a_side(exported):
    golden, _, _, _ = exported["sequence"]
    arguments = golden.arguments()
    assert arguments["left"].shape == (3, 5, 2)
    assert arguments["left_length"].tolist() == [5, 1, 3]
    assert arguments["right"].shape == (3, 6, 2)
    assert arguments["right_length"].dtype == np.int64


def test_an_export_with_other_scores_is_not_written():
    siamese = tiny.image_model()
    golden = tiny.golden_images(siamese, 2)
    wrong = dataclasses.replace(golden, score=golden.score + np.float32([0, 2e-5]))
    written = []
    with pytest.raises(JobError, match="Nothing was exported") as caught:
        export_model(
            siamese,
            statistics=None,
            facts=tiny.facts(siamese),
            golden=wrong,
            write=lambda name, data: written.append(name),
        )
    assert "differs from the trained model by 2e-05 on 2 golden pairs" in str(caught.value)
    assert written == []


@pytest.mark.parametrize(
    ("policy", "gap", "passes"),
    [
        ("mixed_bfloat16", 1e-2, True),
        ("mixed_float16", 1e-2, False),
    ],
)
def test_fewer_bits_may_round_more(policy, gap, passes):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        siamese = tiny.image_model()
    finally:
        keras.config.set_dtype_policy(before)
    golden = tiny.golden_images(siamese, 2)
    wrong = dataclasses.replace(golden, score=(golden.score + gap).astype(np.float32))
    arguments = {"statistics": None, "facts": tiny.facts(siamese), "golden": wrong}
    if passes:
        export_model(siamese, write=lambda name, data: None, **arguments)
        return
    with pytest.raises(JobError, match="differs"):
        export_model(siamese, write=lambda name, data: None, **arguments)


# What a person without this package does with an export.
STRANGER = """
import json, pathlib, sys
import numpy as np, onnxruntime, tensorflow as tf

def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))

for export in map(pathlib.Path, sys.argv[1:]):
    if (export / "golden.json").exists():
        rows = json.loads((export / "golden.json").read_text())
        golden = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    else:
        golden = dict(np.load(export / "golden.npz"))
    score = golden.pop("score")
    model = tf.saved_model.load(str(export / "scorer"))
    inputs = {name: tf.constant(value) for name, value in golden.items()}
    served = model.signatures["serving_default"](**inputs)["score"].numpy()
    assert np.abs(served - score).max() <= 1e-6, export
    ids = np.load(export / "onnx/golden.npz")
    u, v = (run(export / "onnx/encoder.onnx", items=ids[side])["embedding"]
            for side in ("left", "right"))
    answer = run(export / "onnx/compare.onnx", left_embedding=u, right_embedding=v)
    assert np.abs(answer["score"] - score).max() <= 1e-6, export
sys.exit("job" in sys.modules)
"""


@pytest.mark.slow
def test_a_process_without_this_package_scores_the_golden_pairs(exported, tmp_path):
    exports = [str(folder / "export") for _, folder, _, _ in exported.values()]
    subprocess.run([sys.executable, "-I", "-c", STRANGER, *exports], check=True, cwd=tmp_path)


@pytest.mark.slow
def test_stock_keras_opens_the_bare_models(exported, tmp_path):
    paths = [
        str(folder / artifacts[name])
        for _, folder, _, artifacts in exported.values()
        for name in ("encoder", "pair_model")
    ]
    script = (
        "import sys, keras; [keras.models.load_model(path) for path in sys.argv[1:]]; "
        "sys.exit('job' in sys.modules)"
    )
    # Isolated, and away from this checkout: the program is not imported by accident.
    subprocess.run([sys.executable, "-I", "-c", script, *paths], check=True, cwd=tmp_path)
