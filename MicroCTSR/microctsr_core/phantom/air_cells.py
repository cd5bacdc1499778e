"""The air cells of the mastoid, which grow out of the antrum."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial import cKDTree

from .shapes import Field, Noise

ANTRUM_MM = np.array([-7.5, 2.5, 4.4], np.float32)
"""Where the air cells begin, in the ear's frame."""

# Cells are small around the antrum, and longer and larger away from it, over this length.
_GROWTH_MM = 8.0


class AirCells:
    """The cells of one ear: where they are, and which of them are open or filled with fluid.

    pneumatised_mm : how far they reach medially, near the antrum. wall_mm : half the thickness of
    the walls between them. opaque_share : share of the cells that holds fluid. centres : the places
    of all cells in the ear's frame, open or not.
    """

    def __init__(
        self,
        generator: np.random.Generator,
        noise: Noise,
        pneumatised_mm: float,
        wall_mm: float,
        opaque_share: float,
    ) -> None:
        g = generator
        self._noise, self._wall_mm = noise, wall_mm
        folded = _lattice(g, pitch_mm=g.uniform(0.9, 1.7))
        self._tree = cKDTree(folded)
        self.centres = _unfolded(folded)
        # Whole cells are there or not, so the border of pneumatisation is as uneven as they are.
        place = self.centres.astype(np.float32)
        front = place[:, 0] - pneumatised_mm - 0.25 * (place[:, 1] - 3)
        front += 2.5 * noise(place, 9.0, 11) + g.normal(0, 0.8, len(place))
        self._is_open = front < 0
        self._is_opaque = g.random(len(place)) < opaque_share

    def distances(self, points: Field, walled: Field) -> tuple[Field, Field]:
        """Distances to air cells and to those filled with fluid, all within `walled`."""
        cells, opaque = walled.astype(np.float32), walled.astype(np.float32)
        near = walled < 0.5  # elsewhere there is no cell to look for
        points, walled, n = points[near], walled[near], self._noise
        bent = points + 0.2 * np.stack([n(points, 1.3, c) for c in (12, 13, 14)], -1)
        folded, scale = _folded(bent)
        distances, nearest = self._tree.query(folded, k=2, workers=torch.get_num_threads())
        wall = self._wall_mm * (1 + 0.6 * n(points, 3.0, 15)).clip(0.35, 3)
        inside = wall - (distances[..., 1] - distances[..., 0]) / (2 * scale)
        closed = np.abs(inside - wall) + wall
        index = nearest[..., 0]
        air = np.where(self._is_open[index], inside, closed)
        filled = np.where(self._is_opaque[index], air, closed)
        cells[near], opaque[near] = np.maximum(air, walled), np.maximum(filled, walled)
        return cells, opaque


def _lattice(g: np.random.Generator, pitch_mm: float) -> Field:
    """Folded centres of the cells: a jittered, thinned lattice, so that sizes differ."""
    steps = np.arange(-13.5, 13.5, pitch_mm)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(-1, 3)
    lattice = lattice[g.random(len(lattice)) < 0.7]
    return np.asarray(lattice + g.uniform(-0.5, 0.5, lattice.shape) * pitch_mm)


def _folded(points: Field) -> tuple[Field, Field]:
    """Points where all cells have one size, and how many mm one mm is there."""
    offset = points - ANTRUM_MM
    distance = np.sqrt(np.einsum("...c,...c", offset, offset)) + np.float32(1e-3)
    ratio = _GROWTH_MM * np.log1p(distance / _GROWTH_MM) / distance
    # Between the scales along the ray and across it.
    scale = 0.5 * (ratio + 1 / (1 + distance / _GROWTH_MM))
    return (offset * ratio[..., None]).astype(np.float32), scale.astype(np.float32)


def _unfolded(folded: Field) -> Field:
    """The points that `_folded` brings to `folded`."""
    distance = np.linalg.norm(folded, axis=-1, keepdims=True) + 1e-6
    grown = _GROWTH_MM * np.expm1(distance / _GROWTH_MM)
    return np.asarray(folded * (grown / distance) + ANTRUM_MM)
