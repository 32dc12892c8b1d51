"""The same comparisons on one GPU, and whether it is used as it should be.

    .venv/bin/python -m benchmarks.gpu [--rounds N] [--json FILE]

- Training speed beside the peers, in float32 and with `mixed_bfloat16`.
- Whether the LSTM runs in cuDNN: its kernels must be in a trace of the GPU.
- The share of time in which the GPU has nothing to do, from the same trace.
- The two towers in one call or in two, where the model allows it.

It needs TensorFlow's build for CUDA (`pip install 'tensorflow[and-cuda]'` at the version of
requirements/runtime.txt). Without a GPU it says so, measures nothing and ends with 0.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

sys.path.pop(0)  # as a script, this folder: its `profile` is not the one of Python
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import measure
from benchmarks.cases import GPU_CASES, TrainingCase, write_files
from benchmarks.measure import Case
from benchmarks.ours import Training
from benchmarks.training_speed import by_model, compare
from job.telemetry.terminal import aligned_columns

ROUNDS = 3
TRACE = {"first_block": 12, "blocks": 4}
TRACE_SECONDS = 300.0
# Kernels and operations of cuDNN's recurrent networks have one of these in their name.
CUDNN_RNN = ("cudnnrnn", "cudnn_rnn", "rnn_", "lstm_")


def num_gpus() -> int:
    """GPUs that TensorFlow sees; asked in a process of its own, which then lets go of them."""
    code = "import tensorflow as tf; print(len(tf.config.list_physical_devices('GPU')))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return int(done.stdout.split()[-1])


def traced(case: TrainingCase) -> dict[str, Any]:
    """What a trace of some steps says about the GPU.

    Returns:
        `cudnn_rnn`: names of kernels of cuDNN's recurrent networks. `idle_share`: time without
        a kernel. `kernels`: their number.
    """
    with tempfile.TemporaryDirectory(prefix="siamese-gpu-") as name:
        folder = Path(name)
        config = write_files(case, folder)
        content = json.loads(config.read_text())
        target = {"target": "trace_callback:TraceBlocks"}
        target["arguments"] = {"folder": str(folder / "trace"), **TRACE}
        content["callbacks"] = {"custom": [target]}
        config.write_text(json.dumps(content))
        shutil.copy(Path(__file__).with_name("trace_callback.py"), folder)
        done = folder / "trace" / "done"
        with Training(config, folder=folder) as training:
            started = time.monotonic()
            for _ in training.events():
                if done.exists() or time.monotonic() - started > TRACE_SECONDS:
                    break
        return gpu_activity(next((folder / "trace").rglob("*.xplane.pb")))


def gpu_activity(trace: Path) -> dict[str, Any]:
    """Reads a trace; see `traced`."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space = xplane_pb2.XSpace()
    space.ParseFromString(trace.read_bytes())
    spans: list[tuple[float, float]] = []
    names: set[str] = set()
    for plane in space.planes:
        if not plane.name.startswith("/device:GPU"):
            continue
        for line in plane.lines:
            if not line.name.startswith("Stream"):
                continue  # the other lines repeat the kernels by module and by operation
            for event in line.events:
                begin = line.timestamp_ns * 1000 + event.offset_ps
                spans.append((begin, begin + event.duration_ps))
                names.add(plane.event_metadata[event.metadata_id].name)
    cudnn = sorted(name for name in names if any(part in name.lower() for part in CUDNN_RNN))
    return {
        "cudnn_rnn": cudnn[:8],
        "idle_share": idle_share(spans),
        "kernels": len(spans),
    }


def idle_share(spans: Iterable[tuple[float, float]]) -> float | None:
    """Share of the time from the first begin to the last end that no span covers."""
    ordered = sorted(spans)
    if not ordered:
        return None
    first, busy, until = ordered[0][0], 0.0, ordered[0][0]
    for begin, end in ordered:
        busy += max(end - max(begin, until), 0.0)
        until = max(until, end)
    return 1.0 - busy / (until - first) if until > first else None


def main() -> None:
    """Prints the tables, or that there is no GPU."""
    parser = measure.parser("Training on one GPU beside the peers.")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    if not num_gpus():
        print("not measured: TensorFlow sees no GPU on this machine")
        measure.write_json(arguments.json, [], not_measured="no GPU")
        return
    cases: list[Case] = []
    rows = []
    for group in by_model(list(GPU_CASES.values())):
        cases += compare(group, rounds=arguments.rounds)
        for case in group:
            activity = traced(case)
            idle = activity["idle_share"]
            cases.append(Case(f"{case.name}_gpu_idle", "share", idle, {}, activity))
            cudnn = ", ".join(activity["cudnn_rnn"]) or "none"
            rows.append([case.name, measure.number(idle), cudnn[:60]])
    measure.progress(measure.describe_machine())
    print(measure.comparison_table([case for case in cases if case.peers]))
    print()
    print(aligned_columns(["case", "GPU idle", "kernels of cuDNN's recurrent networks"], rows))
    measure.write_json(arguments.json, cases)


if __name__ == "__main__":
    main()
