"""Looking at every layer while training changes nothing of it."""

import functools

import keras
import numpy as np

from job.models.activation_probe import ActivationProbe


class Looker(keras.callbacks.Callback):
    """Looks at one pair at each epoch's end, as the activation logger does."""

    def __init__(self, toy):
        super().__init__()
        left, right = (toy.data.feed.batch(np.array([row])) for row in (0, 1))
        self.look = functools.partial(ActivationProbe(toy.siamese), left, right)
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.look()["score"].item())


def test_a_run_whose_activations_are_logged_ends_in_the_same_bits_and_is_traced_once(toy):
    plain = toy()
    _, expected_state = plain.train(epochs=3)
    expected = plain.weights()
    traced = plain.step._steps.experimental_get_tracing_count()

    looked_at = toy()
    looker = Looker(looked_at)
    _, state = looked_at.train(epochs=3, callbacks=[looker])
    assert any("seed_generator" in key for key in expected)
    assert all(np.array_equal(looked_at.weights()[key], expected[key]) for key in expected)
    assert state.history == expected_state.history
    assert looked_at.step._steps.experimental_get_tracing_count() == traced
    assert len(set(looker.seen)) == 3
