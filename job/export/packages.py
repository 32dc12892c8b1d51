"""Whether the packages of an optional export are installed; asked before training begins."""

import importlib.util

from job.config.export import ExportConfig
from job.errors import ConfigError

ONNX_PACKAGES = ("onnx", "onnxruntime", "tf2onnx")


def require_packages(section: ExportConfig) -> None:
    """Refuses an export that could not be written when training has ended.

    Raises:
        ConfigError: A package is missing.
    """
    if not (section.enabled and section.onnx):
        return
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"export.onnx: true needs {', '.join(ONNX_PACKAGES)}, and {', '.join(missing)} is "
            "not installed. Run `pip install siamese-job[onnx]`, or set export.onnx to false."
        )
