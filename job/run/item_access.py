"""Decides how the optimizer steps get their items."""

from job.config.root import Config
from job.distribution.hardware import memory_limit
from job.preprocessing.ragged import RaggedArray
from job.run.components import Components
from job.training.item_tensors import StoredItems
from job.training.step import ItemAccess

# The items stored on devices take at most one part in this many of the memory of a CPU, because
# the host has them as well; a GPU has its memory for little else than activations.
_CPU_ITEM_SHARE = 8
_GPU_ITEM_BYTES = 2 << 30

# Half of a small batch gives a core too little to do.
_MOST_MERGED_PAIRS = 128


def item_access(config: Config, components: Components) -> ItemAccess:
    """How the optimizer steps get their items."""
    items = components.feed.items()
    stored = None
    if (
        items is not None
        and config.training.items_on_device == "auto"
        and items.values.nbytes <= _limit(components)
    ):
        stored = StoredItems(items, item=components.siamese.item, strategy=components.strategy)
    length = _common_length(items)
    merged = components.pairs.merged and not _pays_side_by_side(config, components, length)
    return ItemAccess(stored, length, merged)


def _pays_side_by_side(config: Config, components: Components, length: int | None) -> bool:
    """Whether the loops of two encoder calls, each on its own core, take less time than one.

    Measured with 40 steps of 128 numbers and 32 units on two cores: 0.83 of the time at 256
    pairs, 0.96 at 64; on one core 1.02 at 256. Texts of 16 characters gain nothing. The choice
    decides the last bits of a gradient, so it does not depend on the machine.
    """
    return (
        length is not None
        and components.device_kind == "CPU"
        and components.strategy.num_replicas_in_sync == 1
        and components.siamese.item.kind == "sequence"
        and config.training.global_batch_size > _MOST_MERGED_PAIRS
    )


def _limit(components: Components) -> int:
    """Bytes that stored items may take on each device."""
    if components.device_kind == "GPU":
        return _GPU_ITEM_BYTES
    return (memory_limit() or 0) // (_CPU_ITEM_SHARE * len(components.devices))


def _common_length(items: RaggedArray | None) -> int | None:
    """The length of every item; None if they differ or are not known before a batch."""
    if items is None or not len(items):
        return None
    length = int(items.lengths[0])
    return length if (items.lengths == length).all() else None
