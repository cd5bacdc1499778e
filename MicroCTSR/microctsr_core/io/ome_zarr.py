"""OME-Zarr (NGFF 0.5): a folder of chunks that programs read in parts, and machines write in parts.

Reads versions 0.4 and 0.5, one channel and one time. The format knows no directions: its axes are
the volume's own, and its translation is the origin along them. Where a volume lies in the patient
is kept beside, exactly, in the attribute ``microctsr``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import GeometryError, MicroCTSRError, ReadError
from ..pieces import OnDisk
from ..volume import Triple, Volume
from .claims import check_claim

if TYPE_CHECKING:
    import zarr

SUFFIX = ".zarr"
ATTRIBUTE = "microctsr"

_CHUNK = 256  # edge in the plane, in voxels
_SMALLEST_LEVEL = 512  # levels are added until the longest edge is no longer than this
_EQUAL_STEPS = 1.5  # axes whose steps differ by less are made coarser together
_MILLIMETRES = {
    "millimeter": 1.0,
    "micrometer": 1e-3,
    "nanometer": 1e-6,
    "centimeter": 10.0,
    "meter": 1e3,
}


def library() -> Any:
    """The package zarr.

    Raises:
        MicroCTSRError: it is not installed.
    """
    try:
        import zarr
        import zarr.codecs
    except ModuleNotFoundError:
        raise MicroCTSRError(
            "OME-Zarr needs the package zarr; install it with: pip install 'microctsr[large]'"
        ) from None
    return zarr


def is_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is a group of Zarr, of version 2 or 3."""
    return any(os.path.lexists(Path(path) / name) for name in ("zarr.json", ".zgroup", ".zattrs"))


def is_ome_zarr(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is an OME-Zarr image."""
    try:
        return is_zarr(path) and bool(_multiscales(Path(path), _open(Path(path))))
    except ReadError:
        return False


class _Chunks:
    """A Zarr array, of which a part that cannot be read is told in one sentence."""

    def __init__(self, path: Path, array: Any) -> None:
        self._path, self._array = path, array
        self.shape: tuple[int, ...] = tuple(array.shape)
        self.dtype: np.dtype[Any] = array.dtype

    def __getitem__(self, key: Any) -> Any:
        try:
            return self._array[key]
        except Exception as error:  # each codec of zarr has errors of its own
            raise ReadError(
                f"{self._path} is damaged ({error}); copy or convert it again."
            ) from error


def open_ome_zarr(path: str | os.PathLike[str], spacing: Sequence[float] | None = None) -> Volume:
    """The finest level of an OME-Zarr image, of which only what is looked at is read.

    Args:
        path: the image's folder.
        spacing: voxel size (k, j, i) in mm, for images that do not tell their unit.

    Returns:
        A volume whose array is :class:`~..pieces.OnDisk`.

    Raises:
        ReadError: the folder is no OME-Zarr image, or one of several channels or times.
        MicroCTSRError: zarr is not installed.
    """
    path = Path(path).expanduser()
    group = _open(path)
    scale = _multiscales(path, group)[0]
    try:
        level = scale["datasets"][0]
        array = _array(path, group, str(level["path"]))
        axes = [axis if isinstance(axis, dict) else {"name": axis} for axis in scale["axes"]]
        lead = _lead(path, axes, array.shape)
        factor, offset = _transformed(level, scale, array.ndim)
        units = [axis.get("unit") for axis in axes[-3:]]
        volume = Volume(OnDisk(_Chunks(path, array), lead))  # type: ignore[arg-type]
    except GeometryError as error:
        raise ReadError(f"{path} cannot be used as a scan: {error}") from error
    except MicroCTSRError:
        raise
    except Exception as error:  # each codec of zarr has errors of its own
        raise ReadError(
            f"{path} is damaged, or no OME-Zarr image of version 0.4 or 0.5 ({error}); "
            f"convert it again."
        ) from error
    own = group.attrs.get(ATTRIBUTE)
    if isinstance(own, Mapping):
        return _placed(path, volume, own)
    if spacing is not None:
        return _placed(path, volume, {"spacing": spacing, "origin": (0, 0, 0)})
    if not all(isinstance(unit, str) and unit in _MILLIMETRES for unit in units):
        raise ReadError(
            f"{path} does not tell the unit of its voxel size; give the voxel size in mm "
            f"(--spacing z,y,x)."
        )
    mm = np.array([_MILLIMETRES[str(unit)] for unit in units])
    place = {"spacing": (factor[-3:] * mm).tolist(), "origin": (offset[-3:] * mm)[::-1].tolist()}
    return _placed(path, volume, place)


def read_ome_zarr(path: str | os.PathLike[str], spacing: Sequence[float] | None = None) -> Volume:
    """As :func:`open_ome_zarr`, with all values read.

    Raises:
        ReadError: as :func:`open_ome_zarr`, or chunks are damaged.
    """
    lazy = open_ome_zarr(path, spacing)
    check_claim(Path(path).expanduser(), lazy.array.size * lazy.dtype.itemsize)
    return lazy.with_array(np.asarray(lazy.array))


def create_ome_zarr(folder: Path, grid: Volume, slab: int) -> None:
    """Make the folder and its finest level, still without values and without levels.

    A shard, which is one file, holds a slab, so that many can write, each its own slab.

    Args:
        folder: where to; must not exist.
        grid: its shape, geometry and metadata are taken, its values are not.
        slab: planes per shard.
    """
    zarr = library()
    group = zarr.open_group(folder, mode="w-", zarr_format=3)
    _create_level(group, 0, grid.shape, slab)


def open_level(folder: Path, level: int = 0, writable: bool = False) -> Any:
    """A level's array, of which parts can be read and slabs be written."""
    group = library().open_group(folder, mode="r+" if writable else "r")
    return group[str(level)]


def finish_ome_zarr(folder: Path, grid: Volume, slab: int) -> None:
    """Add the coarser levels, each the mean of its finer one, and say where all of them lie.

    Args:
        folder: with its finest level written.
        grid: as for :func:`create_ome_zarr`.
        slab: planes per shard.
    """
    group = library().open_group(folder, mode="r+")
    factors = level_factors(grid.shape, grid.spacing)
    for level in range(1, len(factors)):
        steps = tuple(
            new // old for new, old in zip(factors[level], factors[level - 1], strict=True)
        )
        _coarsen(group, level, steps, slab)
    group.attrs.update(
        {
            "ome": {"version": "0.5", "multiscales": [_metadata(grid, factors)]},
            ATTRIBUTE: {
                "spacing": list(grid.spacing),
                "origin": list(grid.origin),
                "direction": grid.direction.tolist(),
                "metadata": dict(grid.metadata),
            },
        }
    )


def write_ome_zarr(volume: Volume, folder: Path, slab: int = 16) -> None:
    """Write a whole volume; floating point numbers in single precision."""
    create_ome_zarr(folder, volume, slab)
    level = open_level(folder, writable=True)
    for first in range(0, volume.shape[0], slab):
        level[first : first + slab] = volume.array[first : first + slab]
    finish_ome_zarr(folder, volume, slab)


def level_factors(shape: Sequence[int], spacing: Triple) -> list[tuple[int, int, int]]:
    """Voxels of the finest level per voxel of each level, (k, j, i).

    Each level halves the axes whose steps are the finest, or nearly so.

    Example:
        >>> level_factors((8, 1600, 1600), (0.7, 0.04, 0.04))
        [(1, 1, 1), (1, 2, 2), (1, 4, 4)]
    """
    factors = [(1, 1, 1)]
    while True:
        last = factors[-1]
        sizes = [math.ceil(n / f) for n, f in zip(shape, last, strict=True)]
        if max(sizes) <= _SMALLEST_LEVEL:
            return factors
        steps = [step * f for step, f in zip(spacing, last, strict=True)]
        finest = min(step for step, n in zip(steps, sizes, strict=True) if n > 1)
        k, j, i = (
            f * 2 if n > 1 and step < _EQUAL_STEPS * finest else f
            for f, step, n in zip(last, steps, sizes, strict=True)
        )
        factors.append((k, j, i))


def _create_level(group: zarr.Group, level: int, shape: Sequence[int], slab: int) -> Any:
    edges = [min(_CHUNK, n) for n in shape[1:]]
    whole = [-(-n // edge) * edge for n, edge in zip(shape[1:], edges, strict=True)]
    return group.create_array(
        str(level),
        shape=tuple(shape),
        dtype="float32",
        chunks=(slab, *edges),
        shards=(slab, *whole),
        compressors=library().codecs.ZstdCodec(level=3),
        dimension_names=["z", "y", "x"],
        fill_value=0,
        overwrite=True,
    )


def _coarsen(group: zarr.Group, level: int, steps: Sequence[int], slab: int) -> None:
    finer: Any = group[str(level - 1)]
    shape = tuple(math.ceil(n / step) for n, step in zip(finer.shape, steps, strict=True))
    coarser = _create_level(group, level, shape, slab)
    for first in range(0, shape[0], slab):
        planes = finer[first * steps[0] : (first + slab) * steps[0]]
        coarser[first : first + slab] = block_means(planes, steps)


def block_means(values: NDArray[Any], steps: Sequence[int]) -> NDArray[np.float32]:
    """Means over blocks; where the last block is cut, over what there is of it."""
    for axis, step in enumerate(steps):
        if step > 1:
            margin = [(0, 0)] * 3
            margin[axis] = (0, -values.shape[axis] % step)
            values = np.pad(values, margin, mode="edge") if margin[axis][1] else values
            shape = list(values.shape)
            shape[axis : axis + 1] = [shape[axis] // step, step]
            values = values.reshape(shape).mean(axis=axis + 1, dtype=np.float32)
    return values.astype(np.float32, copy=False)


def _metadata(grid: Volume, factors: Sequence[tuple[int, int, int]]) -> dict[str, Any]:
    first = (np.transpose(grid.direction) @ grid.origin)[::-1]
    datasets = []
    for level, factor in enumerate(factors):
        scale = [step * f for step, f in zip(grid.spacing, factor, strict=True)]
        # The centre of a block of n voxels lies (n - 1) / 2 voxels after that of its first.
        shift = [step * (f - 1) / 2 for step, f in zip(grid.spacing, factor, strict=True)]
        translation = [float(a + b) for a, b in zip(first, shift, strict=True)]
        datasets.append(
            {
                "path": str(level),
                "coordinateTransformations": [
                    {"type": "scale", "scale": scale},
                    {"type": "translation", "translation": translation},
                ],
            }
        )
    return {
        "name": grid.metadata.get("content", "image"),
        "axes": [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"],
        "datasets": datasets,
        "type": "mean",
        "metadata": {"method": "microctsr_core.io.ome_zarr.block_means", "version": __version__},
    }


def _open(path: Path) -> zarr.Group:
    zarr = library()
    if not os.path.exists(path):
        raise ReadError(f"{path} does not exist; check its name.")
    _check_files(path)
    try:
        group: Any = zarr.open_group(path, mode="r")
    except Exception as error:  # each codec of zarr has errors of its own
        raise ReadError(f"{path} is no OME-Zarr image; give a folder that holds one.") from error
    return group


def _check_files(path: Path) -> None:
    """Refuse links to devices, which would be read without end."""
    for folder, _, files in os.walk(path):
        for entry in (Path(folder, name) for name in files):
            if entry.is_symlink() and entry.exists() and not entry.is_file():
                raise ReadError(f"{entry} is no file; copy the image again.")


def _array(path: Path, group: zarr.Group, name: str) -> Any:
    """An image's array, whose chunks can be held in memory one at a time."""
    if ".." in name.split("/") or name.startswith("/"):
        raise ReadError(f"{path} names an array outside it, {name!r}; convert it again.")
    array: Any = group[name]
    for chunk in (array.chunks, array.shards or array.chunks):
        check_claim(path, math.prod(chunk) * array.dtype.itemsize)
    if array.shards is None and "blosc" in repr(array.compressors).lower():
        _check_blosc(path / name)
    return array


def _check_blosc(folder: Path) -> None:
    """Refuse chunks that are cut short: Blosc reads on behind their end, and gives what lies there.

    A chunk begins with its own length (c-blosc, README_CHUNK_FORMAT.rst).
    """
    for chunk in folder.rglob("*"):
        if chunk.is_file() and not chunk.name.startswith((".z", "zarr.json")):
            with chunk.open("rb") as file:
                start = file.read(16)
            if len(start) < 16 or int.from_bytes(start[12:], "little") > chunk.stat().st_size:
                raise ReadError(f"{chunk} is damaged or cut short; copy or convert it again.")


def _multiscales(path: Path, group: zarr.Group) -> list[Any]:
    facts: Any = group.attrs.get("ome", group.attrs)
    scales = facts.get("multiscales") if isinstance(facts, Mapping) else None
    if scales is None and "multiscales" in group.attrs:
        scales = group.attrs["multiscales"]
    if not isinstance(scales, Sequence) or not scales:
        raise ReadError(
            f"{path} is a Zarr group without an image of OME-Zarr; give the folder of one image "
            f"inside it."
        )
    return list(scales)


def _lead(path: Path, axes: Sequence[Mapping[str, Any]], shape: Sequence[int]) -> tuple[int, ...]:
    names = [str(axis.get("name")) for axis in axes]
    if len(names) < 3 or names[-3:] != ["z", "y", "x"]:
        raise ReadError(f"{path} has the axes {', '.join(names)}; give a volume of z, y, x.")
    if any(n != 1 for n in shape[:-3]):
        raise ReadError(
            f"{path} has several channels or times ({' x '.join(map(str, shape))}); give one "
            f"volume of it."
        )
    return (0,) * (len(shape) - 3)


def _transformed(
    level: Mapping[str, Any], scale: Mapping[str, Any], ndim: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and offset from voxels to the image's unit: the level's own, then the image's."""
    factor, offset = np.ones(ndim), np.zeros(ndim)
    for source in (level, scale):
        for step in source.get("coordinateTransformations", ()):
            if step["type"] == "scale":
                factor, offset = factor * step["scale"], offset * step["scale"]
            elif step["type"] == "translation":
                offset = offset + step["translation"]
    return factor, offset


def _placed(path: Path, volume: Volume, place: Mapping[str, Any]) -> Volume:
    try:
        return Volume(
            volume.array,
            place["spacing"],
            place["origin"],
            np.asarray(place.get("direction", np.eye(3))),
            place.get("metadata", {}),
        )
    except GeometryError as error:
        raise ReadError(f"{path} cannot be used as a scan: {error}") from error
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ReadError(
            f"{path} is damaged: its attribute {ATTRIBUTE} does not tell where it lies "
            f"({error!r:.80}); convert it again."
        ) from error
