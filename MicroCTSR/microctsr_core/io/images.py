"""NRRD, NIfTI, MetaImage, and whatever else SimpleITK reads as one grey 3-D image."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import GeometryError, ReadError
from ..volume import Volume
from .checks import not_numbers
from .claims import check_claim
from .completeness import check_complete
from .headers import check_text_header
from .nifti import count_not_numbers, is_nifti, read_nifti_header
from .raw_nrrd import METADATA_PREFIX, map_raw_nrrd

# Of these, no other reader of ITK is asked what it makes of a file.
_READERS = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
_KNOWN_SUFFIXES = tuple(_READERS)


@contextmanager
def quiet_itk() -> Iterator[None]:
    """Keep ITK's warnings off the terminal; what matters is said in our own errors."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def read_image(path: Path) -> Volume:
    """Read one image file with its geometry; an uncompressed NRRD file is mapped.

    Raises:
        ReadError: the file is damaged, of an unknown format, colour, or not three-dimensional,
            or is a NIfTI file with values that are not numbers.
    """
    if path.name.lower().endswith(".nrrd"):
        with suppress(ReadError):  # of another kind, or damaged, which ITK tells apart
            return map_raw_nrrd(path)
    check_text_header(path)
    if is_nifti(path):
        read_nifti_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    for suffix, kind in _READERS.items():
        if path.name.lower().endswith(suffix):
            reader.SetImageIO(kind)
    with quiet_itk():
        try:
            reader.ReadImageInformation()
        except RuntimeError as error:
            raise ReadError(_unreadable(path)) from error
        _check_kind(path, reader)
        voxel_bytes = sitk.Image([1, 1], reader.GetPixelID()).GetSizeOfPixelComponent()
        check_claim(path, math.prod(reader.GetSize()) * voxel_bytes)
        check_complete(path)
        bad = count_not_numbers(path)
        if bad:  # ITK would make zeros of them, and nobody would know
            raise ReadError(not_numbers(str(path), bad))
        try:
            image = reader.Execute()
        except RuntimeError as error:
            raise ReadError(_damaged(path)) from error
    return volume_from_itk(image, str(path))


def volume_from_itk(image: sitk.Image, name: str) -> Volume:
    """Copy a 3-D SimpleITK image, with its geometry, into a volume.

    Raises:
        ReadError: the image's geometry cannot be used; ``name`` says where it came from.
    """
    metadata = {
        key[len(METADATA_PREFIX) :]: image.GetMetaData(key)
        for key in image.GetMetaDataKeys()
        if key.startswith(METADATA_PREFIX)
    }
    i, j, k = image.GetSpacing()
    x, y, z = image.GetOrigin()
    direction = np.reshape(image.GetDirection(), (3, 3))
    try:
        return Volume(sitk.GetArrayFromImage(image), (k, j, i), (x, y, z), direction, metadata)
    except GeometryError as error:
        raise ReadError(f"{name} cannot be used as a scan: {error}") from error


def _check_kind(path: Path, reader: sitk.ImageFileReader) -> None:
    dimension = reader.GetDimension()
    if reader.GetNumberOfComponents() > 1:
        raise ReadError(f"{path} is a colour or vector image; give a grey one, such as a CT.")
    if dimension == 2:
        raise ReadError(f"{path} is a single two-dimensional slice; give a whole scan.")
    if dimension > 3:
        raise ReadError(
            f"{path} has {dimension} dimensions; "
            f"save one three-dimensional scan of it and give that."
        )


def _unreadable(path: Path) -> str:
    if path.name.lower().endswith(_KNOWN_SUFFIXES):
        return (
            f"{path} is damaged, or its contents are not what its name says; "
            f"open it in the program that wrote it and save it again."
        )
    return (
        f"{path} is of no format that can be read here; "
        f"give NRRD, NIfTI, MetaImage, a TIFF stack or a folder of DICOM slices."
    )


def _damaged(path: Path) -> str:
    return f"{path} is damaged or cut short; copy or export it again."
