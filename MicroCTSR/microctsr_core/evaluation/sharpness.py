"""How sharp a result is: how steeply its walls rise, and down to which detail it is right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .fidelity import tissue

REACH_MM = 0.5
"""How far a wall is followed to either side; rises above about 0.6 mm come out too short."""

RING_CYCLES_PER_MM = 0.25
"""Width of the rings in which spectra are averaged."""

# So near to a clean wall the truth may be of neither side; or as near as a voxel, if that is more.
_WALL_MM = 0.1
# A wall is shown by an image that has at least this share of the truth's contrast across it.
_SHOWN = 0.25
# Walls of a slice that are looked at; neighbours tell the same.
_MOST_WALLS = 20_000
# Grey-value gradients are taken after this blur, in voxels, so that stairs do not turn them.
_GRADIENT_VOXELS = 2.0


@dataclass(frozen=True)
class Edges:
    """Sharpness of the walls between bone and a tissue; see `edges`."""

    rise_mm: float
    shown: float
    walls: int


@dataclass(frozen=True)
class Resolution:
    """Frequencies, in cycles per mm, up to which an image follows the truth; see `resolution`."""

    power: float
    shared: float


def edges(
    image: NDArray, truth: NDArray, spacing_mm: float, beside: Literal["air", "fluid"] = "fluid"
) -> Edges:
    """How steeply an image rises at the truth's walls between bone and air or fluid.

    A wall is a place in which the truth, along its own gradient in the slice, is that tissue for
    REACH_MM on one side and bone for as long on the other. There the image's values are taken along
    the same line. Their ends (the outermost quarter of either side) are 0 and 100 %, and the
    rise is the way from 10 to 90 % around the place where 50 % is passed nearest to the wall: so a
    wall out of place is sharp if it is steep.

    Parameters
    ----------
    image, truth : HU, (k, j, i), same shape.
    spacing_mm : in-plane voxel size.

    Returns
    -------
    The median rise, 2.563 s for a step that a Gaussian of SD s has blurred; the share of the walls
    that the image shows with a quarter of their contrast or more, which alone have a rise; and the
    number of the truth's walls. NaN where there is none.
    """
    count = int(np.ceil(2 * REACH_MM / spacing_mm))  # half a voxel apart
    offsets = np.linspace(-REACH_MM, REACH_MM, 2 * count + 1)
    wall_mm = max(_WALL_MM, spacing_mm)
    rises, walls = [], 0
    for plane, true_plane in zip(image, truth, strict=True):
        true_lines, lines = _lines(
            [true_plane, plane], _clean_candidates(true_plane), offsets / spacing_mm
        )
        low, high = tissue(true_lines, beside), tissue(true_lines, "bone")
        clean = low[:, offsets <= -wall_mm].all(1) & high[:, offsets >= wall_mm].all(1)
        walls += int(clean.sum())
        rises.append(_rises(lines[clean], true_lines[clean], offsets))
    found = np.concatenate(rises)
    if not walls:
        return Edges(float("nan"), float("nan"), 0)
    rise = float(np.median(found)) if found.size else float("nan")
    return Edges(rise, found.size / walls, walls)


def resolution(image: NDArray, truth: NDArray, spacing_mm: float) -> Resolution:
    """The frequencies at which an image's spectrum leaves the truth's.

    The two-dimensional spectra of the slices (about their means, under a Hann window) are averaged
    over all slices in rings of RING_CYCLES_PER_MM.

    Parameters
    ----------
    image, truth : HU, (k, j, i), same shape.
    spacing_mm : in-plane voxel size.

    Returns
    -------
    power : where the image's power first falls below half of the truth's or rises above twice it.
        This sees blur and noise, but not whether detail is the right one.
    shared : where the correlation of both spectra first falls below a half (Fourier ring
        correlation, Saxton & Baumeister 1982): finer detail is more wrong than right.

    Both are at most the grid's own limit, half a cycle per voxel; NaN where the truth is constant.
    """
    frequency = np.hypot(
        *np.meshgrid(*(np.fft.fftfreq(n, spacing_mm) for n in truth.shape[1:]), indexing="ij")
    )
    limit = 0.5 / spacing_mm
    # Of a small image, a narrow ring would hold few frequencies.
    width = max(RING_CYCLES_PER_MM, 2 / (min(truth.shape[1:]) * spacing_mm))
    rings = (frequency / width).astype(int)
    count = int(limit / width)  # of whole rings
    inside = rings < count
    window = np.outer(*(np.hanning(n) for n in truth.shape[1:]))
    own, true, common = np.zeros((3, count))
    for plane, true_plane in zip(image, truth, strict=True):
        f, t = (np.fft.fft2((p - p.mean()) * window) for p in (plane, true_plane))
        for total, value in (
            (own, np.abs(f) ** 2),
            (true, np.abs(t) ** 2),
            (common, (f * t.conj()).real),
        ):
            total += np.bincount(rings[inside], value[inside], count)
    if not true.any():
        return Resolution(float("nan"), float("nan"))
    centres = np.bincount(rings[inside], frequency[inside]) / np.bincount(rings[inside])
    least = np.finfo(float).tiny
    doublings = np.abs(np.log2(np.maximum(own, least) / np.maximum(true, least)))
    correlation = common / np.maximum(np.sqrt(own * true), least)
    return Resolution(
        power=_first_above(doublings, 1.0, centres, limit),
        shared=_first_above(-correlation, -0.5, centres, limit),
    )


def _clean_candidates(plane: NDArray) -> tuple[NDArray, NDArray]:
    """Border voxels of bone in a slice of the truth, (n, 2), and the unit gradients there."""
    bone = tissue(plane, "bone")
    border = bone & ~ndimage.binary_erosion(bone, border_value=1)
    places = np.argwhere(border)
    places = places[:: max(1, -(-len(places) // _MOST_WALLS))]
    gradient = np.stack(
        [
            ndimage.gaussian_filter(plane.astype(np.float32), _GRADIENT_VOXELS, order)
            for order in ((1, 0), (0, 1))
        ],
        axis=-1,
    )[tuple(places.T)]
    length = np.linalg.norm(gradient, axis=1, keepdims=True)
    return places, gradient / np.where(length > 0, length, 1)


def _lines(
    planes: list[NDArray], candidates: tuple[NDArray, NDArray], offsets: NDArray
) -> list[NDArray]:
    """Values of each plane along lines that lie wholly inside it: (lines, offsets in voxels)."""
    places, directions = candidates
    reach = np.abs(offsets).max() * np.abs(directions)
    shape = np.array(planes[0].shape)
    inside = ((places - reach >= 0) & (places + reach <= shape - 1)).all(1)
    points = places[inside, None] + offsets[None, :, None] * directions[inside, None]
    where = np.moveaxis(points, -1, 0)
    return [ndimage.map_coordinates(p.astype(np.float32), where, order=1) for p in planes]


def _rises(lines: NDArray, true_lines: NDArray, offsets: NDArray) -> NDArray[np.float64]:
    """The 10 to 90 % rise in mm of each line that shows its wall."""
    ends = [offsets <= -0.75 * REACH_MM, offsets >= 0.75 * REACH_MM]
    low, high = (lines[:, end].mean(1) for end in ends)
    true_low, true_high = (true_lines[:, end].mean(1) for end in ends)
    shown = high - low >= _SHOWN * (true_high - true_low)
    low, high, lines = low[shown], high[shown], lines[shown]
    share = (lines - low[:, None]) / (high - low)[:, None]
    crossing = (share[:, :-1] < 0.5) & (share[:, 1:] >= 0.5)
    middles = np.abs(offsets[:-1] + offsets[1:])
    middle = np.where(crossing, middles, np.inf).argmin(1)
    # The rise begins where 10 % is passed last before the middle, and ends where 90 % is first.
    beginning = _passed(share[:, ::-1], 0.1, len(offsets) - 2 - middle, offsets[::-1], falling=True)
    end = _passed(share, 0.9, middle, offsets, falling=False)
    return end - beginning


def _passed(
    share: NDArray, level: float, start: NDArray, offsets: NDArray, falling: bool
) -> NDArray[np.float64]:
    """The offset at which each line first passes a level, from a place on; else its end."""
    beyond = (share < level) if falling else (share > level)
    beyond &= np.arange(share.shape[1]) > start[:, None]
    reached = beyond.any(1)
    first = np.where(reached, beyond.argmax(1), share.shape[1] - 1)
    rows = np.arange(len(share))
    after, before = share[rows, first], share[rows, first - 1]
    change = np.where(after == before, 1, after - before)
    part = np.clip((level - before) / change, 0, 1)
    answer = offsets[first - 1] + part * (offsets[first] - offsets[first - 1])
    return np.where(reached, answer, offsets[-1])


def _first_above(values: NDArray, level: float, frequencies: NDArray, limit: float) -> float:
    """The frequency at which values first pass a level, between rings; the limit if none does."""
    above = values > level
    if not above.any():
        return float(limit)
    n = int(above.argmax())
    if n == 0:
        return float(frequencies[0])
    return float(np.interp(level, values[n - 1 : n + 1], frequencies[n - 1 : n + 1]))
