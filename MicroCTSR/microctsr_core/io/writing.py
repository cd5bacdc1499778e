"""Writing so that an output appears whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import ReadError, WriteError
from ..volume import Volume
from .completeness import check_complete
from .images import METADATA_PREFIX, quiet_itk

VOLUME_SUFFIXES = (".nrrd", ".nii.gz", ".nii", ".mha")
_NIFTI_NOTE_CHARACTERS = 79  # what the one free text field of a NIfTI header holds


def write_volume(
    volume: Volume,
    path: str | os.PathLike[str],
    overwrite: bool = True,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a volume with its geometry; the format follows the file's suffix.

    NRRD keeps geometry and metadata exactly, and so does MetaImage. NIfTI rounds the geometry to
    single precision and holds of the metadata only its values, as far as they fit into 79
    characters. The file is written under another name in the same folder and moved into place
    when it is whole.

    Args:
        volume: what to write; half precision is widened to single, truth values become 0 and 1.
        path: ends in .nrrd (gzipped), .nii, .nii.gz or .mha; missing folders are made.
        overwrite: whether an existing file may be replaced.
        metadata: short facts for the header, in addition to ``volume.metadata``; never patient
            data.

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
    facts = {**volume.metadata, **(metadata or {})}
    facts = {key: " ".join(value.split()) for key, value in facts.items()}  # an entry is one line
    image = _to_itk(volume)
    for key, value in facts.items():
        image.SetMetaData(METADATA_PREFIX + key, value)
    if ".nii" in path.suffixes:
        image.SetMetaData("ITK_FileNotes", "; ".join(facts.values())[:_NIFTI_NOTE_CHARACTERS])
    writer = sitk.ImageFileWriter()
    writer.SetUseCompression(not path.name.lower().endswith(".nii"))
    with atomic_path(path) as temporary, quiet_itk():
        writer.SetFileName(str(temporary))
        try:
            writer.Execute(image)
            check_complete(temporary)
        except (RuntimeError, ReadError) as error:
            raise WriteError(_not_written(path, volume.array.nbytes)) from error


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a temporary path, in the folder and with the suffix of ``path``, to write to.

    When the block ends well, the temporary file takes the place of ``path`` in one step; when it
    does not, the temporary file is removed and ``path`` is as it was.

    Args:
        path: where the finished file belongs; missing folders are made.

    Raises:
        WriteError: the folder cannot be written, or an :class:`OSError` (such as a full disk)
            stopped the block.

    Example:
        >>> with atomic_path("report.json") as temporary:
        ...     temporary.write_text("{}")
    """
    path = Path(path).expanduser()
    temporary = path.with_name(_temporary_name(path))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise WriteError(_os_reason(path, error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_output(path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Find out, before long work starts, whether an output can be written.

    A file is put into the folder and removed again, since permissions alone do not tell.

    Args:
        path: where the output is to go.
        overwrite: whether an existing file may be replaced.

    Raises:
        WriteError: it is a folder, it exists and may not be replaced, or its folder cannot be
            written.
    """
    path = Path(path).expanduser()
    if os.path.isdir(path):
        raise WriteError(f"{path} is a folder; give the name of a file.")
    if os.path.lexists(path) and not overwrite:
        raise WriteError(
            f"{path} exists already; give another name, or --overwrite to replace it "
            f"(overwrite=True in Python)."
        )
    folder = path.absolute().parent
    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        trial = folder / _temporary_name(path)
        trial.touch()
        trial.unlink()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise WriteError(f"The file name of {path} is too long; shorten it.") from error
        raise WriteError(
            f"{path} cannot be written, because nothing can be put into {folder} "
            f"({error.strerror or error}); choose another folder."
        ) from error


def _temporary_name(path: Path) -> str:
    """A hidden name beside ``path``, with its suffix, that no other file has."""
    stem, dot, suffixes = path.name.partition(".")
    return f".{stem}-{secrets.token_hex(4)}{dot}{suffixes}"


def _to_itk(volume: Volume) -> sitk.Image:
    array = volume.array
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    elif array.dtype.kind == "f" and array.dtype.itemsize not in (4, 8):
        array = array.astype(np.float32)
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


def _os_reason(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path} was not written, because its disk is full; "
            f"free some space or choose another folder."
        )
    reason = error.strerror or str(error)
    return f"{path} cannot be written ({reason}); choose another folder."
