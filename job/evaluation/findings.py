"""Everything the finished model is judged by. P pairs.

The threshold is chosen on validation and only applied to test; a model is worth something
where it beats scores that nobody had to learn.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from job.data.feeding.feeds import Feed
from job.data.tables import Dataset
from job.errors import DivergedError
from job.evaluation.baselines import baseline_scores
from job.evaluation.metrics import roc_auc
from job.evaluation.splits import measure, score_split
from job.evaluation.thresholds import choose_threshold
from job.models.scoring import PairScorer, PairScores


@dataclass(frozen=True)
class Findings:
    """How good a model is.

    Attributes:
        threshold: A pair counts as a match when its score is at least this.
        criterion: What the threshold was chosen for.
        validation: Measurements on validation, by name.
        test: The same on test.
        baselines: ROC-AUC on test of scores that need no learning, by name.
        test_scores: Label, score and loss of every test pair, in file order.
    """

    threshold: float
    criterion: str
    validation: Mapping[str, float]
    test: Mapping[str, float]
    baselines: Mapping[str, float]
    test_scores: PairScores

    @property
    def baseline_roc_auc(self) -> float:
        """The best baseline's."""
        return max(self.baselines.values())


def evaluate(
    scorer: PairScorer,
    *,
    dataset: Dataset,
    feed: Feed,
    criterion: str,
    batch_size: int,
    poll: Callable[[], None],
) -> Findings:
    """Measures the model on validation and test, and the baselines on test.

    Args:
        scorer: The model.
        dataset: Its data.
        feed: Gives the items of the data set.
        criterion: `evaluation.threshold`.
        batch_size: Items encoded at a time.
        poll: Called every few seconds; raises to stop the work, for example on SIGTERM.

    Raises:
        DivergedError: The model's scores are not finite: no threshold can be chosen.
    """
    scores = {
        split: score_split(
            scorer,
            feed=feed,
            pairs=dataset.pairs[split],
            batch_size=batch_size,
            items=dataset.items,
        )
        for split in ("validation", "test")
    }
    validation, test = scores["validation"], scores["test"]
    if not all(np.isfinite(split.score).all() for split in scores.values()):
        raise DivergedError(
            "The trained model gives scores that are not numbers, so it can be neither "
            "measured nor exported. Lower training.optimizer.learning_rate, and leave "
            "callbacks.terminate_on_nan on."
        )
    threshold = choose_threshold(validation.label, validation.score, criterion=criterion)
    pairs = dataset.pairs["test"]
    baselines = baseline_scores(
        dataset.items,
        pairs=pairs,
        statistics=dataset.statistics,
        pixels=feed.batch,
        poll=poll,
    )
    return Findings(
        threshold=threshold,
        criterion=criterion,
        validation=measure(validation, threshold=threshold),
        test=measure(test, threshold=threshold),
        baselines={name: roc_auc(pairs.label, found) for name, found in baselines.items()},
        test_scores=test,
    )
