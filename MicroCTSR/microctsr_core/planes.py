"""From a scan to the stacks of planes that a network reads, one output plane at a time.

Only the slices that an output plane needs are read, scaled and interpolated, when it is its turn.
What lies around a box is read from the scan, so a voxel's result does not depend on the box drawn
around it; nor does a plane's on the planes that were made before it, bit for bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .model import Model
from .preparation import (
    Intensity,
    apply_weights,
    cubic_weights,
    in_plane_mm,
    refined_positions,
)
from .tiles import Region, edge_padded, inside
from .volume import Box, Volume


class PlaneStacks:
    """The network's input for each output plane of a box.

    Output plane n lies at the centre of the n-th fine slice of the box. The network's planes lie
    around it, one pixel of its input grid apart, cubically interpolated from the scan's slices;
    beyond the first and last slice, these go on. A network that works on the high grid gets the
    planes interpolated in the plane as well.

    Args:
        ct: the whole scan.
        model: tells how many planes are read, and on which grid.
        intensity: scaling fitted to the whole scan.
        box: voxels of the scan for which planes are wanted.
        slices: fine slices per slice of the scan.
        region: rows and columns to return, in pixels of the network's input grid counted from
            the scan's first; beyond the scan its edge pixels are repeated.
    """

    def __init__(
        self,
        ct: Volume,
        model: Model,
        intensity: Intensity,
        box: Box,
        slices: int,
        region: Region,
    ) -> None:
        refinement = input_refinement(model)
        half = model.network.in_slices // 2
        distance = in_plane_mm(ct.spacing) / refinement / ct.spacing[0]
        centres = refined_positions(*box[0], slices)
        self._positions = centres[:, None] + distance * np.arange(-half, half + 1)
        self.count = len(centres)
        self._ct, self._intensity = ct, intensity
        self._region = region
        _, rows, columns = (refinement * length for length in ct.shape)
        self._have = inside(region, (rows, columns))
        in_plane = [
            cubic_weights(_input_positions(wanted, refinement), length)
            for wanted, length in zip(self._have, ct.shape[1:], strict=True)
        ]
        self._in_plane = [matrix for matrix, _ in in_plane] if refinement > 1 else []
        self._rows, self._columns = (slice(*used) for _, used in in_plane)
        self._slices: dict[int, NDArray[np.float32]] = {}

    def stack(self, number: int) -> NDArray[np.float32]:
        """The planes around output plane ``number``, shape (in_slices, rows, columns)."""
        weights, (first, last) = cubic_weights(self._positions[number], self._ct.shape[0])
        stack = apply_weights(self._scaled(first, last), weights, axis=0)
        for axis, matrix in enumerate(self._in_plane, start=1):
            stack = apply_weights(stack, matrix, axis)
        return edge_padded(stack, self._have, self._region)

    def _scaled(self, first: int, last: int) -> NDArray[np.float32]:
        """Slices first to last - 1 of the scan; the next plane needs most of them again."""
        kept = self._slices
        self._slices = {
            k: kept[k]
            if k in kept
            else self._intensity.forward(self._ct.array[k, self._rows, self._columns])
            for k in range(first, last)
        }
        return np.stack(list(self._slices.values()))


def input_refinement(model: Model) -> int:
    """Pixels of the network's input per pixel of the scan: 1, or the scale on the high grid."""
    return model.scale // model.network.scale


def _input_positions(wanted: tuple[int, int], refinement: int) -> NDArray[np.float64]:
    """Where pixels of the network's input grid lie, in pixels of the scan."""
    return (np.arange(*wanted) + 0.5) / refinement - 0.5
