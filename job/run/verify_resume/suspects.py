"""Which custom callbacks can make a killed run end elsewhere, and through which hooks."""

import os
from collections.abc import Sequence
from pathlib import Path

from job.config.callbacks import CustomCallbackConfig
from job.telemetry.logs.setup import quieten_tensorflow


def suspects(sections: Sequence[CustomCallbackConfig], *, folder: Path) -> list[str]:
    """One line for each custom callback that has hooks; imports TensorFlow.

    Args:
        sections: `callbacks.custom`.
        folder: The folder of the configuration file.
    """
    if not sections:
        return []
    quieten_tensorflow(os.environ)
    import keras

    from job.callbacks.callback_list import is_stateful
    from job.callbacks.user import load_custom_callbacks

    base = keras.callbacks.Callback
    hooks = [name for name in dir(base) if name.startswith(("on_train", "on_epoch"))]
    lines = []
    for callback in load_custom_callbacks(sections, folder=folder):
        own = [one for one in hooks if getattr(type(callback), one) is not getattr(base, one)]
        if not own:
            continue
        reason = (
            "they must depend on its stored state alone, not on time or unseeded random numbers"
            if is_stateful(callback)
            else "it has no get_state() and set_state(), so what it counts is lost on a restart"
        )
        lines.append(f"{type(callback).__name__} ({', '.join(own)}): {reason}")
    return lines
