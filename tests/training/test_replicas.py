"""The same global batch gives the same training on one replica and on two."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow
NAMES = (
    "binary_crossentropy",
    "online_contrastive",
    "batch_hard",
    "semi_hard",
    "multiple_negatives",
    "multiple_negatives_symmetric",
    "multiple_negatives_euclidean",
    "circle",
)


@pytest.fixture(scope="module")
def results():
    """What `tests.training.replicas` prints for one and for two replicas."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.training.replicas", str(number)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env=os.environ,
        )
        for number in (1, 2)
    ]
    outputs = [process.communicate(timeout=300) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors.decode()[-2000:]
    one, two = (json.loads(output) for output, _ in outputs)
    assert set(one) == set(two) == set(NAMES)
    return one, two


def weights(result):
    return np.concatenate([np.ravel(value) for _, value in sorted(result["weights"].items())])


# The bounds are those measured for the approach (features.md E6): 1e-6 on the loss, relative,
# 1e-5 on weights.
@pytest.mark.parametrize("name", NAMES)
def test_two_replicas_train_as_one_does(results, name):
    one, two = (result[name] for result in results)
    assert len(one["loss"]) > 1
    assert min(one["loss"]) > 0
    assert len(set(one["loss"])) > 1
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=1e-6)
    np.testing.assert_allclose(weights(two), weights(one), rtol=0, atol=1e-5)
