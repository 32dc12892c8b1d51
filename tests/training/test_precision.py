"""Training in fewer bits: the path of float32, weights in float32, no step on an overflow."""

import numpy as np
import pytest

from job.training.state import expected_spec
from tests.models.encoder_cases import CASES
from tests.training.encoder_runs import (
    COUNTER,
    ITERATION,
    SCALE,
    STEPS,
    Run,
    begin,
    take,
)

MARKS = {"sequence": [pytest.mark.slow], "xception": [pytest.mark.slow, pytest.mark.prove]}
NAMES = [pytest.param(name, marks=MARKS.get(name, [])) for name in CASES]
# Share of the loss, about 0.7. bfloat16 keeps 8 bits and float16 11; an encoder has several
# layers.
TOLERANCE = {"mixed_bfloat16": 3e-3, "mixed_float16": 5e-4}
# Least cosine between what two steps change of a weight, and what they change in float32. The
# gradient of Xception comes through 36 layers that a batch of four normalises: 0.84 and 0.97.
ALIKE = {"mixed_bfloat16": 0.99, "mixed_float16": 0.999}
ALIKE_XCEPTION = {"mixed_bfloat16": 0.8, "mixed_float16": 0.95}


@pytest.fixture(scope="module")
def untouched():
    return {}


@pytest.fixture
def fresh(strategy, untouched):
    """A model as it was when built: tracing its graph anew for each test takes seconds."""

    def begun(name: str, *, precision: str) -> Run:
        if (name, precision) not in untouched:
            run = begin(name, strategy=strategy, precision=precision)
            untouched[name, precision] = run, run.state
        run, start = untouched[name, precision]
        run.restore(start)
        return run

    return begun


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize("name", NAMES)
def test_a_run_in_fewer_bits_follows_the_one_in_float32(fresh, name, precision):
    exact, run = fresh(name, precision="float32"), fresh(name, precision=precision)
    start = run.state
    assert all(
        np.array_equal(start[key], value)
        for key, value in exact.state.items()
        if key.startswith("model|")
    )
    expected, found = take(exact).loss, take(run).loss
    np.testing.assert_allclose(found, expected, atol=TOLERANCE[precision])
    assert not np.array_equal(found, expected)
    after, after_exact = run.state, exact.state
    assert {value.dtype for value in after.values() if value.dtype.kind == "f"} == {
        np.dtype(np.float32)
    }
    moved = [key for key in after if key.startswith("model|") and key.endswith("kernel")]
    for key in moved:
        step, exact_step = after[key] - start[key], after_exact[key] - start[key]
        assert np.any(step), key
        cosine = np.sum(step * exact_step) / np.linalg.norm(step) / np.linalg.norm(exact_step)
        assert cosine > (ALIKE_XCEPTION if name == "xception" else ALIKE)[precision], key


def test_the_loss_is_scaled_for_the_gradient_only(fresh):
    run = fresh("cnn", precision="mixed_float16")
    start = run.state
    assert start[SCALE] == 2**15
    losses, kernels = [], []
    for scale in (1.0, 2.0**10, 2.0**15):
        run.restore(start | {SCALE: np.float32(scale)})
        losses.append(take(run, 0, 1).loss)
        kernels.append(run.state["model|embedding/kernel"])
    assert losses[0] == losses[1] == losses[2]
    for kernel in kernels[1:]:
        np.testing.assert_allclose(kernel, kernels[0], rtol=0, atol=1e-6)


def test_gradients_too_small_for_float16_are_not_lost(fresh):
    # Without scaling those of the first layer fall below 6e-8, the smallest float16.
    run = fresh("cnn", precision="mixed_float16")
    start = run.state
    head = {key: start[key] * np.float32(1e-5) for key in start if "logit/kernel" in key}
    moved = []
    for scale in (1.0, 2.0**15):
        run.restore(start | head | {SCALE: np.float32(scale)})
        take(run, 0, 1)
        moved.append(
            np.count_nonzero(run.state["model|conv_1/kernel"] - start["model|conv_1/kernel"])
        )
    assert moved[0] < moved[1]


@pytest.mark.parametrize("name", ["text", "sequence", "cnn"])
def test_a_step_that_overflows_is_skipped_and_the_scale_halved(fresh, name):
    run = fresh(name, precision="mixed_float16")
    start = run.state | {SCALE: np.float32(1e38), COUNTER: np.int64(7)}
    run.restore(start)
    results = take(run)
    after = run.state
    assert np.isfinite(results.loss).all()
    assert after[SCALE] == np.float32(1e38) / 2**STEPS
    assert after[COUNTER] == 0
    assert after[ITERATION] == 0
    changed = {key for key in after if not np.array_equal(after[key], start[key])}
    assert changed == {SCALE, COUNTER}


@pytest.mark.parametrize("name", ["text", "cnn"])
def test_stored_variables_have_the_shapes_and_types_that_a_resume_expects(fresh, name):
    run = fresh(name, precision="mixed_float16")
    found = {key: (value.shape, value.dtype.name) for key, value in run.state.items()}
    assert found == expected_spec(run.siamese.variables())


def test_the_scale_doubles_after_2000_steps_in_a_row(fresh):
    run = fresh("cnn", precision="mixed_float16")
    run.restore(run.state | {COUNTER: np.int64(1998)})
    take(run, 0, 1)
    assert (run.state[SCALE], run.state[COUNTER]) == (2**15, 1999)
    take(run, 0, 1)
    assert (run.state[SCALE], run.state[COUNTER]) == (2**16, 0)
    assert run.state[ITERATION] == 2


def test_a_run_stored_before_the_scale_doubles_resumes_bit_for_bit(strategy):
    straight, resumed = (
        begin("cnn", strategy=strategy, precision="mixed_float16", dropout=0.3)
        for _ in range(2)
    )
    straight.restore(straight.state | {COUNTER: np.int64(1998)})
    take(straight, 0, 1)
    stored = straight.state
    take(straight, 1)
    take(resumed)  # what it did before is of no consequence
    resumed.restore(stored)
    take(resumed, 1)
    expected, found = straight.state, resumed.state
    assert list(found) == list(expected)
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    assert expected[SCALE] == 2**16
    assert stored[SCALE] == 2**15


@pytest.mark.slow
@pytest.mark.prove
def test_a_stored_run_with_moving_statistics_resumes_bit_for_bit(fresh):
    run = fresh("xception", precision="float32")
    take(run, 0, 1)
    stored = run.state
    take(run, 1)
    expected = run.state
    take(run)  # what it did before is of no consequence
    run.restore(stored)
    take(run, 1)
    found = run.state
    assert all(np.array_equal(found[key], expected[key]) for key in expected)
    name = "model|block14_sepconv2_bn/moving_variance"
    assert not np.array_equal(stored[name], expected[name])
