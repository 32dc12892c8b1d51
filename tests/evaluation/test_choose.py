"""Thresholds for targets: with a margin where it can be proved, and said where it cannot."""

import re

import numpy as np
import pytest

from job.config.targets import parse_goal
from job.data.dataset import PairTable
from job.evaluation.calibration import sigmoid
from job.evaluation.choose import choose_for_goal
from job.evaluation.guarantees import largest_share, variance_of_mean
from job.evaluation.identities import Identities
from job.evaluation.support import unsupported
from job.evaluation.thresholds import Terms
from tests.evaluation.simulated import SHARED


def alone(count):
    """Pairs that share no identity."""
    return Identities.of(np.arange(count), np.arange(count) + count)


def choose(label, logit, goal, *, identities=None, terms=None, seed=0):
    label, logit = np.asarray(label), np.asarray(logit, np.float32)
    return choose_for_goal(
        label,
        logit,
        score=sigmoid(logit).astype(np.float32),
        identities=identities or alone(len(label)),
        goal=parse_goal(goal),
        terms=terms or Terms(),
        seed=seed,
    )


def of_threshold(choice):
    return float(np.log(choice.threshold) - np.log1p(-choice.threshold))


# 400 other pairs at -400 ... -1, of which 4 are then at 100 and above; matches from 1 to 200.
OTHERS = np.concatenate([np.arange(-396, 0), [100.5, 120.5, 140.5, 160.5]]) / 20
MATCHES = np.arange(1, 201) / 20
LABEL = np.repeat([0, 1], [400, 200])
LOGIT = np.concatenate([OTHERS, MATCHES])


@pytest.mark.parametrize("errors", [0, 1, 2, 3])
def test_the_bound_is_the_rate_that_makes_so_few_errors_unlikely(errors):
    from scipy.optimize import brentq
    from scipy.stats import binom

    bound = brentq(lambda rate: binom.cdf(errors, 400, rate) - 0.05, 1e-6, 0.5)
    # The factors for few identities, of which there are 400, widen it by less than 3 %.
    choice = choose(LABEL, LOGIT, f"false_accepts <= {1.03 * bound:.6f}")
    assert choice.is_met
    assert (LOGIT >= of_threshold(choice))[:400].sum() == errors
    choice = choose(LABEL, LOGIT, f"false_accepts <= {0.99 * bound:.6f}")
    assert not choice.is_met or (LOGIT >= of_threshold(choice))[:400].sum() < errors


@pytest.mark.parametrize("errors", [0, 1, 3, 10])
def test_the_largest_share_of_errors_is_that_of_clopper_and_pearson(errors):
    from scipy.stats import beta

    bound = beta.ppf(0.95, errors + 1, 400 - errors)
    found = largest_share(np.array([bound]), np.array([400.0]), confidence=0.95)
    assert found == pytest.approx(errors / 400, abs=1e-9)
    assert largest_share(np.array([1.0]), np.array([5.0]), confidence=0.95) == 1.0


def test_a_threshold_for_false_accepts_accepts_as_many_as_the_bound_allows():
    # Independent pairs: of 400, 3 false accepts prove at most 1.93 %, 4 at most 2.27 %.
    choice = choose(LABEL, LOGIT, "false_accepts <= 0.02")
    assert choice.is_met
    assert choice.chosen_for == "false_accepts <= 0.02"
    accepted = LOGIT >= of_threshold(choice)
    assert accepted[:400].sum() == 3
    assert choice.interval[0] <= choice.threshold <= choice.interval[1]


def test_a_target_without_proof_is_chosen_on_validation_alone_and_says_so():
    # 4 of 400 is 1 %, which proves nothing below 2.27 %.
    choice = choose(LABEL, LOGIT, "false_accepts <= 0.005")
    assert not choice.is_met
    assert choice.chosen_for == "false_accepts <= 0.005 on validation itself, without a margin"
    assert (LOGIT[:400] >= of_threshold(choice)).sum() == 2


def test_a_precision_that_no_threshold_has_ends_at_the_highest():
    label, logit = [0, 1, 0, 1], [4, 3, 2, 1]
    choice = choose(label, logit, "precision >= 0.9")
    assert not choice.is_met
    assert choice.chosen_for == "the highest precision on validation"
    # Two of four are matches, as are one of two, and two accepted matches are more than one.
    assert choice.threshold == np.float32(sigmoid(1.0))


def test_a_recall_is_met_by_the_highest_threshold_that_proves_it():
    choice = choose(LABEL, LOGIT, "recall >= 0.9")
    missed = int((LOGIT[400:] < of_threshold(choice)).sum())
    # 12 of 200 independent matches missed prove at most 9.5 %, 13 at most 10.1 %.
    assert (choice.is_met, missed) == (True, 12)


def test_less_confidence_accepts_more():
    sure = choose(LABEL, LOGIT, "false_accepts <= 0.02", terms=Terms(0.99))
    less = choose(LABEL, LOGIT, "false_accepts <= 0.02", terms=Terms(0.6))
    assert less.threshold < sure.threshold


def test_pairs_of_shared_identities_prove_less():
    rng = np.random.default_rng(3)
    label, logit, identities = SHARED.draw(rng)
    shared = choose(label, logit, "false_accepts <= 0.05", identities=identities)
    as_if_alone = choose(label, logit, "false_accepts <= 0.05")
    assert shared.threshold > as_if_alone.threshold


@pytest.mark.parametrize(
    ("goal", "accepted"),
    [
        # Above 2 a miss and no false accept; above 0 two false accepts and no miss.
        ("cost(false_accept=1, false_reject=3)", 4),
        ("cost(false_accept=3, false_reject=1)", 1),
    ],
)
def test_the_cost_of_the_two_errors_decides(goal, accepted):
    label, logit = np.array([1, 0, 0, 1, 0]), np.array([3.0, 2.0, 1.0, 0.0, -1.0])
    choice = choose(label, logit, goal)
    assert (logit >= of_threshold(choice)).sum() == accepted
    assert choice.is_met


def test_a_small_match_share_makes_false_accepts_dear():
    label, logit = np.array([1, 0, 0, 1, 0]), np.array([3.0, 2.0, 1.0, 0.0, -1.0])
    rare, common = (choose(label, logit, "f1", terms=Terms(0.95, s)) for s in (0.01, 0.9))
    assert (logit >= of_threshold(rare)).sum() == 1
    assert (logit >= of_threshold(common)).sum() == 4


def test_pairs_whose_scores_saturate_are_accepted_together():
    # In float32 the scores of 20, 25 and 30 are all 1.0.
    choice = choose([1, 0, 1, 0], [30.0, 25.0, 20.0, -5.0], "precision >= 0.9")
    assert choice.threshold <= 1.0
    assert not choice.is_met


def test_the_interval_holds_the_threshold_of_most_other_draws():
    rng = np.random.default_rng(0)
    draws = [SHARED.draw(rng) for _ in range(25)]
    found = [choose(y, s, "eer", identities=ids) for y, s, ids in draws]
    truth = np.median([choice.threshold for choice in found])
    held = sum(low <= truth <= high for low, high in (choice.interval for choice in found))
    assert held >= 20
    first, again = (choose(*draws[0][:2], "f1", identities=draws[0][2]) for _ in range(2))
    assert first == again


def test_the_variance_counts_every_two_pairs_that_share_an_identity_once():
    rng = np.random.default_rng(2)
    left, right = rng.integers(0, 8, (2, 40))
    influence = rng.normal(size=40) + 1  # mostly of one sign, so that the sum exceeds a third
    expected = sum(
        influence[p] * influence[q]
        for p in range(40)
        for q in range(40)
        if {left[p], right[p]} & {left[q], right[q]}
    )
    found = variance_of_mean(Identities.of(left, right))(influence)
    assert found == pytest.approx(expected)


def table(others, matches):
    label = np.repeat([0, 1], [others, matches]).astype(np.uint8)
    rows = np.arange(len(label))
    return PairTable(rows, rows + len(label), label), alone(len(label))


@pytest.mark.parametrize(
    ("goal", "others", "matches", "needed"),
    [
        ("false_accepts <= 0.001", 2994, 50, "needs 2,995 non-matches .* there are 2,994"),
        ("false_accepts <= 0.001", 2995, 50, None),
        # Half of the pairs match: accepting all matches, 1 / 99 of the others may be accepted.
        ("precision >= 0.99", 294, 294, "needs 296 non-matches .* there are 294"),
        ("precision >= 0.99", 296, 296, None),
        ("recall >= 0.9", 50, 28, "needs 29 matches .* there are 28"),
        ("recall >= 0.9", 50, 29, None),
        ("f1", 1, 1, None),
    ],
)
def test_a_target_needs_enough_pairs_whatever_the_model(goal, others, matches, needed):
    pairs, identities = table(others, matches)
    problem = unsupported(pairs, identities, goal=parse_goal(goal), terms=Terms())
    assert (problem is None) == (needed is None)
    if needed:
        assert re.search(needed, problem)


def test_pairs_of_the_same_two_identities_count_once():
    pairs, _ = table(3000, 50)
    # All others are of one identity and 300 further ones.
    left = np.where(pairs.label, pairs.left, -1)
    right = np.where(pairs.label, pairs.right, -2 - pairs.right % 300)
    problem = unsupported(
        pairs,
        Identities.of(left, right),
        goal=parse_goal("false_accepts <= 0.01"),
        terms=Terms(),
    )
    assert "as diverse as" in problem
    problem = unsupported(
        pairs,
        Identities.of(left, right),
        goal=parse_goal("false_accepts <= 0.001"),
        terms=Terms(),
    )
    assert "there are 300 (in 3,000 non-matches)" in problem
