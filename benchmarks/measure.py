"""What every benchmark shares: sides in turns, medians, the machine, tables, the JSON file.

A comparison is only fair on the same machine in the same minutes, so each round measures every
side once, in an order that is reversed from round to round::

    found = alternate({"ours": ours, "theirs": theirs}, rounds=5)
    ratio = statistics.median(found["ours"]) / statistics.median(found["theirs"])
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.peers import environment
from job.distribution.hardware import cpu_features
from job.telemetry.terminal import aligned_columns

REPOSITORY = Path(__file__).resolve().parents[1]
OURS = "ours"
# Units in which less is better.
_LESS_IS_BETTER = ("seconds",)
_LIBRARIES = ("tensorflow", "keras", "numpy", "scikit-learn")
_PEER_LIBRARIES = ("torch", "sentence-transformers", "transformers")


def alternate(
    sides: Mapping[str, Callable[[], float]], *, rounds: int
) -> dict[str, list[float]]:
    """Measures every side once a round, forwards in one round and backwards in the next.

    Args:
        sides: What measures each side.
        rounds: Number of measurements of each; >= 1.

    Returns:
        The measurements of each side, in order.
    """
    found: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides) if number % 2 == 0 else reversed(list(sides)):
            found[name].append(sides[name]())
            progress(f"round {number + 1}/{rounds}: {name} {found[name][-1]:.4g}")
    return found


def progress(text: str) -> None:
    """Says on standard error what is being done."""
    print(f"    {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Case:
    """The result of one comparison.

    Attributes:
        case: Its name.
        unit: What the numbers are; times are `seconds`.
        ours: The median of this product.
        peers: The median of each peer's best variant.
        details: Every variant's measurements, and anything else worth keeping.
    """

    case: str
    unit: str
    ours: float | None
    peers: Mapping[str, float | None]
    details: Mapping[str, Any] = field(default_factory=dict)

    def ratio(self, peer: str) -> float | None:
        """How many times better ours is; None if either was not measured."""
        theirs = self.peers[peer]
        if not self.ours or not theirs:
            return None
        return theirs / self.ours if self.unit in _LESS_IS_BETTER else self.ours / theirs

    def as_json(self) -> dict[str, Any]:
        """One entry of `cases` in the JSON file."""
        return {
            "case": self.case,
            "unit": self.unit,
            "ours": self.ours,
            "peers": dict(self.peers),
            "ratios": {peer: self.ratio(peer) for peer in self.peers},
            **self.details,
        }


def comparison_table(cases: Sequence[Case]) -> str:
    """The cases as one table: ours, each peer, and how many times better ours is."""
    peers = list(dict.fromkeys(peer for case in cases for peer in case.peers))
    header = ["case", "unit", OURS]
    for peer in peers:
        header += [peer, "ratio"]
    rows = []
    for case in cases:
        row = [case.case, case.unit, number(case.ours)]
        for peer in peers:
            known = peer in case.peers
            row += [number(case.peers[peer]), number(case.ratio(peer))] if known else ["", ""]
        rows.append(row)
    return aligned_columns(header, rows)


def number(value: float | None) -> str:
    """A number with three digits, or a dash if it was not measured."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """The hardware that the numbers are of."""
    info = Path("/proc/cpuinfo")
    text = info.read_text(encoding="utf-8", errors="replace") if info.exists() else ""
    fields = dict(
        (key.strip(), value.strip())
        for key, _, value in (line.partition(":") for line in text.splitlines())
    )
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": fields.get("model name", platform.machine()),
        "model": fields.get("model", ""),
        "features": cpu_features(info),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(pages / (1 << 30), 1),
        "kernel": platform.release(),
    }


def versions() -> dict[str, str]:
    """Versions of the program, its libraries and, where installed, those of the peers."""
    found = {"python": platform.python_version()}
    found |= {name: metadata.version(name) for name in _LIBRARIES}
    return found | environment.installed_versions(_PEER_LIBRARIES)


def commit() -> str:
    """The commit of the working tree."""
    command = ["git", "--no-optional-locks", "describe", "--always", "--dirty", "--exclude=*"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def has_bf16() -> bool:
    """Whether the CPU multiplies bfloat16 in hardware, so that oneDNN gains from it."""
    features = cpu_features(Path("/proc/cpuinfo")).split()
    return "avx512_bf16" in features or "amx_tile" in features


def parser(description: str) -> argparse.ArgumentParser:
    """The command line that every benchmark has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    return made


def write_json(path: Path | None, cases: Sequence[Case], **more: Any) -> None:
    """Writes the numbers with the machine and the versions they are of.

    Args:
        path: The file; None writes nothing.
        cases: The comparisons.
        more: Further keys of the file.
    """
    if path is None:
        return
    content = {
        "cases": [case.as_json() for case in cases],
        **more,
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{json.dumps(content, indent=1)}\n", encoding="utf-8")


def describe_machine() -> str:
    """Machine and versions in one line."""
    here = machine()
    libraries = ", ".join(f"{name} {version}" for name, version in versions().items())
    return (
        f"{here['cores']} x {here['processor']} (model {here['model']}; {here['features']}), "
        f"{here['memory_gib']} GiB; {libraries}; commit {commit()}"
    )
