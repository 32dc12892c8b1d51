"""What a run and one of its attempts are, as far as their records repeat it.

`Identity` is the same for every attempt of a run; `Provenance` describes one attempt, whose
program, machine and mutable settings may differ from those of the others.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from job.checkpoints import canonical_json
from job.types import Json


@dataclass(frozen=True)
class Provenance:
    """Where the checkpoints of one attempt come from; repeated in its records.

    Attributes:
        run: Name of the run.
        config: The resolved configuration.
        fingerprint: Fingerprint of the training data.
        versions: Library versions by name.
        topology: Replicas, global batch, threads, CPU.
        derived: As in `StoredConfig`, if this attempt starts the run.
    """

    run: str
    config: Mapping[str, Json]
    fingerprint: str
    versions: Mapping[str, str]
    topology: Mapping[str, str | int | float | bool]
    derived: Mapping[str, int] = field(default_factory=dict)

    @cached_property
    def config_sha256(self) -> str:
        """Hash of the resolved configuration, hexadecimal."""
        return config_sha256(self.config)


@dataclass(frozen=True)
class Identity:
    """What every record of one run has in common.

    Attributes:
        run: Name of the run.
        lineage: Its random identity.
        fingerprint: Fingerprint of its training data.
    """

    run: str
    lineage: str
    fingerprint: str


def config_sha256(config: Mapping[str, Json]) -> str:
    """SHA-256 of a resolved configuration, hexadecimal."""
    return hashlib.sha256(canonical_json.dumps(config)).hexdigest()
