"""One update, against slow formulas in NumPy."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

from job.config.training import (
    AdamwConfig,
    CosineScheduleConfig,
    RmspropConfig,
    SgdConfig,
)
from job.models.learning_rate import RateSchedule
from job.models.optimizers import build_optimizer
from job.models.weight_averages import WeightAverages
from job.training.weight_update import PLAIN, UpdateRule, WeightUpdate, clip_by_norm

STEPS = 6
SHAPES = {"dense/kernel": (3, 2), "dense/bias": (2,), "log_scale/kernel": (1, 1)}
RNG = np.random.default_rng(0)
START = {path: RNG.normal(size=shape).astype(np.float32) for path, shape in SHAPES.items()}
GRADIENTS = [
    {path: RNG.normal(size=shape).astype(np.float32) for path, shape in SHAPES.items()}
    for _ in range(STEPS)
]


def weight(path, value):
    layer, name = path.split("/")
    with keras.name_scope(layer):
        return keras.Variable(value, name=name)


def trained(section, rule=PLAIN, *, momentum=None, precision="float32", gradients=GRADIENTS):
    """Weights and averages after the steps, by path."""
    weights = [weight(path, value) for path, value in START.items()]
    assert [one.path for one in weights] == list(SHAPES)
    optimizer = build_optimizer(section, precision=precision)
    optimizer.build(weights)
    averages = WeightAverages.of(weights, momentum=momentum) if momentum else None
    scorer = SimpleNamespace(trainable_variables=weights)
    update = WeightUpdate(
        SimpleNamespace(scorer=scorer, optimizer=optimizer, averages=averages), rule
    )
    for one in gradients:
        update([keras.ops.convert_to_tensor(value) for value in one.values()])
    found = {path: one.numpy() for path, one in zip(SHAPES, weights, strict=True)}
    return found, averages, optimizer


def reference_adamw(rate, decay, *, factor=lambda step: 1.0):
    """Loshchilov and Hutter 2019, algorithm 2, with the decay times the learning rate."""
    weights = {path: value.astype(np.float64) for path, value in START.items()}
    m = {path: np.zeros(shape) for path, shape in SHAPES.items()}
    v = {path: np.zeros(shape) for path, shape in SHAPES.items()}
    for step, gradients in enumerate(GRADIENTS):
        now = rate * factor(step)
        for path, gradient in gradients.items():
            m[path] = 0.9 * m[path] + 0.1 * gradient
            v[path] = 0.999 * v[path] + 0.001 * gradient.astype(np.float64) ** 2
            m_hat = m[path] / (1 - 0.9 ** (step + 1))
            v_hat = v[path] / (1 - 0.999 ** (step + 1))
            shrunk = now * decay * weights[path] if path == "dense/kernel" else 0.0
            weights[path] = weights[path] - now * m_hat / (np.sqrt(v_hat) + 1e-7) - shrunk
    return weights


def assert_close(found, expected, rtol=1e-5):
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, rtol=rtol, atol=1e-6, err_msg=path)


def test_adamw_shrinks_kernels_and_nothing_else():
    found, _, optimizer = trained(AdamwConfig(learning_rate=0.01, weight_decay=1.0))
    assert_close(found, reference_adamw(0.01, 1.0))
    assert int(optimizer.iterations.numpy()) == STEPS


def test_the_schedule_scales_step_and_decay_and_leaves_the_variable():
    section = CosineScheduleConfig(warmup_steps=2)
    rule = UpdateRule(schedule=RateSchedule.of(section, run_steps=STEPS))
    found, _, optimizer = trained(AdamwConfig(learning_rate=0.01, weight_decay=1.0), rule)

    def factor(step):
        return (step + 1) / 2 if step < 2 else 0.5 * (1 + np.cos(np.pi * (step - 2) / 4))

    assert_close(found, reference_adamw(0.01, 1.0, factor=factor))
    assert float(optimizer.learning_rate.numpy()) == np.float32(0.01)


@pytest.mark.parametrize("section", [SgdConfig(momentum=0.9), RmspropConfig()])
def test_the_formula_is_that_of_keras(section):
    weights = [weight(path, value) for path, value in START.items()]
    plain = build_optimizer(section)
    plain.build(weights)
    for gradients in GRADIENTS:
        plain.apply(list(gradients.values()), weights)
    found, _, _ = trained(section)
    expected = {path: one.numpy() for path, one in zip(SHAPES, weights, strict=True)}
    assert all(np.array_equal(found[path], expected[path]) for path in expected)


def test_a_gradient_beyond_the_limit_is_scaled_down_and_another_keeps_its_bits():
    gradients = list(GRADIENTS[0].values())
    norm = np.sqrt(sum(np.sum(np.square(one, dtype=np.float64)) for one in gradients))
    for limit in (0.3, norm / 3):
        clipped = clip_by_norm(gradients, limit=float(limit))
        for found, one in zip(clipped, gradients, strict=True):
            np.testing.assert_allclose(found, one * limit / norm, rtol=1e-6)
    for limit in (norm * 1.001, 1e9):
        kept = clip_by_norm(gradients, limit=float(limit))
        assert all(np.array_equal(a, b) for a, b in zip(kept, gradients, strict=True))


@pytest.mark.parametrize("bad", [np.inf, np.nan, 1e30])
def test_a_norm_that_is_not_finite_does_not_go_unnoticed(bad):
    clipped = clip_by_norm([np.float32([bad, 1.0]), np.float32([2.0])], limit=1.0)
    assert np.isnan(clipped[0]).any()
    assert np.isnan(clipped[1]).all()


def test_a_gradient_of_zeros_is_kept():
    assert np.array_equal(clip_by_norm([np.zeros(3, np.float32)], limit=1.0)[0], np.zeros(3))


def test_averages_follow_the_weights():
    found, averages, _ = trained(SgdConfig(learning_rate=0.1), momentum=0.3)
    weights = {path: value.astype(np.float64) for path, value in START.items()}
    expected = dict(weights)
    for step, gradients in enumerate(GRADIENTS):
        keep = min(0.3, (1 + step) / (10 + step))
        for path, gradient in gradients.items():
            weights[path] = weights[path] - 0.1 * gradient
            expected[path] = keep * expected[path] + (1 - keep) * weights[path]
    assert_close(found, weights)
    assert_close({path: one.numpy() for path, one in averages.named().items()}, expected)


def test_with_loss_scaling_the_gradient_is_clipped_as_it_is_without():
    rule = UpdateRule(clip_norm=0.5)
    section = SgdConfig(learning_rate=0.1)
    plain, _, _ = trained(section, rule)
    larger = [{path: one * 2.0**15 for path, one in step.items()} for step in GRADIENTS]
    scaled, _, _ = trained(section, rule, precision="mixed_float16", gradients=larger)
    assert all(np.array_equal(scaled[path], plain[path]) for path in plain)


@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_a_step_that_overflows_changes_neither_weights_nor_averages(bad):
    steps = [{**GRADIENTS[0], "dense/bias": np.float32([bad, 0.0])}]
    found, averages, optimizer = trained(
        SgdConfig(), momentum=0.5, precision="mixed_float16", gradients=steps
    )
    assert all(np.array_equal(found[path], START[path]) for path in START)
    assert all(np.array_equal(one, START[path]) for path, one in averages.named().items())
    assert float(optimizer.dynamic_scale.numpy()) == 2.0**14
    assert int(optimizer.iterations.numpy()) == 0
