"""The whole configuration, and the checks that need more than one section."""

from pydantic import Field, model_validator

from job.config.callbacks import CallbacksConfig
from job.config.checkpoint import CheckpointConfig
from job.config.compatibility import IncompatibleError, conflicts
from job.config.data import Data
from job.config.distribution import DistributionConfig
from job.config.evaluation import EvaluationConfig
from job.config.export import ExportConfig
from job.config.logging import LoggingConfig
from job.config.metrics import MetricsConfig
from job.config.model import ModelConfig
from job.config.run import RunConfig
from job.config.section import Section, default_kind
from job.config.training import TrainingConfig


class Config(Section):
    """The whole configuration of a run."""

    run: RunConfig = Field(description="Names the run and the folder it lives in.")
    data: Data = Field(
        description="What an item is and where pairs come from.",
        json_schema_extra=default_kind("text"),
    )
    model: ModelConfig = Field(
        default_factory=ModelConfig, description="The shared encoder and the pair head."
    )
    training: TrainingConfig = Field(
        default_factory=TrainingConfig, description="How the model learns."
    )
    callbacks: CallbacksConfig = Field(
        default_factory=CallbacksConfig, description="What happens while training."
    )
    checkpoint: CheckpointConfig = Field(
        default_factory=CheckpointConfig, description="How often state is saved and retained."
    )
    distribution: DistributionConfig = Field(
        default_factory=DistributionConfig, description="Which devices train together."
    )
    evaluation: EvaluationConfig = Field(
        default_factory=EvaluationConfig, description="How the trained model is evaluated."
    )
    export: ExportConfig = Field(
        default_factory=ExportConfig, description="What is written for use elsewhere."
    )
    metrics: MetricsConfig = Field(
        default_factory=MetricsConfig, description="The endpoint that Prometheus scrapes."
    )
    logging: LoggingConfig = Field(
        default_factory=LoggingConfig, description="What is written to standard output."
    )

    @property
    def best_monitor(self) -> str:
        """The metric that decides which epoch is the best one."""
        stopping = self.callbacks.early_stopping
        return self.checkpoint.monitor or (stopping.monitor if stopping else "val_loss")

    @property
    def monitors(self) -> dict[tuple[str, ...], str]:
        """The metrics that callbacks and the best checkpoint follow, by their key."""
        following = {
            ("callbacks", "early_stopping", "monitor"): self.callbacks.early_stopping,
            ("callbacks", "reduce_learning_rate", "monitor"): (
                self.callbacks.reduce_learning_rate
            ),
            ("checkpoint", "monitor"): self.checkpoint,
        }
        return {
            key: section.monitor
            for key, section in following.items()
            if section and section.monitor
        }

    @model_validator(mode="after")
    def _head_loss_and_data_fit(self) -> "Config":
        found = conflicts(
            self.model,
            training=self.training,
            data=self.data,
            evaluation=self.evaluation,
            monitors=self.monitors,
        )
        if found:
            raise IncompatibleError(found)
        return self
