"""Tiles cover a region once, read its surroundings, and know their place in the scan."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microctsr_core.tiles import bounds, cover, edge_padded, inside, relative, widened

SHAPE = (400, 400)

starts = st.integers(0, 150)
lengths = st.integers(1, 150)


@settings(max_examples=40, deadline=None)
@given(starts, lengths, starts, lengths, st.integers(1, 200))
def test_written_parts_and_blocks_cover_the_region_exactly_once(
    j0: int, rows: int, i0: int, columns: int, edge: int
) -> None:
    region = ((j0, j0 + rows), (i0, i0 + columns))
    tiles = cover(region, edge, 7, SHAPE)
    written, blocked = np.zeros((rows, columns), int), np.zeros((rows, columns), int)
    for tile in tiles:
        written[relative(tile.write, region)] += 1
        for block in tile.blocks:
            blocked[relative(block, region)] += 1
    assert np.all(written == 1)
    assert np.all(blocked == 1)


@settings(max_examples=40, deadline=None)
@given(starts, lengths, st.integers(1, 200), st.integers(0, 40), st.sampled_from([1, 4]))
def test_a_tile_reads_its_halo_as_far_as_the_scan_goes(
    start: int, length: int, edge: int, halo: int, stride: int
) -> None:
    rows = start + length + 13
    for tile in cover(((start, start + length), (0, 50)), edge, halo, (rows, 50), stride):
        for (read0, read1), (write0, write1), end in zip(
            tile.read, tile.write, (rows, 50), strict=True
        ):
            first, last = max(write0 - halo, 0), min(write1 + halo, end)
            assert first - stride < read0 <= first
            assert last <= read1 < last + stride
            assert read0 % stride == read1 % stride == 0


def test_a_smaller_halo_stays_inside_what_a_tile_reads() -> None:
    (tile,) = cover(((30, 60), (0, 50)), 64, 20, SHAPE, 4)
    assert tile.read == ((8, 80), (0, 72))
    assert widened(tile.write, 6, tile.read, 4) == ((24, 68), (0, 56))


@settings(max_examples=40, deadline=None)
@given(starts, lengths, st.integers(1, 200), st.integers(1, 200))
def test_blocks_are_the_same_for_any_tile_size(
    start: int, length: int, edge: int, other: int
) -> None:
    region = ((start, start + length), (20, 100))
    first = {block for tile in cover(region, edge, 3, SHAPE) for block in tile.blocks}
    assert first == {block for tile in cover(region, other, 3, SHAPE) for block in tile.blocks}


def test_blocks_belong_to_the_scan_so_that_whole_ones_are_the_same_in_any_box() -> None:
    small = {b for tile in cover(((30, 140), (30, 140)), 64, 3, SHAPE) for b in tile.blocks}
    large = {b for tile in cover(((0, 200), (0, 200)), 64, 3, SHAPE) for b in tile.blocks}
    assert ((64, 96), (32, 64)) in small & large


def test_a_box_of_48_pixels_is_one_tile_wherever_it_lies() -> None:
    for start in range(64):
        assert len(cover(((start, start + 48), (start, start + 48)), 96, 19, SHAPE)) == 1


def test_a_tile_as_large_as_the_slice_is_the_whole_slice() -> None:
    (tile,) = cover(((0, 300), (0, 200)), 300, 10, (300, 200))
    assert tile.write == tile.read == ((0, 300), (0, 200))


def test_the_bounds_of_regions_contain_them_all() -> None:
    regions = [((3, 8), (5, 6)), ((0, 4), (7, 9))]
    assert bounds(regions) == ((0, 8), (5, 9))


def test_a_tile_without_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel, not 0"):
        cover(((0, 8), (0, 8)), 0, 1, SHAPE)


def test_beyond_the_scan_its_edge_pixels_are_repeated_as_numpy_does() -> None:
    plane = np.arange(12, dtype=np.float32).reshape(3, 4)
    have = inside(((-2, 5), (1, 9)), plane.shape)
    assert have == ((0, 3), (1, 4))
    padded = edge_padded(plane[:, 1:], have, ((-2, 5), (1, 9)))
    np.testing.assert_array_equal(padded, np.pad(plane[:, 1:], ((2, 2), (0, 5)), mode="edge"))


def test_a_region_wholly_beyond_the_scan_shows_the_nearest_pixel() -> None:
    assert inside(((-9, -4), (7, 9)), (3, 4)) == ((0, 1), (3, 4))
