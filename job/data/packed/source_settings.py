"""Whether a packed data set is what the configuration would give without it.

A pack is a cache: reading it must give what reading the files would. So it is refused where a
setting differs that decides what the files give, and only there::

    lines = differences(stored, current, form="text", stored_seed=0, seed=0)
"""

from collections.abc import Mapping
from typing import Any

from job.config.resume import binding_diff
from job.config.sampling import PairSamplingConfig
from job.data.dataset import Form
from job.types import Json

# Settings of the data section that cannot change what is packed.
#   root          says where the files lay. The same files lie elsewhere in a container, and
#                 need not be anywhere once they are packed; which of them are read is said by
#                 the paths below it, which must agree.
#   packed, mirror  say what is read instead of the files, and through where.
#   augmentation  varies items while training.
WITHOUT_EFFECT = ("root", "packed", "mirror", "augmentation")


def differences(
    stored: Mapping[str, Json],
    current: Mapping[str, Json],
    *,
    form: Form,
    stored_seed: int,
    seed: int,
) -> list[str]:
    """Compares what a set was packed from with what is asked for.

    Args:
        stored: The resolved data section it was made from.
        current: The resolved data section now.
        form: What the values of the packed items are.
        stored_seed: `run.seed` it was made with.
        seed: `run.seed` now.

    Returns:
        One line for each setting that differs and matters; empty when the set may be used.
    """
    lines = binding_diff(
        {"data": what_matters(stored, form=form)},
        {"data": what_matters(current, form=form)},
        owner="the pack",
    )
    if seed != stored_seed and (_is_cut(current) or current.get("rows") == "items"):
        lines.append(
            f"run.seed: the pack has {stored_seed}, the config says {seed}, and it decides "
            "which rows go to which split and which pairs are drawn for validation and test"
        )
    return lines


def what_matters(data: Mapping[str, Json], *, form: Form) -> dict[str, Any]:
    """A resolved data section without what cannot change what is packed.

    Args:
        data: As `config.binding.as_record` gives it, perhaps by another version.
        form: What the values of the packed items are.
    """
    left = {name: value for name, value in data.items() if name not in WITHOUT_EFFECT}
    sampling = left.pop("sampling", None)
    if left.get("rows") == "items":
        # Training pairs are drawn while training; those of validation and test were before.
        default = PairSamplingConfig().evaluation_pairs
        number = sampling.get("evaluation_pairs") if isinstance(sampling, Mapping) else default
        left["sampling"] = {"evaluation_pairs": number}
    if form == "encoded":
        # Brought to their size whenever they are decoded.
        left.pop("size", None)
        left.pop("resize", None)
    return left


def _is_cut(data: Mapping[str, Json]) -> bool:
    """Whether a split comes out of the training file by `data.split`."""
    columns = data.get("columns")
    has_column = isinstance(columns, Mapping) and columns.get("split") is not None
    return not has_column and (data.get("validation") is None or data.get("test") is None)
