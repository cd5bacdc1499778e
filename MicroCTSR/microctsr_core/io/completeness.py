"""Is a volume file whole?

ITK reads a NIfTI file that was cut short as if nothing were wrong, with zeros where the rest
should be, and does not notice when a full disk cuts one short on writing. MetaImage files get an
error, but also lines on the terminal. So the length is checked here, before and after.
"""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import IO

from ..errors import ReadError
from .headers import HEADER_BYTES, metaimage_bytes, metaimage_fields, nrrd_bytes, nrrd_fields
from .nifti import is_nifti, read_nifti_header

_BLOCK_BYTES = 1 << 20
_DETACHED = {"data file", "datafile"}


def check_complete(path: Path) -> None:
    """Make sure that a .nii, .nii.gz, .mha or gzipped .nrrd file holds all its values.

    Raises:
        ReadError: the file ends before its last value, or its compressed part is damaged.
    """
    name = path.name.lower()
    header = read_nifti_header(path) if is_nifti(path) else None
    needed = header.offset + header.bytes if header else 0
    with path.open("rb") as file:
        try:
            if name.endswith(".nii.gz"):
                whole = _gunzipped_length(file, needed) >= needed
            elif name.endswith(".nii"):
                whole = path.stat().st_size >= needed
            elif name.endswith(".mha"):
                whole = path.stat().st_size >= _metaimage_length(file.read(HEADER_BYTES))
            elif name.endswith(".nrrd"):
                whole = _nrrd_payload_is_whole(file)
            else:
                whole = True
        except (EOFError, gzip.BadGzipFile, zlib.error):
            whole = False
    if not whole:
        raise ReadError(f"{path} is damaged or cut short; copy or export it again.")


def _gunzipped_length(file: IO[bytes], needed: int) -> int:
    """Bytes that a file unpacks to; what lies far behind those needed is not looked at."""
    with gzip.GzipFile(fileobj=file) as stream:
        length = 0
        while length <= needed + _BLOCK_BYTES and (block := stream.read(_BLOCK_BYTES)):
            length += len(block)
    return length


def _metaimage_length(start: bytes) -> int:
    """Bytes a MetaImage file with its values inside must have; 0 where the header won't tell."""
    local = re.search(rb"ElementDataFile\s*=\s*LOCAL[ \t\r]*\n", start)
    if not local:
        return 0
    fields = metaimage_fields(start)
    if "CompressedDataSize" in fields:
        return local.end() + int(fields["CompressedDataSize"])
    compressed = fields.get("CompressedData", "False") == "True"
    return 0 if compressed else local.end() + metaimage_bytes(fields)


def _nrrd_payload_is_whole(file: IO[bytes]) -> bool:
    """Read the gzipped payload through; ITK itself checks the other encodings."""
    start = file.read(HEADER_BYTES)
    end = re.search(rb"\n\r?\n", start)
    if not end:
        return not start.startswith(b"NRRD")
    fields = nrrd_fields(start)
    if fields.get("encoding", "").lower() not in ("gz", "gzip") or _DETACHED & fields.keys():
        return True
    file.seek(end.end())
    needed = nrrd_bytes(fields)
    return _gunzipped_length(file, needed) >= needed
