"""A random network small enough to run in tests, saved as a model package."""

from __future__ import annotations

from pathlib import Path

import torch

from microctsr_core.model import Model
from microctsr_core.networks import build

ARGUMENTS = {"width": 4, "blocks": 2, "dropout_blocks": 1, "upsampling": [4, 4, 4]}


def save_tiny_model(folder: Path) -> Path:
    """Write the package; its result is the cubic interpolation with a little random texture."""
    torch.manual_seed(0)
    card = {
        "schema_version": 1,
        "name": "tiny",
        "version": "0.0.1",
        "licence": "Apache-2.0",
        "authors": ["The MicroCTSR developers"],
        "description": "Random weights for tests",
        "network": {"name": "compact", "arguments": ARGUMENTS},
        "scale": 8,
        "voxel_size_low_mm": [0.15, 0.35],
        "voxel_size_high_mm": [0.01875, 0.04375],
        "intensity": {"kind": "hu_window", "low": -1000, "high": 3000},
        "intensity_range_hu": [-1024, 3072],
        "modality": "CT",
        "dropout": {"kind": "channel", "rate": 0.2, "sites": 1},
        "scanner": {"psf_sigma_mm": 0.15, "noise_sd_hu": 40},
        "training": {"data": "none"},
        "quality": {},
        "intended_use": "tests",
        "limits": "everything else",
        "weights_sha256": "0" * 64,
    }
    Model(build("compact", **ARGUMENTS), card).save(folder)
    return folder
