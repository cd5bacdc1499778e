"""Computing in strips of rows, for inference: the same numbers in less memory, and faster.

A large array goes back to the system when it is freed, and the next one has to be cleared by the
system first. Strips are small enough for the C library to keep their memory. On a graphics card
PyTorch keeps it, so there everything is computed at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from .winograd import pays, winograd

# Of a strip's largest array, without its halo; GNU's C library keeps up to 32 MB.
_STRIP_BYTES = 24 * 2**20


class Padded:
    """Features with a border of one reflected pixel, in memory that is filled again and again.

    Args:
        like: features (N, C, H, W), of as many channels as it is ever to hold.
    """

    def __init__(self, like: Tensor) -> None:
        n, channels, height, width = like.shape
        if min(height, width) < 2:
            raise ValueError(f"Nothing is reflected in {height} x {width} pixels; two are needed.")
        self._shape = n, height + 2, width + 2
        self._memory = like.new_empty(n * (height + 2) * (width + 2) * channels)
        self.hold(channels)

    def hold(self, channels: int) -> Tensor:
        """Make room for a number of channels: (N, channels, H, W), to be filled."""
        n, height, width = self._shape
        used = self._memory[: n * height * width * channels]
        self._whole = used.view(n, height, width, channels).permute(0, 3, 1, 2)
        return self.features

    @property
    def features(self) -> Tensor:
        """What it holds, (N, C, H, W)."""
        return self._whole[:, :, 1:-1, 1:-1]

    def reflected(self) -> Tensor:
        """With the border, (N, C, H + 2, W + 2)."""
        whole = self._whole
        for edge, inner in ((0, 2), (-1, -3)):
            whole[:, :, edge, 1:-1] = whole[:, :, inner, 1:-1]
        for edge, inner in ((0, 2), (-1, -3)):
            whole[..., edge] = whole[..., inner]
        return whole


def convolved(
    padded: Tensor, weight: Tensor, bias: Tensor | None
) -> Iterator[tuple[slice, Tensor]]:
    """A 3x3 convolution of padded features: rows of the result, and what they hold.

    What a strip holds is gone when the next one is asked for.
    """
    n, _, height, width = padded.shape
    if n == 1 and pays(padded, weight):
        yield from winograd(padded, weight, bias)
        return
    for start, stop in _strips(height - 2, n * (width - 2) * len(weight), padded):
        yield slice(start, stop), functional.conv2d(padded[:, :, start : stop + 2], weight, bias)


def in_strips(
    layers: Callable[[Tensor], Tensor], x: Tensor, halo: int, scale: int, channels: int
) -> Tensor:
    """Layers whose result is a number of times finer than their input.

    Args:
        layers: (N, C, H, W) -> (N, D, scale*H, scale*W).
        x: their input.
        halo: rows of the input that they read to either side.
        scale: of the result.
        channels: of the features that take most memory, on the grid of the result.
    """
    n, _, height, width = x.shape
    strips = []
    for start, stop in _strips(height, n * channels * scale**2 * width, x):
        first = max(start - halo, 0)
        strip = layers(x[:, :, first : stop + halo])
        strips.append(strip[:, :, scale * (start - first) : scale * (stop - first)])
    return torch.cat(strips, 2)


def _strips(height: int, row_values: int, x: Tensor) -> Iterator[tuple[int, int]]:
    rows = height if x.is_cuda else max(1, _STRIP_BYTES // (row_values * x.element_size()))
    for start in range(0, height, rows):
        yield start, min(start + rows, height)
