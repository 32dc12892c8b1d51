"""Where the processor time of a training step goes: kernels, the loop around them, Python.

    .venv/bin/python -m benchmarks.profile [--case NAME] [--json FILE]

TensorFlow's own trace leaves out the operations that it calls inexpensive, of which a recurrent
network consists. So Linux' `perf` samples the process that `siamese-job train` is, and every
sample is assigned by its symbol. Without `perf` nothing is measured.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measure
from benchmarks.cases import CASES, write_files
from benchmarks.measure import Case
from benchmarks.ours import Event, Training, cpu_seconds
from job.telemetry.terminal import aligned_columns

SECONDS = 12.0
# Compiles, and steps until TensorFlow has settled which operations are inexpensive.
WARM_UP_STEPS = 150
HERTZ = 999
TEXT = measure.REPOSITORY / "examples" / "text.yaml"
BOOK = CASES["book_lstm_b64"]
MATRIX, RECURRENCE, LOOP = (
    "matrix products",
    "recurrence, element by element",
    "loop around them",
)
OPTIMIZER, INPUT, PYTHON, KERNEL, OTHER = "optimizer", "input", "Python", "Linux", "other"
KERNELS = (MATRIX, RECURRENCE)


@dataclass(frozen=True)
class Sample:
    """Samples with one symbol.

    Attributes:
        count: How many.
        thread: Name of the thread.
        library: Where the symbol lies.
        symbol: Its name.
    """

    count: int
    thread: str
    library: str
    symbol: str


@dataclass(frozen=True)
class Rule:
    """Assigns a sample to a category if every pattern is found in it."""

    category: str
    symbol: str = ""
    library: str = ""
    thread: str = ""

    def matches(self, sample: Sample) -> bool:
        """Whether it is about this sample."""
        return all(
            re.search(pattern, text)
            for pattern, text in (
                (self.symbol, sample.symbol),
                (self.library, sample.library),
                (self.thread, sample.thread),
            )
        )


# The first rule that matches decides. oneDNN generates the code of its products at run time.
RULES = (
    Rule(INPUT, thread=r"^input"),
    Rule(KERNEL, library=r"^\[kernel|^\[vdso"),
    Rule(MATRIX, library=r"^\[JIT\]|perf-\d+\.map"),
    Rule(MATRIX, symbol=r"(?i)gemm|gebp|dnnl::|TensorContraction|general_matrix|matmul"),
    Rule(PYTHON, library=r"libpython|cpython-|pywrap|_multiarray|_pydantic|^python"),
    Rule(
        OPTIMIZER,
        symbol=r"scalar_r?sqrt|scalar_square|DenseUpdate|AssignUpdateVariable|Apply(Adam|RMS)",
    ),
    Rule(INPUT, symbol=r"Gather|HandleCopies"),
    Rule(
        RECURRENCE,
        symbol=r"Eigen::.*(TensorAssign|TensorExecutor|EvalRange|TensorEvaluator|packet)"
        r"|functor::|ConcatCPU|SplitOp|BiasAdd|BiasGrad|SelectV2|AddN|memmove|memcpy|memset"
        r"|ReverseSequence|Transpose",
    ),
    Rule(
        LOOP,
        symbol=r"(?i)Executor|Propagator|OpKernel|TensorList|ThreadPool|RunQueue|EventCount"
        r"|ReadVariableOp|Allocator|ResourceMgr|Tensor::|TensorShape|Variant|RefCount|Notif"
        r"|malloc|cfree|free$|operator (new|delete)|mutex|Cond|std::_Function|Stack|Rendezvous"
        r"|Rb_tree|memcmp|Attr|Switch|Merge|Enter|Exit|NextIteration|Const",
    ),
    Rule(LOOP, library=r"libtensorflow|libc\.so|libstdc|libpthread"),
)


def category_of(sample: Sample) -> str:
    """The category of the first rule that matches."""
    return next((rule.category for rule in RULES if rule.matches(sample)), OTHER)


def read_report(text: str) -> list[Sample]:
    """The lines of `perf report` with the fields of `report_of`."""
    found = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split("\t")]
        if len(fields) == 4 and fields[0].isdigit():
            found.append(Sample(int(fields[0]), *fields[1:]))
    return found


def report_of(data: Path) -> str:
    """The samples of a recording as text, by thread, library and symbol."""
    command = [
        "perf",
        "report",
        "-i",
        str(data),
        "--stdio",
        "--no-children",
        "--field-separator",
    ]
    command += ["\t", "--fields", "sample,comm,dso,sym", "--percent-limit", "0"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout


@dataclass(frozen=True)
class Profile:
    """Processor time of some steps.

    Attributes:
        shares: Of the processor time, by category.
        cpu_ms: Processor time of a step, of all threads.
        wall_ms: Wall time of a step.
        waiting: Share of the cores' time in which no thread of the process ran.
        symbols: The most frequent symbols of each category.
    """

    shares: Mapping[str, float]
    cpu_ms: float
    wall_ms: float
    waiting: float
    symbols: Mapping[str, list[str]]

    @property
    def kernels(self) -> float:
        """Share of the kernels of matrix products and recurrence."""
        return sum(self.shares.get(category, 0.0) for category in KERNELS)


def profile(config: Path, *, folder: Path) -> Profile:
    """Trains, and samples the process once it has warmed up."""
    data = folder / "perf.data"
    command = ["perf", "record", "-e", "cpu-clock", "-F", str(HERTZ), "-o", str(data)]
    # A name for the code that oneDNN generates, where its build has that.
    with Training(config, folder=folder, env={"ONEDNN_JIT_PROFILE": "2"}) as training:
        steps = training.steps()
        begin = _after(steps, step=WARM_UP_STEPS)
        cpu = cpu_seconds(training.pid)
        recorder = subprocess.Popen(
            [*command, "-p", str(training.pid), "--", "sleep", str(SECONDS)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = _after(steps, time=begin.time + SECONDS)
        cpu = cpu_seconds(training.pid) - cpu
        recorder.wait()
    wall = end.time - begin.time
    num_steps = end.fields["step"] - begin.fields["step"]
    samples = read_report(report_of(data))
    return summarise(samples, cpu=cpu, wall=wall, num_steps=num_steps)


def _after(steps: Iterable[Event], *, step: int = 0, time: float = 0.0) -> Event:
    for event in steps:
        if event.fields["step"] >= step and event.time >= time:
            return event
    raise RuntimeError("training ended before it could be measured")


def summarise(samples: list[Sample], *, cpu: float, wall: float, num_steps: int) -> Profile:
    """Adds up the samples by category.

    Args:
        samples: All of the recording.
        cpu: Seconds of processor time.
        wall: Seconds.
        num_steps: Optimizer steps in them.
    """
    counts: Counter[str] = Counter()
    symbols: dict[str, Counter[str]] = {}
    for sample in samples:
        category = category_of(sample)
        counts[category] += sample.count
        symbols.setdefault(category, Counter())[sample.symbol] += sample.count
    total = sum(counts.values())
    return Profile(
        {category: count / total for category, count in counts.items()},
        cpu / num_steps * 1000.0,
        wall / num_steps * 1000.0,
        1.0 - cpu / (wall * len(os.sched_getaffinity(0))),
        {
            category: [
                f"{count / total:.1%} {name[:120]}" for name, count in top.most_common(8)
            ]
            for category, top in symbols.items()
        },
    )


def table_of(profiles: Mapping[str, Profile]) -> str:
    """Shares by category, a column for each profile."""
    categories = (MATRIX, RECURRENCE, LOOP, OPTIMIZER, INPUT, PYTHON, KERNEL, OTHER)
    rows = [
        [category, *(f"{one.shares.get(category, 0.0):.1%}" for one in profiles.values())]
        for category in categories
    ]
    rows.append(["kernels of both", *(f"{one.kernels:.1%}" for one in profiles.values())])
    rows.append(["CPU ms a step", *(f"{one.cpu_ms:.2f}" for one in profiles.values())])
    rows.append(["ms a step", *(f"{one.wall_ms:.2f}" for one in profiles.values())])
    rows.append(["cores waiting", *(f"{one.waiting:.1%}" for one in profiles.values())])
    return aligned_columns(["of the processor time", *profiles], rows)


def _files(name: str, folder: Path) -> Path:
    """The configuration to profile; the text example trains on for longer than it does."""
    if name != "text":
        return write_files(BOOK, folder)
    import yaml

    content = yaml.safe_load(TEXT.read_text(encoding="utf-8"))
    content["data"]["root"] = str(TEXT.parent)
    content["training"]["epochs"] = 1000
    content["callbacks"] = {}
    path = folder / "text.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def main() -> None:
    """Prints the table."""
    names = ("text", BOOK.name)
    parser = measure.parser("Where the time of a step goes.")
    parser.add_argument("--case", choices=names, action="append", help="all if left out")
    arguments = parser.parse_args()
    if shutil.which("perf") is None:
        print("not measured: it needs Linux' perf (Debian: apt-get install linux-perf)")
        measure.write_json(arguments.json, [], not_measured="no perf")
        return
    profiles = {}
    for name in arguments.case or names:
        measure.progress(f"profile of {name}")
        with tempfile.TemporaryDirectory(prefix="siamese-profile-") as folder:
            profiles[name] = profile(_files(name, Path(folder)), folder=Path(folder))
    print(table_of(profiles))
    cases = [
        Case(
            f"profile_{name}",
            "share",
            one.kernels,
            {},
            {"shares": dict(one.shares), "symbols": dict(one.symbols), "waiting": one.waiting},
        )
        for name, one in profiles.items()
    ]
    measure.write_json(arguments.json, cases)


if __name__ == "__main__":
    main()
