"""What holds for any volume, any box and any tile, tried with those that hypothesis thinks of."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dicom_files import write_series
from microctsr_core import Volume, read_volume, write_volume
from microctsr_core.io.ome_zarr import write_ome_zarr
from microctsr_core.tiles import cover, edge_padded, inside, relative
from microctsr_core.volume import parse_box

INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32")
TYPES = (*INTEGERS, "float32", "float64")
# What the formats store without rounding: NIfTI's geometry is in single precision.
FORMATS = {"a.nrrd": 1e-9, "raw.nrrd": 1e-9, "a.nii": 1e-4, "a.nii.gz": 1e-4, "a.mha": 1e-6}
quick = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

shapes = st.tuples(*[st.integers(2, 5)] * 3)
sizes = st.floats(0.005, 5.0)
spacings = st.tuples(sizes, sizes, sizes)
places = st.tuples(*[st.floats(-300, 300)] * 3)


@st.composite
def turns(draw: Any) -> NDArray[np.float64]:
    """Axes of a volume: any rotation, mirrored or not, or axes merely named otherwise."""
    if draw(st.booleans()):
        order = draw(st.permutations(range(3)))
        signs = draw(st.tuples(*[st.sampled_from([-1.0, 1.0])] * 3))
        return np.eye(3)[:, order] * signs
    seed = draw(st.integers(0, 10_000))
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]


@st.composite
def volumes(draw: Any, types: tuple[str, ...] = TYPES) -> Volume:
    dtype = np.dtype(draw(st.sampled_from(types)))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = draw(shapes)
    if dtype.kind == "f":
        array = random.normal(0, 1000, shape).astype(dtype)
    else:
        limits = np.iinfo(dtype)
        array = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
    return Volume(array, draw(spacings), draw(places), draw(turns()))


def is_same(read: Volume, written: Volume, tolerance: float) -> None:
    assert read.dtype == written.dtype
    np.testing.assert_array_equal(read.array, written.array)
    extent = float(np.linalg.norm(written.size_mm)) + float(np.linalg.norm(written.origin))
    distance = np.abs(read.corners_lps() - written.corners_lps()).max()
    assert distance <= tolerance * extent


# Reading what was written -------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@quick
@given(volume=volumes())
def test_every_format_keeps_values_of_every_type_wherever_they_lie(name, volume) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_volume(volume, path, compress=not name.startswith("raw"))
        read = read_volume(path)
        is_same(Volume(np.array(read.array), read.spacing, read.origin, read.direction), volume,
                FORMATS[name])  # fmt: skip


@settings(quick, max_examples=10)
@given(volume=volumes(types=("float32",)))
def test_ome_zarr_keeps_values_wherever_they_lie(volume) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_ome_zarr(volume, Path(folder) / "a.zarr", slab=2)
        is_same(read_volume(Path(folder) / "a.zarr"), volume, 1e-12)


@quick
@given(
    volume=volumes(types=(*INTEGERS, "float32", "float64")),
    order=st.sampled_from("<>"),
    packed=st.sampled_from([None, "zlib", "lzma"]),
    one_file=st.booleans(),
)
def test_a_tiff_stack_is_read_as_it_was_written(volume, order, packed, one_file) -> None:
    options = {"byteorder": order, "compression": packed, "photometric": "minisblack"}
    with tempfile.TemporaryDirectory() as folder:
        if one_file:
            path = Path(folder) / "stack.tif"
            tifffile.imwrite(path, volume.array, **options)
        else:
            path = Path(folder)
            for number, page in enumerate(volume.array):
                tifffile.imwrite(path / f"slice_{number}.tif", page, **options)
        read = read_volume(path, volume.spacing)
    np.testing.assert_array_equal(read.array, volume.array)
    assert read.dtype == volume.dtype
    assert read.spacing == volume.spacing


@quick
@given(
    volume=volumes(types=("int16", "uint16")),
    start=st.integers(-2000, 2000),
    step_mm=st.floats(0.1, 2.0),
    pixel_mm=st.tuples(st.floats(0.05, 2.0), st.floats(0.05, 2.0)),
)
def test_a_dicom_series_lies_where_its_slices_say_however_it_is_turned(
    volume, start, step_mm, pixel_mm
) -> None:
    row, column = volume.direction[:, 0], volume.direction[:, 1]
    normal = np.cross(row, column)
    cosines = [f"{number:.10f}" for number in (*row, *column)]
    with tempfile.TemporaryDirectory() as folder:
        write_series(
            Path(folder),
            volume.array,
            tuple(step_mm * normal),
            volume.origin,
            ImageOrientationPatient=cosines,
            PixelSpacing=[f"{mm:.12g}" for mm in pixel_mm],
            RescaleIntercept=start,
        )
        read = read_volume(Path(folder))
    np.testing.assert_array_equal(read.array, volume.array.astype(np.int64) + start)
    true = Volume(
        volume.array,
        (step_mm, *pixel_mm),
        volume.origin,
        np.column_stack([row, column, normal]),
    )
    # Positions are written with six digits.
    assert np.abs(read.corners_lps() - true.corners_lps()).max() < 2e-3


# Boxes --------------------------------------------------------------------------------------------


@st.composite
def boxes(draw: Any, shape: tuple[int, int, int]) -> Any:
    ranges = []
    for length in shape:
        first = draw(st.integers(0, length - 1))
        ranges.append((first, draw(st.integers(first + 1, length))))
    return tuple(ranges)


@quick
@given(data=st.data(), volume=volumes(types=("int16",)))
def test_a_crop_of_a_crop_is_a_crop(data, volume) -> None:
    outer = data.draw(boxes(volume.shape))
    first = volume.crop(outer)
    inner = data.draw(boxes(first.shape))
    both = tuple(
        (start + low, start + high) for (start, _), (low, high) in zip(outer, inner, strict=True)
    )
    twice, once = first.crop(inner), volume.crop(both)
    np.testing.assert_array_equal(twice.array, once.array)
    assert twice.same_grid(once, 1e-6)


@quick
@given(data=st.data(), volume=volumes(types=("int16",)))
def test_a_box_is_read_back_as_it_is_written(data, volume) -> None:
    box = data.draw(boxes(volume.shape))
    assert parse_box(",".join(f"{first}:{last}" for first, last in box)) == box


@quick
@given(data=st.data(), volume=volumes(types=("int16",)))
def test_the_physical_box_around_a_crop_holds_the_whole_crop(data, volume) -> None:
    box = data.draw(boxes(volume.shape))
    corners = volume.crop(box).corners_lps()
    found = volume.box_from_lps(corners.min(axis=0), corners.max(axis=0))
    for (first, last), (low, high) in zip(found, box, strict=True):
        assert first <= low
        assert last >= high


@quick
@given(volume=volumes(types=("int16",)))
def test_lps_and_ras_differ_by_two_signs_and_nothing_else(volume) -> None:
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ct.nrrd"
        write_volume(volume, path, compress=False)
        text = path.read_bytes().replace(b"left-posterior-superior", b"right-anterior-superior")
        path.write_bytes(text)
        read = read_volume(path)
        np.testing.assert_allclose(read.ijk_to_lps, to_ras @ volume.ijk_to_lps, atol=1e-9)


# Tiles --------------------------------------------------------------------------------------------


@quick
@given(
    region=st.tuples(*[st.tuples(st.integers(0, 40), st.integers(1, 40))] * 2),
    edge=st.integers(1, 60),
    halo=st.integers(0, 12),
    stride=st.sampled_from([1, 2, 4]),
)
def test_what_tiles_read_is_assembled_to_the_slice_without_a_seam(
    region, edge, halo, stride
) -> None:
    shape = (83, 81)
    plane = np.random.default_rng(0).normal(size=shape)
    wanted = tuple((first, first + length) for first, length in region)
    assembled = np.full([length for _, length in region], np.nan)
    for tile in cover(wanted, edge, halo, shape, stride):
        have = inside(tile.read, shape)
        read = edge_padded(plane[relative(have, ((0, 0), (0, 0)))], have, tile.read)
        assembled[relative(tile.write, wanted)] = read[relative(tile.write, tile.read)]
    (j0, j1), (i0, i1) = wanted
    np.testing.assert_array_equal(assembled, plane[j0:j1, i0:i1])
