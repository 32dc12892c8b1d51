"""What to change after a run that could be better; pure functions of its results.

    advise(
        history,
        roc_auc=0.91,
        baselines={"ngram_cosine": 0.78},
        config=config,
        epochs=10,
        stopped_early=False,
    )

Two things are worth a word: the model ends below an untrained baseline, or its validation still
improved when training ended. A run without advice is not thereby good.
"""

from collections.abc import Mapping, Sequence

from job.config.data import TextDataConfig
from job.config.losses import BinaryCrossentropyConfig
from job.config.model import LstmConfig
from job.config.monitors import MONITORS
from job.config.root import Config

# Share of what a metric in [0, 1] can still gain, or of a loss. Less is noise between epochs.
_LEAST_GAIN = 0.02
# Rare enough that an unweighted loss learns to say no to everything.
_RARE_MATCHES = 0.3


def advise(
    history: Sequence[Mapping[str, float]],
    *,
    roc_auc: float,
    baselines: Mapping[str, float],
    config: Config,
    epochs: int,
    stopped_early: bool,
    matching: float | None = None,
) -> list[str]:
    """Sentences that say what to change; empty if there is nothing to say.

    Args:
        history: The metrics of each epoch.
        roc_auc: ROC-AUC of the model on test.
        baselines: That of the untrained baselines, by name.
        config: The configuration of the run.
        epochs: Epochs that were trained.
        stopped_early: Whether a callback ended training.
        matching: Share of the training pairs that match; None if they are drawn.
    """
    found = []
    monitor = config.best_monitor
    gain = last_gain(history, monitor=monitor)
    still_improving = not stopped_early and gain > _LEAST_GAIN
    if still_improving:
        *_, before, now = (one[monitor] for one in history if monitor in one)
        found.append(
            f"{monitor} still improved in the last epoch ({before:.4f} to {now:.4f}): "
            f"{_train_longer(config, epochs=epochs)}."
        )
    name = max(baselines, key=baselines.__getitem__, default=None)
    if name is not None and roc_auc < baselines[name]:
        changes = _changes(config, matching=matching)
        if not still_improving:
            changes.append(_train_longer(config, epochs=epochs, stopped_early=stopped_early))
        found.append(
            f"the model ranks test pairs worse (ROC-AUC {roc_auc:.4f}) than "
            f"{name.replace('_', ' ')} does without training ({baselines[name]:.4f}): do not "
            f"serve it. To change: {'; '.join(changes) or 'give more data'}."
        )
    return found


def last_gain(history: Sequence[Mapping[str, float]], *, monitor: str) -> float:
    """What the last epoch gained over the best one before, as a share of what was left.

    Args:
        history: The metrics of each epoch.
        monitor: The metric, as in `MONITORS`.

    Returns:
        For a metric that rises to 1, of its distance to 1; for one that falls to 0, of its
        value. 0 if the last epoch is not the best, or the only one.
    """
    values = [epoch[monitor] for epoch in history if monitor in epoch]
    if len(values) < 2:
        return 0.0
    *earlier, last = values
    if MONITORS[monitor] == "max":
        best = max(earlier)
        return max(0.0, (last - best) / max(1.0 - best, 1e-9))
    best = min(earlier)
    return max(0.0, (best - last) / max(abs(best), 1e-9))


def _train_longer(config: Config, *, epochs: int, stopped_early: bool = False) -> str:
    """How a run of this configuration gets more epochs."""
    stopping, schedule = config.callbacks.early_stopping, config.training.schedule
    if stopped_early and stopping is not None:
        return (
            "wait longer for an improvement (callbacks.early_stopping.patience_epochs: "
            f"{2 * stopping.patience_epochs}) and give the same command again"
        )
    if schedule is not None and getattr(schedule, "decay_steps", 0) is None:
        return (
            f"start a new run (run.name) with training.epochs: {2 * epochs}, because the "
            "learning rate of this one has decayed"
        )
    return f"raise training.epochs to {2 * epochs} and give the same command again"


def _changes(config: Config, *, matching: float | None) -> list[str]:
    """What is likely to help, the likeliest first."""
    data, model, loss = config.data, config.model, config.training.loss
    found = []
    if not model.head.expresses_similarity:
        found.append(
            f"model.head.kind: {model.head.kind} cannot express similarity, "
            "abs_diff_product can"
        )
    if isinstance(data, TextDataConfig):
        if data.tokens.kind == "words":
            found.append("data.tokens.kind: characters, which spelling mistakes do not hide")
        elif isinstance(model.encoder, LstmConfig) and model.encoder.pooling != "max":
            found.append("model.encoder.pooling: max")
    rare = matching is not None and matching < _RARE_MATCHES
    if matching and rare and isinstance(loss, BinaryCrossentropyConfig):
        weight = round((1.0 - matching) / matching, 1)
        if loss.positive_weight < weight / 2:
            found.append(
                f"training.loss.positive_weight: {weight:g}, as {matching:.0%} of the pairs "
                "match"
            )
    if config.training.optimizer.learning_rate < 0.001:
        found.append("a learning rate of 0.001 or more")
    return found
