"""Image files: NRRD, NIfTI, MetaImage, and what has to be true of whatever is read."""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from pathlib import Path
from random import Random

import numpy as np
import SimpleITK as sitk

from microctsr_core import Volume, read_volume, write_volume
from microctsr_core.io.reading import open_volume

from .mutations import NUMBERS, TEXTS, damaged, edited
from .subject import Subject

SHAPE = (3, 5, 6)
SPACING = (0.7, 0.3, 0.25)
_WHOLE_BYTES = 200_000_000  # values of a result that are all looked at


def noise(dtype: type = np.int16, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(1).integers(-900, 2000, shape).astype(dtype)


def example(dtype: type = np.int16) -> Volume:
    """A small scan that lies oblique in the patient."""
    turn, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))
    return Volume(noise(dtype), SPACING, (1.5, -20.0, 7.25), turn, {"modality": "CT"})


def check_volume(volume: Volume, output: Path) -> None:
    """What is true of every volume: a grid that can be, values that can be had, and kept."""
    assert np.all(np.isfinite(volume.spacing))
    assert min(volume.spacing) > 0
    assert np.all(np.isfinite(volume.origin))
    assert abs(abs(np.linalg.det(volume.direction)) - 1) < 1e-2
    assert volume.array.size == np.prod(volume.shape)
    if volume.array.nbytes > _WHOLE_BYTES:
        return
    write_volume(volume, output / "again.nrrd", compress=False)
    again = read_volume(output / "again.nrrd")
    assert again.shape == volume.shape
    assert np.array_equal(again.array, np.asarray(volume.array), equal_nan=again.dtype.kind == "f")
    assert np.allclose(again.ijk_to_lps, volume.ijk_to_lps, rtol=1e-9)


class ImageFile(Subject):
    """One file, or a header with its data file, that ``read_volume`` reads."""

    def __init__(self) -> None:
        self.originals: dict[str, dict[str, bytes]] = {}  # of each kind, the files

    def keep(self, folder: Path, *names: str) -> None:
        """Remember files as an original, and make sure that it can be read."""
        assert read_volume(folder / names[0]).shape[1:] == SHAPE[1:]
        self.originals[names[0]] = {name: (folder / name).read_bytes() for name in names}

    def make(self, random: Random, folder: Path) -> str:
        first = random.choice(sorted(self.originals))
        files = dict(self.originals[first])
        kind = random.random()
        if kind < 0.35:
            name = random.choice(sorted(files))
            files[name], what = damaged(files[name], random), f"bytes of {name}"
        else:
            files[first], what = self.reworked(files[first], random), f"header of {first}"
        if random.random() < 0.02:
            other = random.choice(sorted(self.originals))
            files[first] = self.originals[other][other]
            what = f"{other} named {first}"
        for name, data in files.items():
            (folder / name).write_bytes(data)
        return what

    def reworked(self, data: bytes, random: Random) -> bytes:
        """The file with something in its header that a header should not say."""
        raise NotImplementedError

    def use(self, folder: Path, output: Path) -> None:
        path = folder / next(name for name in self.originals if (folder / name).exists())
        volume = read_volume(path)
        check_volume(volume, output)
        lazy = open_volume(path)
        assert lazy.shape == volume.shape
        assert np.array_equal(np.asarray(lazy.array[0]), volume.array[0], equal_nan=False) or (
            volume.dtype.kind == "f"
        )


_OUTSIDE_FILES = ("../original.raw", "/dev/zero", "/dev/stdin", "/etc/passwd", "../../x%03d.raw 1 3 1",
                  "LIST", "LIST 2", "slice%03d.raw 1 3 1", "ct.nhdr", "", "ct.raw", "/proc/self/mem",
                  "http://127.0.0.1:9/x", "~/x", "\\\\server\\x", "-")  # fmt: skip
_NRRD_VALUES = {
    "type": ("short", "uchar", "block", "float", "double", "int64", "half", "complex", ""),
    "dimension": NUMBERS,
    "space": ("RAS", "LAS", "scanner-xyz", "3D-right-handed", "left-posterior", "LPST", "x"),
    "space dimension": NUMBERS,
    "sizes": ("6 5 3", "0 0 0", "-6 5 3", "6 5", "6 5 3 1", "1000000 1000000 1", "6 5 2", "6 5 4",
              "10000 10000 10000", "4294967296 4294967296 4294967296", "2147483647 2 1", "90 1 1",
              "1e3 5 3", "6.5 5 3", "99999999999999999999 5 3", "6 5 1000000000000", "nan 5 3"),
    "space directions": ("(1,0,0) (0,1,0) (0,0,0)", "(nan,0,0) (0,1,0) (0,0,1)", "none none none",
                         "(1,0,0) (1,0,0) (0,0,1)", "(-1,0,0) (0,1,0) (0,0,1)", "(1,0) (0,1)",
                         "(1e308,0,0) (0,1e308,0) (0,0,1e308)", "(1e-320,0,0) (0,1,0) (0,0,1)",
                         "(inf,0,0) (0,1,0) (0,0,1)", "(1,0.5,0) (0,1,0) (0,0,1)", "none (1,0,0)"),
    "space origin": ("(nan,0,0)", "(inf,0,0)", "(1e308,1e308,1e308)", "()", "0 0 0", "(0,0)"),
    "spacings": ("nan 1 1", "0 1 1", "-1 1 1", "1 1", "1e400 1 1"),
    "kinds": ("domain domain domain", "list domain domain", "RGB-color domain domain",
              "complex domain domain", "time", "3D-matrix domain domain"),
    "endian": ("big", "little", "middle", ""),
    "encoding": ("raw", "gzip", "bzip2", "ascii", "hex", "zrl", "gz", "none", ""),
    "line skip": NUMBERS, "byte skip": (*NUMBERS, "-2"), "data file": _OUTSIDE_FILES,
    "space units": ('"m" "m" "m"', '"mm" "mm" "mm"', '""', '"'), "thicknesses": ("nan 1 1",),
    "measurement frame": ("(1,0,0) (0,1,0) (0,0,1)", "(nan,0,0) (0,1,0) (0,0,1)"),
    "block size": NUMBERS, "content": TEXTS, "centers": ("cell", "cell cell cell", "x"),
    "axis mins": ("nan 0 0",), "axis maxs": ("inf 0 0",), "labels": ('"a" "b" "c"', '"'),
    "MicroCTSR.x:": TEXTS, "key:": TEXTS,
}  # fmt: skip


class Nrrd(ImageFile):
    name, inputs = "NRRD", 3000

    def prepare(self, folder: Path) -> None:
        write_volume(example(), folder / "raw.nrrd", compress=False)
        self.keep(folder, "raw.nrrd")
        write_volume(example(np.float32), folder / "packed.nrrd")
        self.keep(folder, "packed.nrrd")
        sitk.WriteImage(sitk.GetImageFromArray(noise()), str(folder / "ct.nhdr"))
        self.keep(folder, "ct.nhdr", "ct.raw")
        head = (folder / "raw.nrrd").read_bytes().partition(b"\n\n")[0]
        values = " ".join(map(str, noise().ravel())).encode()
        (folder / "text.nrrd").write_bytes(head.replace(b"raw", b"ascii") + b"\n\n" + values)
        self.keep(folder, "text.nrrd")

    def reworked(self, data: bytes, random: Random) -> bytes:
        head, _, body = data.partition(b"\n\n")
        lines = head.decode("latin-1").split("\n")
        for _ in range(random.choice((1, 1, 2))):
            field = random.choice(sorted(_NRRD_VALUES))
            value = random.choice(_NRRD_VALUES[field])
            places = [n for n, line in enumerate(lines) if line.startswith(f"{field}:")]
            if places and random.random() < 0.9:
                lines[places[0]] = f"{field}: {value}"
            else:
                lines.insert(random.randint(1, len(lines)), f"{field}: {value}")
        text = "\n".join(lines)
        if random.random() < 0.3:
            text = edited(text, random)
        if b"gzip" in head and random.random() < 0.1:
            body = bomb(random)
        return text.encode("utf-8", "surrogatepass") + b"\n\n" + body


def bomb(random: Random) -> bytes:
    """A gzip stream that unpacks to far more than it is, or to nothing, or never ends well."""
    kind = random.randrange(4)
    if kind == 0:
        return gzip.compress(bytes(random.choice((0, 1, 10_000_000))), 6, mtime=0)
    if kind == 1:
        return _BOMB
    if kind == 2:
        return gzip.compress(gzip.compress(bytes(1_000_000), mtime=0), mtime=0) * 3
    whole = gzip.compress(noise(np.float32).tobytes(), mtime=0)
    return random.choice((whole[:-8] + b"\0" * 8, whole + b"junk", whole[:10], zlib.compress(b"")))


def _zeros(block: int, count: int) -> bytes:
    """A gzip stream of block * count zeros; only its checksum, at the very end, is wrong."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = packer.compress(b"") + packer.flush(zlib.Z_FULL_FLUSH)
    part = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    return start + part * count + packer.flush()


_BOMB = _zeros(1_000_000, 3000)


class Nifti(ImageFile):
    name, inputs = "NIfTI", 2000
    # Offset and type of the fields that decide, of NIfTI-1.
    _FIELDS = (
        (0, "i"), (39, "b"), (40, "h"), (42, "h"), (44, "h"), (46, "h"), (48, "h"), (56, "f"),
        (68, "h"), (70, "h"), (72, "h"), (74, "h"), (76, "f"), (80, "f"), (84, "f"), (88, "f"),
        (108, "f"), (112, "f"), (116, "f"), (120, "h"), (123, "b"), (124, "f"), (128, "f"),
        (252, "h"), (254, "h"), (256, "f"), (260, "f"), (264, "f"), (268, "f"), (272, "f"),
        (276, "f"), (280, "f"), (296, "f"), (312, "f"), (328, "i"), (344, "i"), (348, "i"),
    )  # fmt: skip
    _REALS = (0.0, -1.0, float("nan"), float("inf"), 1e38, -1e38, 1e-40, 0.5, 351.0, 352.5)
    _WHOLES = (0, 1, -1, 2, 3, 4, 5, 7, 8, 16, 64, 127, 255, 256, 512, 768, 1024, 1280, 1536, 1792,
               2048, 2304, 32767, -32768, 2**31 - 1, -(2**31), 348, 540)  # fmt: skip

    def prepare(self, folder: Path) -> None:
        write_volume(example(), folder / "ct.nii")
        self.keep(folder, "ct.nii")
        write_volume(example(np.float32), folder / "packed.nii.gz")
        self.keep(folder, "packed.nii.gz")
        write_volume(example(np.float64), folder / "double.nii")
        self.keep(folder, "double.nii")

    def reworked(self, data: bytes, random: Random) -> bytes:
        packed = data[:2] == b"\x1f\x8b"
        header = bytearray(gzip.decompress(data) if packed else data)
        for _ in range(random.choice((1, 1, 2, 3))):
            offset, kind = random.choice(self._FIELDS)
            if kind == "f":
                struct.pack_into("<f", header, offset, random.choice(self._REALS))
                continue
            bits = 8 * struct.calcsize(kind)
            value = (random.choice(self._WHOLES) + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)
            struct.pack_into(f"<{kind}", header, offset, value)
        if random.random() < 0.1:
            header = bytearray(damaged(bytes(header), random))
        if not packed:
            return bytes(header)
        if random.random() < 0.05:
            return gzip.compress(bytes(header[:352]), mtime=0) + _BOMB
        return gzip.compress(bytes(header), mtime=0)


_META_VALUES = {
    "ObjectType": ("Image", "Scene", "Mesh", "Tube", ""), "NDims": NUMBERS,
    "BinaryData": ("True", "False", "x"), "BinaryDataByteOrderMSB": ("True", "False"),
    "CompressedData": ("True", "False"), "CompressedDataSize": NUMBERS,
    "TransformMatrix": ("0 0 0 0 0 0 0 0 0", "nan 0 0 0 1 0 0 0 1", "1 0 0 0 1 0", "1 1 0 0 1 0 0 0 1"),
    "Offset": ("nan 0 0", "inf 0 0", "1e308 0 0", "0 0", ""),
    "ElementSpacing": ("0 1 1", "-1 1 1", "nan 1 1", "1e-320 1 1", "inf 1 1", "1", "1 1 1 1", "a b c"),
    "ElementSize": ("0 1 1", "nan 1 1", "-1 -1 -1"),
    "DimSize": ("6 5 3", "0 0 0", "-6 5 3", "6 5", "1000000 1000000 1", "10000 10000 10000",
                "4294967296 4294967296 4294967296", "6 5 2", "6 5 4", "6.5 5 3", "a 5 3", "90 1 1",
                "6 5 1000000000000", "65536 65536 1", "2147483648 1 1"),
    "ElementType": ("MET_SHORT", "MET_UCHAR", "MET_DOUBLE", "MET_NONE", "MET_STRING", "MET_OTHER",
                    "MET_LONG_LONG", "MET_FLOAT_MATRIX", "MET_UCHAR_ARRAY", "MET_BIT", ""),
    "ElementNumberOfChannels": NUMBERS, "HeaderSize": NUMBERS, "ElementDataFile": _OUTSIDE_FILES,
    "AnatomicalOrientation": ("RAI", "LPS", "???", ""), "Comment": TEXTS, "MicroCTSR.x": TEXTS,
    "ElementMin": NUMBERS, "ElementMax": NUMBERS, "Modality": ("MET_MOD_CT", "x"), "ID": NUMBERS,
    "CenterOfRotation": ("nan 0 0", ""), "ParentID": NUMBERS, "Color": ("nan 0 0 0", "1"),
}  # fmt: skip


class MetaImage(ImageFile):
    name, inputs = "MetaImage", 2000

    def prepare(self, folder: Path) -> None:
        write_volume(example(), folder / "raw.mha", compress=False)
        self.keep(folder, "raw.mha")
        write_volume(example(np.float32), folder / "packed.mha")
        self.keep(folder, "packed.mha")
        sitk.WriteImage(sitk.GetImageFromArray(noise()), str(folder / "ct.mhd"))
        self.keep(folder, "ct.mhd", "ct.raw")

    def reworked(self, data: bytes, random: Random) -> bytes:
        end = re.search(rb"ElementDataFile = [^\n]*\n", data)
        assert end is not None
        lines = data[: end.end()].decode("latin-1").rstrip("\n").split("\n")
        for _ in range(random.choice((1, 1, 2))):
            field = random.choice(sorted(_META_VALUES))
            value = random.choice(_META_VALUES[field])
            places = [n for n, line in enumerate(lines) if line.startswith(f"{field} ")]
            if places and random.random() < 0.9:
                lines[places[0]] = f"{field} = {value}"
            else:
                lines.insert(random.randint(1, len(lines) - 1), f"{field} = {value}")
        text = "\n".join(lines) + "\n"
        if random.random() < 0.3:
            text = edited(text, random)
        body = data[end.end() :]
        if b"CompressedData = True" in data and random.random() < 0.3:
            body = zlib.compress(bytes(random.choice((0, 10, 10_000_000))))
        return text.encode("utf-8", "surrogatepass") + body
