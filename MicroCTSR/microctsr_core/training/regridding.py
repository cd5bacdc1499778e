"""A volume on a grid of another voxel size and in other units, made slab by slab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from ..preparation import apply_weights, cubic_weights
from ..volume import Box, Triple, Volume
from .calibration import Calibration

_SLAB_VOXELS = 8_000_000
# Voxel sizes that differ by less than this are the same, rounded differently.
_SAME_SIZE = 0.005
_WHOLE = 1e-6


@dataclass(frozen=True)
class _Axis:
    """One axis of the new grid: voxels start ... stop - 1 of `step` old voxels each."""

    count: int
    step: float
    start: int
    stop: int

    @classmethod
    def over(cls, count: int, old_mm: float, new_mm: float) -> _Axis:
        step = new_mm / old_mm
        if abs(step - 1) < _SAME_SIZE:
            step = 1.0
        return cls(count, step, 0, max(1, int(count / step + _WHOLE)))

    def weights(self, start: int, stop: int) -> tuple[NDArray[np.float64], tuple[int, int]]:
        """Weights (stop - start, samples) of old voxels in new ones, and which old ones."""
        if self.step > 1:
            return area_weights(self.count, self.step, self.step * start, stop - start)
        positions = (np.arange(start, stop, dtype=np.float64) + 0.5) * self.step - 0.5
        return cubic_weights(positions, self.count)


@dataclass(frozen=True, eq=False)
class Regridded:
    """A volume, or a box of it, as it is on a grid with the same outer corner.

    Larger voxels average the smaller ones by area, smaller ones are interpolated by cubic
    splines; what does not fill a voxel at the far end is left out.
    """

    volume: Volume
    axes: tuple[_Axis, _Axis, _Axis]
    spacing: Triple
    calibration: Calibration = field(default_factory=Calibration)

    @classmethod
    def of(cls, volume: Volume, spacing: Triple) -> Regridded:
        """A volume on a grid of voxels of this size (k, j, i) in mm, in its own units."""
        k, j, i = (
            _Axis.over(count, old, new)
            for count, old, new in zip(volume.shape, volume.spacing, spacing, strict=True)
        )
        return cls(volume, (k, j, i), spacing)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (k, j, i)."""
        k, j, i = (axis.stop - axis.start for axis in self.axes)
        return (k, j, i)

    def in_hu(self, calibration: Calibration) -> Regridded:
        """The same in HU."""
        return replace(self, calibration=calibration)

    def cropped(self, box: Box) -> Regridded:
        """A box of it."""
        k, j, i = (
            replace(axis, start=axis.start + start, stop=axis.start + stop)
            for axis, (start, stop) in zip(self.axes, box, strict=True)
        )
        return replace(self, axes=(k, j, i))

    @property
    def box(self) -> Box:
        """What is seen here, in voxels of the whole grid."""
        k, j, i = ((axis.start, axis.stop) for axis in self.axes)
        return (k, j, i)

    def slab(self, start: int, stop: int) -> NDArray[np.float32]:
        """Slices start ... stop - 1, float32 (k, j, i)."""
        k = self.axes[0]
        ranges = [(k.start + start, k.start + stop)]
        ranges += [(axis.start, axis.stop) for axis in self.axes[1:]]
        maps = [
            None if axis.step == 1 else axis.weights(*span)
            for axis, span in zip(self.axes, ranges, strict=True)
        ]
        needed = [
            slice(*(span if found is None else found[1]))
            for span, found in zip(ranges, maps, strict=True)
        ]
        values = self.calibration.to_hu(self.volume.array[tuple(needed)])
        for axis, found in enumerate(maps):
            if found is not None:
                values = apply_weights(values, found[0], axis)
        return values

    def slabs(self, multiple: int = 1) -> Iterator[tuple[int, int]]:
        """Ranges of slices of bounded size, each but the last a multiple of so many slices."""
        rows = max(1, _SLAB_VOXELS // (self.shape[1] * self.shape[2] * multiple)) * multiple
        for start in range(0, self.shape[0], rows):
            yield start, min(start + rows, self.shape[0])


def regridded(volume: Volume, spacing: Triple, calibration: Calibration) -> Volume:
    """A whole volume in HU, of voxels of this size (k, j, i) in mm, in the same place.

    Its voxels are those of :class:`Regridded`; where nothing changes it is the volume given.
    """
    grid = Regridded.of(volume, spacing).in_hu(calibration)
    if calibration.is_identity and all(axis.step == 1 for axis in grid.axes):
        return volume
    sizes, origin, direction = volume.refined_geometry([1 / axis.step for axis in grid.axes])
    array = np.concatenate([grid.slab(*ends) for ends in grid.slabs()])
    return Volume(array, sizes, origin, direction, volume.metadata)


def area_weights(
    count: int, step: float, first: float, number: int
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Shares of voxels 0 ... count - 1 in larger voxels.

    Args:
        count: number of small voxels.
        step: width of a large voxel, in small ones.
        first: where the first large voxel begins, in small ones.
        number: number of large voxels.

    Returns:
        weights (number, stop - start), each row adding up to one, and (start, stop), the small
        voxels they belong to.
    """
    edges = first + step * np.arange(number + 1)
    start = max(0, int(np.floor(edges[0] + _WHOLE)))
    stop = min(count, int(np.ceil(edges[-1] - _WHOLE)))
    small = np.arange(start, stop)
    overlap = np.minimum(edges[1:, None], small + 1) - np.maximum(edges[:-1, None], small)
    shares = np.clip(overlap, 0, None)
    return shares / shares.sum(axis=1, keepdims=True), (start, stop)
