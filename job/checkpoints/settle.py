"""What an attempt must share with the run it takes over, and what it may not share in silence.

The configuration is stored once and compared by the caller (`job.config.binding`); the data's
fingerprint is compared here; versions and topology may differ, at the price of the last bits.
"""

import logging
from collections.abc import Mapping

from job.checkpoints.layout import CONFIG
from job.checkpoints.reading import read_stored
from job.checkpoints.records import SCHEMA, CommitRecord, StoredConfig, dumps
from job.errors import ConfigError
from job.storage.protocol import ObjectStore, PreconditionFailedError
from job.types import Json

log = logging.getLogger(__name__)

# "versions" maps libraries to versions, "topology" names to numbers or text.
Environment = Mapping[str, Mapping[str, str | int | float | bool]]


def settle_config(
    store: ObjectStore, *, config: Mapping[str, Json], config_sha256: str, fingerprint: str
) -> None:
    """Stores the configuration of a new run, or checks the data against the stored one's.

    Args:
        store: Where the run lives.
        config: Resolved configuration.
        config_sha256: Its fingerprint.
        fingerprint: Fingerprint of the training data.

    Raises:
        ConfigError: The run was started with other data, or just now with another config.
        CheckpointError: The stored configuration cannot be read.
    """
    stored = read_stored(store)
    if stored is None:
        mine = StoredConfig(SCHEMA, config, config_sha256, fingerprint)
        try:
            store.write(CONFIG, dumps(mine), if_generation=0)
        except PreconditionFailedError:
            stored = read_stored(store)
            if stored is not None and stored.config_sha256 != config_sha256:
                raise ConfigError(
                    f"{store.uri}: another process started this run with another configuration "
                    f"just now. A run has one configuration. Start again to see what differs, "
                    f"or use another run.name."
                ) from None
    if stored is not None:
        require_same_data(stored, fingerprint=fingerprint, uri=store.uri)


def require_same_data(stored: StoredConfig, *, fingerprint: str, uri: str) -> None:
    """Refuses data that are not those the run was started with.

    Args:
        stored: Of the run.
        fingerprint: Of the data.
        uri: The run, for people.

    Raises:
        ConfigError: They are others.
    """
    if stored.fingerprint != fingerprint:
        raise ConfigError(
            f"data: the pairs have fingerprint {fingerprint[:12]}, and the run in {uri} "
            f"was started with {stored.fingerprint[:12]}. A run keeps its data. Bring the "
            f"earlier files back, or start a new run under another run.name."
        )


def warn_if_elsewhere(commit: CommitRecord, environment: Environment) -> None:
    """Logs what differs from where the commit was made: the final bits may differ too."""
    before = {"versions": commit.versions, "topology": commit.topology}
    differs = [
        f"{part}.{name}: {before[part].get(name)} -> {environment[part].get(name)}"
        for part in ("versions", "topology")
        for name in sorted({*before[part], *environment[part]})
        if before[part].get(name) != environment[part].get(name)
    ]
    if differs:
        log.warning(
            "resumed elsewhere",
            extra={
                "differs": "; ".join(differs),
                "consequence": "results are as good, but may differ in the last bits",
            },
        )
