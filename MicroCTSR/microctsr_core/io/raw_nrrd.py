"""Uncompressed NRRD, mapped instead of read and written slab by slab.

Nothing but numpy is needed, so programs that cannot wait for SimpleITK, or do not have it, hand
volumes over in this form. The geometry is exact: what is written are the shortest decimal numbers
that give the same double again.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError, ReadError
from ..pieces import OnDisk
from ..volume import Triple, Volume
from .atomic import atomic_path

# Only entries under this prefix are read back, so that nothing foreign, patient data above all,
# travels from one header to the next.
METADATA_PREFIX = "MicroCTSR."

_SLAB_BYTES = 16_000_000
_HEADER_LINES = 10_000
_TO_LPS = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
}
_SYNONYMS = {
    "int8": ("int8", "int8_t", "signed char"),
    "uint8": ("uint8", "uint8_t", "uchar", "unsigned char"),
    "int16": ("int16", "int16_t", "short", "short int", "signed short", "signed short int"),
    "uint16": ("uint16", "uint16_t", "ushort", "unsigned short", "unsigned short int"),
    "int32": ("int32", "int32_t", "int", "signed int"),
    "uint32": ("uint32", "uint32_t", "uint", "unsigned int"),
    "int64": ("int64", "int64_t", "longlong", "long long", "long long int", "signed long long"),
    "uint64": ("uint64", "uint64_t", "ulonglong", "unsigned long long"),
    "float32": ("float",),
    "float64": ("double",),
}
_TYPES = {word: np.dtype(name) for name, words in _SYNONYMS.items() for word in words}
_WORDS = {np.dtype(name): words[0] for name, words in _SYNONYMS.items()}


def map_raw_nrrd(path: str | os.PathLike[str]) -> Volume:
    """Map an uncompressed NRRD file into memory: its values are read when they are looked at.

    The array may be changed; the file stays as it is. Windows does not let go of the file while
    the array is in use. Values of foreign byte order are turned round, which reads them all.

    Args:
        path: three-dimensional scalar image, header and values in one file, in LPS or RAS.

    Raises:
        ReadError: the file is missing, cut short, compressed, or of another kind.

    Example:
        >>> map_raw_nrrd("ct.nrrd").shape
        (54, 140, 160)
    """
    return _mapped(Path(path).expanduser(), "c")


def open_raw_nrrd(path: str | os.PathLike[str]) -> Volume:
    """As :func:`map_raw_nrrd`, but nothing that was read stays in memory by itself.

    Returns:
        A volume whose array is :class:`~..pieces.OnDisk`.

    Raises:
        ReadError: as :func:`map_raw_nrrd`.
    """
    volume = _mapped(Path(path).expanduser(), "r")
    return replace(volume, array=OnDisk(volume.array))  # type: ignore[arg-type]


def reserve_raw_nrrd(grid: Volume, path: Path) -> None:
    """Make an uncompressed NRRD file of single precision, to be written plane by plane.

    Args:
        grid: its shape, geometry and metadata are taken, its values are not.
        path: of the file, which is as long as it will be.
    """
    dtype = np.dtype(np.float32)
    text = _header_text(grid, dtype).encode()
    with path.open("wb") as file:
        file.write(text)
        file.truncate(len(text) + int(np.prod(grid.shape)) * dtype.itemsize)


def write_raw_planes(path: Path, first: int, planes: NDArray[np.float32]) -> None:
    """Write planes ``first`` and on into a file of :func:`reserve_raw_nrrd`; they stay written."""
    header = _read_header(path)
    with path.open("r+b") as file:
        file.seek(header.offset + first * planes[0].nbytes)
        file.write(np.ascontiguousarray(planes, header.dtype).data)
        file.flush()
        os.fsync(file.fileno())


def _mapped(path: Path, mode: Literal["c", "r"]) -> Volume:
    try:
        header = _read_header(path)
        whole = path.stat().st_size >= header.offset + header.bytes
        if whole:
            mode = mode if header.dtype.isnative else "c"
            mapped = np.memmap(path, header.dtype, mode, header.offset, header.shape)
    except OSError as error:
        raise ReadError(
            f"{path} cannot be read ({error.strerror or error}); check its name."
        ) from error
    if not whole:
        raise ReadError(f"{path} is damaged or cut short; copy or export it again.")
    array: NDArray[Any] = mapped
    if not header.dtype.isnative:
        array = mapped.byteswap(inplace=True).view(header.dtype.newbyteorder("="))
    try:
        return Volume(array, header.spacing, header.origin, header.direction, header.metadata)
    except GeometryError as error:
        raise ReadError(f"{path} cannot be used as a scan: {error}") from error


def write_raw_nrrd(volume: Volume, path: str | os.PathLike[str]) -> None:
    """Write a volume uncompressed; the file appears whole or not at all.

    Args:
        volume: truth values become 0 and 1, half precision is widened to single.
        path: where to; missing folders are made, an existing file is replaced.

    Raises:
        WriteError: the folder cannot be written, or the disk is full.
    """
    for _ in raw_nrrd_slabs(volume, path):
        pass


def raw_nrrd_slabs(
    volume: Volume, path: str | os.PathLike[str], slab_bytes: int = _SLAB_BYTES
) -> Iterator[float]:
    """As :func:`write_raw_nrrd`, a slab per step, so that the caller can do something in between.

    Args:
        slab_bytes: bytes written per step, about; a row of voxels at least.

    Yields:
        The share of the volume that is written. The file appears after the last step; a
        generator closed before leaves nothing behind.

    Raises:
        WriteError: the folder cannot be written, or the disk is full.

    Example:
        >>> for fraction in raw_nrrd_slabs(ct, "ct.nrrd"):
        ...     print(f"{fraction:.0%}")
    """
    dtype = stored_type(volume.dtype)
    written = 0
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        file.write(_header_text(volume, dtype).encode())
        for slab in _slabs(volume.array, slab_bytes // dtype.itemsize):
            file.write(np.ascontiguousarray(slab, dtype).data)
            written += slab.size
            yield written / volume.array.size


def stored_type(dtype: np.dtype) -> np.dtype:
    """The type in which values are kept in files: what formats do not know is widened."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype.kind == "f" and dtype.itemsize not in (4, 8):
        return np.dtype(np.float32)
    return dtype.newbyteorder("=")


def one_line(metadata: Mapping[str, str]) -> dict[str, str]:
    """Metadata as a header can hold it: an entry is one line."""
    return {key: " ".join(value.split()) for key, value in metadata.items()}


class _Header(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, int, int]
    spacing: Triple
    origin: Triple
    direction: NDArray[np.float64]
    metadata: dict[str, str]
    offset: int  # of the first value, in bytes

    @property
    def bytes(self) -> int:
        k, j, i = self.shape
        return k * j * i * self.dtype.itemsize


def _read_header(path: Path) -> _Header:
    fields, entries, offset = _header_lines(path)
    try:
        if fields["encoding"].lower() != "raw" or fields["dimension"] != "3":
            raise ValueError("another encoding or dimension")
        if {"data file", "datafile"} & fields.keys():
            raise ValueError("the values lie in another file")
        if any(int(fields.get(skip, 0)) for skip in ("line skip", "byte skip", "byteskip")):
            raise ValueError("something lies before the values")
        if not set(fields.get("kinds", "domain").split()) <= {"domain", "space"}:
            raise ValueError("an axis that is none of space")
        if not set(re.findall(r'"(.*?)"', fields.get("space units", ""))) <= {"mm"}:
            raise ValueError("lengths in another unit")
        dtype = _TYPES[fields["type"].lower()]
        if dtype.itemsize > 1:
            order = {"little": "<", "big": ">"}[fields["endian"].lower()]
            dtype = np.dtype(order + dtype.str[1:])
        i, j, k = (int(size) for size in fields["sizes"].split())
        to_lps = np.array(_TO_LPS[fields["space"].lower()], dtype=np.float64)
        steps = _vectors(fields["space directions"], 3) * to_lps
        x, y, z = (_vectors(fields["space origin"], 1)[0] * to_lps).tolist()
        lengths = np.linalg.norm(steps, axis=1)
        if min(i, j, k) < 1 or not np.all(lengths > 0):
            raise ValueError("an axis without extent")
    except (KeyError, ValueError) as error:
        raise ReadError(
            f"{path} is no uncompressed NRRD image of a kind that can be mapped; "
            f"save it as a three-dimensional scan without compression."
        ) from error
    di, dj, dk = lengths.tolist()
    metadata = {
        key[len(METADATA_PREFIX) :]: value
        for key, value in entries.items()
        if key.startswith(METADATA_PREFIX)
    }
    direction = (steps / lengths[:, None]).T
    return _Header(dtype, (k, j, i), (dk, dj, di), (x, y, z), direction, metadata, offset)


def _header_lines(path: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """Fields, entries (key:=value), and where the header ends; none for what is no NRRD file."""
    fields: dict[str, str] = {}
    entries: dict[str, str] = {}
    with path.open("rb") as file:
        if not re.fullmatch(rb"NRRD000\d\r?\n", file.readline(_HEADER_LINES)):
            return {}, {}, 0
        for _ in range(_HEADER_LINES):
            line = file.readline().rstrip(b"\r\n").decode(errors="replace")
            if not line:
                return fields, entries, file.tell()
            if line.startswith("#"):
                continue
            key, is_entry, value = line.partition(":=")
            if is_entry:
                entries[key] = _unescaped(value)
            else:
                field, _, value = line.partition(":")
                fields[field.strip().lower()] = value.strip()
    return {}, {}, 0


def _vectors(text: str, count: int) -> NDArray[np.float64]:
    """Read ``(a,b,c) (d,e,f) ...``."""
    vectors = re.findall(r"\(([^)]*)\)", text)
    array = np.array([[float(part) for part in vector.split(",")] for vector in vectors])
    if array.shape != (count, 3) or not np.all(np.isfinite(array)):
        raise ValueError(f"{text!r} are not {count} vectors")
    return array


def _header_text(volume: Volume, dtype: np.dtype) -> str:
    steps = (volume.direction * volume.spacing[::-1]).T
    lines = [
        "NRRD0005",
        f"type: {_WORDS[dtype]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(length) for length in reversed(volume.shape))}",
        f"space directions: {' '.join(_vector(step) for step in steps)}",
        "kinds: domain domain domain",
        f"endian: {sys.byteorder}",
        "encoding: raw",
        f"space origin: {_vector(volume.origin)}",
        *(
            f"{METADATA_PREFIX}{key}:={_escaped(value)}"
            for key, value in one_line(volume.metadata).items()
        ),
    ]
    return "\n".join(lines) + "\n\n"


def _vector(numbers: Any) -> str:
    return f"({','.join(repr(float(number)) for number in numbers)})"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\n])", lambda found: "\n" if found[1] == "n" else "\\", text)


def _slabs(array: NDArray[Any], voxels: int) -> Iterator[NDArray[Any]]:
    """The array in its order, in pieces of whole planes, or of rows where a plane is larger."""
    count, height, width = array.shape
    rows = max(1, voxels // width)
    planes = max(1, rows // height)
    for first in range(0, count, planes):
        for row in range(0, height, rows):
            yield array[first : first + planes, row : row + rows]
