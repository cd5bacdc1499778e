"""Covering a slice with tiles and halos, so that the assembled result has no seams.

A tile writes a rectangle of the region asked for and reads a larger one, wider by a halo as
large as the network's receptive field. What lies in the halo comes from the scan. The halo ends
where the scan ends, where the network pads as it does a whole slice; so a tile's result is that of
the whole slice.

All coordinates are pixels of the network's input grid, counted from the scan's first row and
column, also when only a box of the scan is wanted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .volume import Box

BLOCK = 32
"""Edge of the squares in which the number of passes is decided, and of which tiles consist."""

Range: TypeAlias = tuple[int, int]
Region: TypeAlias = tuple[Range, Range]
"""Rows and columns ((j0, j1), (i0, i1)), ends excluded."""


@dataclass(frozen=True)
class Tile:
    """One piece of work.

    Args:
        read: region the network reads; it reaches beyond the scan only to fill up a stride.
        write: region whose result is kept, inside ``read``.
        blocks: parts of ``write`` that lie in different squares of the scan's block grid.
    """

    read: Region
    write: Region
    blocks: tuple[Region, ...]


def cover(
    region: Region,
    tile: int,
    halo: int,
    shape: tuple[int, int],
    stride: int = 1,
    block: int = BLOCK,
) -> list[Tile]:
    """Cover a region with tiles whose written parts neither overlap nor leave gaps.

    Args:
        region: rows and columns wanted.
        tile: edge of a tile's written part; rounded up to whole blocks. A tile as large as the
            region makes one tile of it.
        halo: pixels read around the written part: the radius of the receptive field.
        shape: rows and columns of the whole slice, where halos end.
        stride: tiles are read from and up to multiples of this (strided networks need it).
        block: edge of the blocks; they lie on a grid that belongs to the scan, not to the region.

    Returns:
        Tiles in reading order.

    Example:
        >>> [tile.write for tile in cover(((0, 48), (0, 96)), tile=64, halo=19, shape=(90, 96))]
        [((0, 48), (0, 64)), ((0, 48), (64, 96))]
    """
    if tile < 1:
        raise ValueError(f"A tile needs an edge of at least one pixel, not {tile}.")
    edge = -(-tile // block) * block
    whole = (0, shape[0]), (0, shape[1])
    return [
        Tile(
            read=widened((rows, columns), halo, whole, stride),
            write=(rows, columns),
            blocks=tuple(_grid(rows, columns, block, block)),
        )
        for rows, columns in _grid(*region, edge, block)
    ]


def halves(tile: Tile, halo: int, stride: int = 1) -> list[Tile]:
    """A tile in two, between its blocks and across its longer side; itself if it is one block.

    Args:
        tile: as made by :func:`cover`.
        halo, stride: as given there.
    """
    if len(tile.blocks) == 1:
        return [tile]
    axis = max((0, 1), key=lambda axis: len({block[axis] for block in tile.blocks}))
    ranges = sorted({block[axis] for block in tile.blocks})
    middle = ranges[len(ranges) // 2][0]
    parts = [
        tuple(block for block in tile.blocks if (block[axis][0] < middle) == before)
        for before in (True, False)
    ]
    return [part_of(tile, blocks, halo, stride) for blocks in parts]


def part_of(tile: Tile, blocks: tuple[Region, ...], halo: int, stride: int = 1) -> Tile:
    """The tile of some of a tile's blocks; halo and stride as given to :func:`cover`."""
    write = bounds(blocks)
    return Tile(widened(write, halo, tile.read, stride), write, blocks)


def widened(region: Region, halo: int, limits: Region, stride: int = 1) -> Region:
    """A region with a halo, within limits.

    It begins and ends at multiples of the stride, counted from where the limits begin; the limits
    count as filled up to the next one.
    """
    rows, columns = (
        (
            first + max(start - halo - first, 0) // stride * stride,
            first - (first - min(stop + halo, last)) // stride * stride,
        )
        for (start, stop), (first, last) in zip(region, limits, strict=True)
    )
    return rows, columns


def region_of(box: Box, refinement: int) -> Region:
    """Rows and columns of a box of the scan, ``refinement`` pixels per voxel."""
    rows, columns = ((first * refinement, last * refinement) for first, last in box[1:])
    return rows, columns


def bounds(regions: Iterable[Region]) -> Region:
    """The smallest region that contains all of them."""
    rows, columns = zip(*regions, strict=True)
    return (
        (min(start for start, _ in rows), max(stop for _, stop in rows)),
        (min(start for start, _ in columns), max(stop for _, stop in columns)),
    )


def area(region: Region) -> int:
    """Pixels of a region."""
    (j0, j1), (i0, i1) = region
    return (j1 - j0) * (i1 - i0)


def inside(region: Region, shape: tuple[int, int]) -> Region:
    """The part of a region that lies in a slice of the given shape; at least its nearest pixel."""
    (j0, j1), (i0, i1) = (
        (min(max(start, 0), length - 1), max(min(stop, length), 1))
        for (start, stop), length in zip(region, shape, strict=True)
    )
    return (j0, j1), (i0, i1)


def edge_padded(plane: NDArray[np.float32], have: Region, want: Region) -> NDArray[np.float32]:
    """Repeat the edge pixels of planes until they fill a region.

    Args:
        plane: the region ``have``, shape (..., rows, columns).
        have: region that the array holds.
        want: region to return, which contains ``have``.
    """
    margins = [
        (inner[0] - outer[0], outer[1] - inner[1]) for inner, outer in zip(have, want, strict=True)
    ]
    return np.pad(plane, [(0, 0)] * (plane.ndim - 2) + margins, mode="edge")


def relative(region: Region, origin: Region, scale: int = 1) -> tuple[slice, slice]:
    """Slices of a region in an array that starts where ``origin`` starts, on a finer grid."""
    rows, columns = (
        slice((start - first) * scale, (stop - first) * scale)
        for (start, stop), (first, _) in zip(region, origin, strict=True)
    )
    return rows, columns


def _grid(rows: Range, columns: Range, edge: int, block: int) -> Iterator[Region]:
    for row_range in _pieces(rows, edge, block):
        for column_range in _pieces(columns, edge, block):
            yield row_range, column_range


def _pieces(whole: Range, edge: int, block: int) -> Iterator[Range]:
    # Counted from the block in which the range begins: a small box is not cut needlessly, and a
    # block is never shared by two tiles.
    start, stop = whole
    for first in range(start // block * block, stop, edge):
        yield max(first, start), min(first + edge, stop)
