"""Scans that cannot be used, one for each mistake, with the words that must explain it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk
import tifffile

from dicom_files import stored_values, write_series
from microctsr_core import Volume, write_volume

SHAPE = (4, 18, 20)
HU = np.random.default_rng(0).integers(-1000, 2000, SHAPE, dtype=np.int16)


def scan(path: Path, array: np.ndarray = HU) -> Path:
    write_volume(Volume(array, (0.6, 0.3, 0.3)), path)
    return path


def empty_file(folder: Path) -> Path:
    (folder / "ct.nrrd").touch()
    return folder / "ct.nrrd"


def text_file(folder: Path) -> Path:
    (folder / "ct.nrrd").write_text("Dear colleague")
    return folder / "ct.nrrd"


def unknown_format(folder: Path) -> Path:
    (folder / "ct.docx").write_text("Dear colleague")
    return folder / "ct.docx"


def cut_short(name: str, kept: float = 0.7) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = scan(folder / name)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * kept)])
        return path

    return make


def empty_folder(folder: Path) -> Path:
    return folder


def two_series(folder: Path) -> Path:
    write_series(folder, stored_values())
    write_series(folder, stored_values(), names="b_{:03d}.dcm", SeriesInstanceUID="1.2.3.5")
    return folder


def truncated_dicom(kept: int) -> Callable[[Path], Path]:
    """A series whose last slice holds only so many bytes."""

    def make(folder: Path) -> Path:
        last = write_series(folder, stored_values())[-1]
        last.write_bytes(last.read_bytes()[:kept])
        return folder

    return make


def missing_slice(folder: Path) -> Path:
    write_series(folder, stored_values())[2].unlink()
    return folder


def one_dicom_slice(folder: Path) -> Path:
    write_series(folder, stored_values(1))
    return folder


def tiff_stack(folder: Path) -> Path:
    for number, plane in enumerate(HU):
        tifffile.imwrite(folder / f"slice_{number}.tif", plane)
    return folder


def colour(folder: Path) -> Path:
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(folder / "photo.nrrd"))
    return folder / "photo.nrrd"


def four_dimensional(folder: Path) -> Path:
    image = sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.int16), isVector=False)
    sitk.WriteImage(image, str(folder / "film.nii.gz"))
    return folder / "film.nii.gz"


def spoilt_by(value: float, name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        array = HU.astype(np.float32)
        array[1, 2, 3] = value
        return scan(folder / name, array)

    return make


BAD_SCANS = {
    "missing file": (lambda folder: folder / "nowhere.nrrd", "nowhere.nrrd does not exist"),
    "missing folder": (lambda folder: folder / "a" / "ct.nrrd", "ct.nrrd does not exist"),
    "empty file": (empty_file, "ct.nrrd is an empty file"),
    "text named as a scan": (text_file, "ct.nrrd is damaged, or its contents are not"),
    "unknown format": (unknown_format, "ct.docx is of no format that can be read here"),
    "NRRD cut short": (cut_short("ct.nrrd"), "ct.nrrd is damaged or cut short"),
    "NIfTI cut short": (cut_short("ct.nii"), "ct.nii is damaged or cut short"),
    "NIfTI without its header": (cut_short("ct.nii", 0.02), "ct.nii is damaged"),
    "gzipped NIfTI cut short": (cut_short("ct.nii.gz"), "ct.nii.gz is damaged"),
    "MetaImage cut short": (cut_short("ct.mha"), "ct.mha is damaged or cut short"),
    "empty folder": (empty_folder, "holds no files"),
    "folder with two series": (two_series, "holds 2 series", "--series", "1.2.3.4", "1.2.3.5"),
    "DICOM slice cut in its pixels": (truncated_dicom(600), "slice_005.dcm is damaged, cut short"),
    "DICOM slice cut in its header": (truncated_dicom(300), "slice_005.dcm is damaged, cut short"),
    "DICOM slice cut ahead of it": (truncated_dicom(100), "slice_005.dcm is damaged, cut short"),
    "DICOM slice of no bytes": (truncated_dicom(0), "slice_005.dcm is damaged, cut short"),
    "missing slice": (missing_slice, "slice_001.dcm and slice_003.dcm", "1 slice is missing"),
    "single DICOM slice": (one_dicom_slice, "holds a single slice (slice_000.dcm)"),
    "TIFF without a voxel size": (tiff_stack, "does not tell its voxel size", "--spacing z,y,x"),
    "colour image": (colour, "photo.nrrd is a colour or vector image"),
    "4-D image": (four_dimensional, "film.nii.gz has 4 dimensions"),
    "label map": (
        lambda folder: scan(folder / "ct.nrrd", (HU > 0).astype(np.uint8)),
        "ct.nrrd looks like a segmentation (label map)",
    ),
    "constant image": (
        lambda folder: scan(folder / "ct.nrrd", np.full(SHAPE, 7, np.int16)),
        "ct.nrrd has the same value, 7, everywhere",
    ),
    "NaN": (spoilt_by(np.nan, "ct.nrrd"), "ct.nrrd holds 1 value that is not a number"),
    "infinity": (spoilt_by(np.inf, "ct.mha"), "ct.mha holds 1 value that is not a number"),
    "NaN in NIfTI": (spoilt_by(np.nan, "ct.nii"), "ct.nii holds 1 value that is not a number"),
    "infinity in NIfTI": (spoilt_by(-np.inf, "ct.nii.gz"), "ct.nii.gz holds 1 value that is not"),
    "single slice": (
        lambda folder: scan(folder / "ct.nrrd", HU[:1]),
        "ct.nrrd is a single slice (1 x 18 x 20 voxels)",
    ),
}
