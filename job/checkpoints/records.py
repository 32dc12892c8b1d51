"""The two records of the protocol, and the stored configuration, as strict JSON.

`CommitRecord` (COMMIT.json) makes a checkpoint exist and says what it consists of. `Head`
(HEAD.json) says which checkpoints count, who may write, and how the run stands::

    head = parse(Head, store.read(HEAD).data)
    store.write(HEAD, dumps(replace(head, seq=head.seq + 1)), if_generation=generation)
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from job.checkpoints import canonical_json
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import DIR_PATTERN

SCHEMA: Final = 1
RECORD_LIMIT_BYTES = 1 << 20

Status = Literal["running", "preempted", "completed", "failed"]
Count = Annotated[int, Field(ge=0)]
Token = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
DirPath = Annotated[str, Field(pattern=DIR_PATTERN)]
# No slash and no leading dot: a manifest cannot point out of its own folder.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$")]
_STRICT = ConfigDict(strict=True, extra="forbid")


class NewerSchemaError(DamagedError):
    """The record was written by a later version of the program."""


@dataclass(frozen=True)
class ObjectRecord:
    """One object of a checkpoint as it was written."""

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
        monitor: Measurement that decides, such as "val_loss".
        value: Its value.
    """

    step: int
    epoch: int
    monitor: str
    value: float


@dataclass(frozen=True)
class BestCheckpoint:
    """The best epoch so far and the checkpoint that holds its weights."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    dir: DirPath
    step: Count
    epoch: Count
    monitor: str
    value: float


@dataclass(frozen=True)
class CommitRecord:
    """Everything that one checkpoint consists of, and what it was made with.

    Attributes:
        schema: Version of this record.
        run: Name of the run.
        step: Optimizer steps taken.
        epoch: Completed epochs.
        step_in_epoch: Optimizer steps taken in the epoch under way.
        token: Attempt that wrote it.
        nonce: Random part of its folder's name.
        config_sha256: Fingerprint of that attempt's resolved configuration.
        fingerprint: Fingerprint of the training data.
        versions: Version of each library that decides the numbers.
        topology: Replicas, global batch, threads, CPU: what else decides the last bits.
        objects: The other objects of the folder.
        metrics: Measurements at this point; may be empty.
        finite: Whether every variable is free of NaN and infinity.
        best: The best checkpoint as of this one, so that HEAD can be rebuilt from commits.
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
        job: What started it: the Kubernetes Job's uid, or "" outside a cluster.
        host: Host or pod.
        pid: Process number there.
        nonce: Random text that no other process has.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    job: str
    host: str
    pid: Count
    nonce: Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class CheckpointEntry:
    """One checkpoint that counts; the hash ties it to exactly one commit record."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    step: Count
    dir: DirPath
    commit_sha256: Sha256
    commit_generation: Token
    metric: float | None


@dataclass(frozen=True)
class Rejected:
    """A checkpoint that could not be used, and why; its objects are left for inspection."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    dir: DirPath
    reason: str


@dataclass(frozen=True)
class Head:
    """Lease, pointers and status of a run in one object.

    Attributes:
        schema: Version of this record.
        run: Name of the run.
        token: Number of the attempt that may write; a smaller one is fenced.
        owner: That attempt's process.
        seq: Count of writes of this record.
        status: How the run stands.
        reason: Why it stands so; empty while it runs.
        facts: What `finish` was told: outcome, epochs and so on.
        checkpoints: What counts, oldest first.
        last: Folder of the newest of them.
        best: The best of them.
        rejected: What was found unusable.
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
    def named(self) -> frozenset[str]:
        """Every folder that HEAD speaks of, usable or not."""
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
        config_sha256: Its fingerprint.
        fingerprint: Fingerprint of the training data.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[1]
    config: Mapping[str, Any]
    config_sha256: Sha256
    fingerprint: str


Record = CommitRecord | Head | StoredConfig
_R = TypeVar("_R", CommitRecord, Head, StoredConfig)


def dumps(record: Record) -> bytes:
    """Returns the record's canonical JSON."""
    return canonical_json.dumps(_as_json(record))


def parse(kind: type[_R], data: bytes) -> _R:
    """Returns the record that `data` holds.

    Args:
        kind: Which record it must be.
        data: UTF-8 JSON.

    Raises:
        NewerSchemaError: Its schema number is higher than this program's.
        DamagedError: It is longer than 1 MiB, not JSON, or breaks the record's rules.
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


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (CommitRecord, Head, StoredConfig)
}


def _as_json(value: Any) -> Any:
    if hasattr(value, "__dataclass_fields__"):
        return {field.name: _as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [_as_json(item) for item in value]
    return value
