"""The `training` section: the optimizer, its learning rate, the loss and the batches."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from job.config.losses import BinaryCrossentropyConfig, Loss
from job.config.section import MUTABLE, Section

# Where `epochs` is null: enough of them for so many steps, at least and at most so many.
BUDGET_STEPS = 1_500
LEAST_EPOCHS, MOST_EPOCHS = 3, 100

# Where `bucket_window_batches` is null and grouping pairs by length saves time.
AUTOMATIC_WINDOW_BATCHES = 64


class AdamConfig(Section):
    """Adam."""

    kind: Literal["adam"] = Field("adam", description="Which optimizer.")
    learning_rate: float = Field(0.001, gt=0.0, description="Initial step size.")


class AdamwConfig(Section):
    """Adam with decoupled weight decay."""

    kind: Literal["adamw"] = Field("adamw", description="Which optimizer.")
    learning_rate: float = Field(0.001, gt=0.0, description="Initial step size.")
    weight_decay: float = Field(
        0.01,
        gt=0.0,
        le=1.0,
        description="Share of a weight that each step removes, times the learning rate. "
        "Biases, normalisation and the scale of a head do not decay.",
    )


class RmspropConfig(Section):
    """RMSprop."""

    kind: Literal["rmsprop"] = Field("rmsprop", description="Which optimizer.")
    learning_rate: float = Field(0.001, gt=0.0, description="Initial step size.")


class SgdConfig(Section):
    """Stochastic gradient descent with momentum."""

    kind: Literal["sgd"] = Field("sgd", description="Which optimizer.")
    learning_rate: float = Field(0.01, gt=0.0, description="Initial step size.")
    momentum: float = Field(
        0.0, ge=0.0, lt=1.0, description="Share of the previous step added to the next one."
    )


Optimizer = Annotated[
    AdamConfig | AdamwConfig | RmspropConfig | SgdConfig, Field(discriminator="kind")
]


class ConstantScheduleConfig(Section):
    """The learning rate stays what the optimizer has."""

    kind: Literal["constant"] = Field("constant", description="Which schedule.")
    warmup_steps: int = Field(
        0,
        ge=0,
        description="Optimizer steps in which the learning rate rises linearly to its full "
        "value.",
    )


class DecayConfig(Section):
    """What the schedules that decay have in common."""

    warmup_steps: int = Field(
        0,
        ge=0,
        description="Optimizer steps in which the learning rate rises linearly to its full "
        "value.",
    )
    decay_steps: int | None = Field(
        None,
        ge=1,
        description="Optimizer steps after which the learning rate has its final value, "
        "warm-up included. Null: all steps of the run; `training.epochs` is then fixed.",
    )
    final_factor: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description="Share of the learning rate that is left in the end.",
    )

    @model_validator(mode="after")
    def _decays_after_warming_up(self) -> "DecayConfig":
        if self.decay_steps is not None and self.warmup_steps >= self.decay_steps:
            raise ValueError(
                "`decay_steps` includes `warmup_steps` and must be larger (got decay_steps: "
                f"{self.decay_steps}, warmup_steps: {self.warmup_steps}): raise one or lower "
                "the other"
            )
        return self


class CosineScheduleConfig(DecayConfig):
    """The learning rate falls along half a cosine."""

    kind: Literal["cosine"] = Field("cosine", description="Which schedule.")


class LinearScheduleConfig(DecayConfig):
    """The learning rate falls along a line."""

    kind: Literal["linear"] = Field("linear", description="Which schedule.")


Schedule = Annotated[
    ConstantScheduleConfig | CosineScheduleConfig | LinearScheduleConfig,
    Field(discriminator="kind"),
]


class TrainingConfig(Section):
    """How the model learns."""

    epochs: int | None = Field(
        None,
        ge=1,
        description="Passes over the training pairs. A finished run resumes when this is "
        f"raised. Null: as many as take {BUDGET_STEPS} optimizer steps, at least "
        f"{LEAST_EPOCHS} and at most {MOST_EPOCHS}.",
        json_schema_extra=MUTABLE,
    )
    steps_per_epoch: int | None = Field(
        None,
        ge=1,
        description="Optimizer steps in an epoch, at most. Null: all whole batches of the "
        "training pairs.",
    )
    global_batch_size: int = Field(
        256,
        ge=1,
        description="Pairs in one optimizer step, over all replicas; a multiple of their "
        "number. An epoch is as many whole batches as the training pairs fill, or "
        "`steps_per_epoch`.",
    )
    steps_per_call: int = Field(
        16,
        ge=1,
        le=1024,
        description="Optimizer steps between two batch hooks of the callbacks, and at most in "
        "one call of the compiled function; fewer if batches are large. Affects speed, never "
        "the result, unless a custom callback changes training in a batch hook. A resume may "
        "change it if callbacks.custom is empty.",
    )
    bucket_window_batches: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Consecutive batches whose pairs are regrouped by length to reduce "
        f"padding. Null: {AUTOMATIC_WINDOW_BATCHES}, but at most half an epoch of pairs from a "
        "file, and 1 where that saves little. 1: no regrouping. A larger window is faster if "
        "lengths differ, and mixes pairs less.",
    )
    input_threads: int = Field(
        2,
        ge=1,
        le=64,
        description="Threads that prepare batches (decoding, augmentation, padding) ahead of "
        "the steps. Affects speed, never the result.",
        json_schema_extra=MUTABLE,
    )
    items_on_device: Literal["auto", "never"] = Field(
        "auto",
        description="`auto`: the devices hold all items and a batch consists of row numbers, "
        "if no item needs work on the host (augmentation, decoding) and all of them take at "
        "most an eighth of the memory, on a GPU at most 2 GiB. `never`: each batch contains "
        "its items. Affects speed, never the result.",
        json_schema_extra=MUTABLE,
    )
    stall_seconds: float | None = Field(
        300.0,
        gt=0.0,
        description="Longest time without progress in a step or in validation. Then the "
        "process writes the stacks of its threads and ends with exit code 77. Six times as "
        "long while data is loaded, the model compiled or exported. Null: no limit.",
        json_schema_extra=MUTABLE,
    )
    compute_threads: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Threads of one TensorFlow operation, which decide the last bits of a "
        "result; at most the CPU limit of the container. Null: every core, or for an LSTM "
        "fewer, because its operations are small. The first attempt stores the number and "
        "later ones use it again.",
    )
    tf32: bool = Field(
        False,
        description="Whether a GPU may compute float32 products in TensorFloat-32: faster, "
        "with 10 bits of mantissa instead of 23.",
    )
    optimizer: Optimizer = Field(
        default_factory=AdamConfig, description="The optimizer and its learning rate."
    )
    schedule: Schedule = Field(
        default_factory=ConstantScheduleConfig,
        description="Factor of the learning rate at each step.",
    )
    clip_norm: float | None = Field(
        None,
        gt=0.0,
        description="Largest norm of the gradient of all weights together; a larger gradient "
        "is scaled down to it. Null: no limit.",
    )
    ema_momentum: float | None = Field(
        None,
        gt=0.0,
        lt=1.0,
        description="Validation, evaluation and export use an exponential moving average of "
        "the weights, of which each step keeps this share, less in the first steps. 0.999 is "
        "usual. Null: they use the weights themselves.",
    )
    per_replica_micro_batch_size: int | None = Field(
        None,
        ge=1,
        description="Pairs that each replica encodes at a time, to save memory; their "
        "gradients are added up. It divides a replica's share of the global batch. Affects "
        "memory and speed, and the result only by rounding. Null: all at once.",
        json_schema_extra=MUTABLE,
    )
    loss: Loss = Field(
        default_factory=BinaryCrossentropyConfig,
        description="The loss that training minimises.",
    )
