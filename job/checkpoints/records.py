"""The records of the protocol as strict JSON.

`CommitRecord` (COMMIT.json) makes a checkpoint exist and lists its objects. `Head` (HEAD.json)
lists the checkpoints that count, who may write, and the status of the run. `StoredConfig`
(config.json) is what the run was started with; its random `lineage` is the run's identity and
is repeated in every other record, so that nothing of a deleted run is ever taken for a part of
its successor::

    head = parse(Head, store.read(HEAD).data)
    store.write(HEAD, dumps(replace(head, seq=head.seq + 1)), if_generation=generation)
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar, cast

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from job.checkpoints import canonical_json
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.layout import DIR_PATTERN
from job.errors import ConfigError

SCHEMA: Final = 2
RECORD_LIMIT_BYTES = 1 << 20
_SHA256 = "sha256"  # of the rest of the record

Status = Literal["running", "preempted", "completed", "failed"]
Count = Annotated[int, Field(ge=0)]
Token = Annotated[int, Field(ge=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Lineage = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
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
        lineage: Identity of the run, as in config.json.
        created: UTC time of the record, ISO 8601; for people.
        step: Optimizer steps taken.
        epoch: Completed epochs.
        step_in_epoch: Optimizer steps taken in the current epoch.
        token: Attempt that wrote it.
        writer: Nonce of that attempt's process.
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

    schema: Literal[2]
    run: str
    lineage: Lineage
    created: str
    step: Count
    epoch: Count
    step_in_epoch: Count
    token: Token
    writer: str
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
        namespace: Kubernetes namespace, or "" outside a cluster.
        release: Helm release, or "" outside a cluster.
        job: UID of its Kubernetes Job, or "" outside a cluster.
        host: Host or pod name.
        pid: Process ID there.
        nonce: Random text, unique to the process.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    namespace: str
    release: str
    job: str
    host: str
    pid: Count
    nonce: Annotated[str, Field(min_length=1)]

    @property
    def full_release(self) -> str:
        """`namespace/release`, or "" outside a cluster."""
        return f"{self.namespace}/{self.release}" if self.release else ""


@dataclass(frozen=True)
class CheckpointEntry:
    """A checkpoint in HEAD that a run can resume from.

    Attributes:
        step: Optimizer steps taken.
        dir: Its directory.
        commit_sha256: Hash of its commit record: ties the entry to exactly that record.
        finite: Whether every variable is free of NaN and infinity.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    step: Count
    dir: DirPath
    commit_sha256: Sha256
    finite: bool


@dataclass(frozen=True)
class BestEntry:
    """The best checkpoint in HEAD; once it is not among `Head.checkpoints`, only its weights.

    Attributes:
        dir: Its directory.
        commit_sha256: Hash of its commit record.
        step: Optimizer steps at the end of the best epoch.
        epoch: Completed epochs at its end.
        monitor: Name of the compared metric.
        value: Its value.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    dir: DirPath
    commit_sha256: Sha256
    step: Count
    epoch: Count
    monitor: str
    value: float

    @classmethod
    def of(cls, best: BestCheckpoint, *, commit_sha256: str) -> Self:
        """HEAD's entry for the best checkpoint of a commit record."""
        return cls(best.dir, commit_sha256, best.step, best.epoch, best.monitor, best.value)

    @property
    def checkpoint(self) -> BestCheckpoint:
        """The same as a commit record contains it."""
        return BestCheckpoint(self.dir, self.step, self.epoch, self.monitor, self.value)


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
        lineage: Identity of the run, as in config.json.
        token: Number of the attempt that may write; smaller ones are fenced.
        owner: That attempt's process.
        seq: Number of writes of this record.
        written: UTC time of the record, ISO 8601; for people.
        status: Status of the run.
        reason: Why it has that status; empty while it runs.
        facts: Values that `finish` stored: outcome, epochs, settings and so on.
        results: Newest version of each result file, by its fixed name.
        checkpoints: The checkpoints that the run can resume from, oldest first.
        last: Directory of the newest one.
        best: The best one.
        rejected: Unusable checkpoints.
        superseded: Jobs that lost the run to another one, oldest first.
        has_trained: Whether this attempt has begun to train.
        fruitless: Attempts in a row, of one Job, that trained and committed nothing new.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[2]
    run: str
    lineage: Lineage
    token: Token
    owner: Owner
    seq: Count
    written: str
    status: Status
    reason: str
    facts: Mapping[str, Any]
    results: Mapping[str, str]
    checkpoints: tuple[CheckpointEntry, ...]
    last: DirPath | None
    best: BestEntry | None
    rejected: tuple[Rejected, ...]
    superseded: tuple[str, ...]
    has_trained: bool
    fruitless: Count

    @property
    def referenced_dirs(self) -> frozenset[str]:
        """Every directory listed in HEAD, usable or rejected."""
        listed = [one.dir for one in self.checkpoints] + [one.dir for one in self.rejected]
        return frozenset(listed if self.best is None else [*listed, self.best.dir])

    @property
    def is_best_restorable(self) -> bool:
        """Whether the best checkpoint is complete: its training state is still there."""
        return self.best is not None and any(
            one.dir == self.best.dir for one in self.checkpoints
        )

    def __post_init__(self) -> None:
        dirs = [entry.dir for entry in self.checkpoints]
        steps = [entry.step for entry in self.checkpoints]
        if len(set(dirs)) != len(dirs) or steps != sorted(steps):
            raise ValueError("checkpoints are repeated or out of order")
        if self.last != (dirs[-1] if dirs else None):
            raise ValueError(f"last is {self.last}, the newest checkpoint is {dirs[-1:]}")


@dataclass(frozen=True)
class StoredConfig:
    """What the run was started with; never rewritten.

    Attributes:
        schema: Version of this record.
        lineage: Identity of the run: random, so a run of the same name that was deleted and
            started again is another one.
        created: UTC time, ISO 8601; for people.
        writer: Nonce of the process that started the run.
        config: The resolved configuration.
        config_sha256: Its hash.
        fingerprint: Fingerprint of the training data.
        derived: Settings that the first attempt derived and later ones use again, by name.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    schema: Literal[2]
    lineage: Lineage
    created: str
    writer: str
    config: Mapping[str, Any]
    config_sha256: Sha256
    fingerprint: str
    derived: Mapping[str, int]


Record = CommitRecord | Head | StoredConfig
_R = TypeVar("_R", CommitRecord, Head, StoredConfig)
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {
    kind: TypeAdapter(kind) for kind in (CommitRecord, Head, StoredConfig)
}


def dumps(record: Record) -> bytes:
    """Encodes a record as canonical JSON.

    Raises:
        ConfigError: It is longer than `parse` accepts.
    """
    data = sealed(_ADAPTERS[type(record)].dump_python(record))
    if len(data) > RECORD_LIMIT_BYTES:
        raise ConfigError(
            f"{type(record).__name__}: the record has {len(data)} bytes, more than the "
            f"{RECORD_LIMIT_BYTES} that can be read back. The configuration and the list of "
            "checkpoints are stored in such records. Shorten callbacks.custom arguments, or "
            "lower checkpoint.keep_last."
        )
    return data


def sealed(record: Mapping[str, Any]) -> bytes:
    """Encodes the fields of a record and adds the hash of them.

    A flipped bit can leave a record that is well formed: in config.json a foreign lineage, with
    which a run would start over.
    """
    return canonical_json.dumps({**record, _SHA256: _sha256_of(record)})


def _sha256_of(record: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical_json.dumps(record)).hexdigest()


def parse(kind: type[_R], data: bytes) -> _R:
    """Decodes and validates a record.

    Raises:
        NewerSchemaError: Its schema number is higher than this program's.
        DamagedError: It is longer than 1 MiB, not JSON, not what was written, or breaks a rule
            of the record.
    """
    value = canonical_json.loads(data, limit_bytes=RECORD_LIMIT_BYTES)
    schema = value.get("schema") if isinstance(value, dict) else None
    if type(schema) is not int:  # True would pass for 1
        raise DamagedError(f"{kind.__name__}.schema: a number is missing")
    if schema > SCHEMA:
        raise NewerSchemaError(
            f"{kind.__name__} has schema {schema}; this program reads up to {SCHEMA}"
        )
    if value.pop(_SHA256, None) != _sha256_of(value):
        raise DamagedError(f"{kind.__name__}.{_SHA256}: the record is not what was written")
    try:
        return cast(_R, _ADAPTERS[kind].validate_json(json.dumps(value)))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "record"
        raise DamagedError(f"{kind.__name__}.{where}: {first['msg']}") from error
