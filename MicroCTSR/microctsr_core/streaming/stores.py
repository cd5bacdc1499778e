"""Volumes that are written slab by slab under a working name, and appear when they are whole."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import WriteError
from ..io.atomic import check_output
from ..io.ome_zarr import (
    SUFFIX,
    create_ome_zarr,
    finish_ome_zarr,
    is_ome_zarr,
    library,
    open_level,
)
from ..io.raw_nrrd import open_raw_nrrd, reserve_raw_nrrd, write_raw_planes
from ..pieces import OnDisk
from ..volume import Volume

STREAMED_SUFFIXES = (SUFFIX, ".nrrd")


class Store(Protocol):
    """A volume on disk that is written in parts.

    Args:
        path: working name.
        grid: shape, geometry and metadata.
        slab: planes that are written together.
    """

    path: Path
    grid: Volume

    def create(self) -> None:
        """Make it, with nothing in it."""

    def write(self, first: int, planes: NDArray[np.float32]) -> None:
        """Write a slab that begins with plane ``first``; another process may write another."""

    def volume(self) -> Volume:
        """What is written, of which only slices may be taken."""

    def finish(self) -> None:
        """All slabs are written."""


class NrrdStore:
    """An uncompressed NRRD file, written in place."""

    def __init__(self, path: Path, grid: Volume, slab: int) -> None:  # noqa: ARG002 - as ZarrStore
        self.path, self.grid = path, grid

    def create(self) -> None:
        with _told(self.path):
            reserve_raw_nrrd(self.grid, self.path)

    def write(self, first: int, planes: NDArray[np.float32]) -> None:
        with _told(self.path):
            write_raw_planes(self.path, first, planes)

    def volume(self) -> Volume:
        return open_raw_nrrd(self.path)

    def finish(self) -> None:
        pass


class ZarrStore:
    """An OME-Zarr image, of which each slab is a file of its own."""

    def __init__(self, path: Path, grid: Volume, slab: int) -> None:
        self.path, self.grid, self._slab = path, grid, slab

    def create(self) -> None:
        with _told(self.path):
            create_ome_zarr(self.path, self.grid, self._slab)

    def write(self, first: int, planes: NDArray[np.float32]) -> None:
        with _told(self.path):
            open_level(self.path, writable=True)[first : first + len(planes)] = planes

    def volume(self) -> Volume:
        array = OnDisk(open_level(self.path))
        grid = self.grid
        return Volume(array, grid.spacing, grid.origin, grid.direction, grid.metadata)  # type: ignore[arg-type]

    def finish(self) -> None:
        with _told(self.path):
            finish_ome_zarr(self.path, self.grid, self._slab)


def store_at(path: Path, grid: Volume, slab: int, final: Path) -> Store:
    """The kind of store that the suffix of the final name asks for."""
    kind = ZarrStore if is_zarr_name(final) else NrrdStore
    return kind(path, grid, slab)


def is_zarr_name(path: Path) -> bool:
    """Whether a file name asks for OME-Zarr."""
    return path.name.lower().endswith(SUFFIX)


def check_streamed(path: Path, overwrite: bool) -> None:
    """Find out, before long work starts, whether a volume can be streamed to a path.

    Raises:
        WriteError: the suffix is neither .zarr nor .nrrd, it exists and may not be replaced (of
            folders, only OME-Zarr images may), or its folder cannot be written.
        MicroCTSRError: the package for it is not installed.
    """
    if not path.name.lower().endswith(STREAMED_SUFFIXES):
        raise WriteError(f"{path} cannot be written slab by slab; end it in .zarr or .nrrd.")
    if not is_zarr_name(path):
        check_output(path, overwrite)
        return
    library()
    if os.path.lexists(path) and not (os.path.isdir(path) and is_ome_zarr(path)):
        raise WriteError(f"{path} exists and is no OME-Zarr image; give another name.")
    if os.path.lexists(path) and not overwrite:
        raise WriteError(
            f"{path} exists already; give another name, or --overwrite to replace it "
            f"(overwrite=True in Python)."
        )
    check_output(path.with_name(f"{path.name}.part.nrrd"))


def put_in_place(working: Path, final: Path) -> None:
    """Give a finished volume its name; what had the name before goes."""
    with _told(final):
        earlier = final.with_name(f"{final.name}.earlier")
        if final.is_dir():
            discard(earlier)
            final.rename(earlier)
        working.replace(final)
        discard(earlier)


def discard(path: Path) -> None:
    """Remove a file or folder of ours, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def bytes_on_disk(path: Path) -> int:
    """What a file or folder takes of the disk; reserved but unwritten parts take nothing."""
    files = path.rglob("*") if path.is_dir() else [path] if path.exists() else []
    sizes = (file.stat() for file in files if file.is_file())
    # Windows does not tell blocks; there, a file takes its length.
    return sum(getattr(size, "st_blocks", -(-size.st_size // 512)) * 512 for size in sizes)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WriteError(
                f"{path} cannot be written on, because its disk is full; free some space and run "
                f"the same command again, which goes on from here."
            ) from error
        raise WriteError(
            f"{path} cannot be written ({error.strerror or error}); choose another folder."
        ) from error
