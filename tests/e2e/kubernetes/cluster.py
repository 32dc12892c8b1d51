"""What the scenarios do to a cluster, through `kubectl` and `helm` as a person would."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

REPOSITORY = Path(__file__).parents[3]
CHART = REPOSITORY / "charts" / "siamese-job"
RELEASE_LABEL = "app.kubernetes.io/instance"
T = TypeVar("T")


@dataclass(frozen=True)
class End:
    """How a container ended.

    Attributes:
        pod: Name of its pod.
        terminated: `state.terminated` of the container.
    """

    pod: str
    terminated: Mapping[str, Any]

    @property
    def code(self) -> int:
        """The exit code."""
        code: int = self.terminated["exitCode"]
        return code

    @property
    def message(self) -> str:
        """What the program said last."""
        words: str = json.loads(self.terminated["message"])["message"]
        return words


@dataclass(frozen=True)
class Cluster:
    """One namespace of a cluster.

    Attributes:
        namespace: Where everything happens.
        host: Address of this machine as pods reach it.
        image: The image under test, `repository:tag`, loaded already.
        folder: Where values files are written.
    """

    namespace: str
    host: str
    image: str
    folder: Path

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Standard output of a kubectl command that must succeed."""
        return _succeeded("kubectl", "-n", self.namespace, *args, stdin=stdin)

    def get(self, *args: str) -> Any:
        """Objects as parsed JSON."""
        return json.loads(self.kubectl("get", *args, "-o", "json"))

    def apply(self, manifest: Mapping[str, Any]) -> None:
        """Creates or changes one object."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps(dict(manifest)))

    def helm(self, *args: str) -> subprocess.CompletedProcess[str]:
        """A helm command, however it ends."""
        return run("helm", "-n", self.namespace, *args)

    def install(
        self, release: str, values: Mapping[str, Any], *, upgrade: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """`helm install`, however it ends; `upgrade` is `helm upgrade --install`."""
        path = self.folder / f"{release}.yaml"
        path.write_text(yaml.safe_dump(dict(values), sort_keys=False), encoding="utf-8")
        verb = ["upgrade", "--install"] if upgrade else ["install"]
        return self.helm(*verb, release, str(CHART), "-f", str(path))

    def installed(
        self, release: str, values: Mapping[str, Any], *, upgrade: bool = False
    ) -> str:
        """Installs, which must succeed; the name of the release's newest Job."""
        result = self.install(release, values, upgrade=upgrade)
        assert result.returncode == 0, result.stderr
        return self.job_names(release)[-1]

    def uninstall(self, release: str) -> None:
        """Removes a release and waits until none of it is left."""
        _succeeded("helm", "-n", self.namespace, "uninstall", release, "--wait")
        self.wait(lambda: not self.labelled(release), f"nothing labelled {release}")

    def job_names(self, release: str) -> list[str]:
        """The release's Jobs that are not being deleted, oldest first."""
        jobs = self.get("jobs", "-l", f"{RELEASE_LABEL}={release}")["items"]
        alive = [job for job in jobs if "deletionTimestamp" not in job["metadata"]]
        alive.sort(key=lambda job: job["metadata"]["creationTimestamp"])
        return [job["metadata"]["name"] for job in alive]

    def labelled(self, release: str) -> dict[str, str]:
        """Every object of a release in the namespace: uid by `kind/name`."""
        kinds = self.kubectl(
            "api-resources", "--verbs=list", "--namespaced", "-o", "name"
        ).split()
        kinds = [kind for kind in kinds if not kind.startswith("events")]
        found = self.get(",".join(kinds), "-l", f"{RELEASE_LABEL}={release}")["items"]
        return {
            f"{one['kind']}/{one['metadata']['name']}": one["metadata"]["uid"] for one in found
        }

    def pods(self, job: str, *, worker: int | None = None) -> list[dict[str, Any]]:
        """Pods of a Job, or of one of its workers, oldest first."""
        pods = self.get("pods", "-l", selector(job, worker=worker))["items"]
        return sorted(pods, key=lambda pod: pod["metadata"]["creationTimestamp"])

    def condition(self, job: str) -> dict[str, Any] | None:
        """How a Job ended, None while it has not."""
        status = self.get("job", job)["status"]
        ended = [
            one
            for one in status.get("conditions", [])
            if one["status"] == "True" and one["type"] in ("Complete", "Failed")
        ]
        return ended[0] if ended else None

    def wait_for_end(self, job: str, *, seconds: float = 240) -> dict[str, Any]:
        """How the Job ended."""
        try:
            return self.wait(lambda: self.condition(job), f"end of {job}", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story(job)}") from error

    def completed(self, job: str, *, seconds: float = 240) -> None:
        """Waits for the Job, which must complete."""
        ended = self.wait_for_end(job, seconds=seconds)
        assert ended["type"] == "Complete", f"{ended}\n{self.story(job)}"

    def ends(self, job: str, *, worker: int | None = None) -> list[End]:
        """How the trainers of the pods ended, oldest pod first."""
        return [end for pod in self.pods(job, worker=worker) for end in ends_of(pod)]

    def logs(self, job: str, *, worker: int | None = None) -> str:
        """The log of the newest pod."""
        pods = self.pods(job, worker=worker)
        result = run("kubectl", "-n", self.namespace, "logs", pods[-1]["metadata"]["name"])
        return result.stdout if result.returncode == 0 else ""

    def wait_for_line(
        self,
        job: str,
        pattern: str,
        *,
        worker: int | None = None,
        seconds: float = 120,
        every: float = 0.5,
    ) -> re.Match[str]:
        """Waits for a line in the log of the newest pod."""

        def found() -> re.Match[str] | None:
            if not self.pods(job, worker=worker):
                return None
            return re.search(pattern, self.logs(job, worker=worker))

        try:
            return self.wait(found, f"{pattern!r} in the log", seconds=seconds, every=every)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story(job)}") from error

    def wait(
        self, ask: Callable[[], T | None], what: str, *, seconds: float = 60, every: float = 0.5
    ) -> T:
        """What `ask` answers once that is true."""
        deadline = time.monotonic() + seconds
        while not (answer := ask()):
            assert time.monotonic() < deadline, f"{what}: not after {seconds:g} s"
            time.sleep(every)
        return answer

    def story(self, job: str) -> str:
        """What a person would look at when a Job did not do as it should."""
        described = run(
            "kubectl", "-n", self.namespace, "describe", "job,pod", "-l", selector(job)
        )
        flags = ("--prefix", "--tail=-1", "-l", selector(job))
        logs = run("kubectl", "-n", self.namespace, "logs", *flags)
        return f"{described.stdout}\n{logs.stdout}"

    def drain(self, job: str) -> None:
        """Evicts the pods of one Job, as a drain of their node that leaves all others alone.

        The Job holds the object of a pod back until it replaces that pod, and a drain waits for
        the object; this one does not wait so long.
        """
        node = self.pods(job)[-1]["spec"]["nodeName"]
        flags = ("--delete-emptydir-data", "--ignore-daemonsets", "--timeout=15s")
        try:
            drained = run("kubectl", "drain", node, f"--pod-selector={selector(job)}", *flags)
            assert f"evicting pod {self.namespace}/{job}" in drained.stdout + drained.stderr
        finally:
            self.kubectl("uncordon", node)


def selector(job: str, *, worker: int | None = None) -> str:
    """Labels of the pods of a Job, or of one of its workers."""
    label = f"batch.kubernetes.io/job-name={job}"
    if worker is not None:
        label += f",batch.kubernetes.io/job-completion-index={worker}"
    return label


def ends_of(pod: Mapping[str, Any]) -> list[End]:
    """How the containers of a pod ended; those that run are left out."""
    states = [one["state"] for one in pod["status"].get("containerStatuses", [])]
    name = pod["metadata"]["name"]
    return [End(name, state["terminated"]) for state in states if "terminated" in state]


def run(
    *command: str, stdin: str | None = None, seconds: float = 300
) -> subprocess.CompletedProcess[str]:
    """A command with its output as text, however it ends."""
    return subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds)


def _succeeded(*command: str, stdin: str | None = None) -> str:
    result = run(*command, stdin=stdin)
    assert result.returncode == 0, f"{' '.join(command)}\n{result.stderr}"
    return result.stdout
