"""OME-Zarr images: folders of JSON and chunks, of versions 0.5 and 0.4."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random

import numpy as np
import zarr

from microctsr_core import read_volume
from microctsr_core.io.ome_zarr import write_ome_zarr
from microctsr_core.io.reading import open_volume

from .mutations import damaged, odd_json
from .subject import Subject
from .volumes import SHAPE, SPACING, check_volume, example, noise

_PATHS = (
    "../0",
    "../../secret",
    "/etc",
    "0/../..",
    "",
    ".",
    "http://127.0.0.1:9/",
    "1",
    "0/0",
    "\0",
)
_SHAPES = (
    [10**6] * 3,
    [2**62, 1, 1],
    [0, 5, 6],
    [-1, 5, 6],
    [3, 5],
    [3, 5, 6, 1],
    [1.5, 5, 6],
    [3000] * 3,
)


class OmeZarr(Subject):
    name, inputs = "OME-Zarr", 1200

    def __init__(self) -> None:
        self.folders: list[Path] = []

    def prepare(self, folder: Path) -> None:
        write_ome_zarr(example(np.float32), folder / "ours.zarr", slab=2)
        _foreign(folder / "plain.zarr", 3)
        _foreign(folder / "older.zarr", 2)
        self.folders = sorted(folder.iterdir())
        for each in self.folders:
            assert read_volume(each).shape == SHAPE

    def make(self, random: Random, folder: Path) -> str:
        original = random.choice(self.folders)
        image = folder / "image.zarr"
        shutil.copytree(original, image)
        files = sorted(path for path in image.rglob("*") if path.is_file())
        texts = [path for path in files if path.name.startswith((".z", "zarr.json"))]
        way = random.random()
        path = random.choice(texts if way < 0.75 else files)
        what = f"{path.relative_to(image)} of {original.name}"
        if way < 0.5:
            path.write_bytes(odd_json(json.loads(path.read_text()), random))
        elif way < 0.75:
            path.write_text(json.dumps(_claims(json.loads(path.read_text()), random)))
        elif way < 0.92:
            path.write_bytes(damaged(path.read_bytes(), random))
        elif way < 0.97:
            path.unlink()
        else:
            path.unlink()
            path.symlink_to(random.choice(("/dev/zero", "/etc/passwd", "nowhere", ".")))
        return what

    def use(self, folder: Path, output: Path) -> None:
        image = folder / "image.zarr"
        volume = read_volume(image)
        check_volume(volume, output)
        lazy = open_volume(image)
        assert lazy.shape == volume.shape
        assert np.array_equal(np.asarray(lazy.array[0]), volume.array[0], equal_nan=True)


def _foreign(folder: Path, version: int) -> None:
    """An image as other programs write it."""
    group = zarr.open_group(folder, mode="w", zarr_format=version)
    array = group.create_array("0", shape=SHAPE, dtype="int16", chunks=(2, 3, 6))
    array[:] = noise()
    steps = [{"type": "scale", "scale": list(SPACING)}]
    facts = {
        "axes": [{"name": n, "type": "space", "unit": "millimeter"} for n in "zyx"],
        "datasets": [{"path": "0", "coordinateTransformations": steps}],
    }
    if version == 3:
        group.attrs["ome"] = {"version": "0.5", "multiscales": [facts]}
    else:
        group.attrs["multiscales"] = [{"version": "0.4", **facts}]


def _claims(facts: dict, random: Random) -> dict:
    """Metadata that claims more than there is, or that leads elsewhere."""
    attributes = facts.get("attributes", facts)
    scales = attributes.get("ome", attributes).get("multiscales")
    if scales:
        level = scales[0]["datasets"][0]
        odd = random.choice((0.0, -1.0, float("nan"), 1e308, "1", None))
        way = random.randrange(3)
        if way == 0:
            level["path"] = random.choice(_PATHS)
        elif way == 1:
            level["coordinateTransformations"] = [{"type": "scale", "scale": [odd, 1, 1]}]
        else:
            attributes["microctsr"] = {"spacing": [odd, 1, 1], "origin": [0, 0, 0]}
        return facts
    if "chunk_grid" in facts and random.random() < 0.5:
        facts["chunk_grid"]["configuration"]["chunk_shape"] = random.choice(_SHAPES)
    elif "chunks" in facts and random.random() < 0.5:
        facts["chunks"] = random.choice(_SHAPES)
    elif "shape" in facts:
        facts["shape"] = random.choice(_SHAPES)
    return facts
