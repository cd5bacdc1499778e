"""One door for every kind of input: look at what the path is, then let its reader take over."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import ReadError
from ..volume import Volume
from .dicom import has_dicom_preamble, read_dicom_series
from .images import read_image
from .ome_zarr import is_zarr, open_ome_zarr, read_ome_zarr
from .raw_nrrd import open_raw_nrrd
from .tiff import TIFF_SUFFIXES, natural_order, read_tiff_file, read_tiff_folder


def read_volume(
    path: str | os.PathLike[str],
    spacing: Sequence[float] | None = None,
    series: str | None = None,
) -> Volume:
    """Read a scan, with its geometry, from a file or a folder.

    Args:
        path: an NRRD, NIfTI or MetaImage file, a TIFF file of many pages, an OME-Zarr image, a
            folder of DICOM slices, or of TIFF slices (ordered by the numbers in their names).
        spacing: voxel size (z, y, x) in mm; needed for TIFF, which does not carry it, and
            refused for formats that do.
        series: DICOM Series Instance UID, needed where a folder holds several series.

    Returns:
        The scan ordered (k, j, i), with the stored type of values; DICOM values are rescaled,
        so that CT is in HU.

    Raises:
        ReadError: the input is missing, damaged, ambiguous, or not a grey three-dimensional scan.

    Example:
        >>> ct = read_volume("dicom_folder")
        >>> bone = read_volume("tiff_folder", spacing=(0.0195, 0.0195, 0.0195))
    """
    path = Path(path).expanduser()
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            return _read_folder(path, spacing, series)
        return _read_file(path, spacing, series)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ReadError(f"{error.filename or path} does not exist; check its name.") from error
    except OSError as error:
        raise ReadError(
            f"{error.filename or path} cannot be read ({error.strerror or error}); "
            f"check that you may open it."
        ) from error


def open_volume(
    path: str | os.PathLike[str],
    spacing: Sequence[float] | None = None,
    series: str | None = None,
) -> Volume:
    """As :func:`read_volume`, but a scan that can be read in parts stays on disk.

    That is an uncompressed NRRD file or an OME-Zarr image. Of the array only slices may be taken.
    """
    path = Path(path).expanduser()
    if path.name.lower().endswith(".nrrd") and spacing is None and series is None:
        with suppress(ReadError):  # of another kind, or damaged, which reading tells apart
            return open_raw_nrrd(path)
    if is_zarr(path):
        _refuse_series(path, series)
        return open_ome_zarr(path, spacing)
    return read_volume(path, spacing, series)


def _read_file(path: Path, spacing: Sequence[float] | None, series: str | None) -> Volume:
    _refuse_series(path, series)
    if path.stat().st_size == 0:
        raise ReadError(f"{path} is an empty file; copy or export it again.")
    if path.suffix.lower() in TIFF_SUFFIXES:
        return read_tiff_file(path, spacing)
    _refuse_spacing(path, spacing)
    if has_dicom_preamble(path):
        raise ReadError(f"{path} is a DICOM file; give the folder that holds its whole series.")
    return read_image(path)


def _read_folder(folder: Path, spacing: Sequence[float] | None, series: str | None) -> Volume:
    if is_zarr(folder):
        _refuse_series(folder, series)
        return read_ome_zarr(folder, spacing)
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    files = natural_order(entry for entry in entries if entry.is_file())
    tiffs = [file for file in files if file.suffix.lower() in TIFF_SUFFIXES]
    if tiffs:
        if any(has_dicom_preamble(file) for file in files if file not in set(tiffs)):
            raise ReadError(f"{folder} holds both TIFF and DICOM slices; keep one kind in it.")
        _refuse_series(folder, series)
        return read_tiff_folder(folder, tiffs, spacing)
    if not files:
        inner = natural_order(entry for entry in entries if entry.is_dir())
        advice = f"give a folder inside it, such as {inner[0]}" if inner else "check its name"
        raise ReadError(f"{folder} holds no files; {advice}.")
    _refuse_spacing(folder, spacing)
    return read_dicom_series(folder, files, series)


def _refuse_series(path: Path, series: str | None) -> None:
    if series is not None:
        raise ReadError(f"{path} holds no DICOM series to choose from; leave the series out.")


def _refuse_spacing(path: Path, spacing: Sequence[float] | None) -> None:
    # Two voxel sizes for one scan cannot both be right, and a silent choice would be a trap.
    if spacing is not None:
        raise ReadError(f"{path} carries its own voxel size; leave the spacing out.")
