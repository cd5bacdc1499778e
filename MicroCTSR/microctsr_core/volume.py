"""A scan with its geometry: an array ordered (k, j, i) that knows where it lies in the patient.

Two orders meet here and keep their places throughout the library. Whatever belongs to the array
(shape, spacing, boxes, factors) is ordered like the array, (k, j, i). Whatever belongs to the
patient (origin, direction, corners) is LPS in millimetres, (x, y, z), as in DICOM and ITK.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import GeometryError
from .pieces import OnDisk

Triple: TypeAlias = tuple[float, float, float]
Box: TypeAlias = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Voxel ranges ((k0, k1), (j0, j1), (i0, i1)), each end excluded, as in Python slices."""

_AXES = "kji"
_FARTHEST_MM = 1e9  # numbers beyond are of damaged headers, and overflow where they are used
# Headers hold direction cosines rounded to a few digits; more than this is a real shear.
_ORTHONORMAL_TOLERANCE = 1e-4
# Part of a voxel by which a physical box may miss a voxel's edge and still be taken to touch it.
_EDGE_TOLERANCE_VOXELS = 1e-6


@dataclass(frozen=True, eq=False)
class Volume:
    """A three-dimensional image and the place of its voxels in the patient.

    Args:
        array: values, ordered (k, j, i); any real numeric type. Streaming puts a
            :class:`~.pieces.OnDisk` here, of which only slices may be taken.
        spacing: distance between voxel centres in mm, ordered (k, j, i) like the array.
        origin: LPS position in mm, ordered (x, y, z), of the centre of voxel (0, 0, 0).
        direction: 3x3, columns are the LPS unit vectors of the i, j and k axes (as in ITK).
        metadata: short facts that travel in the file header, such as ``{"modality": "CT"}``;
            never patient data.

    Raises:
        GeometryError: the array is not 3-D or holds no numbers, a spacing is not positive, or
            the direction is not orthonormal.

    Example:
        >>> scan = Volume(np.zeros((54, 140, 160), np.int16), spacing=(0.7, 0.3125, 0.3125))
        >>> scan.size_mm
        (37.8, 43.75, 50.0)
    """

    array: NDArray[Any]
    spacing: Triple = (1.0, 1.0, 1.0)
    origin: Triple = (0.0, 0.0, 0.0)
    direction: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    metadata: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        array: Any = self.array
        array = array if isinstance(array, OnDisk) else np.asarray(array)
        if array.ndim != 3 or array.size == 0:
            raise GeometryError(
                f"A volume needs a three-dimensional array that is not empty, "
                f"but the array given has the shape {array.shape}."
            )
        if array.dtype.kind not in "biuf":
            raise GeometryError(f"A volume holds real numbers, but the array is {array.dtype}.")
        set_field = object.__setattr__  # the class is frozen: its fields are settled here, once
        set_field(self, "array", array)
        set_field(self, "spacing", _spacing(self.spacing))
        set_field(self, "origin", _origin(self.origin))
        set_field(self, "direction", _direction(self.direction))
        texts = {_text(key): _text(value) for key, value in self.metadata.items()}
        set_field(self, "metadata", MappingProxyType(texts))

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy cannot be pickled, and volumes travel to worker processes.
        facts = (self.array, self.spacing, self.origin, self.direction, dict(self.metadata))
        return (type(self), facts)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (k, j, i)."""
        k, j, i = self.array.shape
        return (k, j, i)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored values."""
        return self.array.dtype

    @property
    def in_memory(self) -> bool:
        """Whether all values are in memory or mapped into it, instead of read slice by slice."""
        return not isinstance(self.array, OnDisk)

    @property
    def size_mm(self) -> Triple:
        """Edge lengths in mm along (k, j, i), from outer voxel edge to outer voxel edge."""
        k, j, i = (n * step for n, step in zip(self.shape, self.spacing, strict=True))
        return (k, j, i)

    @property
    def ijk_to_lps(self) -> NDArray[np.float64]:
        """4x4 matrix that maps voxel indices (i, j, k, 1) to LPS mm (x, y, z, 1)."""
        matrix = np.eye(4)
        matrix[:3, :3] = self.direction * self.spacing[::-1]
        matrix[:3, 3] = self.origin
        return matrix

    def corners_lps(self) -> NDArray[np.float64]:
        """The eight outer corners in LPS mm, shape (8, 3): voxel edges, not voxel centres.

        Row n belongs to the low (bit 0) or high (bit 1) end of (k, j, i), k being the first bit.
        """
        ends = [(-0.5, n - 0.5) for n in self.shape]
        indices = np.array([(i, j, k) for k, j, i in product(*ends)])
        return self._index_to_lps(indices)

    def same_grid(self, other: Volume, tolerance_mm: float = 1e-6) -> bool:
        """Whether both volumes have the same shape and outer corners within ``tolerance_mm``."""
        if self.shape != other.shape:
            return False
        distance = np.linalg.norm(self.corners_lps() - other.corners_lps(), axis=1)
        return bool(distance.max() <= tolerance_mm)

    def with_array(self, array: ArrayLike, metadata: Mapping[str, str] | None = None) -> Volume:
        """The same grid with other values, and other metadata when given.

        Raises:
            GeometryError: the array's shape is not this volume's.
        """
        array = np.asarray(array)
        if array.shape != self.shape:
            raise GeometryError(
                f"An array of shape {array.shape} does not fit a grid of {_by(self.shape)} voxels."
            )
        return replace(self, array=array, metadata=self.metadata if metadata is None else metadata)

    def crop(self, box: Box) -> Volume:
        """The part of the volume in a voxel box; its array is a view, its voxels stay in place.

        Args:
            box: ((k0, k1), (j0, j1), (i0, i1)) in voxels, ends excluded.

        Raises:
            GeometryError: the box is empty or reaches outside the volume.
        """
        (k0, k1), (j0, j1), (i0, i1) = self.check_box(box)
        x, y, z = self._index_to_lps(np.array([i0, j0, k0]))
        return replace(self, array=self.array[k0:k1, j0:j1, i0:i1], origin=(x, y, z))

    def crop_lps(self, lower_mm: Sequence[float], upper_mm: Sequence[float]) -> Volume:
        """The part of the volume that covers a physical box: see :meth:`box_from_lps`."""
        return self.crop(self.box_from_lps(lower_mm, upper_mm))

    def check_box(self, box: Box) -> Box:
        """Return the box as plain integers.

        Raises:
            GeometryError: the box is not three ranges, is empty or reaches outside the volume.
        """
        try:
            (k0, k1), (j0, j1), (i0, i1) = (tuple(int(end) for end in pair) for pair in box)
        except (TypeError, ValueError):
            raise GeometryError(
                f"A box is three voxel ranges ((k0, k1), (j0, j1), (i0, i1)), not {box!r}."
            ) from None
        checked: Box = ((k0, k1), (j0, j1), (i0, i1))
        for axis, (start, stop), length in zip(_AXES, checked, self.shape, strict=True):
            if start >= stop:
                raise GeometryError(
                    f"The box is empty along {axis} ({start}:{stop}); "
                    f"give a start below its end, as in {axis} 0:{length}."
                )
            if start < 0 or stop > length:
                raise GeometryError(
                    f"The box reaches outside the scan along {axis} ({start}:{stop}); "
                    f"the scan has {length} voxels there, so keep within 0:{length}."
                )
        return checked

    def box_from_lps(self, lower_mm: Sequence[float], upper_mm: Sequence[float]) -> Box:
        """The smallest voxel box that covers a physical box, cut off at the volume's edges.

        Args:
            lower_mm: least (x, y, z) of the physical box, LPS in mm.
            upper_mm: greatest (x, y, z), LPS in mm.

        Returns:
            A voxel box; where the volume lies oblique, it covers all eight corners.

        Raises:
            GeometryError: the ends are swapped, or the physical box lies outside the volume.
        """
        lower, upper = _triple("lower end", lower_mm), _triple("upper end", upper_mm)
        if any(low > high for low, high in zip(lower, upper, strict=True)):
            raise GeometryError(f"The physical box runs backwards, from {lower} to {upper} mm.")
        corners = np.array(list(product(*zip(lower, upper, strict=True))))
        inverse = np.linalg.inv(self.ijk_to_lps)
        indices = (corners @ inverse[:3, :3].T + inverse[:3, 3])[:, ::-1]  # now (k, j, i)
        # Voxel n reaches from n - 0.5 to n + 0.5 in index space.
        first = np.floor(indices.min(axis=0) + 0.5 + _EDGE_TOLERANCE_VOXELS).astype(int)
        last = np.ceil(indices.max(axis=0) + 0.5 - _EDGE_TOLERANCE_VOXELS).astype(int)
        last = np.maximum(last, first + 1)  # a box thinner than a voxel still lies in one
        first = np.maximum(first, 0)
        last = np.minimum(last, self.shape)
        if np.any(first >= last):
            raise GeometryError(
                f"The physical box from {lower} to {upper} mm (LPS) lies outside the scan; "
                f"place it over the scan."
            )
        k, j, i = ((int(start), int(stop)) for start, stop in zip(first, last, strict=True))
        return (k, j, i)

    def refined_geometry(
        self, factors: Sequence[float]
    ) -> tuple[Triple, Triple, NDArray[np.float64]]:
        """Spacing, origin and direction of a finer grid with the same outer corners.

        The origin moves, because it is the centre of the first voxel and that voxel shrinks.

        Args:
            factors: fine voxels per voxel along (k, j, i); positive, not necessarily whole.

        Raises:
            GeometryError: a factor is not positive.
        """
        fk, fj, fi = _triple("factors", factors)
        if min(fk, fj, fi) <= 0:
            raise GeometryError(f"Refinement factors must be positive, not {tuple(factors)}.")
        k, j, i = self.spacing
        x, y, z = self._index_to_lps(np.array([0.5 / f - 0.5 for f in (fi, fj, fk)]))
        return (k / fk, j / fj, i / fi), (x, y, z), self.direction

    def on_refined_grid(
        self,
        array: ArrayLike,
        factors: Sequence[float],
        metadata: Mapping[str, str] | None = None,
    ) -> Volume:
        """A volume of finer voxels with exactly the outer corners of this one.

        Args:
            array: values on the finer grid, of shape ``self.shape * factors`` (whole numbers).
            factors: fine voxels per voxel along (k, j, i).
            metadata: replaces this volume's metadata when given.

        Raises:
            GeometryError: the array's shape is not ``self.shape * factors``.
        """
        array = np.asarray(array)
        spacing, origin, direction = self.refined_geometry(factors)
        expected = tuple(n * f for n, f in zip(self.shape, factors, strict=True))
        if array.ndim != 3 or not np.allclose(array.shape, expected, rtol=0, atol=1e-6):
            raise GeometryError(
                f"A grid of {_by(self.shape)} voxels refined by {_by(factors)} has no place "
                f"for an array of shape {array.shape}."
            )
        metadata = self.metadata if metadata is None else metadata
        return Volume(array, spacing, origin, direction, metadata)

    def _index_to_lps(self, indices: NDArray[Any]) -> NDArray[np.float64]:
        """LPS mm of continuous voxel indices (i, j, k), shape (3,) or (n, 3)."""
        matrix = self.ijk_to_lps
        points: NDArray[np.float64] = indices @ matrix[:3, :3].T + matrix[:3, 3]
        return points


def parse_box(text: str) -> Box:
    """Read a box written as ``k0:k1,j0:j1,i0:i1``.

    Raises:
        GeometryError: the text is not of that form, or a range in it is empty.

    Example:
        >>> parse_box("24:32,49:97,56:104")
        ((24, 32), (49, 97), (56, 104))
    """
    ranges = [re.fullmatch(r"\s*(\d+)\s*:\s*(\d+)\s*", part) for part in text.split(",")]
    if len(ranges) != 3 or not all(ranges):
        raise GeometryError(
            f"{text!r} is not a box; write it as k0:k1,j0:j1,i0:i1, for example 24:32,49:97,56:104."
        )
    k, j, i = ((int(m[1]), int(m[2])) for m in ranges if m)
    for start, stop in (k, j, i):
        if start >= stop:
            raise GeometryError(f"The box {text!r} is empty: {start} is not below {stop}.")
    return (k, j, i)


def _triple(name: str, values: Sequence[float]) -> Triple:
    try:
        x, y, z = (float(value) for value in values)
    except (TypeError, ValueError):
        raise GeometryError(f"The {name} must be three numbers, not {values!r}.") from None
    if not np.all(np.isfinite((x, y, z))):
        raise GeometryError(f"The {name} must be finite numbers, not {(x, y, z)}.")
    return (x, y, z)


def _spacing(values: Sequence[float]) -> Triple:
    spacing = _triple("spacing", values)
    if min(spacing) <= 0:
        raise GeometryError(f"The spacing must be above zero along every axis, not {spacing} mm.")
    if not all(1 / _FARTHEST_MM < step < _FARTHEST_MM for step in spacing):
        raise GeometryError(f"A spacing of {spacing} mm is that of no scan; correct it.")
    return spacing


def _origin(values: Sequence[float]) -> Triple:
    origin = _triple("origin", values)
    if not all(abs(step) < _FARTHEST_MM for step in origin):
        raise GeometryError(f"An origin at {origin} mm is that of no scan; correct it.")
    return origin


def _direction(values: ArrayLike) -> NDArray[np.float64]:
    direction = np.array(values, dtype=np.float64)
    if direction.shape != (3, 3):
        raise GeometryError(f"The direction must be a 3x3 matrix, not {direction.shape}.")
    shear = np.abs(direction.T @ direction - np.eye(3)).max()
    if not shear <= _ORTHONORMAL_TOLERANCE:
        raise GeometryError(
            "The direction's columns are not unit vectors at right angles; "
            "resample the scan to a grid with right angles first."
        )
    direction.flags.writeable = False
    return direction


def _text(value: object) -> str:
    """Text that any file can hold; headers in other encodings leave halves of characters."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _by(numbers: Sequence[float]) -> str:
    return " x ".join(f"{number:g}" for number in numbers)
