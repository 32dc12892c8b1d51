"""`quarantine.json`: which rows a run was not trained on, and why."""

import json
from collections.abc import Mapping
from typing import cast

from job.checkpoints.manager import CheckpointManager
from job.data.quarantine import Quarantine
from job.types import Json

NAME = "quarantine.json"
SCHEMA = 1


def write_quarantine(manager: CheckpointManager, quarantine: Quarantine) -> None:
    """Replaces the report of the run; also where no row was bad, which is worth knowing too.

    Args:
        manager: The right to write into the run folder.
        quarantine: Rows that were kept out.

    Raises:
        FencedError: A newer attempt holds the run.
    """
    found = cast(Mapping[str, Json], quarantine.to_json())
    content = json.dumps({"schema": SCHEMA, **found}, indent=1)
    manager.write_result(NAME, f"{content}\n".encode())
