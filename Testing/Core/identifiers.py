"""Scans full of identifiers, and a search that finds these in whatever a program wrote.

Every identifier is made up, and is found in nothing but what was made of these scans.
"""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
import tifffile
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_files import write_series

# By character set (DICOM PS3.3 C.12.1.1.2), texts of patients whose names need it.
NAMES = {
    "ISO_IR 100": "Müßchenbröck^Jürgëlin",
    "ISO_IR 192": "Žlutoučký^Kůňovič=柳原^可奈子=やなぎはら^かなこ",
    "ISO 2022 IR 87": "Yanagihara^Kanako=柳原^可奈子=やなぎはら^かなこ",
    "GB18030": "Wangxiaodong^Zz=王小东^测",
}
_TEXTS = {
    "PatientID": "PIDQ-7741093",
    "OtherPatientNames": "Quoxbridge^Ottoline",
    "PatientAddress": "Zwirnerweg 77, Quoxheim",
    "PatientTelephoneNumbers": "+49-5550-7718823",
    "PatientMotherBirthName": "Vandequist",
    "MedicalRecordLocator": "MRLOC-55120",
    "PatientComments": "Patientcommentqx implant left",
    "AdditionalPatientHistory": "Historyqx of otosclerosis",
    "ReferringPhysicianName": "Drreferqx^Hans",
    "PerformingPhysicianName": "Drperformqx^Ida",
    "OperatorsName": "Operatorqx^Bob",
    "InstitutionName": "Institutionqx Klinikum",
    "InstitutionAddress": "Hospitalgasse 99qx",
    "StationName": "STATIONQX7",
    "DeviceSerialNumber": "SERIALQX-88123",
    "AccessionNumber": "ACCQX991827",
    "StudyID": "STUDYIDQX55",
    "StudyDescription": "Studydescqx of Mr Quoxbridge",
    "SeriesDescription": "Seriesdescqx Quoxbridge 1961",
    "ProtocolName": "Protocolqx Quoxbridge",
    "ImageComments": "Imagecommentqx Quoxbridge",
}
_BIRTH, _STUDY_DAY, _STUDY_TIME = "19610417", "20190823", "172839.551177"
_UIDS = {
    "StudyInstanceUID": "1.2.276.0.7230010.3.1.2.77001",
    "SeriesInstanceUID": "1.2.276.0.7230010.3.1.3.77002",
    "FrameOfReferenceUID": "1.2.276.0.7230010.3.1.4.77003",
}
_UID_ROOT = "1.2.276.0.7230010"
_PRIVATE, _NESTED, _PREAMBLE = "Privatetagqx", "Nestedqx order", "Preambleqx"

IDENTIFIERS = (
    *{part for name in NAMES.values() for part in re.split(r"[\^=]", name) if len(part) > 2},
    *(word for text in _TEXTS.values() for word in re.split(r"[\s^,]+", text) if len(word) > 5),
    *(_BIRTH, "1961-04-17", "1961.04.17", "17.04.1961"),
    *(_STUDY_DAY, "2019-08-23", "2019.08.23", "23.08.2019", "172839.5", "17:28:39"),
    *(_UID_ROOT, _PRIVATE, "Nestedqx", _PREAMBLE, "Foreignqx"),
)
"""What is looked for: whole words, dates in the ways in which they are written, UIDs' beginning."""

_ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "latin-1", "gb18030", "shift_jis", "iso2022_jp")
_DATA_URI = re.compile(rb"base64,([A-Za-z0-9+/=\s]{16,})")
_PNG, _ZSTD = b"\x89PNG\r\n\x1a\n", b"\x28\xb5\x2f\xfd"
_ZLIB = re.compile(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08")


def write_identified_series(folder: Path, hu: np.ndarray, charset: str, step_mm: float) -> None:
    """A CT (k, j, i) of cubic voxels as DICOM slices that tell all about a patient."""
    fields = {name: value for name, value in _TEXTS.items() if name != "PatientID"}
    paths = write_series(
        folder,
        (hu + 1024).clip(0).astype(np.uint16),
        step=(0, 0, step_mm),
        PixelSpacing=[step_mm, step_mm],
        RescaleIntercept=-1024,
        SpecificCharacterSet=["", charset] if "2022" in charset else charset,
        PatientName=NAMES[charset],
        **fields,
        **_UIDS,
    )
    for number, path in enumerate(paths):
        dataset = pydicom.dcmread(path)
        dataset.PatientID = _TEXTS["PatientID"]
        dataset.PatientBirthDate = _BIRTH
        dataset.StudyDate = dataset.SeriesDate = dataset.ContentDate = _STUDY_DAY
        dataset.StudyTime = dataset.ContentTime = _STUDY_TIME
        dataset.AcquisitionDateTime = _STUDY_DAY + _STUDY_TIME
        uid = f"{_UID_ROOT}.3.1.5.77{number:03d}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.file_meta.SourceApplicationEntityTitle = "STATIONQX7"
        inner = Dataset()
        inner.ScheduledProcedureStepDescription = _NESTED
        dataset.RequestAttributesSequence = [inner]
        block = dataset.private_block(0x0019, "VENDOR QX", create=True)
        block.add_new(0x01, "LO", f"{_PRIVATE} {_TEXTS['PatientID']}")
        block.add_new(0x02, "UN", f"{_PRIVATE} {NAMES['ISO_IR 100']}".encode("latin-1"))
        dataset[Tag(0x0020, 0x4000)].value = _TEXTS["ImageComments"]
        dataset.preamble = _PREAMBLE.encode().ljust(128, b"\0")
        dataset.save_as(path, enforce_file_format=True)


def write_identified_images(folder: Path, grey: np.ndarray, step_mm: float) -> list[Path]:
    """A volume in other formats, whose headers have room for such things as well."""
    folder.mkdir(parents=True)
    image = sitk.GetImageFromArray(grey)
    image.SetSpacing((step_mm,) * 3)
    for key, value in (("PatientName", "Foreignqx Quoxbridge"), ("0010|0020", "PIDQ-7741093")):
        image.SetMetaData(key, value)
    for key in ("ITK_FileNotes", "descrip", "intent_name", "aux_file", "Comment"):
        image.SetMetaData(key, "Foreignqx")
    paths = [folder / f"micro{suffix}" for suffix in (".nrrd", ".nii.gz", ".mha")]
    for path in paths:
        sitk.WriteImage(image, str(path))
    paths.append(folder / "stack" / "micro.tif")
    paths[-1].parent.mkdir()
    tifffile.imwrite(
        paths[-1], grey, description="Foreignqx Quoxbridge", software="Foreignqx",
        extratags=[(315, "s", 0, "Foreignqx artist", True)], metadata=None,
    )  # fmt: skip
    return paths


def found_in(data: bytes, words: tuple[str, ...] = IDENTIFIERS) -> set[str]:
    """The words that data hold, in any encoding, also where they are compressed or escaped."""
    beginnings, known = _beginnings(words)
    found = set()
    for part in _parts(data):
        text = part.lower()
        first = np.frombuffer(text, np.uint8).astype(np.uint32)
        begins = first[:-2] << 16 | first[1:-1] << 8 | first[2:]
        for place in np.flatnonzero(known[begins]).tolist():
            for pattern, word in beginnings[text[place : place + 3]]:
                if text.startswith(pattern, place):
                    found.add(word)
    return found


def found_under(folder: Path, words: tuple[str, ...] = IDENTIFIERS) -> dict[str, set[str]]:
    """The words found in each file under a folder, or in its name; files without any left out."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        words_in = found_in(name.encode(), words)
        if path.is_file():
            words_in |= found_in(path.read_bytes(), words)
        if words_in:
            found[name] = words_in
    return found


@lru_cache(maxsize=8)
def _beginnings(
    words: tuple[str, ...],
) -> tuple[dict[bytes, list[tuple[bytes, str]]], NDArray[np.bool_]]:
    """Patterns of words by their first three bytes, and which three bytes begin any."""
    beginnings: dict[bytes, list[tuple[bytes, str]]] = {}
    known = np.zeros(1 << 24, bool)
    for word in words:
        for pattern in _patterns(word):
            beginnings.setdefault(pattern[:3], []).append((pattern, word))
            known[int.from_bytes(pattern[:3], "big")] = True
    return beginnings, known


def _patterns(word: str) -> Iterator[bytes]:
    """A word in lower case as bytes, in every encoding that knows it, and escaped."""
    for text in {word, word.lower(), word.upper()}:
        for encoding in _ENCODINGS:
            with suppress(UnicodeEncodeError):
                yield text.encode(encoding).lower()
        if not text.isascii():
            yield text.encode("ascii", "backslashreplace").lower()  # as JSON does
            yield text.encode("ascii", "xmlcharrefreplace").lower()  # as HTML does
            yield "".join(f"%{byte:02x}" for byte in text.encode()).encode()  # as links do


def _parts(data: bytes) -> Iterator[bytes]:
    """The data, and all that is packed in them."""
    yield data
    if data.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from _parts(archive.read(name))
        return
    if data.startswith(_ZSTD):
        yield _of_zstd(data)
    for match in _DATA_URI.finditer(data):
        yield from _parts(base64.b64decode(re.sub(rb"\s", b"", match[1])))
    place = data.find(_PNG)
    while place >= 0:
        yield from _chunks(data, place + len(_PNG))
        place = data.find(_PNG, place + 1)
    for match in _ZLIB.finditer(data):
        unpacked = _unpacked(data[match.start() :])
        if unpacked:
            yield unpacked


def _of_zstd(data: bytes) -> bytes:
    """A frame, or the frames of a shard of Zarr, which ends in 16 bytes for each and 4 more."""
    from numcodecs import Zstd

    starts = [match.start() for match in re.finditer(re.escape(_ZSTD), data)]
    found = b""
    for start, end in itertools.pairwise([*starts, len(data)]):
        for last in {end, len(data) - 16 * len(starts) - 4 if end == len(data) else end}:
            with suppress(RuntimeError):
                found += bytes(Zstd().decode(data[start:last]))
    return found


def _chunks(data: bytes, place: int) -> Iterator[bytes]:
    """The texts of a PNG image; zTXt and iTXt may be compressed."""
    kind = b""
    while kind != b"IEND" and place + 8 <= len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        kind, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        place += length + 12
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf"):
            yield body
            for match in _ZLIB.finditer(body):
                yield _unpacked(body[match.start() :])


def _unpacked(data: bytes) -> bytes:
    """What zlib or gzip packed at the start of data; nothing where they did not."""
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(data)
    except zlib.error:
        return b""


def packed_samples(text: str) -> dict[str, bytes]:
    """A text as the formats that are searched would hide it, to try the search itself."""
    encoded = text.encode()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("inside", encoded)
    body = b"Comment\0\0" + zlib.compress(encoded)
    png = _PNG + struct.pack(">I", len(body)) + b"zTXt" + body + b"\0\0\0\0"
    from numcodecs import Zstd

    return {
        "plain": encoded,
        "UTF-16": text.encode("utf-16-le"),
        "gzip after a header": b"NRRD0004\nencoding: gzip\n\n" + gzip.compress(encoded),
        "zip": archive.getvalue(),
        "zstd": bytes(Zstd().encode(encoded)),
        "PNG": png,
        "PNG in a page": b"<img src='data:image/png;base64," + base64.b64encode(png) + b"'>",
        "PNG in another file": b"events" + png,
        "JSON": text.encode("ascii", "backslashreplace"),
        "upper case": text.upper().encode(),
    }
