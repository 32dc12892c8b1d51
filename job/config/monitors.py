"""Which measurements a callback or the best checkpoint may follow, and which way is better.

Names are Keras': training measurements bare, validation ones with `val_`.
"""

from typing import Annotated, Literal

from pydantic import AfterValidator, WithJsonSchema

from job.config.suggest import did_you_mean

Mode = Literal["min", "max"]

MONITORS: dict[str, Mode] = {
    "loss": "min",
    "accuracy": "max",
    "val_loss": "min",
    "val_accuracy": "max",
    "val_roc_auc": "max",
    "val_average_precision": "max",
    "val_eer": "min",
}


def _is_measured(name: str) -> str:
    if name in MONITORS:
        return name
    raise ValueError(
        f"nothing of this name is measured.{did_you_mean(name, MONITORS)} "
        f"Measured at every epoch's end: {', '.join(MONITORS)}"
    )


Monitor = Annotated[
    str,
    AfterValidator(_is_measured),
    WithJsonSchema({"type": "string", "enum": list(MONITORS)}),
]
