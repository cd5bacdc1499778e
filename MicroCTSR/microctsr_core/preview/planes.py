"""What a picture shows: the slices, how they lie on the page, and the ranges of their colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from ..preparation import apply_weights, cubic_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..superresolution import Result
    from ..volume import Volume

_LETTERS = (("R", "L"), ("A", "P"), ("I", "S"))  # (towards -, towards +) along LPS x, y, z
_SECOND_LETTER = 0.4  # an edge gets a second letter when it points this much along a second axis


def most_structured_slice(volume: Volume) -> int:
    """Index k of the slice with the highest mean squared in-plane gradient, centre preferred.

    The centre weighs more because people draw boxes around what they want to see.
    """
    _, height, width = volume.shape
    step = 1 + max(height, width) // 1024  # a coarse look finds it as well, in seconds
    height, width = len(range(0, height, step)), len(range(0, width, step))
    weight = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    energies = []
    for plane in volume.array:
        plane = np.asarray(plane[::step, ::step], dtype=np.float32)
        along_j, along_i = ndimage.sobel(plane, axis=0), ndimage.sobel(plane, axis=1)
        energies.append(float(np.mean(weight * (along_j**2 + along_i**2))))
    return int(np.argmax(energies))


def interpolate_cubic(ct: Volume, grid: Volume, k: int) -> NDArray[np.float32]:
    """Slice ``k`` of ``grid`` filled from ``ct`` by cubic splines, shape (j, i).

    ``grid`` may be finer than the scan and cover any part of it, but its axes are the scan's.
    """
    between = np.linalg.inv(ct.ijk_to_lps) @ grid.ijk_to_lps
    steps, starts = np.diag(between)[2::-1], between[2::-1, 3]  # from (i, j, k) to (k, j, i)
    _, height, width = grid.shape
    part: NDArray[np.float32] = ct.array  # of which only the slices needed are read
    for axis, indices in enumerate((np.array([k]), np.arange(height), np.arange(width))):
        positions = starts[axis] + steps[axis] * indices
        weights, (start, stop) = cubic_weights(positions, ct.shape[axis])
        read = [slice(None)] * 3
        read[axis] = slice(start, stop)
        part = apply_weights(part[tuple(read)].astype(np.float32), weights, axis)
    return part[0]


def orientation_letters(vector_lps: Sequence[float] | NDArray[Any]) -> str:
    """Where a direction points in the patient: ``"L"``, or ``"LA"`` when it is oblique."""
    vector = np.asarray(vector_lps, dtype=float)
    vector = vector / np.linalg.norm(vector)
    strongest = np.argsort(-np.abs(vector))[:2]
    shown = [strongest[0]] + [a for a in strongest[1:] if abs(vector[a]) > _SECOND_LETTER]
    return "".join(_LETTERS[axis][int(vector[axis] > 0)] for axis in shown)


@dataclass(frozen=True)
class View:
    """How a slice lies on the page: extent in mm, mirrored axes, letters at its edges."""

    width_mm: float
    height_mm: float
    flip_rows: bool
    flip_columns: bool
    right: str
    left: str
    top: str
    bottom: str

    @classmethod
    def of(cls, volume: Volume) -> View:
        along_i, along_j = np.array(volume.direction[:, 0]), np.array(volume.direction[:, 1])
        # The radiologist's convention: patient left (or posterior) on the right of the page,
        # posterior (or inferior) at its bottom, whichever way the file stores them.
        flip_columns = _points_against(along_i, (+1, +1, -1))
        flip_rows = _points_against(along_j, (+1, +1, -1))
        right = -along_i if flip_columns else along_i
        down = -along_j if flip_rows else along_j
        _, height_mm, width_mm = volume.size_mm
        return cls(
            width_mm=float(width_mm),
            height_mm=float(height_mm),
            flip_rows=flip_rows,
            flip_columns=flip_columns,
            right=orientation_letters(right),
            left=orientation_letters(-right),
            top=orientation_letters(-down),
            bottom=orientation_letters(down),
        )

    def lay(self, plane: NDArray[Any]) -> NDArray[Any]:
        rows = slice(None, None, -1 if self.flip_rows else 1)
        columns = slice(None, None, -1 if self.flip_columns else 1)
        return plane[rows, columns]


def _points_against(vector: NDArray[Any], wanted: tuple[int, int, int]) -> bool:
    axis = int(np.argmax(np.abs(vector)))
    return bool(vector[axis] * wanted[axis] < 0)


@dataclass(frozen=True)
class Planes:
    """The four images of one row, laid out as the reader sees them."""

    number: int
    cubic: NDArray[Any]
    mean: NDArray[Any]
    uncertainty: NDArray[Any]
    consistency: NDArray[Any]

    @classmethod
    def cut(cls, ct: Volume, result: Result, k: int, view: View) -> Planes:
        if not 0 <= k < result.mean.shape[0]:
            raise IndexError(f"slice {k} is outside the result's {result.mean.shape[0]} slices")
        consistency = result.consistency
        nearest = np.linalg.inv(consistency.ijk_to_lps) @ result.mean.ijk_to_lps @ (0, 0, k, 1)
        k_low = int(np.clip(round(nearest[2]), 0, consistency.shape[0] - 1))
        return cls(
            number=k,
            cubic=view.lay(interpolate_cubic(ct, result.mean, k)),
            mean=view.lay(result.mean.array[k]),
            uncertainty=view.lay(result.uncertainty.array[k]),
            consistency=view.lay(consistency.array[k_low]),
        )


@dataclass(frozen=True)
class Scales:
    """Value ranges shared by all rows, so that rows compare."""

    low_hu: float
    high_hu: float
    uncertainty_hu: float
    consistency_hu: float

    @classmethod
    def of(cls, planes: list[Planes], result: Result, noise_sd_hu: float | None) -> Scales:
        grey = np.concatenate([p.mean.ravel() for p in planes] + [p.cubic.ravel() for p in planes])
        low, high = np.percentile(grey, (0.3, 99.7))
        uncertainty = np.percentile(np.concatenate([p.uncertainty.ravel() for p in planes]), 99.5)
        if noise_sd_hu is None:
            departure = np.asarray(result.consistency.array, dtype=np.float64)
            noise_sd_hu = float(1.4826 * np.median(np.abs(departure - np.median(departure))))
        return cls(
            low_hu=float(low),
            high_hu=float(max(high, low + 1e-3)),
            uncertainty_hu=max(float(uncertainty), 1e-3),
            consistency_hu=max(3 * noise_sd_hu, 1e-3),
        )


def round_length(longest_mm: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is no longer than ``longest_mm``."""
    power = 10.0 ** math.floor(math.log10(longest_mm))
    return max(step * power for step in (1, 2, 5) if step * power <= longest_mm * (1 + 1e-9))
