"""Bringing a truth, an uncertainty or a scan to the grid of the result that is judged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError
from ..volume import Volume

_SIZE_TOLERANCE = 0.01  # voxel sizes that agree to this share are alike
_ANGLE_TOLERANCE = 1e-3  # direction cosines, as headers round them
_VOXEL_TOLERANCE = 0.01  # positions that miss a voxel's centre or edge by less meet it
_AXES = "kji"


def on_grid_of(
    image: Volume, truth: Volume, names: tuple[str, str] = ("the result", "the truth")
) -> Volume:
    """The truth at the voxel centres of an image, for a comparison voxel by voxel.

    Positions are physical, so an image of a box is compared with that part of the truth. Where
    the image's slices are thick, the truth is taken at their centres. What falls between the
    truth's own planes, rows or columns is interpolated linearly, which costs the truth a little of
    its sharpness: half a voxel beside the grid is the mean of two neighbours.

    Args:
        image: the result.
        truth: with the same voxel size in the plane (within 1 %) and the same directions; it may
            have other slices, and reach further.
        names: how messages call the two, such as their file names.

    Returns:
        float32 volume on the grid of ``image``.

    Raises:
        GeometryError: the voxel sizes or the directions differ; the image lies beside the truth
            or reaches outside it; or neither says where it lies, and their sizes differ.
    """
    _check_voxels(image, truth, names)
    if image.shape != truth.shape and not (_placed(image) or _placed(truth)):
        raise GeometryError(
            f"{_capital(names[0])} and {names[1]} are of different size ({_by(image)} and "
            f"{_by(truth)} voxels), and neither says where it lies; give images of the same size, "
            f"or with their positions."
        )
    inverse = np.linalg.inv(truth.ijk_to_lps)
    first = (inverse @ [*image.origin, 1])[2::-1]
    positions = [
        _snapped(start + np.arange(count) * step / true_step)
        for start, count, step, true_step in zip(
            first, image.shape, image.spacing, truth.spacing, strict=True
        )
    ]
    _check_inside(positions, image, truth, names)
    values = np.asarray(truth.array)
    for axis, where in enumerate(positions):
        values = _interpolated(values, where, axis)
    return image.with_array(values.astype(np.float32), truth.metadata)


def check_same_grid(
    image: Volume, other: Volume, names: tuple[str, str] = ("the result", "its uncertainty")
) -> None:
    """Make sure that a map belongs to an image voxel by voxel.

    Raises:
        GeometryError: they are of different size or at different places.
    """
    if image.shape != other.shape:
        raise GeometryError(
            f"{_capital(names[1])} has {_by(other)} voxels, but {names[0]} has {_by(image)}; give "
            f"the two that one run wrote."
        )
    if not image.same_grid(other, tolerance_mm=_VOXEL_TOLERANCE * max(image.spacing)):
        raise GeometryError(
            f"{_capital(names[1])} ({extent(other)}) lies elsewhere than {names[0]} "
            f"({extent(image)}); give the two that one run wrote."
        )


def part_under(
    image: Volume, ct: Volume, names: tuple[str, str] = ("the result", "the scan")
) -> Volume:
    """The part of a scan that an image was super-resolved from: the same outer corners.

    Raises:
        GeometryError: the image's corners lie in no whole voxels of the scan, or its voxels do not
            divide the scan's.
    """
    inverse = np.linalg.inv(ct.ijk_to_lps)
    corners = (image.corners_lps() @ inverse[:3, :3].T + inverse[:3, 3])[:, ::-1] + 0.5
    low, high = corners[0], corners[-1]
    box = np.rint([low, high]).astype(int)
    whole = np.abs(np.array([low, high]) - box).max() <= _VOXEL_TOLERANCE
    inside = (box[0] >= 0).all() and (box[1] <= ct.shape).all() and (box[0] < box[1]).all()
    if not (whole and inside) or (image.shape % (box[1] - box[0])).any():
        raise GeometryError(
            f"{_capital(names[0])} ({extent(image)}) was not made from whole voxels of {names[1]} "
            f"({extent(ct)}); give the scan that was super-resolved."
        )
    k, j, i = ((int(start), int(stop)) for start, stop in box.T)
    return ct.crop((k, j, i))


def extent(volume: Volume) -> str:
    """Where a volume lies, in words: its outer corners in LPS mm."""
    corners = volume.corners_lps()
    ends = zip("xyz", corners.min(0), corners.max(0), strict=True)
    return ", ".join(f"{axis} {low:.2f} to {high:.2f}" for axis, low, high in ends) + " mm"


def _check_voxels(image: Volume, truth: Volume, names: tuple[str, str]) -> None:
    sizes, true_sizes = np.array(image.spacing[1:]), np.array(truth.spacing[1:])
    if (np.abs(sizes - true_sizes) > _SIZE_TOLERANCE * true_sizes).any():
        shown, true_shown = (" x ".join(f"{v:.4g}" for v in s) for s in (sizes, true_sizes))
        raise GeometryError(
            f"The voxels of {names[0]} measure {shown} mm in the plane, those of {names[1]} "
            f"{true_shown} mm; resample one to the other's voxel size first."
        )
    if np.abs(image.direction - truth.direction).max() > _ANGLE_TOLERANCE:
        raise GeometryError(
            f"The axes of {names[0]} and {names[1]} point in different directions; resample one to "
            f"the other's grid first."
        )


def _check_inside(
    positions: list[NDArray[np.float64]], image: Volume, truth: Volume, names: tuple[str, str]
) -> None:
    places = f"{names[0]} covers {extent(image)}, {names[1]} {extent(truth)}"
    for axis, where, count in zip(_AXES, positions, truth.shape, strict=True):
        low, high = -0.5 - _VOXEL_TOLERANCE, count - 0.5 + _VOXEL_TOLERANCE
        if where[-1] < low or where[0] > high:
            raise GeometryError(
                f"{_capital(names[0])} and {names[1]} do not overlap: {places}; give the truth of "
                f"the same place."
            )
        if where[0] < low or where[-1] > high:
            raise GeometryError(
                f"{_capital(names[0])} reaches outside {names[1]} along {axis}: {places}; crop it, "
                f"or give a truth that covers it."
            )


def _placed(volume: Volume) -> bool:
    return any(volume.origin) or not np.array_equal(volume.direction, np.eye(3))


def _snapped(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Positions in voxels; whole ones where files have only rounded them."""
    nearest = np.rint(positions)
    return np.where(np.abs(positions - nearest) < _VOXEL_TOLERANCE, nearest, positions)


def _interpolated(values: NDArray, positions: NDArray[np.float64], axis: int) -> NDArray:
    """Linear interpolation along one axis; beyond the outermost centres, their values go on."""
    last = values.shape[axis] - 1
    where = np.clip(positions, 0, last)
    below = np.floor(where).astype(int)
    lower = values.take(below, axis)
    share = (where - below).astype(np.float32)
    if not share.any():
        return lower
    share = np.expand_dims(share, tuple(a for a in range(3) if a != axis))
    upper = values.take(np.minimum(below + 1, last), axis)
    return lower * (1 - share) + upper * share


def _by(volume: Volume) -> str:
    return " x ".join(map(str, volume.shape))


def _capital(name: str) -> str:
    """A name at the beginning of a sentence; a file's stays as it is."""
    return name[0].upper() + name[1:] if name.startswith(("the ", "its ")) else name
