"""TIFF stacks: ordered by number, sized by the user, refused when pages disagree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from dicom_files import stored_values, write_series
from microctsr_core import MicroCTSRError, ReadError, read_volume

SPACING = (0.02, 0.03, 0.04)


def stack_of(slices: int = 12) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65535, (slices, 20, 30)).astype(np.uint16)


def write_folder(folder: Path, stack: np.ndarray, name: str = "slice_{}.tif") -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / name.format(number) for number in range(len(stack))]
    for path, image in zip(paths, stack, strict=True):
        tifffile.imwrite(path, image)
    return paths


def refusal(path: Path, spacing=SPACING, **options: str) -> str:
    with pytest.raises(ReadError) as caught:
        read_volume(path, spacing=spacing, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


def test_slices_are_stacked_by_their_numbers_not_by_letters(tmp_path) -> None:
    stack = stack_of(12)
    write_folder(tmp_path, stack)  # slice_10 would come before slice_2 by letters
    volume = read_volume(tmp_path, spacing=SPACING)
    np.testing.assert_array_equal(volume.array, stack)
    assert volume.dtype == np.uint16


def test_the_voxel_size_is_the_one_given_in_z_y_x(tmp_path) -> None:
    write_folder(tmp_path, stack_of())
    volume = read_volume(tmp_path, spacing=SPACING)
    assert volume.spacing == SPACING
    assert volume.origin == (0, 0, 0)
    np.testing.assert_array_equal(volume.direction, np.eye(3))


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}])
def test_one_file_of_many_pages_is_read(options, tmp_path) -> None:
    stack = stack_of()
    tifffile.imwrite(tmp_path / "scan.TIFF", stack, **options)
    np.testing.assert_array_equal(read_volume(tmp_path / "scan.TIFF", SPACING).array, stack)
    np.testing.assert_array_equal(read_volume(tmp_path, SPACING).array, stack)


def test_real_micro_ct_is_read(shared_data: Path) -> None:
    bone = read_volume(shared_data / "bone_microct_tiff", spacing=(0.0195, 0.0195, 0.0195))
    assert bone.shape == (120, 200, 200)
    assert bone.size_mm == pytest.approx((2.34, 3.9, 3.9))
    third = tifffile.imread(shared_data / "bone_microct_tiff" / "slice_0002.tif")
    np.testing.assert_array_equal(bone.array[2], third)


def test_files_beside_the_slices_do_not_matter(tmp_path) -> None:
    stack = stack_of()
    write_folder(tmp_path, stack)
    (tmp_path / "scan.log").write_text("kV=50")
    (tmp_path / "._slice_1.tif").write_bytes(b"desktop litter")
    np.testing.assert_array_equal(read_volume(tmp_path, SPACING).array, stack)


def test_the_voxel_size_is_asked_for(tmp_path) -> None:
    paths = write_folder(tmp_path, stack_of())
    tifffile.imwrite(tmp_path / "scan.tif", stack_of())
    for path in (tmp_path, paths[0], tmp_path / "scan.tif"):
        message = refusal(path, spacing=None)
        assert "give it in mm as spacing=(z, y, x), or as --spacing z,y,x" in message


@pytest.mark.parametrize("spacing", [(1, 1), (0, 1, 1), (1, -1, 1), ("a", 1, 1), (1, 1, np.nan), 1])
def test_a_voxel_size_that_cannot_be_is_refused(spacing, tmp_path) -> None:
    write_folder(tmp_path, stack_of())
    with pytest.raises(MicroCTSRError, match="is not three sizes z, y, x in mm above zero"):
        read_volume(tmp_path, spacing=spacing)


def test_slices_of_another_size_or_type_are_named(tmp_path) -> None:
    paths = write_folder(tmp_path, stack_of())
    tifffile.imwrite(paths[5], np.zeros((20, 31), np.uint16))
    message = refusal(tmp_path)
    assert "slice_5.tif is 20 x 31 pixels of uint16" in message
    assert "slice_0.tif is 20 x 30 pixels of uint16" in message
    tifffile.imwrite(paths[5], np.zeros((20, 30), np.uint8))
    assert "slice_5.tif is 20 x 30 pixels of uint8" in refusal(tmp_path)


def test_pages_of_different_sizes_in_one_file_are_refused(tmp_path) -> None:
    with tifffile.TiffWriter(tmp_path / "scan.tif") as file:
        file.write(np.zeros((20, 30), np.uint8))
        file.write(np.zeros((10, 15), np.uint8))
    assert "holds images of different sizes" in refusal(tmp_path / "scan.tif")


@pytest.mark.parametrize("folder", [True, False])
def test_colour_is_refused(folder, tmp_path) -> None:
    if folder:
        write_folder(tmp_path, np.zeros((3, 20, 30, 3), np.uint8))
    else:
        tifffile.imwrite(tmp_path / "x.tif", np.zeros((4, 20, 30, 3), np.uint8), photometric="rgb")
    path = tmp_path if folder else tmp_path / "x.tif"
    assert "is a colour image" in refusal(path)


def test_inverted_grey_is_refused(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", stack_of(), photometric="miniswhite")
    assert "is stored inverted" in refusal(tmp_path / "x.tif")


def test_a_stack_with_channels_or_times_is_refused(tmp_path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((2, 3, 20, 30), np.uint8), imagej=True,
                     metadata={"axes": "TZYX"})  # fmt: skip
    assert "has 4 dimensions" in refusal(tmp_path / "x.tif")


def test_a_single_slice_is_refused(tmp_path) -> None:
    (path,) = write_folder(tmp_path, stack_of(1))
    assert "holds a single TIFF slice" in refusal(tmp_path)
    assert "holds a single slice; give the folder" in refusal(path)


def test_a_folder_of_stacks_is_refused(tmp_path) -> None:
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / name, stack_of(5))
    assert "a.tif holds 5 pages" in refusal(tmp_path)


@pytest.mark.parametrize("kept", [0.01, 0.5, 0.85])
@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}])
def test_a_stack_cut_short_is_refused_and_nothing_reaches_the_terminal(
    options, kept, tmp_path, capfd, caplog
) -> None:
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, stack_of(40), **options)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    assert "scan.tif is damaged, cut short" in refusal(path)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_pages_written_one_by_one_are_read_and_refused_when_cut_short(tmp_path) -> None:
    path = tmp_path / "scan.tif"
    with tifffile.TiffWriter(path) as file:
        for image in stack_of(20):
            file.write(image, contiguous=False)
    np.testing.assert_array_equal(read_volume(path, SPACING).array, stack_of(20))
    whole = path.read_bytes()
    for kept in (0.3, 0.6, 0.98):
        path.write_bytes(whole[: int(len(whole) * kept)])
        assert "scan.tif is damaged, cut short" in refusal(path)


@pytest.mark.parametrize("kept", [0, 20, 300])
def test_a_slice_cut_short_is_named(kept, tmp_path) -> None:
    paths = write_folder(tmp_path, stack_of())
    paths[7].write_bytes(paths[7].read_bytes()[:kept])
    assert "slice_7.tif is" in refusal(tmp_path)


def test_text_under_a_tiff_name_is_refused(tmp_path) -> None:
    (tmp_path / "scan.tif").write_text("not an image")
    assert "scan.tif is damaged" in refusal(tmp_path / "scan.tif")


def test_a_folder_of_tiff_and_dicom_is_refused(tmp_path) -> None:
    write_folder(tmp_path, stack_of())
    write_series(tmp_path, stored_values())
    assert "holds both TIFF and DICOM slices" in refusal(tmp_path)


def test_a_series_cannot_be_chosen_among_tiff_slices(tmp_path) -> None:
    write_folder(tmp_path, stack_of())
    assert "no DICOM series to choose from" in refusal(tmp_path, series="1.2")
