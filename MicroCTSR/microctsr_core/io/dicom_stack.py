"""Do these slices make a regular stack? Positions in, spacing out, or the reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError

# Headers round cosines and positions, so equal is never exact.
_SAME_COSINE = 1e-4
_SAME_SPACING_MM = 1e-4
_SAME_POSITION_MM = 1e-3
# Scanners round positions to 0.1 mm at worst; a missing slice changes a step by its full length.
_UNEVEN_STEP = 0.25
# Part of a pixel by which slices may lie beside the line of the first and the last one's normal.
_SIDEWAYS_PIXELS = 0.1


@dataclass(frozen=True)
class Slice:
    """Where one slice lies: LPS mm, as in DICOM."""

    path: Path
    position: NDArray[np.float64]  # centre of the first pixel
    row: NDArray[np.float64]  # unit vector along a row, towards greater i
    column: NDArray[np.float64]  # unit vector along a column, towards greater j
    grid: tuple[int, int]  # pixels (j, i)
    spacing: tuple[float, float]  # mm (j, i)

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector from slice to slice: row x column."""
        normal = np.cross(self.row, self.column)
        length = np.linalg.norm(normal)
        return normal / length if length else normal


def sorted_along_normal(folder: Path, slices: Sequence[Slice]) -> list[Slice]:
    """Order slices by their position along the common normal.

    Raises:
        ReadError: there is one slice only, or two differ in orientation, size or pixel spacing.
    """
    first = slices[0]
    if len(slices) == 1:
        raise ReadError(f"{folder} holds a single slice ({first.path.name}); give a whole series.")
    for other in slices[1:]:
        difference = _difference(first, other)
        if difference:
            raise ReadError(
                f"{other.path} differs from {first.path.name} in {difference}; "
                f"keep in the folder only the slices of one stack."
            )
    return sorted(slices, key=lambda item: float(item.position @ first.normal))


def slice_spacing(
    folder: Path, slices: Sequence[Slice]
) -> tuple[tuple[float, float, float], NDArray[np.float64]]:
    """Spacing (k, j, i) in mm and 3x3 direction (columns i, j, k) of sorted slices.

    Raises:
        ReadError: slices are doubled, missing, or shifted sideways by a tilted gantry.
    """
    first = slices[0]
    offsets = np.array([item.position - first.position for item in slices])
    along = offsets @ first.normal
    steps = np.diff(along)
    if steps.min() < _SAME_POSITION_MM:
        number = int(steps.argmin())
        raise ReadError(
            f"{slices[number].path} and {slices[number + 1].path.name} lie at the same place; "
            f"keep only one acquisition of the series in the folder."
        )
    _check_steps(slices, steps)
    _check_sideways(folder, slices, offsets, along)
    spacing_mm = (float(along[-1]) / len(steps), *first.spacing)
    row = first.row / np.linalg.norm(first.row)
    # Rounded cosines are not quite at right angles; the row is kept and the column set right.
    column = np.cross(first.normal, row)
    return spacing_mm, np.column_stack([row, column, first.normal])


def _difference(one: Slice, other: Slice) -> str:
    if one.grid != other.grid:
        return "image size"
    if not np.allclose(one.spacing, other.spacing, rtol=0, atol=_SAME_SPACING_MM):
        return "pixel spacing"
    cosines = np.concatenate([one.row - other.row, one.column - other.column])
    return "orientation" if np.abs(cosines).max() > _SAME_COSINE else ""


def _check_steps(slices: Sequence[Slice], steps: NDArray[np.float64]) -> None:
    usual = np.sort(steps)[(len(steps) - 1) // 2]
    uneven = np.flatnonzero(np.abs(steps - usual) > _UNEVEN_STEP * usual)
    if not uneven.size:
        return
    number = int(uneven[0])
    missing = int(sum(round(steps[n] / usual) - 1 for n in uneven if steps[n] > usual))
    what = "the slices are unevenly spaced"
    if missing > 0:
        what = "1 slice is missing" if missing == 1 else f"{missing} slices are missing"
    raise ReadError(
        f"{slices[number].path} and {slices[number + 1].path.name} are {steps[number]:.3g} mm "
        f"apart where {usual:.3g} mm is usual: {what}; "
        f"export the whole series again."
    )


def _check_sideways(
    folder: Path,
    slices: Sequence[Slice],
    offsets: NDArray[np.float64],
    along: NDArray[np.float64],
) -> None:
    """Refuse stacks that are sheared: a voxel grid with right angles would misplace their ends."""
    first = slices[0]
    sideways = offsets - np.outer(along, first.normal)
    distance = np.linalg.norm(sideways, axis=1)
    if distance.max() <= _SIDEWAYS_PIXELS * min(first.spacing):
        return
    drift = float(np.degrees(np.arctan2(distance[-1], along[-1])))
    straight = np.outer(along / along[-1], sideways[-1])
    jitter = np.linalg.norm(sideways - straight, axis=1)
    if jitter.max() > _SIDEWAYS_PIXELS * min(first.spacing):
        worst = int(jitter.argmax())
        raise ReadError(
            f"{slices[worst].path} lies {jitter[worst]:.2g} mm beside its neighbours; "
            f"keep in the folder only the slices of one stack."
        )
    raise ReadError(
        f"{folder} was scanned with a tilted gantry (the slices drift sideways by "
        f"{drift:.1f} degrees); load it in 3D Slicer with acquisition geometry regularisation "
        f"switched on, harden the transform, and give the saved NRRD."
    )
