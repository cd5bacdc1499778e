"""The paper's pipeline as one would first write it from the paper: what ours is compared with.

256 x 256 patches at stride 128, T passes with dropout switched on, mean and variance, histogram
matching, median filter (Li et al. 2021). Nothing in it is slow on purpose: patches go through the
network in batches, without gradients.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..networks.resnet import DropoutSite, ResnetBlock, ResNetGenerator
from ..reconstruction import PatchAverage, matched_to_input, patches, smoothed
from ..tiles import Region, relative

BATCH = 5
"""Patches at once: the paper's batch."""


class PlainResNet(nn.Module):
    """The same layers and weights with PyTorch's own dropout: (N, 1, H, W) in [0, 1] -> same."""

    def __init__(self, network: ResNetGenerator) -> None:
        super().__init__()
        self.tanh = network.output == "tanh"
        dropout = nn.Dropout if network.dropout == "element" else nn.Dropout2d
        self.model = nn.Sequential(
            *(
                PlainBlock(layer, dropout(network.dropout_rate))
                if isinstance(layer, ResnetBlock)
                else copy.deepcopy(layer)
                for layer in network.model
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.model(2 * x - 1 if self.tanh else x)
        return (y + 1) / 2 if self.tanh else y


class PlainBlock(nn.Module):
    """A residual block whose layers run one after the other, dropout between the convolutions."""

    def __init__(self, block: ResnetBlock, dropout: nn.Module) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            *(
                dropout if isinstance(layer, DropoutSite) else copy.deepcopy(layer)
                for layer in block.conv_block
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def plain_passes(network: nn.Module, batch: Tensor, passes: int) -> tuple[Tensor, Tensor]:
    """Mean and variance over passes of a batch of patches, each (N, 1, H, W)."""
    network.train()  # so that dropout is active
    with torch.no_grad():
        samples = torch.stack([network(batch) for _ in range(passes)])
        return samples.mean(0), samples.var(0, correction=0)


def plain_slice(
    network: nn.Module, plane: NDArray[np.float32], passes: int, device: torch.device
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A whole slice as the paper has it.

    Args:
        network: in one piece, with dropout layers of its own.
        plane: interpolated slice in [0, 1], (rows, columns).
        passes: T.
        device: that the network is on.

    Returns:
        Mean and variance, each (rows, columns).
    """
    region = region_of_plane(plane)
    tiles = patches(region)
    cut = [plane[relative(tile.read, region)] for tile in tiles]
    mean, variance = PatchAverage(region), PatchAverage(region)
    for start in range(0, len(tiles), BATCH):
        found = plain_passes(network, as_batch(cut[start : start + BATCH], device), passes)
        generated, spread = (each[:, 0].cpu().numpy() for each in found)
        for number, tile in enumerate(tiles[start : start + BATCH]):
            matched = matched_to_input(generated[number], cut[start + number])
            mean.add(matched, tile.write)
            variance.add(spread[number], tile.write)
    return smoothed(mean.result()), variance.result()


def as_batch(cut: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
    """Patches as the network takes them, (N, 1, rows, columns)."""
    return torch.from_numpy(np.stack(cut))[:, None].to(device)


def region_of_plane(plane: NDArray[np.float32]) -> Region:
    """The region that a whole plane covers."""
    return (0, plane.shape[0]), (0, plane.shape[1])
