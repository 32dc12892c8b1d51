"""The records of the protocol as strict JSON.

`CommitRecord` (COMMIT.json) makes a checkpoint exist and lists its objects. `Head` (HEAD.json)
lists the checkpoints that count, who may write, and the status of the run. `StoredConfig`
(config.json) is what the run was started with::

    head = parse(Head, store.read(HEAD).data)
    store.write(HEAD, dumps(replace(head, seq=head.seq + 1)), if_generation=generation)
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from job.checkpoints import canonical_json
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import DIR_PATTERN
from job.types import Json

SCHEMA: Final = 1
RECORD_LIMIT_BYTES = 1 << 20

Status = Literal["running", "preempted", "completed", "failed"]
Count = Annotated[int, Field(ge=0)]
Token = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DirPath = Annotated[str, Field(pattern=DIR_PATTERN)]
# No slash and no leading dot: a record cannot point out of its directory.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
_STRICT = ConfigDict(strict=True, extra="forbid")


class NewerSchemaError(DamagedError):
    """A newer version of the program wrote the record."""


@dataclass(frozen=True)
class ObjectRecord:
    """One object of a checkpoint, as written."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: FileName
    size: Count
    crc32c: Annotated[int, Field(ge=0, lt=2**32)]
    sha256: Sha256
    generation: Token


@dataclass(frozen=True)
class Best:
    """The best epoch so far.

    Attributes:
        step: Optimizer steps at its end.
        epoch: Completed epochs at its end.
        monitor: Name of the compared metric, such as "val_loss".
        value: Its value.
    """

    step: int
    epoch: int
    monitor: str
    value: float


@dataclass(frozen=True)
class BestCheckpoint:
    """The best epoch so far and the checkpoint with its weights."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    dir: DirPath
    step: Count
    epoch: Count
    monitor: str
    value: float


@dataclass(frozen=True)
class CommitRecord:
    """The objects of one checkpoint, and the conditions it was written under.

    Attributes:
        schema: Version of this record.
        run: Name of the run.
        step: Optimizer steps taken.
        epoch: Completed epochs.
        step_in_epoch: Optimizer steps taken in the current epoch.
        token: Attempt that wrote it.
        nonce: Random part of its directory's name.
        config_sha256: Hash of that attempt's resolved configuration.
        fingerprint: Fingerprint of the training data.
        versions: Version of each library that can change the numbers.
        topology: Replicas, global batch, threads, CPU: the rest that can change the last bits.
        objects: The other objects of the directory.
        metrics: Metrics at this point; may be empty.
        finite: Whether every variable is free of NaN and infinity.
        best: The best checkpoint at this point, so that HEAD can be rebuilt from commits.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[1]
    run: str
    step: Count
    epoch: Count
    step_in_epoch: Count
    token: Token
    nonce: str
    config_sha256: Sha256
    fingerprint: str
    versions: Mapping[str, str]
    topology: Mapping[str, str | int | float | bool]
    objects: tuple[ObjectRecord, ...]
    metrics: Mapping[str, float]
    finite: bool
    best: BestCheckpoint | None


@dataclass(frozen=True)
class Owner:
    """The process that holds a run.

    Attributes:
        job: UID of its Kubernetes Job, or "" outside a cluster.
        host: Host or pod name.
        pid: Process ID there.
        nonce: Random text, unique to the process.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    job: str
    host: str
    pid: Count
    nonce: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class CheckpointEntry:
    """A checkpoint in HEAD; the hash ties it to exactly one commit record."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    step: Count
    dir: DirPath
    commit_sha256: Sha256
    commit_generation: Token
    metric: float | None


@dataclass(frozen=True)
class Rejected:
    """A checkpoint that could not be used, and why; its objects stay for inspection."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    dir: DirPath
    reason: str


@dataclass(frozen=True)
class Head:
    """Lease, checkpoint list and status of a run in one object.

    Attributes:
        schema: Version of this record.
        run: Name of the run.
        token: Number of the attempt that may write; smaller ones are fenced.
        owner: That attempt's process.
        seq: Number of writes of this record.
        status: Status of the run.
        reason: Why it has that status; empty while it runs.
        facts: Values that `finish` stored: outcome, epochs and so on.
        checkpoints: The checkpoints that count, oldest first.
        last: Directory of the newest one.
        best: The best one.
        rejected: Unusable checkpoints.
        superseded: Jobs that lost the run to another one, oldest first.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[1]
    run: str
    token: Token
    owner: Owner
    seq: Count
    status: Status
    reason: str
    facts: Mapping[str, Any]
    checkpoints: tuple[CheckpointEntry, ...]
    last: DirPath | None
    best: BestCheckpoint | None
    rejected: tuple[Rejected, ...]
    superseded: tuple[str, ...]

    @property
    def referenced_dirs(self) -> frozenset[str]:
        """Every directory listed in HEAD, usable or rejected."""
        return frozenset(
            {one.dir for one in self.checkpoints} | {one.dir for one in self.rejected}
        )

    def __post_init__(self) -> None:
        dirs = [entry.dir for entry in self.checkpoints]
        steps = [entry.step for entry in self.checkpoints]
        if len(set(dirs)) != len(dirs) or steps != sorted(steps):
            raise ValueError("checkpoints are repeated or out of order")
        if self.last != (dirs[-1] if dirs else None):
            raise ValueError(f"last is {self.last}, the newest checkpoint is {dirs[-1:]}")
        if self.best is not None and self.best.dir not in dirs:
            raise ValueError(f"best is {self.best.dir}, which is not among the checkpoints")


@dataclass(frozen=True)
class StoredConfig:
    """What the run was started with; never rewritten.

    Attributes:
        schema: Version of this record.
        config: The resolved configuration.
        config_sha256: Its hash.
        fingerprint: Fingerprint of the training data.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[1]
    config: Mapping[str, Any]
    config_sha256: Sha256
    fingerprint: str


@dataclass(frozen=True)
class Provenance:
    """Where the checkpoints of one attempt come from; repeated in its records.

    Attributes:
        run: Name of the run.
        config: The resolved configuration.
        fingerprint: Fingerprint of the training data.
        versions: Library versions by name.
        topology: Replicas, global batch, threads, CPU.
    """

    run: str
    config: Mapping[str, Json]
    fingerprint: str
    versions: Mapping[str, str]
    topology: Mapping[str, str | int | float | bool]

    @cached_property
    def config_sha256(self) -> str:
        """Hash of the resolved configuration, hexadecimal."""
        return config_sha256(self.config)


def config_sha256(config: Mapping[str, Json]) -> str:
    """SHA-256 of a resolved configuration, hexadecimal."""
    return hashlib.sha256(canonical_json.dumps(config)).hexdigest()


Record = CommitRecord | Head | StoredConfig
_R = TypeVar("_R", CommitRecord, Head, StoredConfig)
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (CommitRecord, Head, StoredConfig)
}


def dumps(record: Record) -> bytes:
    """Encodes a record as canonical JSON."""
    return canonical_json.dumps(_ADAPTERS[type(record)].dump_python(record))


def parse(kind: type[_R], data: bytes) -> _R:
    """Decodes and validates a record.

    Raises:
        NewerSchemaError: Its schema number is higher than this program's.
        DamagedError: It is longer than 1 MiB, not JSON, or breaks a rule of the record.
    """
    value = canonical_json.loads(data, limit_bytes=RECORD_LIMIT_BYTES)
    schema = value.get("schema") if isinstance(value, dict) else None
    if type(schema) is not int:  # True would pass for 1
        raise DamagedError(f"{kind.__name__}.schema: a number is missing")
    if schema > SCHEMA:
        raise NewerSchemaError(
            f"{kind.__name__} has schema {schema}; this program reads up to {SCHEMA}"
        )
    try:
        return cast(_R, _ADAPTERS[kind].validate_json(json.dumps(value)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise DamagedError(f"{kind.__name__}.{where}: {first['msg']}") from error
