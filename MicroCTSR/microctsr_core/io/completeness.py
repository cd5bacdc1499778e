"""Is a volume file whole?

ITK reads a NIfTI file that was cut short as if nothing were wrong, with zeros where the rest
should be, and does not notice when a full disk cuts one short on writing. MetaImage files get an
error, but also lines on the terminal. So the length is checked here, before and after.
"""

from __future__ import annotations

import gzip
import io
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from ..errors import ReadError

_BLOCK_BYTES = 1 << 20
_HEADER_BYTES = 1 << 16  # far more than the text header of a MetaImage or NRRD file needs


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
                    header = stream.read(352)
                whole = _gunzipped_length(file) >= _nifti_length(header)
            elif name.endswith(".nii"):
                whole = _length(file) >= _nifti_length(file.read(352))
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


def _length(file: BinaryIO) -> int:
    end = file.seek(0, io.SEEK_END)
    file.seek(0)
    return end


def _gunzipped_length(file: BinaryIO) -> int:
    with gzip.GzipFile(fileobj=file) as stream:
        length = 0
        while block := stream.read(_BLOCK_BYTES):
            length += len(block)
    return length


def _nifti_length(header: bytes) -> int:
    """Bytes a NIfTI-1 or NIfTI-2 file must have, from its header; 0 for another format."""
    for order in "<>":
        size = struct.unpack_from(f"{order}i", header)[0] if len(header) >= 352 else 0
        if size == 348:
            shape = struct.unpack_from(f"{order}8h", header, 40)
            bits = struct.unpack_from(f"{order}h", header, 72)[0]
            offset = int(struct.unpack_from(f"{order}f", header, 108)[0])
        elif size == 540:
            shape = struct.unpack_from(f"{order}8q", header, 16)
            bits = struct.unpack_from(f"{order}h", header, 14)[0]
            offset = struct.unpack_from(f"{order}q", header, 168)[0]
        else:
            continue
        voxels = 1
        for length in shape[1 : 1 + shape[0]]:
            voxels *= max(length, 1)
        return int(offset + voxels * bits // 8)
    return 0


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


def _nrrd_payload_is_whole(file: BinaryIO) -> bool:
    """Read the gzipped payload through; ITK itself checks the other encodings."""
    header = file.read(_HEADER_BYTES)
    end = header.find(b"\n\n")
    if end < 0 or not re.search(rb"\nencoding: gz(ip)?\s*\n", header[: end + 1]):
        return end >= 0 or not header.startswith(b"NRRD")
    file.seek(end + 2)
    _gunzipped_length(file)
    return True
