"""A domain is a folder: every volume, DICOM series and stack of TIFF slices in it is a case."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import SimpleITK as sitk
import tifffile

from ..errors import ReadError
from ..io import read_volume
from ..io.dicom import dicom_series, has_dicom_preamble
from ..io.images import quiet_itk
from ..io.ome_zarr import is_zarr
from ..io.tiff import TIFF_SUFFIXES, natural_order
from ..volume import Triple, Volume
from .calibration import Calibration

Domain = Literal["low", "high"]

_VOLUME_SUFFIXES = (".nrrd", ".nhdr", ".nii", ".nii.gz", ".mha", ".mhd")


@dataclass(frozen=True)
class Source:
    """Where a case can be read.

    Args:
        name: path within the domain's folder; nothing of a header.
        path: volume file, or folder of slices.
        kind: ``"volume"``, ``"tiff"`` or ``"dicom"``.
        spacing: voxel size (k, j, i) in mm of a TIFF stack; None where the files tell it.
        series: DICOM series, where the folder holds several.
        truth: noise-free volume of a phantom.
        calibration: to HU, where it is known: a phantom's clinical scan is in HU.
        domain: ``"low"`` or ``"high"``, as its settings are called.
    """

    name: str
    path: Path
    kind: str = "volume"
    spacing: Triple | None = None
    series: str | None = None
    truth: Path | None = None
    calibration: Calibration | None = None
    domain: Domain = "low"

    def read(self) -> Volume:
        """The whole scan, in the units of its files.

        Raises:
            ReadError: as :func:`~microctsr_core.io.read_volume`.
        """
        if self.kind == "tiff" and self.spacing is None:
            raise ReadError(
                f"{self.path} is a TIFF stack, which does not tell its voxel size; give it in mm "
                f"as data.{self.domain}.spacing: [z, y, x]."
            )
        return read_volume(self.path, self.spacing, self.series)

    def files(self) -> list[Path]:
        """What it is made of; a header's data file is among them."""
        if self.path.is_dir():
            return _files(self.path)
        stem = self.path.name.partition(".")[0]
        return [file for file in _files(self.path.parent) if file.name.partition(".")[0] == stem]

    def pixel_mm(self) -> float | None:
        """Pixel size in the plane, from the header alone; None where that cannot be read."""
        if self.kind == "tiff" and self.spacing is None:
            return None
        if self.spacing is not None:
            return (self.spacing[1] + self.spacing[2]) / 2
        reader = sitk.ImageFileReader()
        with quiet_itk():
            for file in [self.path] if self.path.is_file() else self.files():
                reader.SetFileName(str(file))
                try:
                    reader.ReadImageInformation()
                except RuntimeError:
                    continue
                i, j = reader.GetSpacing()[:2]
                return float(i + j) / 2
        return None


def find_sources(folder: Path, domain: Domain, spacing: Triple | None = None) -> list[Source]:
    """Every case in a folder and the folders inside it, in the order of their names.

    A folder that `microctsr phantom` made gives its low volume to the clinical domain and its
    high volume to the micro-CT, and nothing else.

    Args:
        folder: or a single volume file.
        domain: ``"low"`` or ``"high"``.
        spacing: voxel size (k, j, i) in mm of TIFF stacks.

    Raises:
        ReadError: the folder is not there, or holds no case.
    """
    folder = Path(folder).expanduser().absolute()
    if not os.path.exists(folder):
        raise ReadError(f"{folder} does not exist; check its name.")
    if folder.is_file():
        return [replace(_file_source(folder, folder.name, spacing), domain=domain)]
    sources = [
        replace(source, domain=domain)
        for inner, name in _walk(folder)
        for source in _sources(inner, name, domain, spacing)
    ]
    if not sources:
        raise ReadError(
            f"{folder} holds no volume file, DICOM series or stack of TIFF slices; "
            f"give a folder of scans."
        )
    return sources


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Folders and their names within `folder`; links are followed, but none in circles."""
    seen: set[str] = set()
    for inner, folders, _ in os.walk(folder, followlinks=True):
        real = os.path.realpath(inner)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        if is_zarr(inner):  # one image, whatever lies in it
            folders.clear()
        visible = [Path(name) for name in folders if not name.startswith(".")]
        folders[:] = [path.name for path in natural_order(visible)]
        yield Path(inner), Path(inner).relative_to(folder).as_posix()


def _sources(folder: Path, name: str, domain: Domain, spacing: Triple | None) -> list[Source]:
    """The cases that lie in one folder itself."""
    if is_zarr(folder):
        return [Source(folder.name if name == "." else name, folder)]
    files = _files(folder)
    prefix = "" if name == "." else f"{name}/"
    own_name = folder.name if name == "." else name
    names = {file.name for file in files}
    if "case.json" in names and names & {"low.nrrd", "high.nrrd"}:
        return _phantom(folder, own_name, domain)
    found = [
        _file_source(file, prefix + file.name, spacing)
        for file in files
        if file.name.lower().endswith(_VOLUME_SUFFIXES)
    ]
    tiffs = [file for file in files if file.suffix.lower() in TIFF_SUFFIXES]
    if tiffs and _pages(tiffs[0]) > 1:
        found += [_file_source(file, prefix + file.name, spacing) for file in tiffs]
    elif tiffs:
        found.append(Source(own_name, folder, "tiff", spacing))
    elif dicom := [file for file in files if _is_dicom(file)]:
        found += _series(Source(own_name, folder, "dicom"), dicom)
    return found


def _file_source(file: Path, name: str, spacing: Triple | None) -> Source:
    if file.suffix.lower() in TIFF_SUFFIXES:
        return Source(name, file, "tiff", spacing)
    return Source(name, file)


def _phantom(folder: Path, name: str, domain: Domain) -> list[Source]:
    path, truth = folder / f"{domain}.nrrd", folder / "truth.nrrd"
    if not path.is_file():
        return []
    if domain == "low":
        known = truth if truth.is_file() else None
        return [Source(name, path, truth=known, calibration=Calibration())]
    try:
        scanner = json.loads((folder / "case.json").read_text(encoding="utf-8"))["micro_scanner"]
        gain, offset = float(scanner["gain"]), float(scanner["offset"])
        calibration = Calibration(1 / gain, -offset / gain)
    except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
        calibration = None
    return [Source(name, path, calibration=calibration)]


def _series(source: Source, files: list[Path]) -> list[Source]:
    try:
        uids = dicom_series(source.path, files)
    except ReadError:  # reading it says what is wrong
        uids = []
    if len(uids) <= 1:
        return [source]
    # Numbered, as a UID could lead to the patient.
    return [
        replace(source, name=f"{source.name}#{number}", series=uid)
        for number, uid in enumerate(uids, start=1)
    ]


def _is_dicom(file: Path) -> bool:
    if file.suffix.lower() in (".dcm", ".dicom", ".ima"):
        return True
    try:
        return has_dicom_preamble(file)
    except OSError:
        return False


def _pages(file: Path) -> int:
    try:
        with tifffile.TiffFile(file) as opened:
            return len(opened.pages)
    except Exception:  # each decoder has errors of its own; reading it says what is wrong
        return 1


def _files(folder: Path) -> list[Path]:
    return natural_order(
        entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")
    )
