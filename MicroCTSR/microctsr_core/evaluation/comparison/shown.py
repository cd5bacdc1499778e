"""What a figure of slices shows: which case, which slice of it, and where to look closer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ...errors import MicroCTSRError
from ...preparation import in_plane_mm
from ...preview.planes import View, interpolate_cubic, most_structured_slice
from ...volume import Volume
from .study import FigureEntries

Zoom: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
"""Ranges of rows and columns."""

INPUT = "input"
TRUTH = "truth"

_ZOOMED = 0.3  # of each edge of the slice


@dataclass(frozen=True, eq=False)
class Shown:
    """One slice of one case by every method, laid out as radiologists see it.

    Args:
        case: its name.
        why: why this one, as a part of a sentence.
        slice: its number, counted from 1, of `slices`.
        pixel_mm: edge of a pixel.
        window: HU shown black and white.
        planes: (j, i) in HU by column: the input by cubic interpolation, the methods, the truth.
        uncertainty: of those methods that have one.
        zoom: part of the slice to look at closer, in rows and columns of the planes.
    """

    case: str
    why: str
    slice: int
    slices: int
    pixel_mm: float
    window: tuple[float, float]
    planes: dict[str, NDArray]
    uncertainty: dict[str, NDArray]
    zoom: Zoom


def shown(
    case: str,
    why: str,
    low: Volume,
    means: dict[str, Volume],
    uncertainties: dict[str, Volume],
    truth: Volume | None,
    entries: FigureEntries,
    cubic: str | None,
) -> Shown:
    """Cut the slice of a figure out of the images of a case.

    Args:
        case, why: of the figure's caption.
        low: the scan.
        means: by method, in the order of the columns, all on one grid.
        uncertainties: by method.
        truth: on the same grid.
        entries: what the study says about the figure.
        cubic: name of the method that is cubic interpolation; it stands for the input.
    """
    grid = next(iter(means.values()))
    guide = grid if truth is None else truth
    k = most_structured_slice(guide) if entries.slice is None else entries.slice
    zoom = _read_zoom(entries.zoom, case, grid) if entries.zoom else most_structured(guide.array[k])
    view = View.of(grid)
    columns = {} if cubic else {INPUT: interpolate_cubic(low, grid, k)}
    if cubic:
        columns[cubic] = means[cubic].array[k]
    columns |= {name: volume.array[k] for name, volume in means.items() if name != cubic}
    if truth is not None:
        columns[TRUTH] = truth.array[k]
    return Shown(
        case=case,
        why=why,
        slice=k + 1,
        slices=grid.shape[0],
        pixel_mm=in_plane_mm(grid.spacing),
        window=entries.window,
        planes={name: view.lay(plane) for name, plane in columns.items()},
        uncertainty={name: view.lay(volume.array[k]) for name, volume in uncertainties.items()},
        zoom=_laid(zoom, grid, view),
    )


def check_figure(entries: FigureEntries, case: str, grid: Volume) -> None:
    """Make sure that the slice and the zoom that a study names lie within the images of a case.

    Raises:
        MicroCTSRError: one does not.
    """
    if entries.slice is not None and entries.slice >= grid.shape[0]:
        raise MicroCTSRError(
            f"figure.slice is {entries.slice}, but the images of {case} have {grid.shape[0]} "
            f"slices, counted from 0; name one of them."
        )
    if entries.zoom is not None:
        _read_zoom(entries.zoom, case, grid)


def most_structured(plane: NDArray) -> Zoom:
    """The part of a slice (j, i) with the most walls, the middle preferred.

    Gradients are cut off at a tenth of the greatest, so that a wall between air and bone does not
    weigh more than one between fluid and bone. The middle weighs more because people draw boxes
    around what they want to see.
    """
    height, width = (max(1, round(_ZOOMED * n)) for n in plane.shape)
    values = plane.astype(np.float64)
    gradient = np.hypot(ndimage.sobel(values, 0), ndimage.sobel(values, 1))
    walls = np.minimum(gradient, gradient.max() / 10)
    mean = ndimage.uniform_filter(walls, (height, width), mode="constant")
    mean *= np.outer(*(np.hanning(n + 2)[1:-1] for n in plane.shape)) ** 0.25
    rows, columns = plane.shape[0] - height + 1, plane.shape[1] - width + 1
    # A window of n pixels around pixel p begins at p - n // 2.
    inside = mean[height // 2 :, width // 2 :][:rows, :columns]
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return (int(row), int(row) + height), (int(column), int(column) + width)


def _read_zoom(text: str, case: str, grid: Volume) -> Zoom:
    found = re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*", text)
    if not found:
        raise MicroCTSRError(
            f"figure.zoom is {text!r}; write it as j0:j1,i0:i1 in pixels of the images, for "
            f"example 100:200,120:220."
        )
    j0, j1, i0, i1 = (int(part) for part in found.groups())
    if not (j0 < j1 <= grid.shape[1] and i0 < i1 <= grid.shape[2]):
        raise MicroCTSRError(
            f"figure.zoom is {text}, which is no part of the images of {case}; they have "
            f"{grid.shape[1]} x {grid.shape[2]} pixels (j, i)."
        )
    return (j0, j1), (i0, i1)


def _laid(zoom: Zoom, grid: Volume, view: View) -> Zoom:
    """The same part of the slice once it is laid on the page."""
    (j0, j1), (i0, i1) = zoom
    _, rows, columns = grid.shape
    if view.flip_rows:
        j0, j1 = rows - j1, rows - j0
    if view.flip_columns:
        i0, i1 = columns - i1, columns - i0
    return (j0, j1), (i0, i1)
