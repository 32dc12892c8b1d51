"""Xception in PyTorch, layer by layer as `keras.applications.Xception`, with mean pooling."""

from itertools import pairwise

import torch
from torch import nn


def _separable(inputs: int, outputs: int) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
    ]


class _Block(nn.Module):
    """Separable convolutions beside a residual."""

    def __init__(self, sizes: list[int], *, relu_first: bool = True, pool: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):
            if layers or relu_first:
                layers.append(nn.ReLU())
            layers += _separable(inputs, outputs)
        self.residual: nn.Module = nn.Identity()
        if pool:
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            self.residual = nn.Sequential(
                nn.Conv2d(sizes[0], sizes[-1], 1, stride=2, bias=False),
                nn.BatchNorm2d(sizes[-1], eps=1e-3, momentum=0.01),
            )
        self.body = nn.Sequential(*layers)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(N, C, S, S) -> (N, C', S', S')."""
        return self.body(maps) + self.residual(maps)


class Xception(nn.Module):
    """From images (N, 3, S, S) to (N, 2048).

    Source: Chollet 2017, Xception, figure 5.
    """

    def __init__(self) -> None:
        super().__init__()
        stem: list[nn.Module] = []
        for inputs, outputs, stride in ((3, 32, 2), (32, 64, 1)):
            stem += [
                nn.Conv2d(inputs, outputs, 3, stride=stride, bias=False),
                nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.01),
                nn.ReLU(),
            ]
        exit_flow: list[nn.Module] = []
        for inputs, outputs in ((1024, 1536), (1536, 2048)):
            exit_flow += [*_separable(inputs, outputs), nn.ReLU()]
        self.body = nn.Sequential(
            *stem,
            _Block([64, 128, 128], relu_first=False),
            _Block([128, 256, 256]),
            _Block([256, 728, 728]),
            *(_Block([728] * 4, pool=False) for _ in range(8)),
            _Block([728, 728, 1024]),
            *exit_flow,
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(N, 3, S, S) -> (N, 2048)."""
        return self.body(images).mean(dim=(2, 3))
