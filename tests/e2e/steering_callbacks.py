"""Custom callbacks that steer training, copied beside a configuration as `steering.py`."""

import keras


class Decay(keras.callbacks.LearningRateScheduler):
    """Keras' scheduler with a schedule that depends on the rate before."""

    def __init__(self):
        super().__init__(lambda epoch, rate: 0.7 * rate)


class WarmUp(keras.callbacks.Callback):
    """Raises the learning rate before each block; a block that begins twice raises it twice."""

    def on_train_batch_begin(self, batch, logs=None):
        rate = self.model.optimizer.learning_rate
        rate.assign(rate * 1.05 + 1e-4 * batch)


class Counter(keras.callbacks.Callback):
    """Sets the learning rate from its count of blocks and from the loss it has seen."""

    def __init__(self):
        super().__init__()
        self.state = {"blocks": 0, "losses": 0.0}

    def on_train_batch_end(self, batch, logs=None):
        self.state["blocks"] += 1
        self.state["losses"] += logs["loss"]
        self.model.optimizer.learning_rate.assign(
            0.01 / (1.0 + self.state["losses"] / self.state["blocks"])
        )

    def get_state(self):
        return dict(self.state)

    def set_state(self, state):
        self.state = dict(state)
