"""Trains in a process of its own, follows its log and its checkpoints, and kills it.

The copy is trained once its last checkpoint is committed. The evaluation that follows is not
compared, so the process is killed then.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import job
from job.checkpoints.canonical_json import DamagedError
from job.checkpoints.examine import read_run
from job.checkpoints.layout import HEAD, list_dirs
from job.checkpoints.restore import read_commit
from job.distribution.cluster import ADDRESSES, INDEX
from job.errors import ExitCode, JobError
from job.run.verify_resume.plan import Kill
from job.storage.object_store import ObjectStore

_POLL_SECONDS = 0.02
_SAVE_POLL_SECONDS = 0.0005
_GRACE_SECONDS = 60.0
_AFTER_SIGTERM = (
    ExitCode.FINISHED,
    ExitCode.PREEMPTED,
    ExitCode.TERMINATED,
    -signal.SIGTERM,
)
_SHOWN_CHARACTERS = 2000
# With these the child would wait for other workers, and its kills would count against the Job.
_OF_A_JOB = (ADDRESSES, INDEX, "JOB_UID")
# Events of the log that tell that steps were taken.
_STEPPED = ("training", "epoch finished", "checkpoint committed")


class ChildError(JobError):
    """The copy of the run failed by itself; it has that process' exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        is_known = code in {one.value for one in ExitCode}
        self.exit_code = ExitCode(code) if is_known else ExitCode.UNEXPECTED  # type: ignore[misc]


@dataclass(frozen=True)
class Attempt:
    """One process of the copy.

    Attributes:
        ending: How it ended, for people.
        resumed_at: Step that it resumed at; 0 if it started the run.
        step: Newest step in its log.
        seconds: Its lifetime.
        startup_seconds: Until its first step; all of it if there was none.
        is_trained: Whether the last checkpoint is committed.
    """

    ending: str
    resumed_at: int
    step: int
    seconds: float
    startup_seconds: float
    is_trained: bool


@dataclass(frozen=True)
class Copy:
    """What is trained.

    Attributes:
        config: The user's configuration file.
        sets: Values for `--set` that shorten it.
        store: Its run directory.
        epochs: Its epochs.
        logs: A folder for the logs of its processes.
    """

    config: Path
    sets: Sequence[str]
    store: ObjectStore
    epochs: int
    logs: Path

    def is_trained(self) -> bool:
        """Whether the last checkpoint is committed."""
        if self.store.stat(HEAD) is None:
            return False
        run = read_run(self.store)
        if run.head.status == "completed" or not run.head.checkpoints:
            return run.head.status == "completed"
        last = run.head.checkpoints[-1]
        try:
            commit = read_commit(
                self.store, last.dir, identity=run.identity, sha256=last.commit_sha256
            )
        except DamagedError:
            return False  # replaced by a newer one meanwhile
        return commit.record.epoch >= self.epochs


@dataclass(frozen=True)
class Limits:
    """Longest times of an attempt.

    Attributes:
        seconds: From its start.
        training_seconds: From its first step.
    """

    seconds: float
    training_seconds: float = math.inf


def run_attempt(copy: Copy, *, number: int, kill: Kill | None, limits: Limits) -> Attempt:
    """Trains until the kill, the last checkpoint or the time limit.

    Args:
        copy: What is trained.
        number: Of the attempt, for the names of its logs.
        kill: When and how to end it; None to let it train to the end.
        limits: How long it may take.

    Raises:
        ChildError: The process ended in another way.
    """
    with _Child(copy, number=number, limits=limits) as child:
        if kill is None:
            ending = child.follow(lambda: False)
        else:
            ending = child.follow(lambda: child.has_taken(kill.after_step)) or child.end(kill)
        return child.attempt(ending)


class _Child:
    """The process of one attempt; killed when the block ends."""

    def __init__(self, copy: Copy, *, number: int, limits: Limits) -> None:
        self._step = 0
        self._copy = copy
        self._started = time.monotonic()
        self._limits = limits
        self._first_step_at: float | None = None
        self._resumed_at = 0
        self._num_commits = 0
        self._num_commits_examined = 0
        self._old_dirs = set(list_dirs(copy.store).objects)
        self._log = copy.logs / f"{number:02d}.jsonl"
        self._errors = copy.logs / f"{number:02d}.stderr"
        overrides = [word for one in copy.sets for word in ("--set", one)]
        with self._log.open("wb") as out, self._errors.open("wb") as err:
            # -P: a folder `job` in the working directory is not the program. A session of its
            # own: Ctrl-C is for the parent, which ends the child.
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "job", "train", str(copy.config), *overrides],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=_environment(),
                start_new_session=True,
            )
        self._lines = self._log.open("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._lines.close()

    def follow(self, until: Callable[[], bool], *, poll_seconds: float = _POLL_SECONDS) -> str:
        """Reads the log until something happens.

        Returns:
            "" once `until` is true; otherwise how the process ended.

        Raises:
            ChildError: The process failed.
        """
        while True:
            code = self._process.poll()
            self._read_log()
            if code is not None:
                return self._checked(code, allowed=(ExitCode.FINISHED,))
            if self._has_trained():
                return self._kill("trained")
            if until():
                return ""
            if self._is_late():
                return self._kill("time limit")
            time.sleep(poll_seconds)

    def has_taken(self, step: int) -> bool:
        """Whether the process has trained, and to this step at least."""
        return self._first_step_at is not None and self._step >= step

    def end(self, kill: Kill) -> str:
        """Ends the process; returns how, for people.

        Raises:
            ChildError: It failed before.
        """
        if kill.how == "SIGKILL in a save":
            ended = self.follow(self._is_saving, poll_seconds=_SAVE_POLL_SECONDS)
            ended = ended or self._kill("SIGKILL at a save")
            return "SIGKILL in a save" if self._is_saving() else ended
        time.sleep(kill.delay_seconds)
        if kill.how == "SIGKILL":
            return self._kill("SIGKILL")
        self._process.terminate()
        try:
            code = self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            return self._kill("SIGTERM, then SIGKILL")
        return self._checked(code, allowed=_AFTER_SIGTERM)

    def attempt(self, ending: str) -> Attempt:
        """What is known of the attempt, which has ended."""
        self._read_log()
        seconds = time.monotonic() - self._started
        first = self._first_step_at
        return Attempt(
            ending,
            self._resumed_at,
            self._step,
            seconds,
            seconds if first is None else first - self._started,
            self._copy.is_trained(),
        )

    def _kill(self, ending: str) -> str:
        self._process.kill()
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return ending
        return self._checked(code, allowed=(ExitCode.FINISHED,))

    def _checked(self, code: int, *, allowed: Sequence[int]) -> str:
        if code in allowed:
            return f"SIGTERM (exit {code})" if code else "finished"
        errors = self._errors.read_text(encoding="utf-8", errors="replace").strip()
        raise ChildError(
            f"`siamese-job train` with the shortened configuration ended with {code}. It must "
            f"train without errors. Its last words:\n{errors[-_SHOWN_CHARACTERS:]}",
            code,
        )

    def _read_log(self) -> None:
        while line := self._lines.readline():
            if not line.endswith(b"\n"):
                self._lines.seek(-len(line), os.SEEK_CUR)
                return
            try:
                record = json.loads(line)
            except ValueError:
                continue  # printed by a callback
            if isinstance(record, dict):
                self._note(record)

    def _note(self, record: Mapping[str, object]) -> None:
        event, step = record.get("event"), record.get("step")
        if isinstance(step, int):
            self._step = step
            if event == "resumed":
                self._resumed_at = step
            elif event in _STEPPED and self._first_step_at is None:
                self._first_step_at = time.monotonic()
        self._num_commits += event == "checkpoint committed"

    def _has_trained(self) -> bool:
        if self._num_commits == self._num_commits_examined:
            return False
        self._num_commits_examined = self._num_commits
        return self._copy.is_trained()

    def _is_late(self) -> bool:
        now, first = time.monotonic(), self._first_step_at
        return now > self._started + self._limits.seconds or (
            first is not None and now > first + self._limits.training_seconds
        )

    def _is_saving(self) -> bool:
        """Whether this process has begun a checkpoint and not committed it."""
        found = list_dirs(self._copy.store).uncommitted
        return any(one.path not in self._old_dirs for one in found)


def _environment() -> dict[str, str]:
    """That of this process; the child finds the same program and belongs to no Job."""
    above = str(Path(job.__file__).parents[1])
    paths = [above, *filter(None, [os.environ.get("PYTHONPATH")])]
    shared = {name: text for name, text in os.environ.items() if name not in _OF_A_JOB}
    return shared | {"PYTHONPATH": os.pathsep.join(paths)}
