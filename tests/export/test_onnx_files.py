"""The ONNX files score the golden pairs; fewer bits change them by what the manifest says."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from job.config.export import ExportConfig
from job.config.model import LstmConfig, ModelConfig
from job.config.training import TrainingConfig
from job.errors import JobError
from job.evaluation.calibration import Calibration
from job.export import onnx_files
from job.export.quantize import quantized
from job.export.serving import serving_module
from job.models.siamese import build_siamese
from job.types import ItemInput
from tests.export import tiny_models as tiny

TEXT = ItemInput("text", "int32", (None,), vocabulary_size=300)
LARGE_LSTM = LstmConfig(
    units=16, embedding_size=16, bidirectional=True, layers=2, pooling="max"
)
IDS = np.array([[3, 2, 4, 1, 0, 0], [9, 0, 0, 0, 0, 0], [5, 250, 5, 6, 7, 8]], np.int32)


def large_text_model():
    model = ModelConfig(encoder=LARGE_LSTM)
    return build_siamese(model, training=TrainingConfig(), item=TEXT, seed=3, exported=True)


def golden_of(siamese, left, right):
    score = siamese.scorer([left, right], training=False).numpy()[:, 0]
    return onnx_files.EncodedPairs(left, right, score)


def write(siamese, folder, golden, *, statistics=tiny.WORDS, quantize="none", **options):
    module = serving_module(siamese, statistics=statistics, threshold=0.5, **options)
    section = ExportConfig(onnx=True, quantize=quantize)
    return onnx_files.write_onnx(module, folder, golden=golden, section=section, tolerance=1e-5)


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


@pytest.mark.slow
def test_texts_are_scored_from_token_ids(tmp_path):
    siamese = large_text_model()
    golden = golden_of(siamese, IDS, IDS[::-1])
    platt = Calibration("platt", (2.0, -0.5))
    facts = write(siamese, tmp_path, golden, calibration=platt, quantize="int8")
    with np.load(tmp_path / "onnx/golden.npz") as stored:
        left, right = (
            run(tmp_path / "onnx/encoder.onnx", items=stored[side])["embedding"]
            for side in ("left", "right")
        )
    answer = run(tmp_path / "onnx/compare.onnx", left_embedding=left, right_embedding=right)
    np.testing.assert_allclose(answer["score"], golden.score, rtol=0, atol=1e-6)
    np.testing.assert_allclose(answer["probability"], platt.apply(answer["logit"]), atol=1e-6)
    assert answer["match"].tolist() == (golden.score >= 0.5).tolist()
    assert facts["opset"] == 18
    assert facts["largest_difference"] <= 1e-6

    lost = facts["quantized"]
    left, right = (
        run(tmp_path / lost["file"], items=items)["embedding"] for items in (IDS, IDS[::-1])
    )
    coarse = run(tmp_path / "onnx/compare.onnx", left_embedding=left, right_embedding=right)
    gap = np.abs(coarse["score"] - answer["score"]).max()
    assert 0 < gap < 0.01
    assert lost["largest_difference"] == pytest.approx(gap, rel=1e-3)
    assert lost["bytes"] < 0.6 * lost["bytes_before"]


def test_sequences_and_isotonic_probabilities_are_in_onnx_too(tmp_path):
    siamese = tiny.sequence_model()
    rng = np.random.default_rng(0)
    items = rng.normal(size=(2, 3, 5, 2)).astype(np.float32)
    items[0, 1, 2:] = np.nan
    isotonic = Calibration("isotonic", (-0.25, 0.0, 0.25), (0.1, 0.5, 0.75))
    golden = golden_of(siamese, items[0], items[1])
    write(siamese, tmp_path, golden, statistics=tiny.MOMENTS, calibration=isotonic)
    left, right = rng.normal(0, 3, (2, 50, 3)).astype(np.float32)
    answer = run(tmp_path / "onnx/compare.onnx", left_embedding=left, right_embedding=right)
    assert np.ptp(answer["logit"]) > 1
    np.testing.assert_allclose(
        answer["probability"], isotonic.apply(answer["logit"]), atol=1e-6
    )


def test_images_are_scored_in_onnx_too(tmp_path):
    siamese = tiny.image_model()
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 8, 8, 3)).astype(np.float32)
    golden = golden_of(siamese, images[0], images[1])
    assert write(siamese, tmp_path, golden, statistics=None)["largest_difference"] <= 1e-6


def test_an_onnx_model_with_other_scores_is_not_exported(tmp_path):
    siamese = tiny.image_model()
    images = np.zeros((1, 8, 8, 3), np.float32)
    wrong = onnx_files.EncodedPairs(images, images, np.array([0.9], np.float32))
    with pytest.raises(JobError, match="The ONNX model differs from the trained model"):
        write(siamese, tmp_path, wrong, statistics=None)


def model_of(weights):
    helper = onnx.helper
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None, len(weights)])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [None, weights.shape[1]])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()


@pytest.mark.parametrize(("kind", "most"), [("float16", 2.0**-11), ("int8", 0.5 / 127)])
def test_a_weight_is_off_by_at_most_half_a_step(kind, most, tmp_path):
    weights = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    weights *= np.logspace(-2, 2, 30, dtype=np.float32)  # channels of different sizes
    path = tmp_path / "a.onnx"
    path.write_bytes(quantized(model_of(weights), kind=kind))
    found = run(path, x=np.eye(40, dtype=np.float32))["y"]
    error = np.abs(found - weights).max(axis=0) / np.abs(weights).max(axis=0)
    assert 0 < error.max() <= most * 1.0001


def test_small_arrays_keep_their_bits(tmp_path):
    weights = np.random.default_rng(0).normal(size=(15, 15)).astype(np.float32)
    path = tmp_path / "a.onnx"
    path.write_bytes(quantized(model_of(weights), kind="int8"))
    assert np.array_equal(run(path, x=np.eye(15, dtype=np.float32))["y"], weights)


def test_facts_are_json(tmp_path):
    siamese = tiny.image_model()
    images = np.zeros((1, 8, 8, 3), np.float32)
    golden = golden_of(siamese, images, images)
    json.dumps(write(siamese, tmp_path, golden, statistics=None, quantize="float16"))
