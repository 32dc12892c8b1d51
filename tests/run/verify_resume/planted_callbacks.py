"""Custom callbacks of the tests, copied beside their configuration."""

import os

import keras


class Forgetful(keras.callbacks.Callback):
    """Raises the learning rate at every fifth call; a restart loses the count."""

    calls = 0

    def on_train_batch_end(self, batch, logs=None):
        self.calls += 1
        if self.calls % 5 == 0:
            self.model.optimizer.learning_rate = 0.01 * self.calls


class Erratic(keras.callbacks.Callback):
    """Draws the learning rate from the operating system; has a state and no use for it."""

    def on_epoch_begin(self, epoch, logs=None):
        self.model.optimizer.learning_rate = 0.001 * (1 + os.urandom(1)[0])

    def get_state(self):
        return None

    def set_state(self, state):
        pass


class Decay(keras.callbacks.LearningRateScheduler):
    """Keras' own scheduler, given its schedule."""

    def __init__(self):
        super().__init__(lambda epoch, rate: rate * 0.5)
