"""The `callbacks` section: what happens while training."""

from pydantic import Field, JsonValue

from job.config.monitors import Monitor
from job.config.section import MUTABLE, Section, rule


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
