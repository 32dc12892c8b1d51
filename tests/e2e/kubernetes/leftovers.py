"""Namespaces of scenarios that were killed before they could remove them.

Two people may test on one cluster, so a namespace says whose it is: the process that made it
is asked for on its own machine, and elsewhere only age tells.
"""

import os
import socket
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

PREFIX = "siamese-e2e-"
MACHINE, PROCESS = "siamese-e2e/machine", "siamese-e2e/process"
# No scenario lasts as long: `make e2e` and `make prove` end their tests well before.
MAX_AGE = timedelta(hours=2)


def owner_labels() -> dict[str, str]:
    """Labels of a namespace of this process."""
    return {MACHINE: machine(), PROCESS: str(os.getpid())}


def machine() -> str:
    """The name of this machine, as a label may hold it."""
    kept = "".join(one if one.isalnum() else "-" for one in socket.gethostname())
    return kept[:63].strip("-")


def is_alive(process: int) -> bool:
    """Whether a process of this machine runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


def leftovers(
    namespaces: Iterable[Mapping[str, Any]],
    *,
    now: datetime,
    here: str,
    is_alive: Callable[[int], bool],
) -> list[str]:
    """Names of the namespaces that nobody uses any more.

    Args:
        namespaces: As the API gives them; those of others are never named.
        now: The time, with its zone.
        here: Name of this machine.
        is_alive: Whether a process of this machine runs.
    """
    names = []
    for namespace in namespaces:
        metadata = namespace["metadata"]
        made = datetime.fromisoformat(metadata["creationTimestamp"]).astimezone(UTC)
        labels = metadata.get("labels", {})
        is_orphan = labels.get(MACHINE) == here and not is_alive(int(labels[PROCESS]))
        if metadata["name"].startswith(PREFIX) and (is_orphan or now - made > MAX_AGE):
            names.append(metadata["name"])
    return names
