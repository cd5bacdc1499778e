"""Two folders of scans become two domains to train on, prepared once and kept in a cache."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..preparation import Intensity
from .cases import DataSettings, DomainSettings, HighCase, LowCase, Scan
from .folders import Source

__all__ = [
    "DataSettings",
    "DomainSettings",
    "Domains",
    "HighCase",
    "LowCase",
    "Scan",
    "Source",
    "prepare",
]


@dataclass(frozen=True)
class Domains:
    """Clinical scans and micro-CT, apart for training and validation.

    Args:
        low, high: cases to train on.
        held_out_low, held_out_high: cases to validate with.
        intensity: scaling for the model's card; a z-score is not fitted here, but in each scan.
        notes: what the user should know, in plain sentences.
        voxel_size_low_mm, voxel_size_high_mm: least and greatest in the plane.
        intensity_range_hu: of the clinical scans.
    """

    low: tuple[LowCase, ...]
    high: tuple[HighCase, ...]
    held_out_low: tuple[LowCase, ...]
    held_out_high: tuple[HighCase, ...]
    intensity: Intensity
    notes: tuple[str, ...]
    voxel_size_low_mm: tuple[float, float]
    voxel_size_high_mm: tuple[float, float]
    intensity_range_hu: tuple[float, float]


def prepare(
    low: Path,
    high: Path,
    cache: Path,
    settings: DataSettings,
    seed: int,
    progress: Callable[[float, str], None] | None = None,
) -> Domains:
    """Find, check, scale and cache the cases of both folders."""
    raise NotImplementedError
