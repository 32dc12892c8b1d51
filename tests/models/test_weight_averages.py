import keras
import numpy as np
import pytest

from job.models.weight_averages import WeightAverages


@pytest.fixture
def averages():
    weights = [keras.Variable([1.0, 2.0]), keras.Variable([[3.0]])]
    made = WeightAverages.of(weights, momentum=0.9)
    for weight in weights:
        weight.assign(weight * 10.0)
    return made


def values(variables):
    return [variable.numpy().tolist() for variable in variables]


OWN, AVERAGE = [[10.0, 20.0], [[30.0]]], [[1.0, 2.0], [[3.0]]]


def test_averages_begin_as_the_weights_and_stand_in_for_them_in_a_block(averages):
    assert values(averages.variables) == AVERAGE
    with averages.in_use():
        assert values(averages.weights) == AVERAGE
    assert values(averages.weights) == OWN
    assert values(averages.variables) == AVERAGE


def test_the_weights_come_back_after_an_error(averages):
    with pytest.raises(KeyboardInterrupt), averages.in_use():
        raise KeyboardInterrupt
    assert values(averages.weights) == OWN


def test_averages_replace_the_weights_or_start_again_from_them(averages):
    averages.restart()
    assert values(averages.variables) == OWN
    averages.weights[1].assign([[7.0]])
    averages.apply()
    assert values(averages.weights) == OWN


@pytest.mark.parametrize(
    # 1 - (1 + n) / (10 + n), then 1 - 0.9.
    ("step", "share"),
    [(0, 0.9), (8, 0.5), (80, 0.1), (1000, 0.1)],
)
def test_the_first_steps_keep_less_of_the_average(averages, step, share):
    assert float(averages.share_of_weights(step)) == pytest.approx(share, rel=1e-6)
    assert np.float32(averages.share_of_weights(step)) > 0
