"""What training finds in two folders: every format, bad cases by name, and its own cache."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dicom_files import write_series
from microctsr_core import MicroCTSRError, Volume, read_volume, write_volume
from microctsr_core.errors import WriteError
from microctsr_core.training.calibration import Calibration, darkest_and_brightest
from microctsr_core.training.domains import DataSettings, prepare
from microctsr_core.training.folders import Source, find_sources
from toy_ears import (
    GAIN,
    LOW_MM,
    OFFSET,
    high_scan,
    low_scan,
    micro_grey,
    prepared,
    write_folders,
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three clinical scans and three micro-CT."""
    return write_folders(tmp_path)


def names(sources: list[Source]) -> list[str]:
    return [source.name for source in sources]


# What is found in a folder


def test_every_format_in_a_folder_is_a_case_named_by_its_place(tmp_path):
    scan = low_scan()
    write_volume(scan, tmp_path / "b.nrrd")
    write_volume(scan, tmp_path / "a.nii.gz")
    (tmp_path / "inner").mkdir()
    write_volume(scan, tmp_path / "inner" / "c.mha")
    write_series(tmp_path / "inner" / "series", scan.array)
    tifffile.imwrite(tmp_path / "stack.tif", scan.array, photometric="minisblack")
    (tmp_path / "slices").mkdir()
    for number, plane in enumerate(scan.array):
        tifffile.imwrite(tmp_path / "slices" / f"s{number}.tif", plane)
    (tmp_path / "README.md").write_text("about the data")
    (tmp_path / ".hidden.nrrd").write_text("")
    sources = find_sources(tmp_path, "low", (0.4, 0.2, 0.2))
    assert names(sources) == [
        "a.nii.gz",
        "b.nrrd",
        "stack.tif",
        "inner/c.mha",
        "inner/series",
        "slices",
    ]
    for source in sources:
        np.testing.assert_array_equal(source.read().array, scan.array)


def test_each_series_of_a_folder_is_a_case_and_its_uid_stays_out_of_the_name(tmp_path):
    for number, uid in enumerate(("1.2.9", "1.2.8")):
        write_series(
            tmp_path, low_scan(number).array, names=f"{number}_{{}}", SeriesInstanceUID=uid
        )
    sources = find_sources(tmp_path, "low")
    assert names(sources) == [f"{tmp_path.name}#1", f"{tmp_path.name}#2"]
    np.testing.assert_array_equal(sources[0].read().array, low_scan(1).array)


def test_phantom_folder_gives_each_domain_its_volume_and_nothing_else(tmp_path):
    case = tmp_path / "case_000"
    case.mkdir()
    for name in ("truth", "labels", "low", "high"):
        write_volume(low_scan(), case / f"{name}.nrrd")
    scanner = {"gain": GAIN, "offset": OFFSET}
    (case / "case.json").write_text(json.dumps({"micro_scanner": scanner}))
    (low,), (high,) = find_sources(tmp_path, "low"), find_sources(tmp_path, "high")
    assert (low.name, low.path.name) == ("case_000", "low.nrrd")
    assert low.truth == case / "truth.nrrd"
    assert low.calibration == Calibration()
    assert (high.name, high.path.name) == ("case_000", "high.nrrd")
    assert high.calibration.to_hu(OFFSET + GAIN * 700.0) == pytest.approx(700)


def test_linked_folders_are_followed_but_not_in_circles(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_volume(low_scan(), elsewhere / "a.nrrd")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "linked").symlink_to(elsewhere)
    (folder / "circle").symlink_to(folder)
    assert names(find_sources(folder, "low")) == ["linked/a.nrrd"]


def test_an_empty_folder_and_a_missing_one_are_errors(tmp_path):
    with pytest.raises(MicroCTSRError, match="holds no volume file"):
        find_sources(tmp_path, "low")
    with pytest.raises(MicroCTSRError, match="does not exist"):
        find_sources(tmp_path / "nowhere", "low")


# Bad input


def nan_scan(folder: Path) -> str:
    array = low_scan().array.astype(np.float32)
    array[0, 0, 0] = np.nan
    write_volume(Volume(array, LOW_MM), folder / "bad.nrrd")
    return "NaN"


def constant_scan(folder: Path) -> str:
    write_volume(Volume(np.zeros((6, 20, 24), np.int16), LOW_MM), folder / "bad.nrrd")
    return "same value"


def damaged_scan(folder: Path) -> str:
    (folder / "bad.nrrd").write_text("Dear colleague")
    return "damaged"


def grey_scan(folder: Path) -> str:
    write_volume(Volume(low_scan().array + 1024, LOW_MM), folder / "bad.nrrd")
    return "not in HU"


def nothing_above_air(folder: Path) -> str:
    array = np.full((6, 20, 24), -1000, np.int16)
    array[3, 10, 12] = 500
    write_volume(Volume(array, LOW_MM), folder / "bad.nrrd")
    return "bad.nrrd"


def segmentation(folder: Path) -> str:
    write_volume(Volume((low_scan().array > 0).astype(np.uint8), LOW_MM), folder / "bad.nrrd")
    return "segmentation"


@pytest.mark.parametrize(
    "spoil",
    [nan_scan, constant_scan, damaged_scan, grey_scan, nothing_above_air, segmentation],
    ids=lambda f: f.__name__,
)
def test_a_bad_case_is_named_and_left_out_or_fails_when_strict(folders, spoil):
    reason = spoil(folders[0])
    domains = prepared(folders)
    (note,) = [note for note in domains.notes if "bad.nrrd" in note]
    assert note.startswith("Left out: ")
    assert reason in note
    assert len((*domains.low, *domains.held_out_low)) == 3
    with pytest.raises(MicroCTSRError, match=r"bad\.nrrd"):
        prepared(folders, strict=True)


def test_grey_clinical_scans_are_told_which_key_says_what_they_are(folders):
    grey_scan(folders[0])
    with pytest.raises(MicroCTSRError, match=r"data\.low\.intensity to two points .* or to hu\."):
        prepared(folders, strict=True)


def test_values_in_no_three_classes_name_the_file_and_the_key():
    with pytest.raises(MicroCTSRError, match=r"^ear\.nrrd has no three .*data\.high\.intensity"):
        darkest_and_brightest(np.array([0, 1] * 50), "ear.nrrd", "high")


def test_micro_ct_thinner_than_a_clinical_voxel_is_left_out_with_its_size(folders):
    write_volume(high_scan(8, (7, 48, 56)), folders[1] / "flat.nrrd")
    (note,) = [note for note in prepared(folders).notes if "flat.nrrd" in note]
    assert "7 x 48 x 56 voxels" in note


def test_a_folder_without_a_usable_case_is_an_error(folders):
    for file in folders[0].iterdir():
        file.write_text("Dear colleague")
    with pytest.raises(MicroCTSRError, match=r"of 3 found, each was left out.*damaged"):
        prepared(folders)


def test_tiff_without_a_voxel_size_says_which_setting_lacks(folders):
    tifffile.imwrite(folders[1] / "stack.tif", micro_grey(), photometric="minisblack")
    (note,) = [note for note in prepared(folders).notes if "stack.tif" in note]
    assert "data.high.spacing: [z, y, x]" in note


def test_voxel_sizes_that_contradict_the_scale_are_refused_with_the_numbers(folders):
    for file in folders[1].iterdir():
        write_volume(Volume(read_volume(file).array, (0.01,) * 3), file)
    with pytest.raises(MicroCTSRError, match=r"0\.2 mm .* 0\.025 mm, but .* 0\.01 mm") as caught:
        prepared(folders)
    assert "data.high.voxel_mm: 0.025" in str(caught.value)
    assert not (folders[0].parent / "cache").exists()


def test_of_a_single_case_the_last_fifth_of_slices_is_held_out(folders):
    for file in sorted(folders[0].iterdir())[1:]:
        file.unlink()
    for file in sorted(folders[1].iterdir()):
        file.unlink()
    write_volume(low_scan(0, (10, 20, 24)), folders[0] / "ear_0.nrrd")
    write_volume(high_scan(0, (16, 48, 56)), folders[1] / "thin.nrrd")
    domains = prepared(folders)
    assert sum("last fifth" in note for note in domains.notes) == 2
    (trained,), (held_out,) = domains.low, domains.held_out_low
    assert trained.box[0] == (0, 8)
    assert held_out.box[0] == (8, 10)
    assert len(held_out.scan.array) == 2
    # Sixteen fine slices are two clinical ones: one for each.
    for case in (*domains.high, *domains.held_out_high):
        assert case.image.array.shape == (8, 48, 56)
        assert case.scans[0].array.shape == (1, 6, 7)


def test_one_clinical_slice_of_micro_ct_is_trained_on_and_validated_with(folders):
    for file in sorted(folders[1].iterdir()):
        file.unlink()
    write_volume(high_scan(0, (9, 48, 56)), folders[1] / "thin.nrrd")
    domains = prepared(folders)
    assert domains.high == domains.held_out_high
    assert any("one clinical slice" in note for note in domains.notes)


# The cache


def test_a_second_run_reads_and_makes_nothing(folders, monkeypatch):
    first = prepared(folders)

    def refuse(_: Source) -> Volume:
        raise AssertionError("a prepared case was read again")

    monkeypatch.setattr(Source, "read", refuse)
    assert prepared(folders) == first


def test_changed_files_and_settings_are_prepared_anew(folders):
    first = prepared(folders)
    name = first.low[0].name
    write_volume(low_scan(9), folders[0] / name)
    os.utime(folders[0] / name, (1, 1))
    second = prepared(folders)
    assert second.low[0].scan.path != first.low[0].scan.path
    third = prepared(folders, scans_per_case=1)
    assert len(third.high[0].scans) == 1
    assert third.low == second.low


def test_the_same_seed_draws_the_same_scanners_in_another_place(folders, tmp_path):
    here = prepared(folders)
    moved = tmp_path / "moved"
    for folder in folders:
        shutil.copytree(folder, moved / folder.name)
    there = prepared((moved / "low", moved / "high"))
    for one, other in zip(here.high, there.high, strict=True):
        for scan, same in zip(one.scans, other.scans, strict=True):
            np.testing.assert_array_equal(scan.array, same.array)


def test_a_preparation_that_fails_leaves_nothing_half(folders, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("microctsr_core.training.high_cases.write_array", full)
    with pytest.raises(WriteError, match=r"No space left on device.*free some space"):
        prepared(folders)
    cache = folders[0].parent / "cache"
    assert not list((cache / "high").iterdir())
    assert len(list((cache / "low").iterdir())) == 3


def test_what_a_killed_preparation_left_is_cleared_away(folders):
    first = prepared(folders)
    made = first.low[0].scan.path.parent
    no_process = 2**22 + 1  # above the greatest process number of Linux
    left = made.with_name(f".{made.name}-{no_process}-abcd")
    made.rename(left)
    (left / "case.json").unlink()
    assert prepared(folders) == first
    assert not left.exists()


def test_progress_names_each_case_and_ends_at_one(folders):
    told: list[tuple[float, str]] = []
    cache = folders[0].parent / "cache"
    prepare(*folders, cache, DataSettings(), 0, lambda *step: told.append(step))
    assert [fraction for fraction, _ in told] == sorted(fraction for fraction, _ in told)
    assert told[0][1] == "clinical scan ear_0.nrrd"
    assert told[-1] == (1.0, "3 clinical scans and 3 micro-CT")
