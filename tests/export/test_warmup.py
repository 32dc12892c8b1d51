import numpy as np
import pytest
import tensorflow as tf

from job.export.warmup import FILE, MOST_PAIRS, _varint, embed_arguments, write_warmup

# Its generated code still calls what protobuf deprecates.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_the_official_classes_read_the_requests(tmp_path):
    from tensorflow_serving.apis import prediction_log_pb2

    texts = np.array(["a" * 300, "\u00e9"] * MOST_PAIRS, np.object_)
    arguments = {"left": texts, "right": texts[::-1]}
    requests = {
        "serving_default": arguments,
        "embed": embed_arguments(arguments, as_item="left"),
    }
    write_warmup(tmp_path, requests)
    records = list(tf.data.TFRecordDataset(str(tmp_path / FILE)).as_numpy_iterator())
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    found = [log.predict_log.request for log in logs]
    assert [one.model_spec.signature_name for one in found] == ["serving_default", "embed"]
    assert set(found[0].inputs) == {"left", "right"}
    assert set(found[1].inputs) == {"item"}
    for request, name in ((found[0], "left"), (found[1], "item")):
        values = tf.make_ndarray(request.inputs[name])
        assert values.tolist() == [text.encode() for text in texts[:MOST_PAIRS]]


def test_arguments_of_embed_are_those_of_one_side():
    arguments = {"left": np.ones((2, 3, 1)), "left_length": np.array([1, 3]), "right": None}
    found = embed_arguments(arguments, as_item="left")
    assert set(found) == {"item", "item_length"}


@pytest.mark.parametrize(
    ("number", "encoded"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\x01"), (300, b"\xac\x02")]
)
def test_numbers_are_encoded_as_protobuf_does(number, encoded):
    assert _varint(number) == encoded
