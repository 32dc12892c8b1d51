"""A supervisor of the stand-in: `python -m tests.run.supervisor.driver FOLDER BEHAVIOUR JSON`.

The JSON object replaces fields of the `distribution` section, bounds or not.
"""

import ctypes
import functools
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from job.config.loader.load_config import load_config
from job.distribution.cluster import Cluster
from job.run.supervisor import supervise as module
from job.telemetry.termination_message import write_termination_message
from job.training.signals import StopSignal

_PR_SET_CHILD_SUBREAPER = 36


def main(folder: Path, behaviour: str, fields: dict[str, object]) -> int:
    stop = StopSignal()
    stop.install()
    # As process 1 does, it inherits orphans.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    module.write_termination_message = functools.partial(
        write_termination_message, path=folder / "termination-log"
    )
    loaded = load_config(folder / "tiny.yaml", env=os.environ, sets=[])
    section = loaded.config.distribution.model_copy(update=fields)
    config = loaded.config.model_copy(update={"distribution": section})
    return module.supervise(
        replace(loaded, config=config),
        [sys.executable, "-m", "tests.run.supervisor.standin", str(folder), behaviour],
        cluster=Cluster(),
        stop=stop,
        restarts=section.restarts,
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])))
