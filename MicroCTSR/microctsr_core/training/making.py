"""What is common to the making of a case in both domains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..phantom import ClinicalScanner
from ..preparation import HUWindow, Intensity, ZScoreUnit
from ..volume import Triple, Volume
from .calibration import Calibration, sample
from .cases import DataSettings

Case = TypeVar("Case")

_TISSUE_HU = -400.0
_WINDOW = 6
_QUANTILES = (np.arange(512) + 0.5) / 512


@dataclass(frozen=True)
class Made(Generic[Case]):
    """A case, and what was noted of it when it was made.

    Args:
        case: the case.
        notes: what the user should know, in plain sentences.
        quantiles: of its values in HU, 512 evenly spaced: they stand for the case when classes
            are looked for in a whole domain.
        range_hu: of all but the last thousandth of its values at both ends.
        slices: how many clinical slices it has.
    """

    case: Case
    notes: list[str]
    quantiles: list[float]
    range_hu: tuple[float, float]
    slices: int

    @classmethod
    def of(cls, case: Case, record: dict[str, Any]) -> Made[Case]:
        """A case and the record that was kept with it."""
        least, greatest = record["range_hu"]
        return cls(case, record["notes"], record["quantiles"], (least, greatest), record["slices"])


def facts(array: Path, spacing: Triple, intensity: Intensity, slices: int) -> dict[str, Any]:
    """The record of a case whose array has been written."""
    values = intensity.inverse(sample(np.load(array, mmap_mode="r")))
    least, greatest = np.quantile(values, (0.001, 0.999))
    return {
        "spacing": spacing,
        "intensity": intensity.to_dict(),
        "slices": slices,
        "range_hu": (round(float(least)), round(float(greatest))),
        "quantiles": np.quantile(values, _QUANTILES).astype(float).tolist(),
        "notes": [],
    }


def noise_sd(array: NDArray, intensity: Intensity) -> float:
    """Noise of a scan in scaled units: the SD in the quietest quarter of its windows, without air.

    Windows are 6 x 6 pixels of the middle slices, which are read one at a time.

    Args:
        array: scaled scan (k, j, i).
        intensity: what scaled it.
    """
    air = float(intensity.forward(_TISSUE_HU))
    edge = min(_WINDOW, *array.shape[1:])
    rows, columns = (length // edge for length in array.shape[1:])
    first = len(array) // 4
    means, spreads = [], []
    for plane in array[first : max(len(array) * 3 // 4, first + 1)]:
        windows = np.asarray(plane[: rows * edge, : columns * edge], np.float32)
        windows = windows.reshape(rows, edge, columns, edge)
        means.append(windows.mean((1, 3)).ravel())
        spreads.append(windows.std((1, 3)).ravel())
    mean, spread = np.concatenate(means), np.concatenate(spreads)
    tissue = spread[mean > air]
    quietest = np.sort(tissue if tissue.size else spread)
    return float(np.median(quietest[: max(1, quietest.size // 4)]))


def triple(values: Any) -> Triple:
    """Three numbers (k, j, i) of a record."""
    k, j, i = values
    return (k, j, i)


def psf_range_mm(settings: DataSettings, spacing_mm: float) -> tuple[float, float]:
    """Standard deviations of the point spread of clinical scanners with voxels of this size."""
    if settings.psf_sigma_mm is not None:
        return settings.psf_sigma_mm
    return ClinicalScanner.psf_range_mm(spacing_mm)


def fitted(settings: DataSettings, volume: Volume, calibration: Calibration) -> Intensity:
    """The scaling of one case, fitted to its whole scan and expressed in HU."""
    if settings.intensity == "hu_window":
        return HUWindow(*settings.window_hu)
    grey = ZScoreUnit.fit(volume.array)
    mean, sd = grey.mean or 0.0, grey.sd or 1.0
    return replace(
        grey, mean=calibration.offset + calibration.gain * mean, sd=calibration.gain * sd
    )
