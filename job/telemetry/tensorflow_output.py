"""Reduces what TensorFlow writes to standard error."""

from collections.abc import MutableMapping


def quieten_tensorflow(environment: MutableMapping[str, str]) -> None:
    """Silences the native log of TensorFlow, unless the user set its level.

    What matters is raised as an exception; what is left says, for example at the first step,
    that a CPU lacks an instruction. Call it before TensorFlow is imported.

    Args:
        environment: The process' environment variables.
    """
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
