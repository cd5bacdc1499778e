"""Convolutions with fewer multiplications give the numbers of plain ones."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from microctsr_core.networks.strips import Padded, convolved
from microctsr_core.networks.winograd import pays, winograd


def features(channels: int, height: int, width: int) -> Tensor:
    """(1, channels, height, width), channels last in memory, as `Padded` has them."""
    g = torch.Generator().manual_seed(0)
    return torch.randn(1, height, width, channels, generator=g).permute(0, 3, 1, 2)


def weights(outputs: int, inputs: int) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(1)
    weight = torch.randn(outputs, inputs, 3, 3, generator=g) / (9 * inputs) ** 0.5
    return weight, torch.randn(outputs, generator=g)


@pytest.mark.parametrize(("inputs", "outputs"), [(128, 96), (96, 160), (5, 7)])
@pytest.mark.parametrize(("height", "width"), [(4, 4), (24, 40), (25, 42), (11, 7)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_it_equals_a_convolution_in_double_precision(inputs, outputs, height, width, has_bias):
    x = features(inputs, height + 2, width + 2)
    weight, bias = weights(outputs, inputs)
    expected = functional.conv2d(x.double(), weight.double(), bias.double() if has_bias else None)
    found = torch.full((1, outputs, height, width), float("nan"))
    for rows, strip in winograd(x, weight, bias if has_bias else None):
        found[:, :, rows] = strip
    # As near as a convolution in single precision is: a few units of the last digit.
    span = float(expected.max() - expected.min())
    assert float((found - expected).abs().max()) < 5e-6 * span


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("channels", [16, 96])
def test_strips_of_a_padded_convolution_are_the_whole(samples, channels):
    x = features(channels, 20, 24).repeat(samples, 1, 1, 1)
    padded = Padded(x)
    padded.features.copy_(x)
    weight, bias = weights(channels, channels)
    expected = functional.conv2d(functional.pad(x, (1, 1, 1, 1), "reflect"), weight, bias)
    found = torch.empty_like(expected)
    for rows, strip in convolved(padded.reflected(), weight, bias):
        found[:, :, rows] = strip
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=2e-5)


def test_it_is_taken_where_channels_are_many_and_rows_enough():
    many, _ = weights(96, 128)
    few, _ = weights(96, 32)
    assert pays(features(128, 6, 3), many)
    assert not pays(features(32, 6, 6), few)
    assert not pays(features(128, 5, 60), many)
    assert not pays(features(128, 6, 6).double(), many)
