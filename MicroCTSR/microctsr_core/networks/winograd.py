"""3x3 convolution with half of the multiplications, for inference with many channels.

Winograd's minimal filtering F(4, 3) along the rows (Lavin and Gray 2016): six rows of an image and
the three rows of the weights are each transformed to six, of which products give four rows of the
result. Along the columns it is a plain convolution, three matrix products. Filtering both ways
would save half of the multiplications again, but move so much more memory that it pays only where
nothing else uses the processor's cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# Channels, of input and result, from which it is faster than a direct convolution.
_LEAST_CHANNELS = 96
_READ, _WRITTEN, _KERNEL = 6, 4, 3  # rows
# Where polynomials are evaluated; the sixth point is infinity. Of the usual choices these lose the
# fewest digits, hardly more than a direct convolution (Barabasz et al. 2020).
_POINTS = (0.0, 1.0, -1.0, 0.5, -2.0)
_IN_EVERY_ROW = _POINTS.index(1.0)  # what is added to this product is added to all four rows


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether it is faster than a direct convolution of features (N, C, H, W) with weights."""
    return (
        not x.is_cuda
        and x.dtype == torch.float32
        and min(weight.shape[:2]) >= _LEAST_CHANNELS
        and x.shape[2] >= _READ
    )


def winograd(padded: Tensor, weight: Tensor, bias: Tensor | None) -> Iterator[tuple[slice, Tensor]]:
    """A 3x3 convolution of padded features: rows of the result, and what they hold.

    Args:
        padded: (1, C, H + 2, W + 2), channels last in memory and contiguous.
        weight: (D, C, 3, 3).
        bias: (D,).

    Yields:
        Rows, and (1, D, rows, W), which the next ones replace.
    """
    image = padded[0].permute(1, 2, 0)
    height, width, channels = image.shape[0] - 2, image.shape[1] - 2, image.shape[2]
    kernels = _transformed(weight)
    _, read, written = _matrices()
    # Filled again and again: memory that is freed and asked for anew is cleared by the system.
    spread = padded.new_empty(_READ, width + 2, channels)
    products = padded.new_empty(_READ, width, len(weight))
    strip = padded.new_empty(_WRITTEN, width, len(weight))
    whole = height - height % _WRITTEN
    for start in range(0, whole, _WRITTEN):
        rows = image[start : start + _READ].reshape(_READ, -1)
        torch.mm(read, rows, out=spread.view(_READ, -1))
        torch.bmm(spread[:, :width], kernels[0], out=products)
        for column in range(1, _KERNEL):
            products.baddbmm_(spread[:, column : column + width], kernels[column])
        if bias is not None:
            products[_IN_EVERY_ROW].add_(bias)
        torch.mm(written, products.view(_READ, -1), out=strip.view(_WRITTEN, -1))
        yield slice(start, start + _WRITTEN), strip.permute(2, 0, 1)[None]
    if whole < height:
        rest = padded[:, :, whole:]
        yield slice(whole, height), functional.conv2d(rest, weight, bias)


def _transformed(weight: Tensor) -> Tensor:
    """Weights (D, C, 3, 3) as (3 columns, 6, C, D)."""
    kernels, _, _ = _matrices()
    outputs, inputs = weight.shape[:2]
    spread = torch.mm(kernels, weight.permute(2, 3, 1, 0).reshape(_KERNEL, -1))
    return spread.view(_READ, _KERNEL, inputs, outputs).transpose(0, 1).contiguous()


@cache
def _matrices() -> tuple[Tensor, Tensor, Tensor]:
    """G (6, 3) for weights, B^T (6, 6) for images and A^T (4, 6) for results, by Toom and Cook."""
    powers = np.array([[point**n for n in range(_WRITTEN)] for point in _POINTS])
    others = [[q for q in _POINTS if q != point] for point in _POINTS]
    scales = np.array([[np.prod(np.subtract(p, q))] for p, q in zip(_POINTS, others, strict=True)])
    infinity = [[0.0, 0.0, 1.0]]
    kernels = np.concatenate([powers[:, :_KERNEL] / scales, infinity])
    read = np.zeros((_READ, _READ))
    for number, roots in enumerate(others):
        read[number, :-1] = np.poly(roots)[::-1]
    read[-1] = np.poly(_POINTS)[::-1]
    written = np.concatenate([powers, [[0.0, 0.0, 0.0, 1.0]]]).T
    g, b, a = (torch.from_numpy(m.astype(np.float32)) for m in (kernels, read, written))
    return g, b, a
