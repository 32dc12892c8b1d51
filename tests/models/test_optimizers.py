"""Optimizers: their names, and which weights decay."""

import pytest

from job.config.model import CosineConfig, MlpConfig, ModelConfig
from job.config.training import (
    AdamConfig,
    AdamwConfig,
    RmspropConfig,
    SgdConfig,
    TrainingConfig,
)
from job.models.optimizers import build_optimizer, decays
from job.models.siamese import build_siamese
from tests.models.encoder_cases import CASES

SLOW = pytest.mark.slow


@pytest.mark.parametrize("section", [AdamConfig, AdamwConfig, RmspropConfig, SgdConfig])
@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_a_variable_is_named_after_the_kind_of_its_optimizer(section, precision):
    optimizer = build_optimizer(section(), precision=precision)
    paths = [variable.path for variable in optimizer.variables]
    assert f"{section().kind}/iteration" in paths


@pytest.mark.parametrize(
    ("name", "head", "ends"),
    [
        ("text", CosineConfig(), {"/bias", "log_scale/kernel", "bias/kernel"}),
        ("text", MlpConfig(), {"/bias"}),
        pytest.param("xception", MlpConfig(), {"/bias", "/gamma", "/beta"}, marks=SLOW),
    ],
)
def test_biases_normalisation_and_the_scale_of_a_head_do_not_decay(name, head, ends):
    encoder, item = CASES[name]
    built = build_siamese(
        ModelConfig(encoder=encoder, head=head), training=TrainingConfig(), item=item, seed=1
    )
    weights = built.scorer.trainable_variables
    still = {weight.path for weight in weights if not decays(weight)}
    assert still == {one.path for one in weights if one.path.endswith(tuple(ends))}
    assert all(any(path.endswith(end) for path in still) for end in ends)
    assert len(still) < len(weights)
