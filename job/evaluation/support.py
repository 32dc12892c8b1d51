"""Whether validation can prove a target at all, counted before there is a model.

Even a model without an error proves an error rate of at most 0.001 only with 2,995 independent
non-matches (for a confidence of 0.95)::

    problem = unsupported(pairs, identities, goal=parse_goal("false_accepts <= 0.001"), ...)
"""

from job.config.targets import Goal, Target
from job.data.dataset import PairTable
from job.evaluation.guarantees import false_accept_limit
from job.evaluation.identities import Identities
from job.evaluation.intervals import MIN_IDENTITIES
from job.evaluation.metrics import num_needed
from job.evaluation.thresholds import Terms


def unsupported(
    pairs: PairTable, identities: Identities, *, goal: Goal, terms: Terms
) -> str | None:
    """Why no model can prove the target on these pairs; None if one can, or for other goals.

    Pairs of the same two identities count once: a second photo of two people is no second
    sample of people. That other pairs share one identity is measured after training.

    Args:
        pairs: The validation pairs.
        identities: Their identities.
        goal: What the threshold is for.
        terms: Confidence and share of matches.
    """
    if not isinstance(goal, Target):
        return None
    is_match = pairs.label == 1
    if goal.name == "recall":
        what, rate, counted = "matches", 1.0 - goal.value, is_match
    else:
        share = terms.match_share or pairs.num_positive / len(pairs)
        what, counted = "non-matches", ~is_match
        rate = min(false_accept_limit(goal, match_share=share), 1.0 - 1e-12)
    needed = num_needed(rate, confidence=terms.confidence)
    found = identities.num_dyads(counted)
    if found < needed:
        of = "identities" if goal.name == "recall" else "pairs of identities"
        return (
            f"evaluation.threshold: {goal} cannot be proved with a confidence of "
            f"{terms.confidence:g} on these validation pairs: it needs {needed:,} {what} of "
            f"different {of} and there are {found:,} (in {int(counted.sum()):,} {what})"
        )
    enough = identities.effective_count(counted)
    if enough < MIN_IDENTITIES:
        return (
            f"evaluation.threshold: {goal} cannot be proved on {what} of so few identities: "
            f"they are as diverse as {enough:.1f} equally frequent ones, and "
            f"{MIN_IDENTITIES:.0f} are needed"
        )
    return None
