"""From a run to a model package, whose card says what was trained, how and on what."""

from __future__ import annotations

import copy
from typing import Any, cast

import numpy as np
from torch import nn

from ..model import Model
from ..networks import Generator
from .config import Config
from .domains import Domains

METHODS = {"cyclegan": "CycleGAN", "unet": "U-Net", "srgan": "SRGAN"}


def make_card(config: Config, domains: Domains, step: int, seconds: float) -> dict[str, Any]:
    """The card of a run's generator, with the entries of ``config.card`` over it.

    Args:
        config: of the run.
        domains: what it learns from.
        step: steps done.
        seconds: time they took.
    """
    low, high = domains.voxel_size_low_mm, domains.voxel_size_high_mm
    unpaired = "unpaired" if config.method == "cyclegan" else "pairs made from the high domain"
    card = {
        "schema_version": 1,
        "name": f"{config.method}-{config.preset}",
        "version": "1.0.0",
        "licence": "LicenseRef-Unspecified",
        "authors": ["Unspecified"],
        "description": f"{METHODS[config.method]}, trained with MicroCTSR.",
        "network": {"name": config.network.name, "arguments": config.network.arguments},
        "scale": config.data.scale,
        "voxel_size_low_mm": list(low),
        "voxel_size_high_mm": list(high),
        "intensity": domains.intensity.to_dict(),
        "intensity_range_hu": list(domains.intensity_range_hu),
        "modality": "CT",
        "dropout": {"kind": "none", "rate": 0.0, "sites": 0},
        "scanner": _scanner(domains),
        "training": {
            "data": f"{len(domains.low)} clinical scans and {len(domains.high)} micro-CT; "
            f"{unpaired}.",
            "hours": round(seconds / 3600, 3),
            "steps": step,
            "losses": {"method": config.method, **config.to_dict()["losses"]},
        },
        "quality": {},
        "intended_use": "Research. Results are synthetic and not for diagnosis.",
        "limits": ["What was not in the training data is not known to the model."],
    }
    own = copy.deepcopy(config.card)
    training = {**cast(dict[str, Any], card["training"]), **own.pop("training", {})}
    return {**card, **own, "training": training}


def make_model(generator: nn.Module, card: dict[str, Any]) -> Model:
    """A model from a copy of a generator, which goes on learning."""
    network = cast(Generator, copy.deepcopy(generator).cpu())
    sites = network.dropout_channels
    kind = getattr(network, "dropout", "channel") if sites else "none"
    rate = network.dropout_rate if sites else 0.0
    return Model(network, {**card, "dropout": {"kind": kind, "rate": rate, "sites": len(sites)}})


def _scanner(domains: Domains) -> dict[str, Any]:
    """Point spread at the least and the greatest voxel size, and the scans' typical noise."""
    by_size = sorted((*domains.low, *domains.held_out_low), key=lambda case: case.scan.spacing[1])
    noise = float(np.median([case.noise * case.scan.intensity.span for case in by_size]))
    return {
        "psf_sigma_mm": [round(by_size[n].scan.psf_sigma_mm, 4) for n in (0, -1)],
        "noise_sd_hu": round(noise, 1),
    }
