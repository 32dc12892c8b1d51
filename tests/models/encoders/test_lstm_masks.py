"""The encoder without masks computes what masked LSTMs of the same weights compute."""

import dataclasses
import itertools

import numpy as np
import pytest
import tensorflow as tf

from job.config.model import LstmConfig, ModelConfig
from job.config.training import AdamConfig, TrainingConfig
from job.models.encoders.build_encoder import build_encoder
from job.models.siamese import build_siamese
from tests.models.encoder_cases import some_items
from tests.models.encoders.masked_lstm import masked
from tests.models.encoders.test_lstm import ITEMS
from tests.proving import examples

LENGTHS = (4, 0, 1, 5, 3, 1)
WAYS = [
    pytest.param(kind, {"bidirectional": both, "layers": layers, "pooling": pooling})
    for pooling in ("last", "mean", "max")
    for kind, both, layers in [("text", False, 2), ("text", True, 2), ("sequence", True, 1)]
]


def ragged_items(item, lengths, *, seed=0):
    """An item of each length, padded."""
    items = some_items(item, len(lengths), length=max(lengths), seed=seed)
    padding = 0 if item.kind == "text" else np.nan
    for row, length in enumerate(lengths):
        items[row, length:] = padding
    return items


def result(model, items, *, training):
    """Embeddings, and the gradient of each variable of a loss that uses all of them."""
    variables = model.trainable_variables
    weight_ND = np.random.default_rng(2).normal(size=(len(items), model.output_shape[-1]))
    with tf.GradientTape() as tape:
        found = model(items, training=training)
        loss = tf.reduce_sum(found * tf.constant(weight_ND, tf.float32))
    gradients = tape.gradient(loss, [variable.value for variable in variables])
    return found.numpy(), {
        variable.path: tf.convert_to_tensor(gradient).numpy()
        for variable, gradient in zip(variables, gradients, strict=True)
    }


def gap(found, expected):
    """Largest difference over the largest value."""
    return np.abs(found.astype(float) - expected).max() / np.abs(expected).max()


def widest_gaps(kind, options, *, precision="float32"):
    """Of the embeddings, and of the gradients of any variable, against the masked encoder."""
    section, item = LstmConfig(units=4, **options), ITEMS[kind]
    encoder = build_encoder(section, item=item, seed=3, precision=precision)
    reference = masked(encoder, section=section, item=item)
    states = {v.path: v.numpy() for v in encoder.non_trainable_variables}
    items = ragged_items(item, LENGTHS)
    found, gradients = result(encoder, items, training=True)
    for variable in encoder.non_trainable_variables:
        variable.assign(states[variable.path])  # the same features are dropped again
    expected, expected_gradients = result(reference, items, training=True)
    assert np.isfinite(expected).all()
    assert not found[LENGTHS.index(0)].any()
    assert gradients.keys() == expected_gradients.keys()
    return gap(found, expected), max(
        gap(gradients[path], expected_gradients[path]) for path in gradients
    )


# One direction is equal to the bit. Two are not: a reversed item has other time steps, so the
# gradients of several items are added up in another order.
ROUNDING = {"float32": 1e-6, "mixed_float16": 2.0**-10, "mixed_bfloat16": 2.0**-7}


def check(kind, options, *, precision):
    embedding_gap, gradient_gap = widest_gaps(kind, options, precision=precision)
    assert embedding_gap <= (1e-6 if options["pooling"] == "mean" else 0.0)
    assert gradient_gap <= (ROUNDING[precision] if options["bidirectional"] else 0.0)


@pytest.mark.parametrize(("kind", "options"), WAYS)
def test_embeddings_and_gradients_are_those_of_masked_lstms(kind, options):
    check(kind, {**options, "dropout": 0.3}, precision="float32")


@pytest.mark.parametrize(("bidirectional", "pooling"), [(False, "last"), (True, "mean")])
@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_they_are_so_in_few_bits(precision, bidirectional, pooling):
    options = {"bidirectional": bidirectional, "layers": 2, "pooling": pooling, "dropout": 0.3}
    check("text", options, precision=precision)


class Trained:
    """A pair model under training; its gradients can come from either encoder.

    Attributes:
        encoders: Pair model with the encoder and with its masked reference, by name. Both have
            the same variables.
    """

    def __init__(self, section, *, item):
        model = ModelConfig(encoder=section)
        training = TrainingConfig(optimizer=AdamConfig(learning_rate=0.01))
        fast = build_siamese(model, training=training, item=item, seed=3)
        reference = masked(fast.encoder, section=section, item=item)
        self.encoders = {"fast": fast, "masked": dataclasses.replace(fast, encoder=reference)}
        self.optimizer, self.states = fast.optimizer, fast.variables()
        self.variables = fast.scorer.trainable_variables
        self.num_encoder_variables = len(fast.encoder.trainable_variables)
        self.seeds = [value for key, value in self.states.items() if "seed" in key]
        rng = np.random.default_rng(0)
        self.items = tf.constant(ragged_items(item, [*LENGTHS, *rng.integers(1, 8, 26)]))

    def _gradients(self, name, left_B, right_B):
        """Loss and gradients with the encoder of that name."""
        siamese = self.encoders[name]
        label_B = tf.cast((left_B - right_B) % 2 == 0, tf.float32)
        with tf.GradientTape() as tape:
            sides = (tf.gather(self.items, rows) for rows in (left_B, right_B))
            u_BD, v_BD = siamese.embed_sides(*sides, training=True)
            logit_B = siamese.head([u_BD, v_BD])[:, 0]
            losses = tf.nn.sigmoid_cross_entropy_with_logits(label_B, logit_B)
            loss = tf.reduce_mean(losses)
        found = tape.gradient(loss, [variable.value for variable in self.variables])
        return loss, [tf.convert_to_tensor(gradient) for gradient in found]

    @tf.function
    def gradients(self, left_B, right_B):
        """Loss and gradients with either encoder, by name, for the same random state."""
        seeds = [tf.identity(variable.value) for variable in self.seeds]
        found = {}
        for name in self.encoders:
            for variable, seed in zip(self.seeds, seeds, strict=True):
                variable.assign(seed)
            found[name] = self._gradients(name, left_B, right_B)
        return found

    @tf.function
    def gaps(self, found):
        """Of each variable of the encoder, the largest difference over the largest gradient."""
        # Not of the head, which is the same: its bias has a gradient that passes through 0.
        pairs = zip(found["fast"][1], found["masked"][1], strict=True)
        gaps = [
            tf.reduce_max(abs(fast - plain)) / tf.reduce_max(abs(plain))
            for fast, plain in itertools.islice(pairs, self.num_encoder_variables)
        ]
        return tf.stack(gaps)

    @tf.function
    def apply(self, gradients):
        """Takes the optimizer step."""
        self.optimizer.apply(gradients, self.variables)


@pytest.fixture(scope="module", params=["text", "sequence"])
def trained(request):
    options = {
        "text": {"embedding_size": 3, "pooling": "mean"},
        "sequence": {"pooling": "last"},
    }[request.param]
    section = LstmConfig(units=4, bidirectional=True, dropout=0.2, **options)
    return Trained(section, item=ITEMS[request.param])


def batches(number):
    """Rows of the left and of the right items of some pairs."""
    rows = np.random.default_rng(1).integers(0, 32, (number, 2, 16))
    return [(tf.constant(left_B), tf.constant(right_B)) for left_B, right_B in rows]


def test_a_step_from_each_of_many_states_has_the_gradients_of_masked_lstms(trained):
    losses, gaps = [], []
    for batch in batches(examples(20)):
        found = trained.gradients(*batch)
        gaps.append(trained.gaps(found).numpy())
        loss, gradients = found["fast"]
        losses.append(loss.numpy())
        trained.apply(gradients)
    assert np.ptp(losses) > 0.01  # the states differ
    assert 0 < np.max(gaps) <= 1e-5


def test_30_free_steps_stay_together(trained):
    start = {key: variable.numpy() for key, variable in trained.states.items()}
    ends = []
    for name in trained.encoders:
        for key, variable in trained.states.items():
            variable.assign(start[key])
        losses = []
        for batch in batches(30):
            loss, gradients = trained.gradients(*batch)[name]
            losses.append(loss.numpy())
            trained.apply(gradients)
        end = {key: variable.numpy() for key, variable in trained.states.items()}
        ends.append(end | {"losses": np.array(losses)})
    fast, plain = ends
    moved = "model|forward/lstm_cell/kernel"
    assert np.abs(fast[moved] - start[moved]).max() > 0.01
    for key in plain:
        np.testing.assert_allclose(fast[key], plain[key], rtol=0, atol=1e-4, err_msg=key)
