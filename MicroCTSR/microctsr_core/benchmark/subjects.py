"""What is measured: a slice of the bundled CT, and networks of the paper's size."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch

from ..io.reading import read_volume
from ..model import Model, load_model
from ..networks import build
from ..normalisation import calibrate
from ..sample import sample_volume_path
from ..volume import Box, Volume

PAPER = {"filters": 64, "blocks": 9, "dropout": "channel", "dropout_rate": 0.5}
"""The paper's generator, but for whole channels dropped instead of single values."""

_MIDDLE = 28  # the slice of the cochlea
_AROUND = 4  # slices above and below it, so that a network sees its neighbours
_CALIBRATION_EDGE = 48


def slab_of(edge: int) -> Volume:
    """Some slices of ``edge`` x ``edge`` voxels of the bundled CT, mirrored where that ends."""
    ct = read_volume(sample_volume_path())
    slices = ct.array[_MIDDLE - _AROUND : _MIDDLE + _AROUND + 1]
    short = [max(0, edge - length) for length in slices.shape[1:]]
    slices = np.pad(slices, [(0, 0), *((0, n) for n in short)], mode="symmetric")
    top, left = ((length - edge) // 2 for length in slices.shape[1:])
    return Volume(slices[:, top : top + edge, left : left + edge], ct.spacing)


def middle_of(slab: Volume) -> Box:
    """The box of a slab's middle slice, which is what is timed."""
    middle = slab.shape[0] // 2
    return (middle, middle + 1), (0, slab.shape[1]), (0, slab.shape[2])


def paper_model(dropout_blocks: int | None = None, **arguments: Any) -> Model:
    """The paper's network, untrained, with its instance normalisation frozen on the bundled CT.

    Speed does not depend on the weights, and equality of results is harder to reach with weights
    that smooth nothing.

    Args:
        dropout_blocks: how many of the last blocks drop channels; all when ``None``.
        **arguments: of the network, in place of the paper's.
    """
    arguments = {**PAPER, "norm": "instance", **arguments}
    if dropout_blocks is not None:
        arguments["dropout_blocks"] = dropout_blocks
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build("resnet", **arguments)
    card = copy.deepcopy(load_model().card)
    card.pop("uncertainty_scale", None)  # which belongs to the bundled weights
    card |= {"name": "paper-size", "network": {"name": "resnet", "arguments": arguments}}
    scan, model = slab_of(_CALIBRATION_EDGE), Model(network, card)
    return calibrate(model, [scan], "paper-size", box=middle_of(scan), device="cpu")
