"""Sections about learning: training, callbacks, evaluation, export."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from job.config.losses import BinaryCrossentropyConfig, Loss
from job.config.monitors import Monitor
from job.config.section import MUTABLE, Section, rule


class AdamConfig(Section):
    """Adam."""

    kind: Literal["adam"] = Field("adam", description="Which optimizer.")
    learning_rate: float = Field(0.001, gt=0.0, description="Initial step size.")


class RmspropConfig(Section):
    """RMSprop."""

    kind: Literal["rmsprop"] = Field("rmsprop", description="Which optimizer.")
    learning_rate: float = Field(0.001, gt=0.0, description="Initial step size.")


class SgdConfig(Section):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = Field("sgd", description="Which optimizer.")
    learning_rate: float = Field(0.01, gt=0.0, description="Initial step size.")
    momentum: float = Field(0.0, ge=0.0, lt=1.0, description="Share of the last step kept.")


Optimizer = Annotated[AdamConfig | RmspropConfig | SgdConfig, Field(discriminator="kind")]


class TrainingConfig(Section):
    """How the model learns."""

    epochs: int = Field(
        10,
        ge=1,
        description="Passes over the training pairs. A finished run goes on when this is "
        "raised.",
        json_schema_extra=MUTABLE,
    )
    global_batch_size: int = Field(
        256,
        ge=1,
        description="Pairs in one optimizer step, over all replicas; a multiple of their "
        "number. An epoch is as many whole batches as the training pairs fill.",
    )
    steps_per_call: int = Field(
        16,
        ge=1,
        le=1024,
        description="Optimizer steps run between two returns to Python, where a stop is "
        "noticed. Changes speed, never the result.",
    )
    bucket_window_batches: int = Field(
        1,
        ge=1,
        le=1024,
        description="Consecutive batches whose pairs are dealt anew among them by length, so "
        "that less is padded. 1: none. More is faster where lengths differ; batches are then "
        "less mixed.",
    )
    input_threads: int = Field(
        2,
        ge=1,
        le=64,
        description="Threads that prepare batches (decoding, augmentation, padding) ahead of "
        "the steps. Changes speed, never the result.",
        json_schema_extra=MUTABLE,
    )
    optimizer: Optimizer = Field(
        default_factory=AdamConfig, description="What turns gradients into steps."
    )
    loss: Loss = Field(
        default_factory=BinaryCrossentropyConfig, description="What training minimises."
    )


class EarlyStoppingConfig(Section):
    """Ends training when a measurement stops improving (Keras' EarlyStopping)."""

    monitor: Monitor = Field("val_loss", description="Measurement that must keep improving.")
    patience_epochs: int = Field(
        5,
        ge=0,
        description="Epochs without improvement before training ends.",
        json_schema_extra=MUTABLE,
    )
    min_delta: float = Field(
        0.0, ge=0.0, description="Smallest change that counts as an improvement."
    )


class ReduceLearningRateConfig(Section):
    """Cuts the learning rate when a measurement stops improving (Keras' ReduceLROnPlateau)."""

    monitor: Monitor = Field("val_loss", description="Measurement that must keep improving.")
    factor: float = Field(0.1, gt=0.0, lt=1.0, description="What the learning rate is cut to.")
    patience_epochs: int = Field(
        10,
        ge=0,
        description="Epochs without improvement before a cut.",
        json_schema_extra=MUTABLE,
    )
    min_delta: float = Field(
        0.0001, ge=0.0, description="Smallest change that counts as an improvement."
    )
    cooldown_epochs: int = Field(
        0, ge=0, description="Epochs to wait after a cut before counting again."
    )
    min_learning_rate: float = Field(
        0.0, ge=0.0, description="The learning rate is never cut below this."
    )


class CustomCallbackConfig(Section):
    """A Keras callback of the user's own."""

    target: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="`module:Class`. The module is looked for beside the configuration file, "
        "then among installed packages.",
        json_schema_extra=rule("`module:Class`, as in `my_callbacks:Ring`"),
    )
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, description="Keyword arguments of the class."
    )


class ActivationsConfig(Section):
    """Writes the activations of every layer for one validation pair at each epoch's end."""

    keep_epochs: int = Field(
        3, ge=1, description="Newest files kept, one an epoch.", json_schema_extra=MUTABLE
    )
    metric_layers: list[str] = Field(
        default_factory=list,
        max_length=12,
        description="Layers whose mean, standard deviation, share of zeros and norm are "
        "exported as metrics, by name as in the files; at most 12.",
        json_schema_extra=MUTABLE,
    )


class CallbacksConfig(Section):
    """What happens while training, in the fixed order of `callbacks/stack.py`."""

    terminate_on_nan: bool = Field(
        True,
        description="Whether a loss that is not finite ends the run (exit 4) instead of going "
        "on.",
    )
    reduce_learning_rate: ReduceLearningRateConfig | None = Field(
        None, description="Cut the learning rate on a plateau. null: never."
    )
    early_stopping: EarlyStoppingConfig | None = Field(
        None, description="End training on a plateau. null: never."
    )
    activations: ActivationsConfig | None = Field(
        None, description="Log activations for one validation pair. null: do not."
    )
    custom: list[CustomCallbackConfig] = Field(
        default_factory=list,
        description="Keras callbacks of your own, run after the built-in ones.",
    )


class EvaluationConfig(Section):
    """How the trained model is measured."""

    threshold: Literal["accuracy", "f1", "eer"] = Field(
        "accuracy",
        description="What the decision threshold is chosen for, on validation: best accuracy, "
        "best F1, or equal error rates.",
    )
    weights: Literal["best", "last"] = Field(
        "best",
        description="Which weights are measured and exported: those of the best epoch by "
        "`checkpoint.monitor`, or the last ones.",
    )
    batch_size: int = Field(
        1024,
        ge=1,
        description="Items encoded at a time. For a loss that compares the pairs of a batch "
        "also the pairs that a measured loss compares.",
    )


class ExportConfig(Section):
    """What is written for use outside this program."""

    enabled: bool = Field(True, description="Whether the encoder and the scorer are exported.")
    num_golden_pairs: int = Field(
        16,
        ge=1,
        le=1024,
        description="Test pairs whose scores are stored with the export and checked again "
        "after it is loaded back.",
    )
