"""Is a volume file whole?

ITK reads a NIfTI file that was cut short as if nothing were wrong, with zeros where the rest
should be, and does not notice when a full disk cuts one short on writing. MetaImage files get an
error, but also lines on the terminal. So the length is checked here, before and after. NIfTI's
values that are no numbers are zeros to ITK as well, and are counted here.
"""

from __future__ import annotations

import gzip
import io
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from ..errors import ReadError

_BLOCK_BYTES = 1 << 20
_HEADER_BYTES = 1 << 16  # far more than the text header of a MetaImage or NRRD file needs
_NIFTI_BYTES = 352  # a NIfTI-1 header, and as much of a NIfTI-2 header as is looked at
_NIFTI_FLOATS = {16: "f4", 64: "f8"}  # by the code of the data type


def check_complete(path: Path) -> None:
    """Make sure that a .nii, .nii.gz, .mha or gzipped .nrrd file holds all its values.

    Raises:
        ReadError: the file ends before its last value, or its compressed part is damaged.
    """
    name = path.name.lower()
    with path.open("rb") as file:
        try:
            if name.endswith(".nii.gz"):
                with gzip.open(path) as stream:
                    header = _nifti_header(stream.read(_NIFTI_BYTES))
                whole = _gunzipped_length(file) >= (header.length if header else 0)
            elif name.endswith(".nii"):
                header = _nifti_header(file.read(_NIFTI_BYTES))
                whole = _length(file) >= (header.length if header else 0)
            elif name.endswith(".mha"):
                whole = _length(file) >= _metaimage_length(file.read(_HEADER_BYTES))
            elif name.endswith(".nrrd"):
                whole = _nrrd_payload_is_whole(file)
            else:
                whole = True
        except (EOFError, gzip.BadGzipFile, zlib.error):
            whole = False
    if not whole:
        raise ReadError(f"{path} is damaged or cut short; copy or export it again.")


def count_not_numbers(path: Path) -> int:
    """How many values of a whole .nii or .nii.gz file are NaN or infinite."""
    name = path.name.lower()
    if not name.endswith((".nii", ".nii.gz")):
        return 0
    with gzip.open(path) if name.endswith(".gz") else path.open("rb") as stream:
        header = _nifti_header(stream.read(_NIFTI_BYTES))
        if header is None or header.floats is None:
            return 0
        stream.seek(header.offset)
        blocks = _blocks(stream, header.length - header.offset)
        values = (np.frombuffer(block, header.floats) for block in blocks)
        return sum(part.size - int(np.count_nonzero(np.isfinite(part))) for part in values)


def _blocks(stream: IO[bytes] | gzip.GzipFile, length: int) -> Iterator[bytes]:
    while length > 0 and (block := stream.read(min(_BLOCK_BYTES, length))):
        length -= len(block)
        yield block


def _length(file: IO[bytes]) -> int:
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    return end


def _gunzipped_length(file: IO[bytes]) -> int:
    with gzip.GzipFile(fileobj=file) as stream:
        length = 0
        while block := stream.read(_BLOCK_BYTES):
            length += len(block)
    return length


class _NiftiHeader(NamedTuple):
    offset: int  # of the first value, in bytes
    length: int  # of the whole file, in bytes
    floats: np.dtype | None  # how values are stored, where they can be other than numbers


def _nifti_header(start: bytes) -> _NiftiHeader | None:
    """What the header of a NIfTI-1 or NIfTI-2 file says; ``None`` for another format."""
    for order in "<>":
        size = struct.unpack_from(f"{order}i", start)[0] if len(start) >= _NIFTI_BYTES else 0
        if size == 348:
            shape = struct.unpack_from(f"{order}8h", start, 40)
            kind, bits = struct.unpack_from(f"{order}2h", start, 70)
            offset = int(struct.unpack_from(f"{order}f", start, 108)[0])
        elif size == 540:
            kind, bits = struct.unpack_from(f"{order}2h", start, 12)
            shape = struct.unpack_from(f"{order}8q", start, 16)
            offset = struct.unpack_from(f"{order}q", start, 168)[0]
        else:
            continue
        voxels = 1
        for edge in shape[1 : 1 + shape[0]]:
            voxels *= max(edge, 1)
        floats = np.dtype(f"{order}{_NIFTI_FLOATS[kind]}") if kind in _NIFTI_FLOATS else None
        return _NiftiHeader(offset, int(offset + voxels * bits // 8), floats)
    return None


_METAIMAGE_BYTES = {
    b"MET_CHAR": 1, b"MET_UCHAR": 1, b"MET_SHORT": 2, b"MET_USHORT": 2,
    b"MET_INT": 4, b"MET_UINT": 4, b"MET_LONG": 4, b"MET_ULONG": 4,
    b"MET_LONG_LONG": 8, b"MET_ULONG_LONG": 8, b"MET_FLOAT": 4, b"MET_DOUBLE": 8,
}  # fmt: skip


def _metaimage_length(start: bytes) -> int:
    """Bytes a MetaImage file with its values inside must have; 0 where the header won't tell."""
    local = re.search(rb"ElementDataFile\s*=\s*LOCAL[ \t\r]*\n", start)
    if not local:
        return 0
    fields = dict(re.findall(rb"(\w+)\s*=\s*([^\r\n]*)", start[: local.end()]))
    if b"CompressedDataSize" in fields:
        return local.end() + int(fields[b"CompressedDataSize"])
    if fields.get(b"CompressedData", b"False").strip() == b"True":
        return 0
    payload = _METAIMAGE_BYTES.get(fields.get(b"ElementType", b"").strip(), 0)
    for length in fields.get(b"DimSize", b"").split():
        payload *= int(length)
    return local.end() + payload


def _nrrd_payload_is_whole(file: IO[bytes]) -> bool:
    """Read the gzipped payload through; ITK itself checks the other encodings."""
    header = file.read(_HEADER_BYTES)
    end = header.find(b"\n\n")
    if end < 0 or not re.search(rb"\nencoding: gz(ip)?\s*\n", header[: end + 1]):
        return end >= 0 or not header.startswith(b"NRRD")
    file.seek(end + 2)
    _gunzipped_length(file)
    return True
