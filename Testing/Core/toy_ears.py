"""Small ears of both domains: clinical scans in HU, and micro-CT in grey values of its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from microctsr_core import Volume, write_volume
from microctsr_core.training.domains import DataSettings, Domains, prepare

LOW_MM = (0.4, 0.2, 0.2)
FINE_MM = 0.025
GAIN, OFFSET = 8.0, 14000.0
AIR, FLUID, BONE = -1000, 20, 1500


def ear(seed: int, shape: tuple[int, int, int], size: float) -> np.ndarray:
    """Blobs of air, fluid and bone, in HU, with some noise."""
    g = np.random.default_rng(seed)
    field = gaussian_filter(g.standard_normal(shape), size, mode="wrap")
    ranks = np.digitize(field, np.quantile(field, (0.25, 0.5)))
    return np.array([AIR, FLUID, BONE])[ranks] + g.normal(0, 10, shape)


def low_scan(seed: int = 0, shape: tuple[int, int, int] = (6, 20, 24)) -> Volume:
    return Volume(ear(seed, shape, 1.5).astype(np.int16), LOW_MM)


def micro_grey(seed: int = 0, shape: tuple[int, int, int] = (24, 48, 56)) -> np.ndarray:
    return np.rint(OFFSET + GAIN * ear(seed, shape, 6)).astype(np.uint16)


def high_scan(seed: int = 0, shape: tuple[int, int, int] = (24, 48, 56)) -> Volume:
    return Volume(micro_grey(seed, shape), (FINE_MM,) * 3)


def write_folders(place: Path) -> tuple[Path, Path]:
    """Write three clinical scans and three micro-CT, in a folder each."""
    for name, make in (("low", low_scan), ("high", high_scan)):
        (place / name).mkdir()
        for seed in range(3):
            write_volume(make(seed), place / name / f"ear_{seed}.nrrd")
    return place / "low", place / "high"


def prepared(folders: tuple[Path, Path], **settings: object) -> Domains:
    return prepare(*folders, folders[0].parent / "cache", DataSettings(**settings), 0)
