"""3x3 convolution with a quarter of the multiplications, for inference with many channels.

Winograd's minimal filtering F(4x4, 3x3) (Lavin and Gray 2016): tiles of 6 x 6 pixels and the 3 x 3
weights are each transformed to 36 values, multiplied, and transformed back to 4 x 4 pixels of the
result. The transforms cost far less than they save where channels are many; all of it is matrix
products, as fast as a processor can be.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Channels, of input and result, from which it is faster than a direct convolution.
_LEAST_CHANNELS = 64
_TILE, _RESULT, _KERNEL = 6, 4, 3
# Where polynomials are evaluated; the sixth point is infinity. Of the usual choices these lose the
# fewest digits, hardly more than a direct convolution (Barabasz et al. 2020).
_POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
# Of the transformed tiles held at once: they are to stay in a processor's cache.
_CACHE_BYTES = 2 * 2**20


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether it is faster than a direct convolution of features (N, C, H, W) with weights."""
    return (
        not x.is_cuda
        and x.dtype == torch.float32
        and min(weight.shape[:2]) >= _LEAST_CHANNELS
        and min(x.shape[2:]) >= _TILE
    )


def winograd(padded: Tensor, weight: Tensor, bias: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
    """A 3x3 convolution of padded features: rows of the result, and what they hold.

    Args:
        padded: (1, C, H + 2, W + 2), channels last in memory.
        weight: (D, C, 3, 3).
        bias: (D,).

    Yields:
        Rows, and (1, D, rows, W), which the next ones replace.
    """
    channels, height, width = padded.shape[1], padded.shape[2] - 2, padded.shape[3] - 2
    columns = width // _RESULT
    _, read, written = _matrices()
    kernels = _transformed(weight)
    at_once = max(1, _CACHE_BYTES // (4 * _TILE**2 * columns * max(weight.shape[:2])))
    image = padded[0].permute(1, 2, 0)
    whole_rows, whole_columns = height - height % _RESULT, columns * _RESULT
    row, column, _ = image.stride()
    # Filled again and again: memory that is freed and asked for anew is cleared by the system.
    of_input = _Both(padded, _TILE, _TILE, at_once * columns * channels)
    of_result = _Both(padded, _RESULT, _TILE, at_once * columns * len(weight))
    strips = padded.new_empty(at_once * _RESULT, width, len(weight))
    for start in range(0, whole_rows, at_once * _RESULT):
        rows = min(at_once, (whole_rows - start) // _RESULT)
        tiles = image[start:].as_strided(
            (_TILE, _TILE, rows, columns, channels),
            (row, column, _RESULT * row, _RESULT * column, 1),
        )
        of_input.hold(tiles.shape).copy_(tiles)
        spread = of_input.times(read).view(_TILE**2, rows * columns, channels)
        torch.bmm(spread, kernels, out=of_result.hold((_TILE**2, rows * columns, len(weight))))
        found = of_result.times(written).view(_RESULT, _RESULT, rows, columns, -1)
        strip = strips[: rows * _RESULT]
        inner = strip[:, :whole_columns].unflatten(0, (rows, _RESULT)).unflatten(2, (columns, -1))
        inner.copy_(found.permute(2, 0, 3, 1, 4))
        if bias is not None:
            inner.add_(bias)
        answer = strip.permute(2, 0, 1)[None]
        if whole_columns < width:
            rest = padded[:, :, start : start + rows * _RESULT + 2, whole_columns:]
            answer[..., whole_columns:] = functional.conv2d(rest, weight, bias)
        yield slice(start, start + rows * _RESULT), answer
    if whole_rows < height:
        rest = padded[:, :, whole_rows:]
        yield slice(whole_rows, height), functional.conv2d(rest, weight, bias)


class _Both:
    """Memory for values (n, n, ...) and for a matrix (m, n) times them along both axes.

    Args:
        like: features of the type that it holds.
        m, n: of the matrix.
        values: at each of the n * n places, at most.
    """

    def __init__(self, like: Tensor, m: int, n: int, values: int) -> None:
        self._m, self._n = m, n
        self._values, self._rows, self._both = (
            like.new_empty(count * values) for count in (n * n, m * n, m * m)
        )

    def hold(self, shape: Sequence[int]) -> Tensor:
        """Memory for values of a shape, to be filled."""
        self._count = math.prod(shape)
        return self._values[: self._count].view(shape)

    def times(self, matrix: Tensor) -> Tensor:
        """The matrix along both axes of what it holds: (m, m, values)."""
        m, n = self._m, self._n
        each = self._count // n**2
        rows = self._rows[: m * n * each].view(m, n * each)
        torch.mm(matrix, self._values[: self._count].view(n, n * each), out=rows)
        both = self._both[: m * m * each].view(m, m, each)
        return torch.bmm(matrix.expand(m, m, n), rows.view(m, n, each), out=both)


def _transformed(weight: Tensor) -> Tensor:
    """Weights (D, C, 3, 3) as (36, C, D)."""
    kernels, _, _ = _matrices()
    both = torch.kron(kernels, kernels)
    outputs, inputs = weight.shape[:2]
    spread = torch.mm(both, weight.permute(2, 3, 1, 0).reshape(_KERNEL**2, -1))
    return spread.view(_TILE**2, inputs, outputs)


@cache
def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """G (6, 3) for weights, B^T (6, 6) for tiles and A^T (4, 6) for results, by Toom and Cook."""
    powers = np.array([[point**n for n in range(_RESULT)] for point in _POINTS])
    others = [[q for q in _POINTS if q != point] for point in _POINTS]
    scales = np.array([[np.prod(np.subtract(p, q))] for p, q in zip(_POINTS, others, strict=True)])
    infinity = [[0.0, 0.0, 1.0]]
    kernels = np.concatenate([powers[:, :_KERNEL] / scales, infinity])
    read = np.zeros((_TILE, _TILE))
    for number, roots in enumerate(others):
        read[number, :-1] = np.poly(roots)[::-1]
    read[-1] = np.poly(_POINTS)[::-1]
    written = np.concatenate([powers, [[0.0, 0.0, 0.0, 1.0]]]).T
    g, b, a = (torch.from_numpy(m.astype(np.float32)) for m in (kernels, read, written))
    return g, b, a
