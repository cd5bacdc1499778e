"""Text headers of NRRD and MetaImage files, looked through before ITK reads them.

ITK's readers of these formats trust what stands there: numbers too long for their buffers, counts
that contradict each other or names of devices made them crash, wait for ever, or read what is none
of a scan's business.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from math import prod
from pathlib import Path, PurePosixPath, PureWindowsPath

from ..errors import ReadError
from .claims import check_claim

HEADER_BYTES = 1 << 16
"""Far more than a text header needs."""

_LINE = 1000  # characters of a line that is no free text
_NUMBER = 40  # digits in a row
_WHOLE = re.compile(r"\+?\d{1,18}")
_REAL = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?")

_DATA_FILE = ("data file", "datafile", "ElementDataFile")
_NRRD_BYTES = {"float": 4, "double": 8, "block": 1}
_METAIMAGE_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip
# Of a MetaImage, the fields that hold numbers, with how many there are for so many dimensions.
_METAIMAGE_NUMBERS = {
    "ElementSpacing": lambda n: n, "ElementSize": lambda n: n, "Offset": lambda n: n,
    "Position": lambda n: n, "Origin": lambda n: n, "CenterOfRotation": lambda n: n,
    "TransformMatrix": lambda n: n * n, "Rotation": lambda n: n * n, "Orientation": lambda n: n * n,
    "ElementMin": lambda _: 1, "ElementMax": lambda _: 1, "Color": lambda _: 4,
    "ElementToIntensityFunctionSlope": lambda _: 1, "ElementToIntensityFunctionOffset": lambda _: 1,
}  # fmt: skip


def check_text_header(path: Path) -> None:
    """Refuse a .nrrd, .nhdr, .mha or .mhd file with a header that ITK should not be given.

    Raises:
        ReadError: the header contradicts itself, names a file elsewhere, or claims more than
            the file can hold.
        ResourceError: what it holds does not fit into the memory that is free.
    """
    kind = path.suffix.lower()
    if kind not in (".nrrd", ".nhdr", ".mha", ".mhd"):
        return
    with path.open("rb") as file:
        start = file.read(HEADER_BYTES)
    nrrd = start.startswith(b"NRRD")
    if not nrrd and b"NDims" not in start:
        return  # something else, as ITK will say
    fields = nrrd_fields(start) if nrrd else metaimage_fields(start)
    for name, value in fields.items():
        if len(name) + len(value) > _LINE or re.search(rf"\d{{{_NUMBER + 1},}}", value):
            raise _wrong(path, name, value)
    check = _check_nrrd if nrrd else _check_metaimage
    check(path, fields)
    for name in _data_files(start, fields):
        _check_name(path, name)


def nrrd_fields(start: bytes) -> dict[str, str]:
    """Fields of an NRRD header by their names in small letters; without entries and comments."""
    head = re.split(rb"\r?\n\r?\n", start, maxsplit=1)[0]
    lines = head.decode("utf-8", "replace").splitlines()[1:]
    pairs = [line.partition(":") for line in lines if not line.startswith("#")]
    return {
        name.strip().lower(): value.strip() for name, _, value in pairs if not value.startswith("=")
    }


def metaimage_fields(start: bytes) -> dict[str, str]:
    """Fields of a MetaImage header, up to the one that ends it."""
    end = re.search(rb"ElementDataFile\s*=[^\r\n]*", start)
    head = start[: end.end() if end else HEADER_BYTES].decode("utf-8", "replace")
    pairs = [line.partition("=") for line in head.splitlines()]
    return {name.strip(): value.strip() for name, _, value in pairs}


def nrrd_bytes(fields: Mapping[str, str]) -> int:
    """Bytes that the values of an NRRD image take."""
    kind = fields.get("type", "").lower()
    width = re.search(r"int(8|16|32|64)", kind)
    size = _NRRD_BYTES.get(kind, 1 if "char" in kind else 2 if "short" in kind else 4)
    size = int(width[1]) // 8 if width else 8 if "long" in kind else size
    return size * prod(int(length) for length in fields["sizes"].split())


def _check_nrrd(path: Path, fields: Mapping[str, str]) -> None:
    for name in ("dimension", "space dimension", "line skip", "byte skip", "lineskip", "byteskip"):
        if name in fields and not re.fullmatch(r"-1|\d{1,9}", fields[name]):
            raise _wrong(path, name, fields[name])
    _check_lengths(path, "sizes", fields.get("sizes", ""), int(fields.get("dimension", "0")))
    check_claim(path, nrrd_bytes(fields))


def _check_metaimage(path: Path, fields: Mapping[str, str]) -> None:
    dimensions = fields.get("NDims", "")
    if not re.fullmatch(r"[1-9]", dimensions):
        raise _wrong(path, "NDims", dimensions)
    count = int(dimensions)
    _check_lengths(path, "DimSize", fields.get("DimSize", ""), count)
    channels = fields.get("ElementNumberOfChannels", "1")
    if not re.fullmatch(r"[1-9]\d?", channels):
        raise _wrong(path, "ElementNumberOfChannels", channels)
    for name in ("HeaderSize", "CompressedDataSize"):
        if name in fields and not re.fullmatch(r"-1|\d{1,18}", fields[name]):
            raise _wrong(path, name, fields[name])
    if fields.get("ElementType") not in _METAIMAGE_BYTES:
        raise _wrong(path, "ElementType", fields.get("ElementType", ""))
    for name, many in _METAIMAGE_NUMBERS.items():
        numbers = fields.get(name, "").split()
        wrong = len(numbers) != many(count) or not all(map(_REAL.fullmatch, numbers))
        if name in fields and wrong:
            raise _wrong(path, name, fields[name])
    check_claim(path, metaimage_bytes(fields))


def metaimage_bytes(fields: Mapping[str, str]) -> int:
    """Bytes that the values of a MetaImage take."""
    channels = int(fields.get("ElementNumberOfChannels", "1"))
    lengths = prod(int(length) for length in fields["DimSize"].split())
    return lengths * channels * _METAIMAGE_BYTES[fields["ElementType"]]


def _check_lengths(path: Path, name: str, text: str, count: int) -> None:
    lengths = text.split()
    whole = all(_WHOLE.fullmatch(length) and int(length) > 0 for length in lengths)
    if not lengths or len(lengths) != count or not whole:
        raise _wrong(path, name, text)


def _data_files(start: bytes, fields: Mapping[str, str]) -> list[str]:
    """Names of the files beside a header that hold its values; a pattern stands for many."""
    given = [fields[name] for name in _DATA_FILE if fields.get(name, "LOCAL") != "LOCAL"]
    if not any(value.startswith("LIST") for value in given):
        return given
    _, _, names = re.split(rb"\n((?:data ?file:|ElementDataFile\s*=)\s*LIST[^\n]*)", start)[:3]
    return names.decode("utf-8", "replace").split("\n")[1:] if b"\0" not in names else [""]


def _check_name(path: Path, name: str) -> None:
    """Values must lie beside the header or below it, in files; a pattern has one number."""
    name = name.strip()
    outside = any(
        parts.is_absolute() or parts.drive or ".." in parts.parts
        for parts in (PurePosixPath(name), PureWindowsPath(name))
    )
    if outside or not re.fullmatch(r"[^%]*(%0?\d?d[^%]*)?", name):
        raise ReadError(
            f"{path} names {_short(name)!r} as the file of its values, which does not lie beside "
            f"it; put both files into one folder and correct the name in the header."
        )
    data = path.parent / name
    if os.path.lexists(data) and not data.is_file() and name:
        raise ReadError(f"{data} is no file, but {path} names it so; correct its header.")


def _wrong(path: Path, name: str, value: str) -> ReadError:
    return ReadError(
        f"{path} is damaged: its header says {_short(name)}: {_short(value)!r}; open it in the "
        f"program that wrote it and save it again."
    )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
