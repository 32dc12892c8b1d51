"""What a pod says and how it ends, also when its object is deleted meanwhile.

Both classes are context managers; what happens in the block is seen.
"""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.e2e.kubernetes.cluster import Cluster, End, ends_of

# A container that is killed at the end of its grace period, and some time to tell it.
_LONGEST_END_SECONDS = 180


class _Following:
    """A kubectl command that writes to a file until it is ended, or ends by itself."""

    def __init__(self, cluster: Cluster, *command: str, path: Path) -> None:
        self._cluster, self._path = cluster, path
        self._command = ("kubectl", "-n", cluster.namespace, *command)

    @property
    def text(self) -> str:
        """What was written so far."""
        return self._path.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        with self._path.open("wb") as file:
            self._process = subprocess.Popen(self._command, stdout=file)
        # Once there is something, nothing that comes later is missed.
        try:
            self._cluster.wait(lambda: self.text, " ".join(self._command))
        except AssertionError:
            self._process.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.terminate()
            self._process.wait(timeout=5)


class WatchedPod(_Following):
    """Every version of a pod until it is gone, as kubectl sees it."""

    def __init__(self, cluster: Cluster, pod: str) -> None:
        command = ("get", "pod", pod, "--watch", "--output=json")
        super().__init__(cluster, *command, path=cluster.folder / f"{pod}.watch")

    def ended(self) -> End:
        """How the container ended."""
        ends = [end for version in self._versions() for end in ends_of(version)]
        assert ends, "the container was never seen to end"
        return ends[-1]

    def _versions(self) -> Sequence[dict[str, Any]]:
        decoder, versions = json.JSONDecoder(), []
        text = self.text.lstrip()
        while text:
            try:
                version, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                break  # half of one is written
            versions.append(version)
            text = text[end:].lstrip()
        return versions


class FollowedLog(_Following):
    """The log of a pod until its container ends."""

    def __init__(self, cluster: Cluster, pod: str) -> None:
        path = cluster.folder / f"{pod}.log"
        super().__init__(cluster, "logs", "--follow", pod, path=path)

    def whole(self) -> str:
        """Waits for the end of the container; all that it wrote."""
        self._process.wait(timeout=_LONGEST_END_SECONDS)
        return self.text
