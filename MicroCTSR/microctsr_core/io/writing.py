"""Writing volumes; the format follows the suffix."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import ReadError, WriteError
from ..volume import Volume
from .atomic import atomic_path, check_output
from .completeness import check_complete
from .images import quiet_itk
from .raw_nrrd import METADATA_PREFIX, one_line, stored_type, write_raw_nrrd

VOLUME_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")
_NIFTI_NOTE_CHARACTERS = 79  # what the one free text field of a NIfTI header holds


def write_volume(
    volume: Volume,
    path: str | os.PathLike[str],
    overwrite: bool = True,
    metadata: Mapping[str, str] | None = None,
    compress: bool = True,
) -> None:
    """Write a volume with its geometry; the format follows the file's suffix.

    NRRD keeps geometry and metadata exactly, and so does MetaImage. NIfTI rounds the geometry to
    single precision and holds of the metadata only its values, as far as they fit into 79
    characters. The file is written under another name in the same folder and moved into place
    when it is whole.

    Args:
        volume: what to write; half precision is widened to single, truth values become 0 and 1.
        path: ends in .nrrd, .nii, .nii.gz or .mha; missing folders are made.
        overwrite: whether an existing file may be replaced.
        metadata: short facts for the header, in addition to ``volume.metadata``; never patient
            data.
        compress: whether .nrrd and .mha files are compressed: smaller, but far slower to write
            and to read. An uncompressed .nrrd file is mapped into memory without waiting.

    Raises:
        WriteError: the suffix is unknown, the file exists and may not be replaced, the folder
            cannot be written, or the disk is full. Nothing is left behind, and an existing
            file is as it was.

    Example:
        >>> write_volume(result.mean, "ear_sr.nrrd", overwrite=False)
    """
    path = Path(path).expanduser()
    check_output(path, overwrite)
    if not path.name.lower().endswith(VOLUME_SUFFIXES):
        raise WriteError(f"{path} has no known suffix; end it in {', '.join(VOLUME_SUFFIXES)}.")
    facts = one_line({**volume.metadata, **(metadata or {})})
    if path.name.lower().endswith(".nrrd") and not compress:
        write_raw_nrrd(replace(volume, metadata=facts), path)
        return
    image = to_itk(volume)
    for key, value in facts.items():
        image.SetMetaData(METADATA_PREFIX + key, value)
    if ".nii" in path.suffixes:
        image.SetMetaData("ITK_FileNotes", "; ".join(facts.values())[:_NIFTI_NOTE_CHARACTERS])
    writer = sitk.ImageFileWriter()
    writer.SetUseCompression(compress and not path.name.lower().endswith(".nii"))
    with atomic_path(path) as temporary, quiet_itk():
        writer.SetFileName(str(temporary))
        try:
            writer.Execute(image)
            check_complete(temporary)
        except (RuntimeError, ReadError) as error:
            raise WriteError(_not_written(path, volume.array.nbytes)) from error


def to_itk(volume: Volume) -> sitk.Image:
    array = np.asarray(volume.array, stored_type(volume.dtype))
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection(volume.direction.ravel().tolist())
    return image


def _not_written(path: Path, size_bytes: int) -> str:
    free = shutil.disk_usage(path.parent).free
    if free < size_bytes:
        return (
            f"{path} was not written, because its disk is full ({free / 1e6:.1f} MB free); "
            f"free some space or choose another folder."
        )
    return f"{path} was not written, because writing failed half way; choose another folder."
