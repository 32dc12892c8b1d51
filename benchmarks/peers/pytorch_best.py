"""The same models in PyTorch, as its users write them.

.venv-bench/bin/python -m benchmarks.peers.pytorch_best book_lstm_b64
"""

import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.cases import UNITS, TrainingCase, pair_arrays
from benchmarks.peers.variants import BF16, Build, Measure, main
from benchmarks.peers.xception import Xception

WARM_UP_STEPS = 20
WARM_UP_STEPS_XCEPTION = 3
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class LastState(nn.Module):
    """An LSTM whose result is its last state."""

    def __init__(self, features: int, *, units: int, time_major: bool) -> None:
        super().__init__()
        self.time_major = time_major
        self.lstm = nn.LSTM(features, units, batch_first=not time_major)

    def forward(self, items: torch.Tensor) -> torch.Tensor:
        """(N, T, F) -> (N, units)."""
        if self.time_major:
            items = items.transpose(0, 1)
        return self.lstm(items)[1][0][0]


class Siamese(nn.Module):
    """One encoder for both sides, concatenated into one logit."""

    def __init__(self, encoder: nn.Module, *, size: int, merged: bool) -> None:
        super().__init__()
        self.encoder = encoder
        self.logit = nn.Linear(2 * size, 1)
        self.merged = merged

    def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        """Two (B, ...) -> (B,)."""
        if self.merged:
            u, v = self.encoder(torch.cat([left, right])).chunk(2)
        else:
            u, v = self.encoder(left), self.encoder(right)
        return self.logit(torch.cat([u, v], dim=1))[:, 0]


def build(
    case: TrainingCase,
    *,
    merged: bool = False,
    compiled: bool = False,
    time_major: bool = False,
    onednn: bool = True,
    channels_last: bool = False,
    bf16: bool = False,
) -> Measure:
    """Builds one variant.

    Args:
        case: What to train.
        merged: Whether both sides go through the encoder in one call.
        compiled: Whether to use `torch.compile`.
        time_major: Whether the LSTM gets its steps as the first axis.
        onednn: Whether oneDNN's kernels may be used.
        channels_last: Memory format of images and convolutions.
        bf16: Whether to compute under `torch.autocast`.
    """
    torch.manual_seed(0)
    if case.encoder == "lstm":
        encoder: nn.Module = LastState(case.shape[1], units=UNITS, time_major=time_major)
        model = Siamese(encoder, size=UNITS, merged=merged)
    else:
        model = Siamese(Xception(), size=2048, merged=merged)
    model = model.to(DEVICE)
    # In the memory of the device, where a loader has nothing left to do.
    left, right, label = (torch.from_numpy(array).to(DEVICE) for array in pair_arrays(case))
    if case.encoder == "xception":
        left, right = (images.permute(0, 3, 1, 2).contiguous() for images in (left, right))
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        left, right = (
            images.contiguous(memory_format=torch.channels_last) for images in (left, right)
        )
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001, alpha=0.9, eps=1e-7)
    loss_of = nn.BCEWithLogitsLoss()
    forward = torch.compile(model) if compiled else model
    precision: Callable[[], Any] = (
        partial(torch.autocast, DEVICE, torch.bfloat16) if bf16 else nullcontext
    )

    total = torch.zeros((), device=DEVICE)

    def step(rows: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        with precision():
            logit = forward(left[rows], right[rows])
        loss = loss_of(logit.float(), label[rows])
        loss.backward()
        optimizer.step()
        total.add_(loss.detach())  # shown at the end of an epoch

    return partial(_measure, case, step=step, onednn=onednn)


def _measure(
    case: TrainingCase, seconds: float, *, step: Callable[[torch.Tensor], None], onednn: bool
) -> float:
    """Trains on shuffled batches for that long; returns pairs a second."""
    torch.backends.mkldnn.enabled = onednn
    warm_up = WARM_UP_STEPS if case.encoder == "lstm" else WARM_UP_STEPS_XCEPTION
    steps, began = -warm_up, 0.0
    while True:
        for rows in torch.randperm(case.pairs, device=DEVICE).split(case.batch):
            if steps == 0:
                began = _now()
            step(rows)
            steps += 1
            if steps > 0 and time.perf_counter() - began >= seconds:
                return case.batch * steps / (_now() - began)


def _now() -> float:
    """The time when the device has done all it was given."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def variants_of(case: TrainingCase) -> Mapping[str, Build]:
    """Two calls and one, with and without what can make them faster."""
    made: dict[str, Build]
    if case.encoder == "lstm":
        made = {
            "two calls": partial(build),
            "merged": partial(build, merged=True),
            "merged, time major": partial(build, merged=True, time_major=True),
            "two calls, without oneDNN": partial(build, onednn=False),
            "merged, without oneDNN": partial(build, merged=True, onednn=False),
            "two calls, torch.compile": partial(build, compiled=True),
            "merged, torch.compile": partial(build, merged=True, compiled=True),
        }
    else:
        # One call would share the statistics of batch normalisation between the sides.
        made = {
            "two calls": partial(build),
            "two calls, channels last": partial(build, channels_last=True),
            "two calls, channels last, torch.compile": partial(
                build, channels_last=True, compiled=True
            ),
        }
    if case.bf16:
        for name, one in list(made.items()):
            made[name + BF16] = partial(one, bf16=True)
    return made


if __name__ == "__main__":
    main(variants_of)
