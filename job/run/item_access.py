"""Decides how the optimizer steps get their items, and whether XLA compiles the steps."""

from job.config.root import Config
from job.distribution.hardware import memory_limit
from job.errors import ConfigError
from job.preprocessing.ragged import RaggedArray
from job.run.components import Components
from job.training.item_tensors import StoredItems
from job.training.step import ItemAccess

# The items stored on devices take at most one part in this many of the memory of a CPU, because
# the host has them as well; a GPU has its memory for little else than activations.
_CPU_ITEM_SHARE = 8
_GPU_ITEM_BYTES = 2 << 30

# XLA saves the start of operations, but runs large ones less in parallel. Measured on two
# cores with 40 steps of 128 numbers and 32 units: 0.94 of the time at 64 pairs, 1.0 at 256.
_MOST_COMPILED_PAIRS = 128


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

    Measured on two cores with 40 steps of 128 numbers and 32 units: 0.92 of the time at 256
    pairs. Texts of 16 characters gain nothing.
    """
    return (
        length is not None
        and components.device_kind == "CPU"
        and components.strategy.num_replicas_in_sync == 1
        and components.compute_threads > 1
        and components.siamese.item.kind == "sequence"
        and config.training.global_batch_size > _MOST_COMPILED_PAIRS
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


def is_compiled(config: Config, components: Components, *, length: int | None) -> bool:
    """Whether XLA compiles the optimizer steps.

    XLA compiles anew for each shape, which takes longer than it saves if sequences differ in
    length. It excludes cuDNN on a GPU and collectives on a CPU. Whole runs with dropout have
    not been held against the plain path yet.

    Args:
        config: The configuration of the run.
        components: Their devices.
        length: The length of every item; None if they differ.

    Raises:
        ConfigError: `training.jit_compile: always`, and the steps cannot be compiled.
    """
    choice, replicas = config.training.jit_compile, components.strategy.num_replicas_in_sync
    is_sequence = config.data.kind == "sequence"
    has_dropout = getattr(config.model.encoder, "dropout", 0.0) > 0.0
    can = is_sequence and length is not None and replicas == 1 and not has_dropout
    if choice == "always" and not can:
        raise ConfigError(
            "training.jit_compile: 'always' needs sequences of one length, one replica, and "
            f"neither augmentation nor dropout; these are items of kind {config.data.kind}, "
            f"{'of one length' if length else 'of several lengths'}, on {replicas} replica(s), "
            f"{'with' if has_dropout else 'without'} dropout. Use 'auto' or 'never'."
        )
    pays = components.device_kind == "CPU" and (
        config.training.global_batch_size <= _MOST_COMPILED_PAIRS
    )
    return choice == "always" or (choice == "auto" and can and pays)
