"""A training so small that a run takes milliseconds.

The training has all that a real one has: state that depends on every earlier step, sums that
live across saves inside an epoch, history, a callback with a counter, a best epoch.
"""

import itertools
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from job.checkpoints.layout import HEAD, list_dirs
from job.checkpoints.manager import CheckpointManager
from job.checkpoints.policy import SavePolicy
from job.checkpoints.provenance import Identity, Provenance
from job.checkpoints.records import Best, Head, Owner, StoredConfig, parse
from job.checkpoints.restore import (
    Restored,
    load_entry,
    load_weights,
    read_commit,
    verify_objects,
)
from job.checkpoints.serialization import RunState, encode_meta, spec_of, state_sha256
from job.checkpoints.shards import is_resume_object
from job.checkpoints.surroundings import Surroundings
from job.errors import ConfigError
from job.storage.object_store import ObjectMissingError, ObjectStore
from job.types import Position

RUN = "tiny"
LINEAGE = f"{'0' * 31}1"
IDENTITY = Identity(RUN, LINEAGE, "data")
RUN_CONFIG = {"run": {"name": RUN}, "training": {"epochs": 2}}
ENVIRONMENT: dict[str, dict[str, Any]] = {
    "versions": {"tensorflow": "2.21.0"},
    "topology": {"replicas": 1, "threads": 2, "cpu": "x86"},
}
STEPS_PER_EPOCH = 5
EPOCHS = 2
POLICY = SavePolicy(every_steps=2)
# Epoch 1 is the best one, so the checkpoint at step 5 has to outlive three later ones.
VAL_LOSS = {1: 0.25, 2: 0.5}


def initial() -> RunState:
    return RunState(
        variables={
            "model|dense/kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
            "model|seed/state": np.array([7, 1], dtype=np.uint32),
            "optimizer|iterations": np.array(0, dtype=np.int64),
        },
        position=Position(),
        sums={"loss": 0.0},
        callbacks={"early_stopping": {"wait": 0, "best": None}},
        history=[],
    )


SPEC = spec_of(initial().variables)
# Names of the objects: an ordinary checkpoint has STATE, a new best one MODEL and RESUME.
STATE, MODEL, RESUME = (f"{one}-00000-of-00001.npz" for one in ("state", "model", "resume"))


def stepped(state: RunState) -> RunState:
    """One optimizer step."""
    step = state.position.global_step + 1
    kernel = state.variables["model|dense/kernel"]
    variables = {
        "model|dense/kernel": (kernel * np.float32(0.9) + np.float32(step)).astype(np.float32),
        "model|seed/state": state.variables["model|seed/state"] + np.uint32(1),
        "optimizer|iterations": np.array(step, dtype=np.int64),
    }
    sums = {"loss": state.sums["loss"] + 1.0 / step}
    return replace(state, variables=variables, sums=sums, position=state.position.advanced(1))


def epoch_ended(state: RunState) -> tuple[RunState, dict[str, float], Best | None]:
    position = state.position.next_epoch()
    metrics = {
        "loss": state.sums["loss"] / STEPS_PER_EPOCH,
        "val_loss": VAL_LOSS[position.epoch],
    }
    values = [one["val_loss"] for one in state.history]
    is_best = metrics["val_loss"] < min(values, default=float("inf"))
    best = Best(position.global_step, position.epoch, "val_loss", metrics["val_loss"])
    after = replace(
        state,
        position=position,
        sums={"loss": 0.0},
        callbacks={"early_stopping": {"wait": 0 if is_best else 1, "best": best.value}},
        history=[*state.history, metrics],
    )
    return after, metrics, best if is_best else None


def fingerprint(state: RunState) -> tuple[str, bytes]:
    """Equal for two states if and only if everything in them is."""
    return state_sha256(state.variables), encode_meta(state)


@dataclass
class Attempt:
    """One process lifetime of the tiny run."""

    store: ObjectStore
    name: str = "a"
    job: str = ""
    release: str = ""
    takeover: bool = False
    lineage: str = LINEAGE
    data: str = "data"
    config: Mapping[str, Any] = field(default_factory=lambda: RUN_CONFIG)
    keep_last: int = 1
    stop_at: int | None = None
    policy: SavePolicy = POLICY
    environment: Mapping[str, Any] = field(default_factory=lambda: ENVIRONMENT)
    around: Surroundings | None = None
    durable: int = 0
    restored: Restored | None = None
    manager: CheckpointManager | None = None

    def acquire(self) -> CheckpointManager:
        salt = zlib.crc32(self.name.encode()) & 0xFFFF
        nonces = (f"{salt:04x}{count:04x}" for count in itertools.count())
        self.manager = CheckpointManager.acquire(
            self.store,
            owner=Owner(
                "ns" * bool(self.release), self.release, self.job, "here", 1, self.name
            ),
            provenance=Provenance(RUN, self.config, self.data, **self.environment),
            keep_last=self.keep_last,
            check=self.check_config,
            takeover=self.takeover,
            around=self.around
            or Surroundings(
                now=lambda: 0.0,
                timestamp=lambda: "2026-01-01T00:00:00Z",
                nonce=lambda: next(nonces),
                lineage=lambda: self.lineage,
                uploads=1,
            ),
        )
        self.manager.collect_garbage()
        return self.manager

    def check_config(self, stored: StoredConfig) -> None:
        if stored.config != self.config:
            raise ConfigError("another configuration")

    def train(self) -> RunState:
        """Goes on from the newest commit to the end, or to `stop_at` steps."""
        manager = self.acquire()
        self.restored = manager.restore(SPEC)
        state = self.restored.state if self.restored else initial()
        self.durable = state.position.global_step
        manager.begin_training()
        while state.position.epoch < EPOCHS:
            if state.position.global_step == self.stop_at:
                self._save(state, {}, None)
                manager.finish("preempted", "SIGTERM", facts={"global_step": self.durable})
                return state
            if state.position.step_in_epoch == STEPS_PER_EPOCH:
                state, metrics, best = epoch_ended(state)
                self._save(state, metrics, best)
                continue
            state = stepped(state)
            if self.policy.is_due(
                state.position.global_step, steps=1, seconds=0.0, cost_seconds=None
            ):
                self._save(state, {}, None)
        manager.finish("completed", "all epochs done", facts={"epochs": EPOCHS})
        return state

    def _save(self, state: RunState, metrics: dict[str, float], best: Best | None) -> None:
        assert self.manager is not None
        self.manager.save(state, metrics=metrics, best=best)
        self.manager.collect_garbage()
        self.durable = state.position.global_step


def trajectory() -> dict[tuple[int, int], tuple[str, bytes]]:
    """The fingerprint of the undisturbed run at every (global step, epoch)."""
    state = initial()
    found = {}
    while True:
        found[state.position.global_step, state.position.epoch] = fingerprint(state)
        if state.position.epoch == EPOCHS:
            return found
        if state.position.step_in_epoch == STEPS_PER_EPOCH:
            state, _, _ = epoch_ended(state)
        else:
            state = stepped(state)


TRAJECTORY = trajectory()
END = TRAJECTORY[EPOCHS * STEPS_PER_EPOCH, EPOCHS]


def head_of(store: ObjectStore) -> Head:
    return parse(Head, store.read(HEAD).data)


def check_invariants(store: ObjectStore) -> None:
    """What holds after every single call of every attempt, dead or alive."""
    for folder in list_dirs(store).committed:
        commit = read_commit(store, folder.path, identity=IDENTITY, sha256=None)
        if commit.record.best is None or commit.record.best.dir != folder.path:
            verify_objects(store, folder.path, commit.record)
    try:
        head = head_of(store)
    except ObjectMissingError:
        return
    if head.best is not None:
        load_weights(store, head.best, identity=IDENTITY, expected=SPEC)
    for entry in head.checkpoints:
        restored = load_entry(store, entry, identity=IDENTITY, expected=SPEC)
        assert fingerprint(restored.state) == TRAJECTORY[entry.step, restored.commit.epoch]


def check_nothing_left(store: ObjectStore) -> None:
    """HEAD names every directory, and of an older best checkpoint only weights are left."""
    head = head_of(store)
    objects = list_dirs(store).objects
    assert objects.keys() == head.referenced_dirs, "garbage was left"
    if head.best is not None and not head.is_best_restorable:
        left = objects[head.best.dir]
        assert not any(is_resume_object(name) for name in left), "more than weights was left"


def newest_committed(store: ObjectStore) -> int:
    return max((folder.step for folder in list_dirs(store).committed), default=0)


def acquired(store: ObjectStore, **options: Any) -> CheckpointManager:
    return Attempt(store, **options).acquire()


def saved_steps(store: ObjectStore, *, steps: int, **options: Any) -> CheckpointManager:
    """A manager that has saved after each of so many steps."""
    manager = acquired(store, **options)
    manager.restore(SPEC)
    state = initial()
    for _ in range(steps):
        state = stepped(state)
        manager.save(state, metrics={})
        manager.collect_garbage()
    return manager
