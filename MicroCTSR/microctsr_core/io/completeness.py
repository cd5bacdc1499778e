"""Is a volume file whole?

ITK reads a NIfTI file that was cut short as if nothing were wrong, with zeros where the rest
should be, and does not notice when a full disk cuts one short on writing. MetaImage files get an
error, but also lines on the terminal. So the length is checked here, before and after.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from ..errors import ReadError
from .headers import HEADER_BYTES, metaimage_bytes, metaimage_fields, nrrd_bytes, nrrd_fields
from .nifti import is_nifti, read_nifti_header

_BLOCK_BYTES = 1 << 20
_DETACHED = {"data file", "datafile"}


def check_complete(path: Path) -> None:
    """Make sure that a .nii, .nii.gz, .mha, .mhd or gzipped .nrrd file holds all its values.

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
            elif name.endswith((".mha", ".mhd")):
                whole = _metaimage_is_whole(path, file.read(HEADER_BYTES))
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


def _metaimage_is_whole(path: Path, start: bytes) -> bool:
    """Whether the values inside a MetaImage file, or compressed ones beside it, are all there."""
    local = re.search(rb"ElementDataFile\s*=\s*LOCAL[ \t\r]*\n", start)
    fields = metaimage_fields(start)
    if fields.get("CompressedData", "")[:1] in ("T", "t", "1"):
        place = local.end() if local else max(int(fields.get("HeaderSize", "0")), 0)
        data = path if local else path.parent / fields["ElementDataFile"]
        return not data.is_file() or _inflates(data, place, fields)  # ITK tells what is not there
    needed = local.end() + metaimage_bytes(fields) if local else 0
    return path.stat().st_size >= needed


def _inflates(path: Path, place: int, fields: Mapping[str, str]) -> bool:
    """Whether a file's compressed values are as many as its header says.

    Where they are not, ITK prints a line and leaves what happens to lie in memory.
    """
    unpacker, length, needed = zlib.decompressobj(47), 0, metaimage_bytes(fields)
    with path.open("rb") as file:
        file.seek(place)
        while length < needed and (block := file.read(_BLOCK_BYTES)):
            while block and length < needed:
                length += len(unpacker.decompress(block, _BLOCK_BYTES))
                block = unpacker.unconsumed_tail
    return length >= needed


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
