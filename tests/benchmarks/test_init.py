"""The measurements of `init`: their configurations are valid, their verdict is the promise."""

from pathlib import Path

import pytest
import yaml

from benchmarks import init_quality, init_rules
from job.config.loader.load_config import load_config

RUNS = [
    (name, variant)
    for name, chosen in init_rules.SETS.items()
    for variant in init_rules.VARIANTS[chosen.family]
]


@pytest.mark.parametrize(("name", "variant"), RUNS)
def test_every_variant_is_a_valid_configuration(tmp_path, name, variant):
    config = init_rules.config_of(name, variant, below=Path("/sets"), out=tmp_path)
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump(config))
    load_config(path, env={}, sets=[])


@pytest.mark.parametrize("name", init_quality.SETS)
def test_what_a_person_wrote_is_valid(tmp_path, name):
    path = init_quality.written_by_hand(name, below=Path("/sets"), scratch=tmp_path)
    load_config(path, env={}, sets=[])


@pytest.mark.parametrize(
    ("hand", "init", "reaches"),
    [
        (0.80, 0.76, True),
        (0.80, 0.75, False),
        (-0.5, 0.0, True),  # a person below the baseline asks for no less than the baseline
        (-0.5, -0.1, False),
    ],
)
def test_init_has_to_reach_most_of_a_persons_share(hand, init, reaches):
    assert init_quality.verdict({"share": hand}, {"share": init}) is reaches
