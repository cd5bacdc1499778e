"""What the header of a NIfTI file says of the values behind it (NIfTI-1.1 and NIfTI-2)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from ..errors import ReadError
from .claims import check_claim

_HEADER_BYTES = 352  # a NIfTI-1 header, and as much of a NIfTI-2 header as is looked at
_FLOATS = {16: "f4", 64: "f8"}  # by the code of the data type
# Bits of a value by the code of its type, colours and complex numbers included.
_BITS = {2: 8, 4: 16, 8: 32, 16: 32, 32: 64, 64: 64, 128: 24, 256: 8, 512: 16, 768: 32, 1024: 64,
         1280: 64, 1792: 128, 2304: 32}  # fmt: skip
_FARTHEST_OFFSET = 1 << 40
_BLOCK_BYTES = 1 << 20


class NiftiHeader(NamedTuple):
    """Where the values lie, and how they are stored where they can be other than numbers."""

    offset: int  # of the first value, in bytes
    bytes: int  # of all values
    floats: np.dtype | None


def is_nifti(path: Path) -> bool:
    """Whether the name says so."""
    return path.name.lower().endswith((".nii", ".nii.gz"))


def read_nifti_header(path: Path) -> NiftiHeader | None:
    """The header of a .nii or .nii.gz file; ``None`` for another format under that name.

    Raises:
        ReadError: the header is damaged, or claims more than the file can hold.
        ResourceError: what it holds does not fit into the memory that is free.
    """
    try:
        with _opened(path) as stream:
            start = stream.read(_HEADER_BYTES)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return None
    if len(start) < _HEADER_BYTES:
        return None
    for order in "<>":
        (size,) = struct.unpack_from(f"{order}i", start)
        if size in (348, 540):
            header = _header(path, start, order, size == 540)
            if path.name.lower().endswith(".gz"):
                check_claim(path, header.bytes)
            return header
    return None


def count_not_numbers(path: Path) -> int:
    """How many values of a whole .nii or .nii.gz file are NaN or infinite."""
    header = read_nifti_header(path) if is_nifti(path) else None
    if header is None or header.floats is None:
        return 0
    with _opened(path) as stream:
        stream.seek(header.offset)
        blocks = _blocks(stream, header.bytes)
        values = (np.frombuffer(block, header.floats) for block in blocks)
        return sum(part.size - int(np.count_nonzero(np.isfinite(part))) for part in values)


def _opened(path: Path) -> IO[bytes]:
    packed = path.name.lower().endswith(".gz")
    return cast(IO[bytes], gzip.open(path) if packed else path.open("rb"))


def _blocks(stream: IO[bytes], length: int) -> Iterator[bytes]:
    while length > 0 and (block := stream.read(min(_BLOCK_BYTES, length))):
        length -= len(block)
        yield block


def _header(path: Path, start: bytes, order: str, second: bool) -> NiftiHeader:
    if second:
        (kind,) = struct.unpack_from(f"{order}h", start, 12)
        count, *lengths = struct.unpack_from(f"{order}8q", start, 16)
        (offset,) = struct.unpack_from(f"{order}q", start, 168)
        sizes = struct.unpack_from(f"{order}3d", start, 112)
    else:
        count, *lengths = struct.unpack_from(f"{order}8h", start, 40)
        (kind,) = struct.unpack_from(f"{order}h", start, 70)
        (offset,) = struct.unpack_from(f"{order}f", start, 108)
        sizes = struct.unpack_from(f"{order}3f", start, 80)
    wrong = {
        "number of dimensions": not 1 <= count <= 7,
        "dimensions": min(lengths[: max(count, 1)], default=0) < 1,
        "type of values": kind not in _BITS,
        "offset of values": not 0 <= offset <= _FARTHEST_OFFSET,
        "voxel size": any(not math.isfinite(mm) or mm == 0 for mm in sizes[: min(count, 3)]),
    }
    for what, found in wrong.items():
        if found:
            raise ReadError(
                f"{path} is damaged: the {what} in its header cannot be; open it in the program "
                f"that wrote it and save it again."
            )
    floats = np.dtype(f"{order}{_FLOATS[kind]}") if kind in _FLOATS else None
    return NiftiHeader(int(offset), prod(lengths[:count]) * _BITS[kind] // 8, floats)
