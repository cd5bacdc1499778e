"""Folders of slices: DICOM series and TIFF stacks, and TIFF files of many pages."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk
import tifffile

from dicom_files import write_series
from microctsr_core import read_volume

from .mutations import NUMBERS, TEXTS, damaged
from .subject import Subject
from .volumes import SHAPE, SPACING, check_volume, noise

_TAG_VALUES: dict[str, tuple[Any, ...]] = {
    "PixelSpacing": (["0", "0.5"], ["-1", "1"], ["nan", "nan"], ["1e40", "1"], ["0.5"], [], ["a", "b"]),
    "ImagePositionPatient": (["nan", "0", "0"], ["0", "0"], ["1e300", "0", "0"], [], ["0", "0", "inf"]),
    "ImageOrientationPatient": (["0"] * 6, ["nan"] * 6, ["1", "0", "0", "1", "0", "0"], ["1"], [],
                                ["1e200", "0", "0", "0", "1", "0"], ["2", "0", "0", "0", "2", "0"]),
    "SliceThickness": NUMBERS, "RescaleSlope": NUMBERS, "RescaleIntercept": NUMBERS,
    "Rows": (0, 1, 4, 6, 65535), "Columns": (0, 1, 5, 7, 65535), "NumberOfFrames": NUMBERS,
    "BitsAllocated": (0, 1, 7, 8, 12, 16, 32, 64, 65535), "BitsStored": (0, 1, 12, 17, 64, 65535),
    "HighBit": (0, 8, 15, 16, 65535), "PixelRepresentation": (0, 1, 2, 65535),
    "SamplesPerPixel": (0, 1, 2, 3, 4, 65535), "PlanarConfiguration": (0, 1, 9),
    "PhotometricInterpretation": ("MONOCHROME1", "RGB", "PALETTE COLOR", "YBR_FULL", "", "X" * 64),
    "SeriesInstanceUID": ("", "1.2.3.5", "../../x", "1" * 64, "\x1b[31m"), "Modality": TEXTS[:12],
    "Manufacturer": TEXTS, "ConvolutionKernel": TEXTS, "KVP": NUMBERS, "SpecificCharacterSet": TEXTS[:9],
    "SOPClassUID": ("", "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.2.1", "x"),
    "PixelData": (b"", b"\0", b"\0" * 61, b"\0" * 5000), "PixelAspectRatio": (["0", "0"], ["1"]),
}  # fmt: skip


class Dicom(Subject):
    """A series of three slices, uncompressed, deflated, or compressed as one of the JPEGs."""

    name, inputs = "DICOM", 2000

    def __init__(self) -> None:
        self.originals: dict[str, dict[str, bytes]] = {}

    def prepare(self, folder: Path) -> None:
        stack = (noise() + 1024).astype(np.uint16)
        self._keep("plain", write_series(folder / "plain", stack, RescaleIntercept=-1024))
        self._keep("deflated", [_deflated(p) for p in write_series(folder / "deflated", stack)])
        larger = np.tile(stack, (1, 4, 4))  # ITK's JPEG 2000 writer crashes for smaller slices
        for kind in ("JPEG", "JPEG2000"):
            paths = write_series(folder / kind, larger)
            self._keep(kind, [_compressed(path, kind) for path in paths])

    def _keep(self, kind: str, paths: list[Path]) -> None:
        assert read_volume(paths[0].parent).shape[0] == SHAPE[0]
        self.originals[kind] = {path.name: path.read_bytes() for path in paths}

    def make(self, random: Random, folder: Path) -> str:
        kind = random.choice((*self.originals, "plain"))
        files = dict(self.originals[kind])
        chosen = random.sample(sorted(files), random.choice((1, 1, 3)))
        way = random.random()
        times = 1 if len(chosen) == 1 else 2
        for name, data in files.items():
            (folder / name).write_bytes(data)
        if way < 0.5:
            for name in chosen:
                (folder / name).write_bytes(damaged(files[name], random, times))
        elif way < 0.9:
            field = random.choice(sorted(_TAG_VALUES))
            value = random.choice(_TAG_VALUES[field])
            for name in chosen:
                _set(folder / name, field, value)
            return f"{field} of {len(chosen)} {kind} slices"
        elif way < 0.95:
            (folder / "notes.txt").write_bytes(random.choice((b"", b"x", b"\0" * 128 + b"DICM")))
            (folder / chosen[0]).rename(folder / random.choice(("a.tif", "b", "c.nrrd", "é.dcm")))
        else:
            (folder / chosen[0]).unlink()
        return f"bytes or files of {len(chosen)} {kind} slices"

    def use(self, folder: Path, output: Path) -> None:
        check_volume(read_volume(folder), output)


def _set(path: Path, field: str, value: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        try:
            setattr(dataset, field, value)
            dataset.save_as(path)
        except (ValueError, TypeError, OverflowError, struct.error, AttributeError, UnicodeError):
            delattr(dataset, field) if field in dataset else None
            dataset.save_as(path)


def _deflated(path: Path) -> Path:
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    return path


def _compressed(path: Path, kind: str) -> Path:
    """The slice with its pixels as ITK compresses them."""
    dataset, packed = pydicom.dcmread(path), path.with_suffix(".packed.dcm")
    writer = sitk.ImageFileWriter()
    writer.UseCompressionOn()
    writer.SetCompressor(kind)
    writer.SetFileName(str(packed))
    writer.Execute(sitk.GetImageFromArray(dataset.pixel_array[None]))
    made = pydicom.dcmread(packed)
    packed.unlink()
    dataset.file_meta.TransferSyntaxUID = made.file_meta.TransferSyntaxUID
    dataset.PixelData = made.PixelData
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path)
    return path


_GREY: dict[str, Any] = {"photometric": "minisblack"}
_EXTREMES = (0, 1, 2, 3, 5, 7, 8, 255, 256, 65535, 2**31 - 1, 2**32 - 1, 10**12, 2**63)


class Tiff(Subject):
    """A file of pages or a folder of slices, of both byte orders and several compressions."""

    name, inputs = "TIFF", 2000

    def __init__(self) -> None:
        self.originals: dict[str, dict[str, bytes]] = {}

    def prepare(self, folder: Path) -> None:
        ways: dict[str, dict[str, Any]] = {
            "plain": {}, "big-endian": {"byteorder": ">"}, "deflated": {"compression": "zlib"},
            "predicted": {"compression": "zlib", "predictor": True}, "big": {"bigtiff": True},
            "tiled": {"tile": (16, 16)}, "strips": {"rowsperstrip": 2},
            "described": {"imagej": True}, "ome": {"ome": True},
        }  # fmt: skip
        for name, options in ways.items():
            path = folder / f"{name}.tif"
            tifffile.imwrite(path, noise().astype(np.uint16), **{**_GREY, **options})
            assert read_volume(path, SPACING).shape == SHAPE
            self.originals[name] = {path.name: path.read_bytes()}
        slices = {f"slice_{n}.tif": page for n, page in enumerate(noise())}
        for name, page in slices.items():
            tifffile.imwrite(folder / name, page, **_GREY)
        self.originals["slices"] = {name: (folder / name).read_bytes() for name in slices}

    def make(self, random: Random, folder: Path) -> str:
        kind = random.choice((*self.originals, "slices"))
        files = dict(self.originals[kind])
        name = random.choice(sorted(files))
        if random.random() < 0.5:
            files[name], what = damaged(files[name], random), "bytes"
        else:
            files[name], what = _other_entries(files[name], random), "tags"
        for each, data in files.items():
            (folder / each).write_bytes(data)
        return f"{what} of {name}"

    def use(self, folder: Path, output: Path) -> None:
        files = sorted(folder.iterdir())
        check_volume(read_volume(folder if len(files) > 1 else files[0], SPACING), output)


def _other_entries(data: bytes, random: Random) -> bytes:
    """The file with one to three entries of its directories changed (TIFF 6.0, section 2)."""
    changed = bytearray(data)
    order = "<" if data[:2] == b"II" else ">"
    big = data[2 if order == ">" else 3] == 43 or data[2] == 43
    count, entry, number = ("Q", 20, "Q") if big else ("H", 12, "I")
    places = []
    (start,) = struct.unpack_from(order + number, data, 8 if big else 4)
    while start and len(places) < 200:
        (entries,) = struct.unpack_from(order + count, data, start)
        first = start + struct.calcsize(count)
        places += [first + entry * n for n in range(entries)]
        (start,) = struct.unpack_from(order + number, data, first + entry * entries)
    for _ in range(random.choice((1, 1, 2, 3))):
        place, part = random.choice(places), random.randrange(8)
        value = random.choice(_EXTREMES)
        if part == 0:
            struct.pack_into(f"{order}H", changed, place, value % 2**16)
        elif part == 1:
            struct.pack_into(
                f"{order}H", changed, place + 2, random.choice((1, 2, 3, 5, 12, 16, 99))
            )
        elif part in (2, 3):
            struct.pack_into(order + number, changed, place + 4, value % (2**64 if big else 2**32))
        else:
            at = place + (12 if big else 8)
            struct.pack_into(order + number, changed, at, value % (2**64 if big else 2**32))
    return bytes(changed)
