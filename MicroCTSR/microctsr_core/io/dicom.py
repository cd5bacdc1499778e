"""DICOM series: find the slices in a folder, prove that they make a regular stack, read them.

The geometry comes from each slice's own position and orientation (Image Position (0020,0032) and
Image Orientation (0020,0037), DICOM PS3.3 C.7.6.2), never from file names, instance numbers or
the stated slice thickness, since all of these may be wrong. Values are rescaled by slope and
intercept (GDCM does it), so that CT is in HU.

Of the header only technical facts are kept: no name, date, identifier or free text.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..errors import GeometryError, ReadError
from ..volume import Volume
from .claims import check_claim
from .dicom_elements import elements_fit
from .dicom_stack import Slice, slice_spacing, sorted_along_normal
from .images import quiet_itk

# Storage classes (by their beginning) that have their place in a series folder but hold no slice:
# DICOMDIR, reports, presentation states, waveforms, raw data and segmentations, documents, dose
# and plans.
_STORAGE = "1.2.840.10008.5.1.4.1.1."
_NO_SLICE_CLASSES = (
    "1.2.840.10008.1.3.10",
    *(_STORAGE + kind for kind in ("88.", "11.", "9.", "66", "104.", "481.2", "481.3", "481.5")),
)
_PREAMBLE_BYTES = 132  # 128 of anything, then DICM
_FARTHEST_MM = 1e6
_ANY_FILE_BYTES = 50_000_000  # GDCM takes several times as much to unpack a file
_TECHNICAL_FACTS = {
    "modality": "0008|0060",
    "manufacturer": "0008|0070",
    "kernel": "0018|1210",
    "kvp": "0018|0060",
    "slice_thickness_mm": "0018|0050",
}


@dataclass(frozen=True)
class _Header:
    """What the header of one DICOM image says, besides its place."""

    path: Path
    series: str
    components: int
    frames: int
    dtype: np.dtype[Any]
    facts: dict[str, str]
    tags: dict[str, str]
    grid: tuple[int, int]
    spacing: tuple[float, float]


def has_dicom_preamble(path: Path) -> bool:
    """Whether the file says of itself that it is DICOM (``DICM`` at byte 128)."""
    with path.open("rb") as file:
        return file.read(_PREAMBLE_BYTES)[128:] == b"DICM"


def read_dicom_series(folder: Path, files: Sequence[Path], series: str | None = None) -> Volume:
    """Read one DICOM series from the files of a folder.

    Args:
        folder: named in messages.
        files: the folder's files, of any kind and in any order.
        series: Series Instance UID; needed where the files belong to several series.

    Returns:
        The stack, slices ascending along the normal (row direction x column direction).

    Raises:
        ReadError: no DICOM image, several series and none chosen, a damaged file, colour,
            slices missing, doubled, of different grids, or shifted by a tilted gantry.
    """
    headers = _chosen_series(folder, _read_headers(folder, files), series)
    slices = sorted_along_normal(folder, [_to_slice(header) for header in headers])
    spacing_mm, direction = slice_spacing(folder, slices)
    by_path = {header.path: header for header in headers}
    ordered = [by_path[item.path] for item in slices]
    x, y, z = slices[0].position
    try:
        return Volume(_read_values(ordered), spacing_mm, (x, y, z), direction, ordered[0].facts)
    except GeometryError as error:
        raise ReadError(f"{folder} cannot be used as a scan: {error}") from error


def dicom_series(folder: Path, files: Sequence[Path]) -> list[str]:
    """Series Instance UIDs of the DICOM images among the files of a folder, sorted.

    Raises:
        ReadError: there is no DICOM image, or a file is damaged.
    """
    return sorted({header.series for header in _read_headers(folder, files)})


def _read_headers(folder: Path, files: Sequence[Path]) -> list[_Header]:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    headers, others = [], []
    with quiet_itk():
        for path in files:
            if not _has_header(reader, path):
                # A slice that is cut short must not pass for a file of another kind: the stack
                # would just be shorter.
                if has_dicom_preamble(path) and not _is_no_slice(path):
                    raise ReadError(_damaged(path))
                others.append(path)
                continue
            if not _is_no_slice(path):
                headers.append(_header(path, reader))
    if not headers:
        raise ReadError(
            f"{folder} holds neither DICOM images nor TIFF slices; "
            f"give the folder of a series, or a single file such as an NRRD."
        )
    _refuse_stumps(others, {header.path.suffix.lower() for header in headers})
    return headers


def _has_header(reader: sitk.ImageFileReader, path: Path) -> bool:
    """Whether a file is a DICOM image; the reader then knows its header."""
    if not elements_fit(path):
        return False
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False
    return True


def _refuse_stumps(others: Sequence[Path], suffixes: set[str]) -> None:
    """Slices cut short ahead of their DICOM mark look like no slices; their names tell."""
    for path in others:
        size = path.stat().st_size
        named_alike = path.suffix.lower() in suffixes and (path.suffix or size == 0)
        if named_alike and size < _PREAMBLE_BYTES:
            raise ReadError(_damaged(path))


def _header(path: Path, reader: sitk.ImageFileReader) -> _Header:
    dtype = _numpy_type(reader.GetPixelID())
    components = reader.GetNumberOfComponents()
    check_claim(path, math.prod(reader.GetSize()) * components * dtype.itemsize, _ANY_FILE_BYTES)
    tags = {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys()}
    size = reader.GetSize()
    step_i, step_j = reader.GetSpacing()[:2]
    facts = {name: tags[tag] for name, tag in _TECHNICAL_FACTS.items() if tags.get(tag)}
    return _Header(
        path=path,
        series=tags.get("0020|000e", ""),
        components=components,
        frames=size[2] if len(size) > 2 else 1,
        dtype=dtype,
        facts=facts,
        tags={tag: tags.get(tag, "") for tag in ("0020|0032", "0020|0037")},
        grid=(size[1], size[0]),
        spacing=(step_j, step_i),
    )


def _chosen_series(folder: Path, headers: list[_Header], wanted: str | None) -> list[_Header]:
    found: dict[str, list[_Header]] = defaultdict(list)
    for header in headers:
        found[header.series].append(header)
    listing = "; ".join(_description(uid, found[uid]) for uid in sorted(found))
    if wanted is not None and wanted not in found:
        raise ReadError(f"{folder} holds no series {wanted}; choose one of these: {listing}.")
    if wanted is None and len(found) > 1:
        raise ReadError(
            f"{folder} holds {len(found)} series; choose one by its UID, as series=UID in Python "
            f"or --series UID on the command line: {listing}."
        )
    return found[wanted if wanted is not None else next(iter(found))]


def _description(uid: str, headers: list[_Header]) -> str:
    """Facts to tell series apart; the series' own description may hold anything, so not that."""
    first = headers[0]
    facts = [first.facts.get("modality", ""), f"{len(headers)} slices"]
    facts.append(f"{first.grid[1]} x {first.grid[0]} pixels")
    if "kernel" in first.facts:
        facts.append(f"kernel {first.facts['kernel']}")
    if "slice_thickness_mm" in first.facts:
        facts.append(f"{first.facts['slice_thickness_mm']} mm thick")
    return f"{uid or 'no UID'} ({', '.join(fact for fact in facts if fact)})"


def _to_slice(header: _Header) -> Slice:
    path = header.path
    if header.components > 1:
        raise ReadError(f"{path} is a colour image; give a series of grey slices, such as a CT.")
    if header.frames > 1:
        raise ReadError(
            f"{path} holds {header.frames} frames in one file; "
            f"convert it to NRRD first, for example with 3D Slicer."
        )
    try:
        position = [float(number) for number in header.tags["0020|0032"].split("\\")]
        cosines = [float(number) for number in header.tags["0020|0037"].split("\\")]
        row, column = np.array(cosines).reshape(2, 3)
        x, y, z = position
        if not np.abs((*position, *cosines)).max() < _FARTHEST_MM:
            raise ValueError("no place in a scanner")
    except ValueError:
        raise ReadError(
            f"{path} does not tell where its slice lies (Image Position and Orientation Patient); "
            f"export the series again as axial CT images."
        ) from None
    return Slice(path, np.array((x, y, z)), row, column, header.grid, header.spacing)


def _read_values(headers: list[_Header]) -> NDArray[Any]:
    dtype = np.result_type(*(header.dtype for header in headers))
    if dtype == np.float64:  # what a fractional slope gives; CT needs no more than single
        dtype = np.dtype(np.float32)
    shape = (len(headers), *headers[0].grid)
    check_claim(headers[0].path.parent, math.prod(shape) * dtype.itemsize)
    stack = np.empty(shape, dtype)
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    with quiet_itk(), np.errstate(over="ignore"):  # what is too large becomes infinite
        for number, header in enumerate(headers):
            reader.SetFileName(str(header.path))
            try:
                image = reader.Execute()
            except RuntimeError as error:
                raise ReadError(_damaged(header.path)) from error
            stack[number] = sitk.GetArrayViewFromImage(image).reshape(header.grid)
    return stack


def _numpy_type(pixel_id: int) -> np.dtype[Any]:
    return np.dtype(sitk.GetArrayViewFromImage(sitk.Image([1, 1], pixel_id)).dtype)


def _is_no_slice(path: Path) -> bool:
    """Whether the file's Media Storage SOP Class (0002,0002) is one that holds no slice."""
    with path.open("rb") as file:
        start = file.read(1024)
    tag = start.find(b"\x02\x00\x02\x00UI")
    if start[128:132] != b"DICM" or tag < 0:
        return False
    length = int.from_bytes(start[tag + 6 : tag + 8], "little")
    storage_class = start[tag + 8 : tag + 8 + length].rstrip(b"\0 ").decode("ascii", "replace")
    return storage_class.startswith(_NO_SLICE_CLASSES)


def _damaged(path: Path) -> str:
    return (
        f"{path} is damaged, cut short, or compressed in a way that cannot be read here; "
        f"copy or export the series again."
    )
