"""Signed distances (mm, negative inside) and random fields from which the ear is built.

Points are float32 arrays (..., 3) of (x, y, z) in the ear's own frame: x medial, y posterior,
z superior, millimetres.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn import functional

Field = NDArray[np.float32]


def unit(vector: ArrayLike) -> NDArray[np.float64]:
    """A direction as a vector of length 1."""
    vector = np.asarray(vector, float)
    return np.asarray(vector / np.linalg.norm(vector))


def _length(vectors: Field) -> Field:
    return np.sqrt(np.einsum("...c,...c", vectors, vectors))


def ellipsoid(points: Field, centre: ArrayLike, semi_axes: ArrayLike) -> Field:
    """First-order distance to an ellipsoid: exact on the surface, good near it."""
    axes = np.asarray(semi_axes, np.float32)
    scaled: Field = (points - np.asarray(centre, np.float32)) / axes
    radius = _length(scaled) + 1e-6
    slope = _length(scaled / axes) / radius + 1e-6
    return ((radius - 1) / slope).astype(np.float32)


def capsule(points: Field, start: ArrayLike, end: ArrayLike, radius: ArrayLike) -> Field:
    """Distance to a rod with round ends; `radius` is one number or (at start, at end)."""
    start = np.asarray(start, np.float32)
    along = np.asarray(end, np.float32) - start
    t = np.clip(((points - start) @ along) / max(float(along @ along), 1e-6), 0, 1)
    first, last = np.broadcast_to(np.asarray(radius, np.float32), (2,))
    distance = _length(points - start - t[..., None] * along)
    return (distance - (first + (last - first) * t)).astype(np.float32)


def tube(points: Field, path: NDArray[np.floating], radius: float) -> Field:
    """Distance to a tube of constant radius around a polyline (n, 3)."""
    distance = capsule(points, path[0], path[1], radius)
    for start, end in pairwise(path[1:]):
        np.minimum(distance, capsule(points, start, end, radius), out=distance)
    return distance


def torus(
    points: Field, centre: ArrayLike, normal: ArrayLike, radius: float, lumen_radius: ArrayLike
) -> Field:
    """Distance to a ring of mean radius `radius` around `normal` with a round lumen."""
    normal = np.asarray(normal, np.float32) / np.linalg.norm(normal)
    offset = points - np.asarray(centre, np.float32)
    height = offset @ normal.astype(np.float32)
    in_plane = np.sqrt(np.maximum(np.einsum("...c,...c", offset, offset) - height**2, 0))
    return (np.hypot(in_plane - radius, height) - lumen_radius).astype(np.float32)


def disc(points: Field, centre: ArrayLike, normal: ArrayLike, radius: float, half: float) -> Field:
    """Distance to a flat disc of half thickness `half`."""
    normal = np.asarray(normal, np.float32) / np.linalg.norm(normal)
    offset = points - np.asarray(centre, np.float32)
    height = offset @ normal.astype(np.float32)
    in_plane = np.sqrt(np.maximum(np.einsum("...c,...c", offset, offset) - height**2, 0))
    return np.maximum(np.abs(height) - half, in_plane - radius).astype(np.float32)


def smooth_union(first: Field, second: Field, blend_mm: float) -> Field:
    """Union whose crease is rounded over `blend_mm` (polynomial smooth minimum)."""
    mix = np.clip(0.5 + 0.5 * (second - first) / blend_mm, 0, 1)
    return (second + (first - second) * mix - blend_mm * mix * (1 - mix)).astype(np.float32)


class Noise:
    """A smooth random field of space with mean 0 and SD 1, the same for a seed wherever it is
    asked.

    One periodic Gaussian field on a lattice is read at any scale and offset, so that the
    same ear can be imaged on any grid.
    """

    _SIZE = 96
    _VOXELS_PER_WAVE = 12.0

    def __init__(self, generator: np.random.Generator) -> None:
        spectrum = np.fft.rfftn(generator.standard_normal((self._SIZE,) * 3))
        whole = np.fft.fftfreq(self._SIZE)
        squared = (
            whole[:, None, None] ** 2
            + whole[None, :, None] ** 2
            + np.fft.rfftfreq(self._SIZE)[None, None, :] ** 2
        )
        centre, width = 1 / self._VOXELS_PER_WAVE, 0.45 / self._VOXELS_PER_WAVE
        spectrum *= np.exp(-((np.sqrt(squared) - centre) ** 2) / (2 * width**2))
        field = np.fft.irfftn(spectrum, (self._SIZE,) * 3, axes=(0, 1, 2))
        field = ((field - field.mean()) / field.std()).astype(np.float32)
        # One wrapped layer, so that linear interpolation is periodic.
        self._lattice = torch.from_numpy(np.pad(field, (0, 1), mode="wrap"))[None, None]

    def __call__(self, points: Field, wavelength_mm: float, channel: int = 0) -> Field:
        """Values at `points`, features about `wavelength_mm` apart; channels are independent."""
        periods = points * np.float32(self._VOXELS_PER_WAVE / wavelength_mm / self._SIZE)
        periods += np.float32(17.3 * channel / self._SIZE)
        periods -= np.floor(periods)
        grid = torch.from_numpy(periods).mul_(2).sub_(1)
        values = functional.grid_sample(
            self._lattice, grid.reshape(1, 1, 1, -1, 3), mode="bilinear", align_corners=True
        )
        return values.reshape(points.shape[:-1]).numpy()
