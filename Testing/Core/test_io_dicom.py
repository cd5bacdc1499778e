"""DICOM series: read true to place and HU, or refused with the reason."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dicom_files import PATIENT, stored_values, write_series, write_slice
from microctsr_core import ReadError, read_volume


def refusal(folder: Path, **options: str) -> str:
    """The sentence with which a folder is refused."""
    with pytest.raises(ReadError) as caught:
        read_volume(folder, **options)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert "Secret" not in message
    assert "secret" not in message
    return message


# A good series -----------------------------------------------------------------------------------


def test_a_real_series_is_read_as_itk_reads_it(shared_data: Path, capfd) -> None:
    folder = shared_data / "sinus_ct_dicom"
    ct = read_volume(folder)
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))
    expected = sitk.ReadImage(names)
    capfd.readouterr()
    np.testing.assert_array_equal(ct.array, sitk.GetArrayFromImage(expected))
    assert ct.shape == (24, 512, 512)
    np.testing.assert_allclose(ct.spacing[::-1], expected.GetSpacing(), atol=1e-5)
    np.testing.assert_allclose(ct.origin, expected.GetOrigin(), atol=1e-9)
    np.testing.assert_allclose(ct.direction.ravel(), expected.GetDirection(), atol=1e-9)
    assert ct.metadata["modality"] == "CT"
    assert ct.metadata["kernel"] == "YC"


def test_slices_are_ordered_by_place_not_by_name(tmp_path) -> None:
    stack = stored_values()
    paths = write_series(tmp_path, stack, step=(0, 0, 0.7), origin=(1, 2, 3))
    names = [path.name for path in paths]
    random.Random(0).shuffle(names)
    for path in paths:
        path.rename(path.with_suffix(".moved"))
    for path, name in zip(paths, names, strict=True):
        path.with_suffix(".moved").rename(tmp_path / name.removesuffix(".dcm"))
    ct = read_volume(tmp_path)
    np.testing.assert_array_equal(ct.array, stack)
    assert ct.spacing == pytest.approx((0.7, 0.5, 0.5))
    assert ct.origin == (1, 2, 3)


def test_slices_from_head_to_foot_end_up_ascending(tmp_path) -> None:
    stack = stored_values()
    write_series(tmp_path, stack, step=(0, 0, -0.7), origin=(0, 0, 10))
    ct = read_volume(tmp_path)
    np.testing.assert_array_equal(ct.array, stack[::-1])
    assert ct.origin == pytest.approx((0, 0, 10 - 5 * 0.7))
    np.testing.assert_array_equal(ct.direction, np.eye(3))


def test_an_oblique_series_lies_where_its_slices_say(tmp_path) -> None:
    angle = np.radians(20)
    row = np.array([np.cos(angle), np.sin(angle), 0])
    column = np.array([0, 0, -1.0])
    normal = np.cross(row, column)
    stack = stored_values()
    write_series(
        tmp_path,
        stack,
        step=tuple(0.6 * normal),
        origin=(-20, 30, 40),
        ImageOrientationPatient=[f"{cosine:.8g}" for cosine in (*row, *column)],
        PixelSpacing=[0.4, 0.3],
    )
    ct = read_volume(tmp_path)
    assert ct.spacing == pytest.approx((0.6, 0.4, 0.3), abs=1e-5)  # (k, j, i): rows are 0.4 apart
    # DICOM PS3.3 C.7.6.2.1.1: position = origin + row * 0.3 * i + column * 0.4 * j.
    expected = np.array([-20, 30, 40]) + row * 0.3 * 9 + column * 0.4 * 7 + normal * 0.6 * 5
    np.testing.assert_allclose((ct.ijk_to_lps @ [9, 7, 5, 1])[:3], expected, atol=1e-4)


def test_values_become_hu_by_slope_and_intercept(tmp_path) -> None:
    stack = stored_values()
    write_series(tmp_path, stack, RescaleSlope=2, RescaleIntercept=-1024)
    ct = read_volume(tmp_path)
    np.testing.assert_array_equal(ct.array, stack.astype(int) * 2 - 1024)


def test_a_slope_with_a_fraction_and_of_one_slice_only_is_kept(tmp_path) -> None:
    stack = stored_values()
    paths = write_series(tmp_path, stack, RescaleSlope=1, RescaleIntercept=-1024)
    place = pydicom.dcmread(paths[2]).ImagePositionPatient
    write_slice(
        paths[2],
        stack[2],
        RescaleSlope=0.25,
        RescaleIntercept=-1000.5,
        ImagePositionPatient=place,
    )
    ct = read_volume(tmp_path)
    assert ct.dtype == np.float32
    expected = stack - 1024.0
    expected[2] = stack[2] * 0.25 - 1000.5
    np.testing.assert_array_equal(ct.array, expected)


def test_signed_values_are_read(tmp_path) -> None:
    stack = (stored_values().astype(int) - 2000).astype(np.int16)
    write_series(tmp_path, stack)
    np.testing.assert_array_equal(read_volume(tmp_path).array, stack)


def test_no_patient_data_comes_with_the_volume(tmp_path) -> None:
    write_series(tmp_path, stored_values())
    assert dict(read_volume(tmp_path).metadata) == {"modality": "CT", "slice_thickness_mm": "1.0"}


def test_files_that_are_no_slices_are_passed_over(tmp_path, capfd) -> None:
    stack = stored_values()
    write_series(tmp_path, stack)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / "empty").touch()
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "inner").mkdir()
    report = write_slice(
        tmp_path / "report.dcm", stack[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11"
    )
    dataset = pydicom.dcmread(report)
    del dataset.PixelData
    dataset.save_as(report)
    write_slice(tmp_path / "seg.dcm", stack[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4")
    np.testing.assert_array_equal(read_volume(tmp_path).array, stack)
    assert capfd.readouterr() == ("", "")


def test_positions_rounded_by_the_scanner_are_accepted(tmp_path) -> None:
    stack = stored_values(9)
    for number, pixels in enumerate(stack):
        place = [0, 0, round(number * 0.625, 1)]  # 0, 0.6, 1.2, 1.9, 2.5 ...
        write_slice(tmp_path / f"{number}.dcm", pixels, ImagePositionPatient=place)
    assert read_volume(tmp_path).spacing[0] == pytest.approx(0.625)


# Bad series --------------------------------------------------------------------------------------


def test_two_series_in_a_folder_are_listed_and_one_can_be_chosen(tmp_path) -> None:
    first, second = stored_values(5), stored_values(4)[:, ::-1]
    write_series(tmp_path, first, names="a{}", SeriesInstanceUID="1.2.77", ConvolutionKernel="B")
    write_series(tmp_path, second, names="b{}", SeriesInstanceUID="1.2.88", ConvolutionKernel="YC")
    message = refusal(tmp_path)
    assert "holds 2 series; choose one by its UID" in message
    assert "1.2.77 (CT, 5 slices, 10 x 8 pixels, kernel B, 1.0 mm thick)" in message
    assert "1.2.88 (CT, 4 slices, 10 x 8 pixels, kernel YC, 1.0 mm thick)" in message
    np.testing.assert_array_equal(read_volume(tmp_path, series="1.2.88").array, second)
    assert "holds no series 9.9; choose one of these: 1.2.77" in refusal(tmp_path, series="9.9")


@pytest.mark.parametrize("gone", [[2], [3, 4]])
def test_missing_slices_are_counted_and_located(gone, tmp_path) -> None:
    paths = write_series(tmp_path, stored_values(8))
    for number in gone:
        paths[number].unlink()
    message = refusal(tmp_path)
    assert ("1 slice is missing" if len(gone) == 1 else "2 slices are missing") in message
    assert f"slice_{gone[0] - 1:03d}.dcm and slice_{gone[-1] + 1:03d}.dcm" in message
    assert "0.7 mm is usual" in message


def test_unevenly_spaced_slices_are_refused(tmp_path) -> None:
    for number, place in enumerate([0, 0.7, 1.4, 1.8, 2.5, 3.2]):
        pixels = stored_values(1)[0]
        write_slice(tmp_path / f"{number}.dcm", pixels, ImagePositionPatient=[0, 0, place])
    assert "0.4 mm apart where 0.7 mm is usual: the slices are unevenly spaced" in refusal(tmp_path)


def test_a_missing_slice_is_found_among_three_places(tmp_path) -> None:
    paths = write_series(tmp_path, stored_values(4))
    paths[1].unlink()
    assert "1.4 mm apart where 0.7 mm is usual" in refusal(tmp_path)


def test_two_slices_at_one_place_are_refused(tmp_path) -> None:
    stack = stored_values()
    write_series(tmp_path, stack)
    write_slice(tmp_path / "again.dcm", stack[0], ImagePositionPatient=[0, 0, "1.4"])
    message = refusal(tmp_path)
    assert "lie at the same place" in message
    assert "again.dcm" in message


def test_a_tilted_gantry_is_recognised_with_its_angle(tmp_path) -> None:
    tilt = np.radians(12)
    write_series(
        tmp_path,
        stored_values(),
        step=(0, 0, 0.7 / np.cos(tilt)),
        ImageOrientationPatient=[1, 0, 0, 0, f"{np.cos(tilt):.8g}", f"{np.sin(tilt):.8g}"],
    )
    message = refusal(tmp_path)
    assert "tilted gantry" in message
    assert "12.0 degrees" in message


def test_a_slice_beside_the_others_is_refused(tmp_path) -> None:
    stack = stored_values()
    paths = write_series(tmp_path, stack)
    write_slice(paths[3], stack[3], ImagePositionPatient=[1.5, 0, "2.1"])
    message = refusal(tmp_path)
    assert "slice_003.dcm lies 1.5 mm beside its neighbours" in message


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.95])
def test_a_slice_cut_short_is_named_and_nothing_reaches_the_terminal(kept, tmp_path, capfd) -> None:
    paths = write_series(tmp_path, np.repeat(np.repeat(stored_values(), 8, 1), 8, 2))
    whole = paths[-1].read_bytes()
    paths[-1].write_bytes(whole[: int(len(whole) * kept)])
    message = refusal(tmp_path)
    assert "slice_005.dcm is damaged, cut short" in message
    assert capfd.readouterr() == ("", "")


def test_colour_slices_are_refused(tmp_path) -> None:
    colour = np.zeros((3, 8, 10, 3), np.uint8)
    write_series(tmp_path, colour, SamplesPerPixel=3, PhotometricInterpretation="RGB",
                 PlanarConfiguration=0)  # fmt: skip
    assert "is a colour image" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("fields", "difference"),
    [
        ({"PixelSpacing": [0.6, 0.5]}, "pixel spacing"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "orientation"),
    ],
)
def test_slices_of_another_stack_are_refused(fields, difference, tmp_path) -> None:
    stack = stored_values()
    write_series(tmp_path, stack)
    write_slice(tmp_path / "x.dcm", stack[0], ImagePositionPatient=[0, 0, "4.2"], **fields)
    message = refusal(tmp_path)
    assert f"x.dcm differs from slice_000.dcm in {difference}" in message


def test_a_slice_of_another_size_is_refused(tmp_path) -> None:
    write_series(tmp_path, stored_values())
    place = [0, 0, "4.2"]
    write_slice(tmp_path / "x.dcm", np.zeros((9, 10), np.uint16), ImagePositionPatient=place)
    assert "x.dcm differs from slice_000.dcm in image size" in refusal(tmp_path)


@pytest.mark.parametrize("field", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_slices_without_a_place_are_refused(field, tmp_path) -> None:
    write_series(tmp_path, stored_values(), **{field: None})
    assert "does not tell where its slice lies" in refusal(tmp_path)


def test_a_single_slice_is_refused(tmp_path) -> None:
    write_series(tmp_path, stored_values(1))
    assert "holds a single slice (slice_000.dcm)" in refusal(tmp_path)


def test_one_file_of_a_series_is_answered_with_the_folder(tmp_path) -> None:
    paths = write_series(tmp_path, stored_values())
    assert "give the folder that holds its whole series" in refusal(paths[0])


def test_many_frames_in_one_file_are_refused(tmp_path) -> None:
    stack = stored_values(4)
    write_slice(tmp_path / "x.dcm", stack[0], NumberOfFrames=4, Rows=8, Columns=10,
                SOPClassUID="1.2.840.10008.5.1.4.1.1.7.3")  # fmt: skip
    dataset = pydicom.dcmread(tmp_path / "x.dcm")
    dataset.PixelData = stack.tobytes()
    dataset.save_as(tmp_path / "x.dcm")
    assert "holds 4 frames in one file; convert it to NRRD" in refusal(tmp_path)


def test_a_voxel_size_beside_dicom_is_refused(tmp_path) -> None:
    write_series(tmp_path, stored_values())
    with pytest.raises(ReadError, match="carries its own voxel size"):
        read_volume(tmp_path, spacing=(1, 1, 1))


def test_the_tests_do_hold_patient_data(tmp_path) -> None:
    """Else the checks for its absence would prove nothing."""
    (path,) = write_series(tmp_path, stored_values(1))
    assert PATIENT.encode() in path.read_bytes()
