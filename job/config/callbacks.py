"""The `callbacks` section: what happens while training."""

from pydantic import Field, JsonValue

from job.config.monitors import Monitor
from job.config.section import MUTABLE, Section, rule


class EarlyStoppingConfig(Section):
    """Ends training when a metric stops improving (Keras' EarlyStopping)."""

    monitor: Monitor = Field("val_loss", description="Metric that must keep improving.")
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
    """Reduces the learning rate when a metric stops improving (Keras' ReduceLROnPlateau)."""

    monitor: Monitor = Field("val_loss", description="Metric that must keep improving.")
    factor: float = Field(
        0.1, gt=0.0, lt=1.0, description="Factor that the learning rate is multiplied by."
    )
    patience_epochs: int = Field(
        10,
        ge=0,
        description="Epochs without improvement before a reduction.",
        json_schema_extra=MUTABLE,
    )
    min_delta: float = Field(
        0.0001, ge=0.0, description="Smallest change that counts as an improvement."
    )
    cooldown_epochs: int = Field(
        0, ge=0, description="Epochs to wait after a reduction before counting again."
    )
    min_learning_rate: float = Field(
        0.0, ge=0.0, description="Lower bound of the learning rate."
    )


class CustomCallbackConfig(Section):
    """A custom Keras callback."""

    target: str = Field(
        pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*$",
        description="`module:Class`. The module is searched next to the configuration file, "
        "then among installed packages.",
        json_schema_extra=rule("`module:Class`, as in `my_callbacks:Ring`"),
    )
    arguments: dict[str, JsonValue] = Field(
        default_factory=dict, description="Keyword arguments of the class."
    )


class ActivationsConfig(Section):
    """Writes the activations of every layer for one validation pair at each epoch's end."""

    keep_epochs: int = Field(
        3,
        ge=1,
        description="Number of newest files retained, one per epoch.",
        json_schema_extra=MUTABLE,
    )
    metric_layers: list[str] = Field(
        default_factory=list,
        max_length=12,
        description="Layers whose mean, standard deviation, share of zeros and norm are "
        "exported as metrics, by name as in the files; at most 12.",
        json_schema_extra=MUTABLE,
    )


class CallbacksConfig(Section):
    """What happens while training, in the fixed order of `callbacks/callback_list.py`."""

    terminate_on_nan: bool = Field(
        True,
        description="Whether a loss that is not finite ends the run with exit code 4.",
    )
    reduce_learning_rate: ReduceLearningRateConfig | None = Field(
        None, description="Reduces the learning rate on a plateau. null: never."
    )
    early_stopping: EarlyStoppingConfig | None = Field(
        None, description="Ends training on a plateau. null: never."
    )
    activations: ActivationsConfig | None = Field(
        None, description="Writes activations for one validation pair. null: never."
    )
    event_files: bool = Field(
        False,
        description="Whether the metrics of each epoch are also written as event files, which "
        "TensorBoard reads, to `events/` in the run directory.",
        json_schema_extra=MUTABLE,
    )
    custom: list[CustomCallbackConfig] = Field(
        default_factory=list,
        description="Custom Keras callbacks, called after early stopping and before the "
        "checkpoint.",
    )
