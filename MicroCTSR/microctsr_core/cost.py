"""What a run needs, as arithmetic: memory, disk, time, and the grid of the result.

Nothing here needs PyTorch or looks at the computer. A program without them gets a model's
:class:`Footprint` and :class:`Speed` from ``microctsr model cost`` and can then say for every box,
while it is drawn, what it would take.

Memory is an upper bound from the sizes of the arrays that a run really holds; it does not grow
with the number of passes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .pieces import SAMPLES
from .preparation import SPLINE_REACH, fine_factors, in_plane_mm, whole_box
from .tiles import BLOCK, Region, Tile, bounds, cover, region_of, widened
from .volume import Box, Triple

AUTO_PASSES = 32
"""What "auto" takes for a tile, by first guess: 24 where samples are normal (see
``moments.settled``), and a tile goes on until its last block is known well enough."""

# Mean and uncertainty, and the copy that a file format makes of one while it is written.
_HELD_VOLUMES = 3
_WRITTEN_VOLUMES = 2
_BYTES = 4
# The plane at work: its mean and variance, put together and turned into HU in double precision.
_PLANE_BYTES = 5 * 8
# What a tile may take for the layers at work.
_TILE_BYTES = 3e9
_TILE_BYTES_ON_CARD = 8e9
# Double-precision moments of a tile, with the pass that is being added.
_MOMENTS_BYTES = 6 * 8
# A slab of a streaming run: small enough for any computer, large enough for a disk.
_SLAB_BYTES = 16_000_000
_SLAB_PLANES = 16
# A slab's chunks while they are packed, and the file they make.
_PACKING_COPIES = 3
# Coarser levels take at most a third of the finest, 1/4 + 1/16 + ...
_LEVELS = 4 / 3
# What is looked at to choose thresholds, and the copies made of it.
_STATISTICS_BYTES = 64_000_000


@dataclass(frozen=True)
class Footprint:
    """What of a model decides on the work, in plain numbers (see ``resources.footprint``).

    Args:
        scale: fine voxels per voxel in the plane.
        network_scale: output pixels per input pixel of the network; 1 on the high grid.
        in_slices: planes read for one output plane.
        radius: halo of a tile in pixels of the network's input.
        decode_radius: halo of what is computed in every pass.
        stride: grid on which tiles start.
        dropout: whether passes differ; without, one is run.
        layer_bytes: working memory per pixel of the network's input.
    """

    scale: int
    network_scale: int
    in_slices: int
    radius: int
    decode_radius: int
    stride: int
    dropout: bool
    layer_bytes: float


@dataclass(frozen=True)
class Speed:
    """Seconds per million pixels of the network's input, on one computer and device."""

    encode_s_per_megapixel: float
    pass_s_per_megapixel: float


@dataclass(frozen=True)
class Needs:
    """Bytes of memory during a run, and bytes on disk for its results (uncompressed)."""

    memory: int
    disk: int


def default_tile(footprint: Footprint, on_card: bool = False) -> int:
    """Tile edge in pixels of the network's input grid, a multiple of a block.

    A tile is many times as wide as the halo that every pass computes anew. On a processor 13 radii
    are enough: a third is computed again, and what larger tiles save they lose outside its cache.
    A graphics card is filled only by large tiles. Neither takes more memory than a limit.

    Args:
        footprint: of the model.
        on_card: whether the tile is for a graphics card.
    """
    radii, limit = (60, _TILE_BYTES_ON_CARD) if on_card else (13, _TILE_BYTES)
    wanted = -(-radii * footprint.decode_radius // BLOCK)
    fitting = (math.sqrt(limit / footprint.layer_bytes) - 2 * footprint.radius) // BLOCK
    return BLOCK * max(1, min(wanted, int(fitting)))


def result_grid(
    shape: Sequence[int], spacing: Triple, scale: int, scale_mode: str = "in-plane"
) -> tuple[tuple[int, int, int], Triple]:
    """Shape and spacing of what super-resolving a box gives, both ordered (k, j, i).

    Args:
        shape: voxels of the box, (k, j, i).
        spacing: of the scan in mm, (k, j, i).
        scale: of the model.
        scale_mode: ``"in-plane"`` or ``"isotropic"``.

    Example:
        >>> result_grid((8, 48, 48), (0.7, 0.3125, 0.3125), 8)
        ((8, 384, 384), (0.7, 0.0390625, 0.0390625))
    """
    factors = fine_factors(spacing, scale, scale_mode)
    k, j, i = (n * factor for n, factor in zip(shape, factors, strict=True))
    dk, dj, di = (step / factor for step, factor in zip(spacing, factors, strict=True))
    return (k, j, i), (dk, dj, di)


def needs(
    shape: Sequence[int],
    spacing: Triple,
    box: Box | None,
    footprint: Footprint,
    scale_mode: str = "in-plane",
    tile: int | None = None,
) -> Needs:
    """What super-resolving a box needs, beyond the scan and the model that are already there.

    Args:
        shape: voxels of the scan, (k, j, i).
        spacing: of the scan in mm, (k, j, i).
        box: voxels to super-resolve; the whole scan when ``None``.
        footprint: of the model.
        scale_mode: ``"in-plane"`` or ``"isotropic"``.
        tile: edge of a tile in pixels of the network's input grid.
    """
    box = box or whole_box(shape)
    extents = _extents(box)
    fine_shape, _ = result_grid(extents, spacing, footprint.scale, scale_mode)
    fine_voxels = math.prod(fine_shape)
    held = _HELD_VOLUMES * _BYTES * fine_voxels
    memory = held + _at_work(shape, spacing, box, footprint, fine_shape, tile)
    return Needs(memory, _WRITTEN_VOLUMES * _BYTES * fine_voxels + _BYTES * math.prod(extents))


def slab_planes(fine_shape: Sequence[int]) -> int:
    """Output planes that a streaming run makes, writes and, when it goes on, keeps together."""
    planes = _SLAB_BYTES // (_BYTES * fine_shape[1] * fine_shape[2])
    return 2 ** int(math.log2(min(max(planes, 1), _SLAB_PLANES)))


def streaming_needs(
    shape: Sequence[int],
    spacing: Triple,
    box: Box | None,
    footprint: Footprint,
    scale_mode: str = "in-plane",
    tile: int | None = None,
    *,
    slab: int | None = None,
    volumes: int = _WRITTEN_VOLUMES,
    zarr: bool = False,
) -> Needs:
    """As :func:`needs`, for a run that streams: its memory does not know how many planes there are.

    Args:
        slab: output planes per slab, as :func:`slab_planes` by default.
        volumes: of the finer grid that are written.
        zarr: whether they are OME-Zarr, which packs a slab in memory and adds coarser levels.
    """
    box = box or whole_box(shape)
    extents = _extents(box)
    fine_shape, _ = result_grid(extents, spacing, footprint.scale, scale_mode)
    planes = min(slab or slab_planes(fine_shape), fine_shape[0])
    slab_bytes = _BYTES * planes * fine_shape[1] * fine_shape[2]
    copies = 2 + (_PACKING_COPIES if zarr else 0)  # mean and uncertainty are held in any case
    memory = copies * slab_bytes + _at_work(shape, spacing, box, footprint, fine_shape, tile)
    written = volumes * _BYTES * math.prod(fine_shape) * (_LEVELS if zarr else 1)
    small = _BYTES * fine_shape[0] * extents[1] * extents[2]  # brought back, and the consistency
    kept = 2 * _BYTES * min(SAMPLES, math.prod(fine_shape))  # to choose thresholds from
    return Needs(memory + _STATISTICS_BYTES, int(written) + 2 * small + kept)


def _at_work(
    shape: Sequence[int],
    spacing: Triple,
    box: Box,
    footprint: Footprint,
    fine_shape: Sequence[int],
    tile: int | None,
) -> int:
    """Bytes for the plane at work: slices read for it, its tile, and itself."""
    _, rows, columns = _extents(box)
    tiles = _tiles(shape, box, footprint, tile)
    read = max(_area(piece.read) for piece in tiles)
    written = max(_area(piece.write) for piece in tiles) * footprint.network_scale**2
    margin = 2 * (footprint.radius // _refinement(footprint) + SPLINE_REACH)
    reach = footprint.in_slices * in_plane_mm(spacing) / _refinement(footprint) / spacing[0]
    slices = min(shape[0], 2 * (SPLINE_REACH + 1) + math.ceil(reach))
    area = (rows + margin) * (columns + margin)
    stack = footprint.in_slices * _area(bounds(piece.read for piece in tiles))
    return (
        _PLANE_BYTES * fine_shape[1] * fine_shape[2]
        + 2 * _BYTES * slices * area  # kept for the next plane, and side by side for this one
        + 3 * _BYTES * area  # in double precision while it is scaled
        + 3 * _BYTES * stack  # interpolated, padded, and on its way to the device
        + int(footprint.layer_bytes * read)
        + _MOMENTS_BYTES * written
    )


def run_pixels(
    shape: Sequence[int],
    spacing: Triple,
    box: Box | None,
    footprint: Footprint,
    scale_mode: str = "in-plane",
    tile: int | None = None,
) -> tuple[int, int]:
    """Pixels that the network encodes for a box, and those that it decodes in each pass over it.

    Both count every plane, tile and halo.
    """
    box = box or whole_box(shape)
    planes = _extents(box)[0] * fine_factors(spacing, footprint.scale, scale_mode)[0]
    tiles = _tiles(shape, box, footprint, tile)
    decoded = [
        widened(piece.write, footprint.decode_radius, piece.read, footprint.stride)
        for piece in tiles
    ]
    return planes * sum(_area(piece.read) for piece in tiles), planes * sum(map(_area, decoded))


def seconds(
    shape: Sequence[int],
    spacing: Triple,
    box: Box | None,
    footprint: Footprint,
    speed: Speed,
    passes: float = AUTO_PASSES,
    scale_mode: str = "in-plane",
    tile: int | None = None,
) -> float:
    """About how long super-resolving a box takes, start of the program not counted.

    Args:
        shape: voxels of the scan, (k, j, i).
        spacing: of the scan in mm, (k, j, i).
        box: voxels to super-resolve; the whole scan when ``None``.
        footprint: of the model.
        speed: of the model on the device that is to run it.
        passes: per tile.
        scale_mode: ``"in-plane"`` or ``"isotropic"``.
        tile: edge of a tile in pixels of the network's input grid.
    """
    encoded, decoded = run_pixels(shape, spacing, box, footprint, scale_mode, tile)
    passes = passes if footprint.dropout else 1
    in_passes = passes * speed.pass_s_per_megapixel * decoded
    return (speed.encode_s_per_megapixel * encoded + in_passes) / 1e6


def _tiles(shape: Sequence[int], box: Box, footprint: Footprint, tile: int | None) -> list[Tile]:
    edge = tile or default_tile(footprint)
    refinement = _refinement(footprint)
    region = region_of(box, refinement)
    slice_shape = refinement * shape[1], refinement * shape[2]
    return cover(region, edge, footprint.radius, slice_shape, footprint.stride)


def _refinement(footprint: Footprint) -> int:
    return footprint.scale // footprint.network_scale


def _extents(box: Box) -> tuple[int, int, int]:
    (k0, k1), (j0, j1), (i0, i1) = box
    return k1 - k0, j1 - j0, i1 - i0


def _area(region: Region) -> int:
    (j0, j1), (i0, i1) = region
    return (j1 - j0) * (i1 - i0)
