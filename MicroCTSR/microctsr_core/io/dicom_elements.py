"""Do the elements of a DICOM file fit into it? (DICOM PS3.5, section 7)

GDCM trusts the lengths that stand in a file: one that is damaged made it take gigabytes, and a
deflated stream that is cut short kept it busy for ever. So they are looked through first.
"""

from __future__ import annotations

import mmap
import struct
import zlib
from pathlib import Path
from typing import TypeAlias

from .claims import check_claim

_IMPLICIT, _BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2"
_DEFLATED = "1.2.840.10008.1.2.1.99"
_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
_SHORT = {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN",
          b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}  # fmt: skip
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_DEEPEST = 30  # sequences in sequences
_MOST_BYTES = 1_000_000_000  # that a deflated file may unpack to

Bytes: TypeAlias = "bytes | mmap.mmap"


def elements_fit(path: Path) -> bool:
    """Whether a file is made of DICOM elements, each of which lies within it.

    Raises:
        ReadError: it unpacks to far more than it can hold.
    """
    if path.stat().st_size < 8:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _fits(path, data)
        except (ValueError, struct.error, zlib.error):
            return False


def _fits(path: Path, data: Bytes) -> bool:
    place, syntax = 0, ""
    if data[128:132] == b"DICM":
        place, syntax = _after_meta(data, 132)
    elif data[4:6].isalpha():
        syntax = "explicit"
    else:
        syntax = _IMPLICIT
    if syntax == _DEFLATED:
        data, place = _inflated(path, data[place:]), 0
    order = ">" if syntax == _BIG_ENDIAN else "<"
    return _walk(data, place, len(data), order, syntax != _IMPLICIT, 0) > 0


def _after_meta(data: Bytes, place: int) -> tuple[int, str]:
    """Where the elements of group 2 end, and the transfer syntax that they give."""
    syntax = ""
    while data[place : place + 2] == b"\x02\x00":
        tag, length, start = _element(data, place, "<", True)
        if start + length > len(data):
            raise ValueError("an element beyond the end")
        if tag == 0x00020010:
            syntax = data[start : start + length].rstrip(b"\0 ").decode("ascii", "replace")
        place = start + length
    return place, syntax


def _inflated(path: Path, packed: bytes) -> bytes:
    unpacker = zlib.decompressobj(-15)
    data = unpacker.decompress(packed, _MOST_BYTES)
    if unpacker.unconsumed_tail:
        check_claim(path, 10 * _MOST_BYTES)
    if not unpacker.eof:
        raise ValueError("cut short")
    return data


def _element(data: Bytes, place: int, order: str, explicit: bool) -> tuple[int, int, int]:
    """Tag, length and place of the value of an element."""
    group, number = struct.unpack_from(f"{order}2H", data, place)
    kind = data[place + 4 : place + 6]
    tag = group << 16 | number
    if not explicit or group == 0xFFFE or not (kind.isalpha() and kind.isupper()):
        return tag, struct.unpack_from(f"{order}I", data, place + 4)[0], place + 8
    if kind in _LONG:
        return tag, struct.unpack_from(f"{order}I", data, place + 8)[0], place + 12
    if kind not in _SHORT:
        raise ValueError("an element of no kind that there is")
    return tag, struct.unpack_from(f"{order}H", data, place + 6)[0], place + 8


def _walk(data: Bytes, place: int, end: int, order: str, explicit: bool, depth: int) -> int:
    """The place behind all elements, or behind the end of the item that they are in."""
    if depth > _DEEPEST:
        raise ValueError("too deep")
    while place < end:
        if end - place < 8 or data[place : place + 8] == b"\0" * 8:
            if data[place:end].strip(b"\0") or place == 0:
                raise ValueError("something that is no element")
            return end  # filled up with zeros
        tag, length, start = _element(data, place, order, explicit)
        if tag in (_ITEM_END, _SEQUENCE_END):
            return start
        sequence = explicit and data[place + 4 : place + 6] == b"SQ"
        if length == _UNDEFINED:
            place = _items(data, start, end, order, explicit, depth + 1)
        elif start + length > end:
            raise ValueError("an element beyond the end")
        elif sequence:
            place = _items(data, start, start + length, order, explicit, depth + 1)
        else:
            place = start + length
    return place


def _items(data: Bytes, place: int, end: int, order: str, explicit: bool, depth: int) -> int:
    """The place behind the items of a sequence, or the fragments of compressed pixels."""
    while place < end:
        tag, length, start = _element(data, place, order, explicit)
        if tag == _SEQUENCE_END:
            return start
        if tag != _ITEM:
            raise ValueError("no item where one should be")
        if length == _UNDEFINED:
            place = _walk(data, start, end, order, explicit, depth)
        elif start + length > end:
            raise ValueError("an item beyond the end")
        else:
            place = start + length
    return place
