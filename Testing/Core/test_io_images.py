"""NRRD, NIfTI and MetaImage: geometry and values survive, and bad files end in one sentence."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import make_oblique_volume
from microctsr_core import ReadError, Volume, read_volume, write_volume
from microctsr_core.io import check_image

SUFFIXES = [".nrrd", ".nii", ".nii.gz", ".mha"]


def one_sentence(caught: pytest.ExceptionInfo[ReadError]) -> str:
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert "ITK" not in message
    return message


# What a file holds comes back --------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_itk_finds_the_voxels_of_a_written_scan_where_we_put_them(suffix, tmp_path) -> None:
    volume = make_oblique_volume(7)
    write_volume(volume, tmp_path / f"scan{suffix}")
    image = sitk.ReadImage(str(tmp_path / f"scan{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume.array)
    tolerance_mm = 1e-4 if "nii" in suffix else 1e-9  # NIfTI keeps geometry in single precision
    for i, j, k in [(0, 0, 0), (5, 4, 3)]:
        place = image.TransformIndexToPhysicalPoint((i, j, k))
        np.testing.assert_allclose(
            (volume.ijk_to_lps @ [i, j, k, 1])[:3], place, rtol=0, atol=tolerance_mm
        )


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_a_scan_is_read_as_it_was_written(suffix, dtype, tmp_path) -> None:
    volume = make_oblique_volume(1, dtype=dtype)
    write_volume(volume, tmp_path / f"scan{suffix}")
    again = read_volume(tmp_path / f"scan{suffix}")
    np.testing.assert_array_equal(again.array, volume.array)
    assert again.dtype == dtype
    assert again.same_grid(volume, tolerance_mm=1e-4 if "nii" in suffix else 1e-9)


@given(seed=st.integers(0, 10_000), shape=st.tuples(*[st.integers(2, 6)] * 3))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_nrrd_keeps_any_geometry_to_a_millionth_of_a_millimetre(seed, shape, tmp_path) -> None:
    volume = make_oblique_volume(seed, shape)
    write_volume(volume, tmp_path / "scan.nrrd")
    assert read_volume(tmp_path / "scan.nrrd").same_grid(volume, tolerance_mm=1e-6)


def test_an_nrrd_in_ras_is_turned_to_lps(tmp_path) -> None:
    header = (
        "NRRD0004\ntype: uint8\ndimension: 3\nspace: right-anterior-superior\nsizes: 2 2 2\n"
        "space directions: (0.5,0,0) (0,0.5,0) (0,0,0.7)\nkinds: domain domain domain\n"
        "encoding: raw\nspace origin: (10,20,30)\n\n"
    )
    (tmp_path / "scan.nrrd").write_bytes(header.encode() + bytes(range(8)))
    volume = read_volume(tmp_path / "scan.nrrd")
    assert volume.origin == (-10, -20, 30)
    np.testing.assert_allclose(volume.direction, np.diag([-1, -1, 1]))
    assert volume.spacing == pytest.approx((0.7, 0.5, 0.5))
    assert volume.array[0, 0, 1] == 1  # i runs fastest


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_facts_in_the_header_survive(suffix, tmp_path) -> None:
    volume = make_oblique_volume()
    path = tmp_path / f"scan{suffix}"
    write_volume(volume, path, metadata={"notice": "synthetic, not\nfor diagnosis"})
    assert dict(read_volume(path).metadata) == {
        "modality": "CT",
        "notice": "synthetic, not for diagnosis",
    }
    assert b"synthetic, not for diagnosis" in path.read_bytes()


def test_a_nifti_header_says_that_the_image_is_synthetic(tmp_path) -> None:
    path = tmp_path / "scan.nii"
    write_volume(Volume(np.zeros((2, 2, 2))), path, metadata={"notice": "synthetic, " * 20})
    assert path.read_bytes()[148 : 148 + 10] == b"synthetic,"  # the field "descrip"


def test_foreign_header_entries_are_not_taken_over(tmp_path) -> None:
    image = sitk.GetImageFromArray(np.zeros((2, 2, 2), np.int16))
    image.SetMetaData("PatientName", "Somebody")
    sitk.WriteImage(image, str(tmp_path / "scan.nrrd"))
    assert dict(read_volume(tmp_path / "scan.nrrd").metadata) == {}


def test_the_real_temporal_bone_has_its_documented_grid(shared_data: Path) -> None:
    ct = read_volume(shared_data / "temporal_bone_ct" / "temporal_bone_right.nrrd")
    assert ct.shape == (54, 140, 160)
    assert ct.dtype == np.int16
    assert ct.spacing == pytest.approx((0.7, 0.3125, 0.3125), abs=1e-6)
    assert ct.array[28, 73, 80] > 0  # the cochlea, within bone
    check_image(ct)


def test_real_micro_ct_of_eight_bits_passes_for_an_image(shared_data: Path) -> None:
    mouse = read_volume(shared_data / "mouse_skull_microct" / "A_J.nii.gz")
    assert mouse.spacing == pytest.approx((0.141,) * 3, abs=1e-3)
    check_image(mouse)


# Bad files ---------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ReadError, match=r"nowhere.nrrd does not exist") as caught:
        read_volume(tmp_path / "nowhere.nrrd")
    one_sentence(caught)


def test_a_file_that_may_not_be_opened_is_named(tmp_path, monkeypatch) -> None:
    path = tmp_path / "scan.nrrd"
    path.write_bytes(b"x")

    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ReadError, match=r"scan.nrrd cannot be read \(Permission denied\)"):
        read_volume(path)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".tif"])
def test_an_empty_file_is_named(suffix, tmp_path) -> None:
    (tmp_path / f"scan{suffix}").touch()
    with pytest.raises(ReadError, match="is an empty file") as caught:
        read_volume(tmp_path / f"scan{suffix}", spacing=(1, 1, 1) if suffix == ".tif" else None)
    one_sentence(caught)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_text_under_an_image_name_is_refused(suffix, tmp_path) -> None:
    (tmp_path / f"scan{suffix}").write_text("not an image at all")
    with pytest.raises(ReadError, match=r"scan.* is damaged, or its contents") as caught:
        read_volume(tmp_path / f"scan{suffix}")
    one_sentence(caught)


def test_a_wrong_suffix_is_told(tmp_path) -> None:
    write_volume(make_oblique_volume(), tmp_path / "scan.nrrd")
    (tmp_path / "scan.nrrd").rename(tmp_path / "scan.nii.gz")
    with pytest.raises(ReadError, match="its contents are not what its name says"):
        read_volume(tmp_path / "scan.nii.gz")


def test_an_unknown_format_is_answered_with_the_known_ones(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ReadError, match=r"give NRRD, NIfTI, MetaImage, a TIFF stack or a folder"):
        read_volume(tmp_path / "notes.txt")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_file_cut_short_is_refused_and_nothing_reaches_the_terminal(
    suffix, kept, tmp_path, capfd
) -> None:
    path = tmp_path / f"scan{suffix}"
    write_volume(make_oblique_volume(0, (8, 20, 20)), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(ReadError, match="is damaged or cut short") as caught:
        read_volume(path)
    one_sentence(caught)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_an_uncompressed_file_cut_short_is_refused(suffix, tmp_path, capfd) -> None:
    path = tmp_path / f"scan{suffix}"
    image = sitk.GetImageFromArray(make_oblique_volume(0, (8, 20, 20)).array)
    sitk.WriteImage(image, str(path), useCompression=False)
    assert read_volume(path).shape == (8, 20, 20)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ReadError, match="is damaged or cut short"):
        read_volume(path)
    assert capfd.readouterr() == ("", "")


def test_a_damaged_gzip_is_refused(tmp_path) -> None:
    path = tmp_path / "scan.nii.gz"
    write_volume(make_oblique_volume(0, (8, 20, 20)), path)
    bytes_ = bytearray(path.read_bytes())
    bytes_[len(bytes_) // 2] ^= 0xFF
    path.write_bytes(bytes_)
    with pytest.raises(ReadError, match="is damaged"):
        read_volume(path)


def test_big_endian_nifti_and_nifti_two_are_read(tmp_path) -> None:
    # A NIfTI-1 header by hand, bytes the other way round: int16, 2 x 2 x 2, offset 352.
    header = bytearray(352)
    header[0:4] = (348).to_bytes(4, "big")
    for place, value in [(40, 3), (42, 2), (44, 2), (46, 2), (48, 1), (70, 4), (72, 16)]:
        header[place : place + 2] = value.to_bytes(2, "big")
    header[76:92] = np.array([1, 1, 1, 1], ">f4").tobytes()
    header[108:112] = np.array([352], ">f4").tobytes()
    header[344:348] = b"n+1\0"
    values = np.arange(8, dtype=">i2")
    path = tmp_path / "scan.nii"
    path.write_bytes(bytes(header) + values.tobytes())
    np.testing.assert_array_equal(read_volume(path).array.ravel(), np.arange(8))
    path.write_bytes(bytes(header) + values.tobytes()[:-2])
    with pytest.raises(ReadError, match="cut short"):
        read_volume(path)
    (tmp_path / "scan.nii.gz").write_bytes(gzip.compress(bytes(header) + values.tobytes()[:-2]))
    with pytest.raises(ReadError, match="cut short"):
        read_volume(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_colour_image_is_refused(suffix, tmp_path) -> None:
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5, 3), np.uint8), isVector=True)
    sitk.WriteImage(image, str(tmp_path / f"colour{suffix}"))
    with pytest.raises(ReadError, match=r"colour.* is a colour or vector image") as caught:
        read_volume(tmp_path / f"colour{suffix}")
    one_sentence(caught)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
def test_a_four_dimensional_image_is_refused(suffix, tmp_path) -> None:
    image = sitk.GetImageFromArray(np.zeros((2, 3, 4, 5), np.int16), isVector=False)
    sitk.WriteImage(image, str(tmp_path / f"film{suffix}"))
    with pytest.raises(ReadError, match=r"film.* has 4 dimensions") as caught:
        read_volume(tmp_path / f"film{suffix}")
    one_sentence(caught)


@pytest.mark.parametrize("name", ["slice.png", "slice.nrrd", "slice.mha"])
def test_a_two_dimensional_image_is_refused(name, tmp_path) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((8, 8), np.uint8)), str(tmp_path / name))
    with pytest.raises(ReadError, match="single two-dimensional slice"):
        read_volume(tmp_path / name)


def test_a_voxel_size_or_a_series_that_makes_no_sense_is_refused(tmp_path) -> None:
    write_volume(make_oblique_volume(), tmp_path / "scan.nrrd")
    with pytest.raises(ReadError, match="carries its own voxel size"):
        read_volume(tmp_path / "scan.nrrd", spacing=(1, 1, 1))
    with pytest.raises(ReadError, match="no DICOM series to choose from"):
        read_volume(tmp_path / "scan.nrrd", series="1.2.3")


def test_folders_without_an_image_say_what_is_missing(tmp_path) -> None:
    with pytest.raises(ReadError, match="holds no files; check its name"):
        read_volume(tmp_path)
    (tmp_path / "series").mkdir()
    with pytest.raises(ReadError, match=r"give a folder inside it, such as .*series"):
        read_volume(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(ReadError, match="holds neither DICOM images nor TIFF slices") as caught:
        read_volume(tmp_path)
    one_sentence(caught)


def test_itk_warnings_are_as_before_after_reading(tmp_path) -> None:
    code = (
        "import SimpleITK as sitk, microctsr_core as sr, sys\n"
        "print(sitk.ProcessObject.GetGlobalWarningDisplay())\n"
        "try: sr.read_volume(sys.argv[1])\n"
        "except sr.ReadError: pass\n"
        "print(sitk.ProcessObject.GetGlobalWarningDisplay())\n"
    )
    (tmp_path / "x.nrrd").write_text("x")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "x.nrrd")],
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = done.stdout.split()
    assert before == after


# What cannot be super-resolved -------------------------------------------------------------------


def scan(array: np.ndarray) -> Volume:
    return Volume(array)


def noise(dtype: type = np.int16) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 3000, (6, 12, 12)).astype(dtype)


def test_an_ordinary_scan_passes() -> None:
    check_image(scan(noise()))
    check_image(scan(noise(np.float32)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_numbers_are_counted(bad: float) -> None:
    array = noise(np.float32)
    array[2, 3, :4] = bad
    with pytest.raises(ReadError, match=r"ear.nrrd holds 4 values that are not numbers") as caught:
        check_image(scan(array), "ear.nrrd")
    one_sentence(caught)


def test_a_constant_image_is_refused() -> None:
    with pytest.raises(ReadError, match="has the same value, -1000, everywhere"):
        check_image(scan(np.full((4, 5, 6), -1000, np.int16)))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_single_slice_is_refused(axis: int) -> None:
    with pytest.raises(ReadError, match="is a single slice"):
        check_image(scan(noise().take([0], axis=axis)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, bool])
def test_a_segmentation_of_few_labels_is_refused(dtype) -> None:
    labels = np.zeros((6, 20, 20), dtype)
    labels[2:4, 5:12, 5:12] = 1
    labels[3:5, 8:15, 8:15] = 3
    with pytest.raises(ReadError, match=r"looks like a segmentation \(label map\)") as caught:
        check_image(scan(labels), "labels.nrrd")
    one_sentence(caught)


def test_a_segmentation_of_many_labels_is_refused() -> None:
    labels = np.kron(np.arange(100).reshape(4, 5, 5), np.ones((4, 16, 16))).astype(np.uint8)
    with pytest.raises(ReadError, match="looks like a segmentation"):
        check_image(scan(labels))


def test_a_scan_with_a_clipped_background_is_no_segmentation() -> None:
    array = noise()
    array[:, :, :9] = -1024
    check_image(scan(array))
    dark = np.random.default_rng(0).normal(17, 11, (6, 40, 40)).clip(0, 255).astype(np.uint8)
    check_image(scan(dark))


def test_a_segmentation_can_still_be_read(tmp_path) -> None:
    labels = np.zeros((3, 4, 5), np.uint8)
    labels[1, 1, 1] = 1
    write_volume(Volume(labels), tmp_path / "labels.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "labels.nrrd").array, labels)
