"""Tiny untrained models: quick to run, and rough enough that every pixel and pass matters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from microctsr_core import Model
from microctsr_core.inference import Plan, Settings, infer
from microctsr_core.networks import Generator, build

COMPACT = {"in_slices": 5, "width": 8, "blocks": 2, "upsampling": [8, 6, 4], "dropout_blocks": 1}
RESNET = {"filters": 2, "blocks": 2, "norm": "none"}
SRRESNET = {"width": 4, "blocks": 2, "dropout_blocks": 1}
UNET = {"channels": [4, 6, 8], "strides": [2, 2]}
TOYS: dict[str, dict[str, Any]] = {
    "compact": COMPACT,
    "resnet": RESNET,
    "srresnet": SRRESNET,
    "unet": UNET,
}


def make_card(network: str = "compact", **changes: Any) -> dict[str, Any]:
    """A valid card; ``changes`` replace its entries."""
    card = {
        "schema_version": 1,
        "name": "toy",
        "version": "1.0.0",
        "licence": "Apache-2.0",
        "authors": ["The MicroCTSR developers"],
        "description": "Untrained.",
        "network": {"name": network, "arguments": TOYS[network]},
        "scale": 8,
        "voxel_size_low_mm": [0.15, 0.35],
        "voxel_size_high_mm": [0.018, 0.044],
        "intensity": {"kind": "hu_window", "low": -1000, "high": 3000},
        "intensity_range_hu": [-1000, 3000],
        "modality": "CT",
        "dropout": {"kind": "channel", "rate": 0.2, "sites": 1},
        "scanner": {"psf_sigma_mm": 0.2, "noise_sd_hu": 50},
        "training": {"data": "none"},
        "quality": {},
        "intended_use": "Tests.",
        "limits": ["Everything."],
        "weights_sha256": "0" * 64,
    }
    return {**card, **changes}


def make_network(name: str = "compact", **arguments: Any) -> Generator:
    """An untrained network with weights large enough for visible structure."""
    torch.manual_seed(0)
    network = build(name, **{**TOYS[name], **arguments})
    assert isinstance(network, nn.Module)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                fan_in = layer.weight[0].numel()
                layer.weight.normal_(0, 1.2 / fan_in**0.5)
        if name in ("compact", "srresnet"):
            network.last.weight.mul_(0.3)
    return network.eval().requires_grad_(False)


def make_model(name: str = "compact", **arguments: Any) -> Model:
    """An untrained model around :func:`make_network`."""
    card = make_card(name)
    card["network"] = {
        "name": name,
        "arguments": {**card["network"]["arguments"], **arguments},
    }
    card["dropout"] = {"kind": arguments.get("dropout", "channel"), "rate": 0.2}
    return Model(make_network(name, **arguments), card)


@dataclass(frozen=True)
class Inferred:
    """All planes of a box: (k, j, i) in HU, and the mean number of passes."""

    mean: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    passes_mean: float


def inferred(plan: Plan, model: Model, settings: Settings, device: torch.device) -> Inferred:
    """Run every plane of a plan."""
    planes = list(infer(plan, model, settings, device))
    return Inferred(
        np.stack([plane.mean for plane in planes]),
        np.stack([plane.uncertainty for plane in planes]),
        float(np.mean([plane.passes for plane in planes])),
    )
