"""Tries again until a bucket answers or the budget for its absence is spent.

One loop for all operations, so that an outage is one event however many calls it spans: it is
said when the first try fails and when the first one succeeds again, and never in between. A
bucket that answers and refuses is another event than one that does not answer::

    retries = Retries("gs://models/typos", patience=RetryPolicy(budget_seconds=600.0))
    retries.run("read", lambda call: request())
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from job.errors import ConfigError, PermissionDeniedError, StorageOutageError
from job.storage.gcs.failures import (
    BadRequestError,
    ConditionNotMetError,
    ForbiddenError,
    NoCredentialsError,
    NotFoundError,
    TransientError,
)
from job.storage.gcs.requests import Timeouts
from job.storage.os_errors import RUNS, MessageContext

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Failure = TransientError | ForbiddenError | BadRequestError

# What each operation needs; the bucket's own answer is more exact where it names one.
PERMISSIONS = {
    "read": "storage.objects.get",
    "stat": "storage.objects.get",
    "create": "storage.objects.create",
    "replace": "storage.objects.create and storage.objects.delete",
    "list": "storage.objects.list",
    "delete": "storage.objects.delete",
}


# Not the global generator: its state is a part of the training state, and the same everywhere.
jitter = random.SystemRandom().uniform


@dataclass(frozen=True)
class RetryPolicy:
    """How long a bucket is waited for.

    Attributes:
        budget_seconds: Longest time without a sign of life before a call gives up.
        denied_seconds: Longest time of nothing but refusals for an operation that was
            allowed before: changes of permissions reach all servers within a minute or so.
            The same for an answer that calls the request wrong, as a proxy on the way may.
        denied_at_start_seconds: Longest time of refusals for operations that were never
            allowed, all of them together: a new binding of an identity takes a minute or two.
        delete_seconds: In place of `budget_seconds` for a delete, once one has worked: what is
            not deleted only costs space.
        first_delay_seconds: Upper bound of the first pause; it doubles from try to try.
        longest_delay_seconds: Upper bound of any pause.
        timeouts: Of one request. A try under way when the budget ends may take these much
            longer.
    """

    budget_seconds: float = 600.0
    denied_seconds: float = 60.0
    denied_at_start_seconds: float = 0.0
    delete_seconds: float = 30.0
    first_delay_seconds: float = 1.0
    longest_delay_seconds: float = 32.0
    timeouts: Timeouts = field(default_factory=Timeouts)


class RetryState:
    """One operation and its tries.

    Attributes:
        failures: Tries that failed so far; each of them may have reached the bucket.
    """

    def __init__(self, operation: str) -> None:
        self.operation = operation
        self.failures = 0
        self._failing_since: float | None = None
        self._refused_since: float | None = None

    def failed(self, error: Failure, *, now: float) -> float:
        """Counts a try that failed; returns since when this call has failed in this way.

        Refusals count from the first one in a row: an outage before them is no part of the
        time that a permission takes to reach all servers.
        """
        self.failures += 1
        if self._failing_since is None:
            self._failing_since = now
        if isinstance(error, TransientError):
            self._refused_since = None
            return self._failing_since
        if self._refused_since is None:
            self._refused_since = now
        return self._refused_since


class Retries:
    """The loop, and what is known of the outage it is in.

    Args:
        uri: Where the objects are, for messages.
        patience: How long to wait.
        monotonic: Clock in seconds.
        sleep: Waits for so many seconds.
        uniform: A random number between two bounds.
        purpose: What the bucket is used for.
    """

    def __init__(
        self,
        uri: str,
        *,
        patience: RetryPolicy,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        uniform: Callable[[float, float], float] = jitter,
        purpose: MessageContext = RUNS,
    ) -> None:
        self._uri, self._purpose = uri, purpose
        self._patience = patience
        self._monotonic, self._sleep, self._uniform = monotonic, sleep, uniform
        self._lock = threading.Lock()
        self._away_since: float | None = None
        self._failed_tries = 0
        self._said: set[str] = set()
        self._allowed: set[str] = set()
        self._start_ends: float | None = None

    def run(self, operation: str, attempt: Callable[[RetryState], Result]) -> Result:
        """Returns what `attempt` returns, tried again while that may help.

        Args:
            operation: A key of `PERMISSIONS`.
            attempt: One try.

        Raises:
            StorageOutageError: The budget is spent, also that of a request which worked before
                and is now called wrong.
            PermissionDeniedError: The bucket refuses, or there are no credentials.
            ConfigError: The bucket says that the request is wrong.
            NotFoundError: As `attempt` raised it.
            ConditionNotMetError: As `attempt` raised it.
        """
        call = RetryState(operation)
        while True:
            try:
                result = attempt(call)
            except (TransientError, ForbiddenError, BadRequestError) as error:
                self._wait(call, error)
            except (NotFoundError, ConditionNotMetError):
                self._answered()
                raise
            except NoCredentialsError as error:
                raise self._no_credentials() from error
            else:
                self._answered()
                with self._lock:
                    self._allowed.add(operation)
                return result

    def _wait(self, call: RetryState, error: Failure) -> None:
        """Sleeps before the next try, or raises when there shall be none."""
        now = self._monotonic()
        since = call.failed(error, now=now)
        budget = self._budget(call.operation, error, now=now, since=since)
        left = since + budget - now
        if left <= 0.0:
            raise self._given_up(call, error, budget=budget, seconds=now - since) from error
        self._failed(call, error, now=now, budget=budget)
        # Full jitter: of many workers that lost the bucket at once, no two come back together.
        exponent = min(call.failures - 1, 30)
        bound = min(
            self._patience.longest_delay_seconds,
            self._patience.first_delay_seconds * 2.0**exponent,
        )
        self._sleep(min(left, self._uniform(0.0, bound)))

    def _budget(self, operation: str, error: Failure, *, now: float, since: float) -> float:
        """Seconds from `since` to the last try."""
        patience = self._patience
        with self._lock:
            is_allowed = operation in self._allowed
            if isinstance(error, TransientError):
                if is_allowed and operation == "delete":
                    return min(patience.delete_seconds, patience.budget_seconds)
                return patience.budget_seconds
            if is_allowed:
                return min(patience.denied_seconds, patience.budget_seconds)
            if isinstance(error, BadRequestError):
                return 0.0
            if self._start_ends is None:
                self._start_ends = now + patience.denied_at_start_seconds
            return self._start_ends - since

    def _given_up(
        self, call: RetryState, error: Failure, *, budget: float, seconds: float
    ) -> Exception:
        with self._lock:
            is_allowed = call.operation in self._allowed
            if isinstance(error, ForbiddenError):
                # The next call does not wait for it again.
                self._allowed.discard(call.operation)
                self._start_ends = self._start_ends or self._monotonic()
        if isinstance(error, ForbiddenError):
            return self._denied(call.operation, error)
        if isinstance(error, BadRequestError) and not is_allowed:
            return ConfigError(
                f"{self._uri}: the bucket refused to {call.operation}: {error}. It must be a "
                f"bucket of Cloud Storage that takes plain requests. Check its name and "
                f"settings ({self._purpose.key})."
            )
        return StorageOutageError(
            f"{self._uri} could not {call.operation}: {call.failures} tries failed in "
            f"{seconds:.0f} s (last: {error}). At most {budget:.0f} s are waited. Check the "
            f"bucket and the network, and start again: {self._purpose.afterwards}."
        )

    def _failed(self, call: RetryState, error: Exception, *, now: float, budget: float) -> None:
        kind = "absence" if isinstance(error, TransientError) else "refusal"
        with self._lock:
            self._failed_tries += 1
            if self._away_since is None:
                self._away_since = now
            if kind in self._said:
                return
            self._said.add(kind)
        facts = {
            "store": self._uri,
            "operation": call.operation,
            "error": str(error),
            "budget_seconds": round(budget, 3),
        }
        if kind == "refusal":
            log.warning("bucket refuses, retrying", extra=facts)
        else:
            log.warning("bucket does not answer, retrying", extra=facts)

    def _answered(self) -> None:
        with self._lock:
            if self._away_since is None:
                return
            seconds, tries = self._monotonic() - self._away_since, self._failed_tries
            self._away_since, self._failed_tries = None, 0
            self._said.clear()
        log.warning(
            "bucket answers again",
            extra={"store": self._uri, "seconds": round(seconds, 3), "tries": tries},
        )

    def _denied(self, operation: str, error: ForbiddenError) -> PermissionDeniedError:
        needed = error.permission or PERMISSIONS[operation]
        return PermissionDeniedError(
            f"{self._uri}: not allowed to {operation} ({error}). The account of this process "
            f"needs {needed} on the bucket; all that is needed is in {self._purpose.role}. "
            f"Grant it, or choose another bucket ({self._purpose.key})."
        )

    def _no_credentials(self) -> PermissionDeniedError:
        return PermissionDeniedError(
            f"{self._uri}: this process has no credentials that can be read. A bucket takes "
            f"those of workload identity (in a cluster: a bound service account), or of the "
            f"file that GOOGLE_APPLICATION_CREDENTIALS names. Set up one of these."
        )
