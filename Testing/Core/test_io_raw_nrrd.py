"""Volumes handed from program to program uncompressed: mapped, exact, and never copied."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from conftest import make_oblique_volume
from microctsr_core import ReadError, Volume, WriteError, read_volume, write_volume
from microctsr_core.io import map_raw_nrrd, raw_nrrd_slabs, write_raw_nrrd

HEADER = (
    "NRRD0004\ntype: {type}\ndimension: 3\nspace: {space}\nsizes: 2 3 4\n"
    "space directions: (0.5,0,0) (0,0.5,0) (0,0,0.7)\nkinds: domain domain domain\n"
    "endian: {endian}\nencoding: {encoding}\nspace origin: (10,20,30)\n{more}\n"
)


def write_header(path: Path, values: bytes, more: str = "", **changes: str) -> Path:
    """An NRRD file as other programs write it."""
    fields = {"type": "short", "space": "LPS", "endian": "little", "encoding": "raw", **changes}
    path.write_bytes(HEADER.format(more=more, **fields).encode() + values)
    return path


def flipped(volume: Volume) -> Volume:
    """The same place with the i axis reversed: a grid of the other handedness."""
    direction = volume.direction * (-1, 1, 1)
    return Volume(volume.array, volume.spacing, volume.origin, direction, volume.metadata)


# Geometry and values -----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int16, np.float32, np.uint8, np.int64])
@pytest.mark.parametrize("handed", [lambda volume: volume, flipped])
def test_itk_finds_every_voxel_where_we_put_it(handed, dtype, tmp_path) -> None:
    volume = handed(make_oblique_volume(7, dtype=dtype))
    write_raw_nrrd(volume, tmp_path / "scan.nrrd")
    image = sitk.ReadImage(str(tmp_path / "scan.nrrd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array)
    seen = Volume(
        volume.array,
        image.GetSpacing()[::-1],
        image.GetOrigin(),
        np.reshape(image.GetDirection(), (3, 3)),
    )
    assert seen.same_grid(volume, tolerance_mm=1e-9)


@pytest.mark.parametrize("handed", [lambda volume: volume, flipped])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_written_is_mapped_again(seed, handed, tmp_path) -> None:
    volume = handed(make_oblique_volume(seed))
    write_raw_nrrd(volume, tmp_path / "scan.nrrd")
    again = map_raw_nrrd(tmp_path / "scan.nrrd")
    np.testing.assert_array_equal(again.array, volume.array)
    assert again.dtype == volume.dtype
    assert again.same_grid(volume, tolerance_mm=1e-9)
    assert again.origin == volume.origin
    assert np.linalg.det(again.direction) == pytest.approx(np.linalg.det(volume.direction))


def test_what_itk_writes_uncompressed_is_mapped_as_itk_reads_it(tmp_path) -> None:
    volume = make_oblique_volume(3, dtype=np.float32)
    facts = {"path": 'C:\\new "folder" \\\\server', "percent": "50 % := half"}
    write_volume(volume, tmp_path / "zipped.nrrd", metadata=facts)
    image = sitk.ReadImage(str(tmp_path / "zipped.nrrd"))
    image.SetMetaData("PatientName", "Somebody")
    sitk.WriteImage(image, str(tmp_path / "raw.nrrd"), useCompression=False)
    mapped, read = map_raw_nrrd(tmp_path / "raw.nrrd"), read_volume(tmp_path / "zipped.nrrd")
    assert mapped.same_grid(read, tolerance_mm=1e-9)
    np.testing.assert_array_equal(mapped.array, read.array)
    assert dict(mapped.metadata) == dict(read.metadata) == {"modality": "CT", **facts}


def test_facts_of_the_header_are_the_same_for_itk(tmp_path) -> None:
    facts = {"settings": '{"tile": null, "path": "a\\\\b"}', "notice": "synthetic,\nnot real"}
    write_volume(make_oblique_volume(), tmp_path / "raw.nrrd", metadata=facts, compress=False)
    image = sitk.ReadImage(str(tmp_path / "raw.nrrd"))
    assert image.GetMetaData("MicroCTSR.settings") == facts["settings"]
    assert image.GetMetaData("MicroCTSR.notice") == "synthetic, not real"
    assert map_raw_nrrd(tmp_path / "raw.nrrd").metadata["settings"] == facts["settings"]


@pytest.mark.parametrize("space", ["right-anterior-superior", "RAS", "Left-Posterior-Superior"])
def test_ras_is_turned_to_lps(space, tmp_path) -> None:
    path = write_header(tmp_path / "scan.nrrd", np.arange(24, dtype="<i2").tobytes(), space=space)
    volume = map_raw_nrrd(path)
    sign = 1 if space.startswith("Left") else -1
    assert volume.origin == (sign * 10, sign * 20, 30)
    np.testing.assert_allclose(volume.direction, np.diag([sign, sign, 1]))
    assert volume.spacing == pytest.approx((0.7, 0.5, 0.5))
    assert volume.array[0, 0, 1] == 1  # i runs fastest


@pytest.mark.parametrize("order", ["little", "big"])
def test_either_byte_order_gives_native_values(order, tmp_path) -> None:
    values = np.arange(-12, 12, dtype=">i2" if order == "big" else "<i2")
    path = write_header(tmp_path / "scan.nrrd", values.tobytes(), endian=order)
    before = path.read_bytes()
    volume = map_raw_nrrd(path)
    np.testing.assert_array_equal(volume.array.ravel(), np.arange(-12, 12))
    assert volume.dtype.isnative
    assert path.read_bytes() == before


def test_header_lines_of_windows_and_comments_are_understood(tmp_path) -> None:
    path = write_header(tmp_path / "scan.nrrd", b"", '# Slicer\nspace units: "mm" "mm" "mm"\n')
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n") + bytes(48))
    assert map_raw_nrrd(path).shape == (4, 3, 2)


# No copies, and the file stays as it is ----------------------------------------------------------


@pytest.mark.parametrize("read", [map_raw_nrrd, read_volume])
def test_an_uncompressed_file_is_mapped_and_may_be_written_to_in_memory_only(
    read, tmp_path
) -> None:
    volume = make_oblique_volume()
    write_volume(volume, tmp_path / "scan.nrrd", compress=False)
    before = (tmp_path / "scan.nrrd").read_bytes()
    again = read(tmp_path / "scan.nrrd")
    assert isinstance(again.array.base, np.memmap)
    again.array[:] = 0
    assert (tmp_path / "scan.nrrd").read_bytes() == before


def test_writing_in_slabs_tells_how_far_it_is_and_gives_the_same_file(tmp_path) -> None:
    volume = make_oblique_volume(shape=(4, 5, 6))
    write_raw_nrrd(volume, tmp_path / "whole.nrrd")
    row_bytes = 6 * 2
    for slab_bytes, steps in ((1, 20), (2 * row_bytes, 12), (10 * row_bytes, 2), (10**9, 1)):
        fractions = list(raw_nrrd_slabs(volume, tmp_path / "slabs.nrrd", slab_bytes))
        assert len(fractions) == steps
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1
        assert (tmp_path / "slabs.nrrd").read_bytes() == (tmp_path / "whole.nrrd").read_bytes()


def test_writing_given_up_half_way_leaves_the_old_file_and_nothing_else(tmp_path) -> None:
    (tmp_path / "scan.nrrd").write_text("earlier")
    slabs = raw_nrrd_slabs(make_oblique_volume(), tmp_path / "scan.nrrd", slab_bytes=1)
    next(slabs)
    assert len(list(tmp_path.iterdir())) == 2
    slabs.close()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


@pytest.mark.parametrize(
    "view",
    [
        lambda array: array[1:3, 1:4, 2:6],
        lambda array: array[::-1, :, ::2],
        lambda array: array.transpose(2, 0, 1),
        np.asfortranarray,
        lambda array: array.astype(array.dtype.newbyteorder()),
    ],
)
def test_arrays_of_any_layout_are_written_as_they_look(view, tmp_path) -> None:
    array = view(make_oblique_volume().array)
    write_raw_nrrd(Volume(array), tmp_path / "scan.nrrd")
    np.testing.assert_array_equal(map_raw_nrrd(tmp_path / "scan.nrrd").array, array)


def test_truth_values_and_half_precision_are_widened_as_in_other_formats(tmp_path) -> None:
    array = make_oblique_volume().array
    for values, dtype in ((array > 0, np.uint8), ((array / 4096).astype(np.float16), np.float32)):
        write_volume(Volume(values), tmp_path / "scan.nrrd", compress=False)
        assert map_raw_nrrd(tmp_path / "scan.nrrd").dtype == dtype
        np.testing.assert_array_equal(map_raw_nrrd(tmp_path / "scan.nrrd").array, values)


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".nii", ".nii.gz"])
def test_without_compression_every_format_reads_back_the_same(suffix, tmp_path) -> None:
    volume = Volume(np.zeros((20, 50, 50), np.float32))
    write_volume(volume, tmp_path / f"scan{suffix}", compress=False)
    assert read_volume(tmp_path / f"scan{suffix}").same_grid(volume)
    if suffix != ".nii.gz":
        assert (tmp_path / f"scan{suffix}").stat().st_size > volume.array.nbytes


# What cannot be mapped ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"encoding": "gzip"},
        {"type": "block"},
        {"space": "scanner-xyz"},
        {"more": "data file: values.raw\n"},
        {"more": "byte skip: 12\n"},
        {"more": 'space units: "cm" "cm" "cm"\n'},
        {"endian": "middle"},
    ],
)
def test_other_kinds_of_nrrd_are_refused_by_name(changes, tmp_path) -> None:
    path = write_header(tmp_path / "scan.nrrd", bytes(48), **changes)
    with pytest.raises(ReadError, match=r"scan\.nrrd is no uncompressed NRRD image"):
        map_raw_nrrd(path)


def test_files_that_are_missing_empty_cut_short_or_sheared_are_refused_by_name(tmp_path) -> None:
    path = tmp_path / "scan.nrrd"
    with pytest.raises(ReadError, match=r"scan\.nrrd cannot be read \(No such file"):
        map_raw_nrrd(path)
    for content in (b"", b"NRRD0004\n", b"PK", bytes(1000)):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=r"scan\.nrrd is no uncompressed NRRD"):
            map_raw_nrrd(path)
    write_header(path, bytes(47))
    with pytest.raises(ReadError, match=r"scan\.nrrd is damaged or cut short"):
        map_raw_nrrd(path)
    write_header(path, bytes(48))
    path.write_bytes(path.read_bytes().replace(b"(0,0.5,0)", b"(0.2,0.5,0)"))
    with pytest.raises(ReadError, match=r"scan\.nrrd cannot be used as a scan: .*right angles"):
        map_raw_nrrd(path)


@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are a thing of Unix")
def test_a_disk_that_fills_up_is_told_and_leaves_the_old_file(tmp_path) -> None:
    import resource
    import signal

    (tmp_path / "scan.nrrd").write_text("earlier")
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(WriteError, match=r"scan\.nrrd"):
            write_raw_nrrd(Volume(np.zeros((4, 50, 50))), tmp_path / "scan.nrrd")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]
