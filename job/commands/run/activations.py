"""The activation logger of a run, put together from its model, its data and its folder."""

from collections.abc import Callable
from functools import partial

from job.callbacks.activations import FOLDER, ActivationsCallback, require_layers
from job.checkpoints.epoch_files import EpochFiles
from job.commands.run.assembly import Assembly
from job.commands.run.attempt import Attempt
from job.config.training import ActivationsConfig
from job.data.tables import Dataset
from job.models.activations import ActivationProbe, Activations

Look = Callable[[], Activations]


def first_validation_pair(
    section: ActivationsConfig | None, *, assembly: Assembly, dataset: Dataset
) -> Look | None:
    """What looks at the first validation pair through the model; None when nothing does.

    Raises:
        ConfigError: A layer is asked for that the model does not have.
    """
    if section is None:
        return None
    probe = ActivationProbe(assembly.siamese)
    require_layers(section.metric_layers, known=probe.layers)
    pairs = dataset.pairs["validation"]
    left, right = (assembly.feed.batch(rows[:1]) for rows in (pairs.left, pairs.right))
    return partial(probe, left, right)


def activation_callbacks(attempt: Attempt, *, look: Look | None) -> list[ActivationsCallback]:
    """The activation logger, if there is one.

    Args:
        attempt: Its run folder gets the files.
        look: From `first_validation_pair`.
    """
    section = attempt.session.config.callbacks.activations
    if section is None or look is None:
        return []
    files = EpochFiles(
        attempt.manager,
        folder=FOLDER,
        keep=section.keep_epochs,
        key="callbacks.activations.keep_epochs",
    )
    logger = ActivationsCallback(
        probe=look,
        files=files,
        metrics=attempt.session.metrics,
        metric_layers=section.metric_layers,
        position=lambda: attempt.state.position,
    )
    return [logger]
