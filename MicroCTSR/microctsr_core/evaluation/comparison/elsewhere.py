"""Volumes that were made elsewhere: finding the one of a case, and reading it on its grid."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import GeometryError, ReadError
from ...io import VOLUME_SUFFIXES, read_volume
from ...io.checks import not_numbers
from ...volume import Volume

_ZARR = ".zarr"
_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".tiff", ".tif", _ZARR)
# Part of a fine voxel by which a volume made elsewhere may miss the grid.
_OFF_GRID = 0.1


def find_result(folder: Path, name: str) -> Path:
    """The volume that a folder holds of a case.

    Raises:
        ReadError: the folder or the volume is not there.
    """
    if not os.path.isdir(folder):
        raise ReadError(f"{folder} is no folder of results; check its name.")
    path = find_volume(folder, name)
    if path is None:
        raise ReadError(
            f"{folder} holds no result of the case {name}; put {name}.nrrd there "
            f"({', '.join(VOLUME_SUFFIXES[1:])} or {_ZARR} will do too)."
        )
    return path


def find_volume(folder: Path, name: str) -> Path | None:
    """The volume of a name in a folder, whatever its suffix."""
    paths = (folder / f"{name}{suffix}" for suffix in (*VOLUME_SUFFIXES, _ZARR))
    return next((path for path in paths if os.path.exists(path)), None)


def read_numbers(path: Path) -> Volume:
    """Read a volume whose values all have to be numbers.

    Raises:
        ReadError: some are not, or it cannot be read.
    """
    volume = read_volume(path)
    bad = int(volume.array.size - np.count_nonzero(np.isfinite(volume.array)))
    if bad:
        raise ReadError(not_numbers(str(path), bad))
    return volume


def read_on(path: Path, grid: Volume) -> Volume:
    """Read a volume that has to lie on a grid.

    Raises:
        GeometryError: it has another size, another voxel size or lies elsewhere.
    """
    volume = read_numbers(path)
    if volume.shape != grid.shape:
        raise GeometryError(
            f"{path} has {_by(volume.shape)} voxels (k, j, i), but the case is compared on "
            f"{_by(grid.shape)}; give a result of the same size, box and scale."
        )
    if not np.allclose(volume.spacing, grid.spacing, rtol=1e-3):
        raise GeometryError(
            f"{path} has voxels of {_by(volume.spacing)} mm (k, j, i), but the case is compared "
            f"with {_by(grid.spacing)} mm; give a result of the same voxel size."
        )
    if not grid.same_grid(volume, _OFF_GRID * min(grid.spacing)):
        raise GeometryError(
            f"{path} lies elsewhere in the patient than the scan of its case; give it the scan's "
            f"origin and direction."
        )
    return replace(volume, array=np.asarray(volume.array, np.float32))


def stem(name: str) -> str:
    """A case's name without the suffix of its file."""
    suffix = next((each for each in _SUFFIXES if name.lower().endswith(each)), "")
    return name[: len(name) - len(suffix)]


def _by(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)
