"""DICOM slices for tests, written with pydicom (the library reads them with GDCM)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
PATIENT = "Somebody^Secret"


def write_slice(path: Path, pixels: np.ndarray, **fields: Any) -> Path:
    """Write one CT slice: stored values (j, i), 0.5 mm pixels at the origin unless told."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = fields.pop("SOPClassUID", CT_IMAGE)
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.PatientName = PATIENT
    dataset.PatientID = "secret-id"
    dataset.SeriesDescription = "secret description"
    dataset.Modality = "CT"
    dataset.SeriesInstanceUID = "1.2.3.4"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.ImagePositionPatient = [0, 0, 0]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.PixelSpacing = [0.5, 0.5]
    dataset.SliceThickness = 1.0
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    for name, value in fields.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.PixelData = np.ascontiguousarray(pixels).tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(
    folder: Path,
    stack: np.ndarray,
    step: tuple[float, float, float] = (0, 0, 0.7),
    origin: tuple[float, float, float] = (0, 0, 0),
    names: str = "slice_{:03d}.dcm",
    **fields: Any,
) -> list[Path]:
    """Write a stack (k, j, i), each slice ``step`` mm (LPS) from the one before."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, pixels in enumerate(stack):
        place = [f"{float(o + number * s):.6g}" for o, s in zip(origin, step, strict=True)]
        path = folder / names.format(number)
        paths.append(write_slice(path, pixels, **{"ImagePositionPatient": place, **fields}))
    return paths


def stored_values(slices: int = 6) -> np.ndarray:
    """A stack of noise, as a scanner stores it: unsigned, 1024 above HU."""
    return np.random.default_rng(0).integers(0, 4000, (slices, 8, 10)).astype(np.uint16)
