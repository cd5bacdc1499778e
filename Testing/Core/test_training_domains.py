"""Two folders become two domains: grey values in HU, one grid, and scans true to physics."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from microctsr_core import Volume, read_volume, write_volume
from microctsr_core.phantom import ClinicalScanner
from microctsr_core.preparation import HUWindow, ZScoreUnit
from microctsr_core.training import regridding
from microctsr_core.training.calibration import Calibration, darkest_and_brightest, why_not_hu
from microctsr_core.training.domains import DataSettings, Domains, DomainSettings, Scan
from microctsr_core.training.regridding import Regridded, area_weights
from microctsr_core.training.simulation import Setting, blurred_area_weights, simulate
from toy_ears import (
    AIR,
    BONE,
    FINE_MM,
    GAIN,
    LOW_MM,
    OFFSET,
    ear,
    high_scan,
    micro_grey,
    prepared,
    write_folders,
)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Three clinical scans and three micro-CT."""
    return write_folders(tmp_path)


def in_hu(scan: Scan) -> np.ndarray:
    return scan.intensity.inverse(scan.array.astype(np.float32))


# Grey values and grids


def test_points_of_a_calibration_lie_on_its_line_and_falling_lines_are_refused():
    line = Calibration.through([[20, -1000], [220, 1500]])
    assert line.to_hu([20, 120, 220]).tolist() == [-1000, 250, 1500]
    with pytest.raises(ValueError, match="no calibration"):
        DomainSettings(intensity=((220.0, -1000.0), (20.0, 1500.0)))


def test_real_ct_is_in_hu_and_real_micro_ct_is_not(shared_data):
    ct = read_volume(shared_data / "temporal_bone_ct" / "temporal_bone_right.nrrd")
    micro = read_volume(shared_data / "bone_microct_tiff", (0.0195,) * 3)
    assert why_not_hu(ct.array.ravel()) is None
    assert "darkest values" in why_not_hu(micro.array.ravel(), airless=True)
    # As stored by the scanner, before the rescale intercept.
    assert "darkest values" in why_not_hu(ct.array.ravel() + 1024, airless=True)


@pytest.mark.parametrize(
    ("mean", "sd"), [((20, 1500), 60), ((1800, 1800), 150), ((20, -1000), 20), ((-1000, 1500), 0)],
    ids=["fluid and bone", "bone alone", "fluid and air", "air and bone"],
)  # fmt: skip
def test_a_clinical_field_of_view_need_not_show_every_tissue(mean, sd):
    g = np.random.default_rng(0)
    values = np.rint(np.concatenate([g.normal(hu, sd, 5000) for hu in mean]) + g.normal(0, 40))
    assert why_not_hu(values.astype(np.int16), airless=True) is None


@pytest.mark.parametrize("greatest", [255, 4095, 65535])
@pytest.mark.parametrize("least", [0, 200])
def test_grey_values_are_not_clinical_hu(least, greatest):
    grey = np.random.default_rng(0).integers(least, greatest, 10_000)
    assert why_not_hu(grey.astype(np.uint16), airless=True) is not None
    assert why_not_hu(grey.astype(np.int32), airless=True) is not None


def test_bone_without_air_is_hu_in_a_clinical_scan_only():
    bone = np.random.default_rng(0).normal(1500, 150, 10_000)
    assert "darkest values" in why_not_hu(bone)


def test_classes_of_blobs_are_air_and_dense_bone():
    dark, bright = darkest_and_brightest(ear(0, (20, 40, 40), 3).ravel(), "ear.nrrd", "high")
    assert dark == pytest.approx(AIR, abs=2)
    # The ninetieth percentile of bone with a standard deviation of 10.
    assert bright == pytest.approx(BONE + 12.8, abs=2)


def test_area_weights_share_voxels_that_straddle_an_edge():
    weights, ends = area_weights(count=4, step=1.5, first=0.0, number=2)
    assert ends == (0, 3)
    np.testing.assert_allclose(weights, np.array([[1, 0.5, 0], [0, 0.5, 1]]) / 1.5)


@pytest.mark.parametrize("new_mm", [0.07, 0.3], ids=["finer", "coarser"])
def test_resampling_keeps_a_straight_ramp(new_mm):
    centres = (np.arange(40) + 0.5) * 0.1
    ramp = Volume(np.broadcast_to(centres[:, None, None], (40, 6, 6)).copy(), (0.1,) * 3)
    grid = Regridded.of(ramp, (new_mm,) * 3)
    expected = (np.arange(grid.shape[0]) + 0.5) * new_mm
    inside = (expected > 0.5) & (expected < 3.5)
    np.testing.assert_allclose(grid.slab(0, grid.shape[0])[inside, 1, 1], expected[inside], 1e-3)


def test_a_volume_taken_slab_by_slab_is_the_volume_taken_whole():
    grid = Regridded.of(Volume(ear(0, (20, 9, 11), 2), (0.5, 0.2, 0.3)), (0.2,) * 3)
    grid = grid.cropped(((3, 40), (1, 8), (0, 10)))
    slabs = [grid.slab(n, min(n + 5, 37)) for n in range(0, 37, 5)]
    np.testing.assert_allclose(np.concatenate(slabs), grid.slab(0, 37), atol=0.01)


@pytest.mark.parametrize(
    "wrong",
    [{"scale": 1}, {"held_out": 0.0}, {"psf_sigma_mm": (0.2, 0.1)}, {"denoising_sigma": -1.0}],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DataSettings(**wrong)


# Simulated scans


def test_simulated_scan_is_what_the_scanner_itself_images(monkeypatch):
    monkeypatch.setattr(regridding, "_SLAB_VOXELS", 20 * 96 * 96)
    truth = Volume(ear(0, (80, 96, 96), 5).astype(np.float32), (0.03,) * 3)
    scanner = replace(ClinicalScanner.draw(np.random.default_rng(0), 0.24), edge_gain=0.3)
    expected = scanner.image(truth, 0.24, 2, None).array
    grid = Regridded.of(truth, truth.spacing)
    (found,) = simulate(grid, ((16, 64), (16, 80), (16, 80)), [Setting(scanner, expected.shape)])
    np.testing.assert_allclose(found, expected, atol=5)


def test_thick_slices_need_not_be_whole_numbers_of_fine_ones():
    # Five slices over 24 fine ones, hardly any blur: each is the mean over 4.8 of them.
    weights = blurred_area_weights(count=24, start=0, stop=24, number=5, sigma=0.1)
    ramp = np.arange(24) + 0.5
    # The first four voxels and 0.8 of the fifth: (0.5 + 1.5 + 2.5 + 3.5 + 0.8 * 4.5) / 4.8.
    assert (weights @ ramp)[[0, 2]] == pytest.approx([11.6 / 4.8, 12])


def test_repeated_borders_leave_an_even_volume_even():
    weights = blurred_area_weights(count=16, start=0, stop=16, number=2, sigma=6.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    # By symmetry each half sees the other as much as it is seen.
    np.testing.assert_allclose(weights[0], weights[1, ::-1])


# Whole domains


def test_domains_hold_scaled_cases_apart_for_training_and_validation(folders):
    domains = prepared(folders)
    assert [len(cases) for cases in (domains.low, domains.held_out_low)] == [2, 1]
    assert {case.name for case in (*domains.high, *domains.held_out_high)} == {
        f"ear_{seed}.nrrd" for seed in range(3)
    }
    assert domains.intensity == HUWindow()
    assert domains.voxel_size_low_mm == (0.2, 0.2)
    assert domains.voxel_size_high_mm == (FINE_MM, FINE_MM)
    scan = domains.low[0].scan
    source = domains.low[0].source.read()
    assert scan.array.dtype == np.float16
    np.testing.assert_allclose(in_hu(scan), np.maximum(source.array, -1024), atol=2)
    # The middle of 0.142 to 0.27 mm, widened by a fifth of what 0.2 mm exceeds 0.15 mm.
    assert scan.psf_sigma_mm == pytest.approx(0.216)


def test_held_out_ears_are_the_same_in_both_domains_of_one_folder(folders):
    domains = prepared(folders)
    assert [c.name for c in domains.held_out_low] == [c.name for c in domains.held_out_high]


def test_simulated_scans_cover_exactly_the_image(folders):
    shape = (40, 48, 56)
    write_volume(high_scan(5, shape), folders[1] / "deep.nrrd")
    domains = prepared(folders)
    cases = {case.name: case for case in (*domains.high, *domains.held_out_high)}
    deep = cases["deep.nrrd"]
    assert [n % 8 for n in deep.image.array.shape] == [0, 0, 0]
    for scan in deep.scans:
        np.testing.assert_allclose(
            np.multiply(scan.array.shape, scan.spacing),
            np.multiply(deep.image.array.shape, deep.image.spacing),
        )
    thin, thick = deep.scans
    assert thin.spacing == pytest.approx((0.2,) * 3)
    assert 0.3 <= thick.spacing[0] <= 0.5
    assert thin.psf_sigma_mm != thick.psf_sigma_mm
    # Of three clinical slices no thick ones can be made.
    assert all(len(scan.array) == 3 for scan in cases["ear_0.nrrd"].scans)


def test_grey_micro_ct_is_calibrated_to_the_clinical_scans_and_the_user_is_told(folders):
    domains = prepared(folders)
    told = [note for note in domains.notes if "not in HU" in note]
    assert len(told) == 3
    assert "data.high.intensity: [[" in told[0]
    case = domains.high[0]
    truth = ear(int(case.name[4]), (24, 48, 56), 6)
    inside = np.abs(gaussian_filter(truth, 0.8) - truth) < 15
    np.testing.assert_allclose(in_hu(case.image)[inside], truth[inside], atol=40)


def test_calibration_given_by_the_user_is_taken_as_it_is(folders):
    points = ((OFFSET - 1000 * GAIN, -1000.0), (OFFSET, 0.0))
    domains = prepared(folders, high=DomainSettings(intensity=points), denoising_sigma=0.0)
    assert domains.notes == ()
    case = domains.high[0]
    truth = (micro_grey(int(case.name[4])) - OFFSET) / GAIN
    np.testing.assert_allclose(in_hu(case.image), truth, atol=2)


def test_zscore_scales_every_case_by_its_own_statistics(folders):
    domains = prepared(folders, intensity="zscore_unit")
    assert domains.intensity == ZScoreUnit()
    for case in domains.low:
        expected = ZScoreUnit.fit(case.source.read().array)
        assert case.scan.intensity.mean == pytest.approx(expected.mean)
        assert case.scan.intensity.sd == pytest.approx(expected.sd)
    case = domains.high[0]
    grey = micro_grey(int(case.name[4]))
    smooth = gaussian_filter(grey.astype(float), 0.8, mode="nearest")
    expected = ZScoreUnit.fit(grey).forward(smooth)
    np.testing.assert_allclose(case.image.array, expected, rtol=1e-3, atol=0.01)


def test_micro_ct_with_thick_slices_is_made_isotropic(folders):
    grey = micro_grey(7, (48, 48, 56))
    pairs = grey.reshape(24, 2, 48, 56).mean(axis=1).astype(np.uint16)
    write_volume(Volume(pairs, (2 * FINE_MM, FINE_MM, FINE_MM)), folders[1] / "thick.nrrd")
    domains = prepared(folders)
    cases = {case.name: case for case in (*domains.high, *domains.held_out_high)}
    image = cases["thick.nrrd"].image
    assert image.spacing == (FINE_MM,) * 3
    assert image.array.shape == (48, 48, 56)


def test_voxel_mm_resamples_a_domain_first(folders):
    domains = prepared(
        folders,
        low=DomainSettings(voxel_mm=0.25),
        high=DomainSettings(voxel_mm=0.03125),
    )
    assert domains.low[0].scan.spacing == (0.4, 0.25, 0.25)
    assert domains.low[0].scan.array.shape == (6, 16, 19)
    # 24 x 48 x 56 voxels of 0.025 mm are 19.2 x 38.4 x 44.8 of 0.03125 mm; whole eights of them:
    assert domains.high[0].image.array.shape == (16, 32, 40)


def test_air_around_the_specimen_is_cut_off(folders):
    ct = np.full((6, 200, 200), -1000, np.int16)
    ct[:, 80:120, 90:130] = ear(3, (6, 40, 40), 1.5)
    write_volume(Volume(ct, LOW_MM), folders[0] / "in_air.nrrd")
    domains = prepared(folders)
    cases = {case.name: case for case in (*domains.low, *domains.held_out_low)}
    case = cases["in_air.nrrd"]
    (k0, k1), (j0, j1), (i0, i1) = case.box
    assert (k0, k1) == (0, 6)
    assert j0 <= 80 < 120 <= j1
    assert i0 <= 90 < 130 <= i1
    assert max(j1 - j0, i1 - i0) <= 50
    np.testing.assert_allclose(in_hu(case.scan), ct[k0:k1, j0:j1, i0:i1].clip(-1024), atol=2)


def test_the_whole_scan_is_read_as_training_read_its_part(folders):
    ct = np.full((6, 200, 200), -1000, np.int16)
    ct[:, 80:120, 90:130] = ear(3, (6, 40, 40), 1.5)
    write_volume(Volume(ct, LOW_MM, origin=(7, 8, 9)), folders[0] / "in_air.nrrd")
    domains = prepared(folders, low=DomainSettings(voxel_mm=0.25))
    cases = {case.name: case for case in (*domains.low, *domains.held_out_low)}
    case = cases["in_air.nrrd"]
    whole = case.read()
    assert whole.shape == (6, 160, 160)
    # The outer corner stays: half a voxel more to the centre of the first, in the plane.
    assert whole.origin == pytest.approx((7.025, 8.025, 9))
    np.testing.assert_allclose(in_hu(case.scan), whole.crop(case.box).array, atol=2)


def test_grey_scans_are_read_in_hu_by_points_and_as_they_are_by_zscore(folders):
    for file in folders[0].iterdir():
        stored = read_volume(file).array + 1024
        write_volume(Volume(stored, LOW_MM), file)
    points = DomainSettings(intensity=((24.0, -1000.0), (1024.0, 0.0)))
    case = prepared(folders, low=points).low[0]
    stored = case.source.read().array
    np.testing.assert_allclose(case.read().array, stored - 1024.0, atol=0.01)
    case = prepared(folders, intensity="zscore_unit").low[0]
    np.testing.assert_array_equal(case.read().array, stored)


def test_noise_is_that_of_even_tissue_and_not_of_air(folders):
    g = np.random.default_rng(0)
    ct = np.full((8, 48, 48), -1000.0)
    ct[:, :24] = 300 + g.normal(0, 40, (8, 24, 48))
    write_volume(Volume(ct.astype(np.float32), LOW_MM), folders[0] / "noisy.nrrd")
    domains = prepared(folders)
    cases = {case.name: case for case in (*domains.low, *domains.held_out_low)}
    # The median of the quietest quarter is the lowest eighth of the SD of 36 values:
    # 40 * sqrt(25.7 / 36), 25.7 being that quantile of chi-square with 35 degrees of freedom.
    assert cases["noisy.nrrd"].noise * 4000 == pytest.approx(34, abs=1)


def test_digests_hold_in_another_place_and_change_with_data_and_settings(folders, tmp_path):
    def digests(domains: Domains) -> tuple[set[str], set[str]]:
        return (
            {case.digest for case in (*domains.low, *domains.held_out_low)},
            {case.digest for case in (*domains.high, *domains.held_out_high)},
        )

    here = digests(prepared(folders))
    assert [len(found) for found in here] == [3, 3]
    moved = tmp_path / "moved"
    for folder in folders:
        shutil.copytree(folder, moved / folder.name, copy_function=shutil.copy)
    there = (moved / "low", moved / "high")
    assert digests(prepared(there)) == here
    one = moved / "low" / "ear_1.nrrd"
    changed = read_volume(one).array.copy()
    changed[0, 0, 0] += 1
    write_volume(Volume(changed, LOW_MM), one)
    assert len(digests(prepared(there))[0] & here[0]) == 2
    low, high = digests(prepared(folders, denoising_sigma=0.0))
    assert low == here[0]
    assert not high & here[1]


def test_real_ct_and_real_micro_ct_go_the_whole_way(shared_data, tmp_path):
    (tmp_path / "low").mkdir()
    for name in ("sinus_ct_dicom", "temporal_bone_ct"):
        (tmp_path / "low" / name).symlink_to(shared_data / name)
    bone = DomainSettings(spacing=(0.0195,) * 3, voxel_mm=0.3125 / 8)
    domains = prepared((tmp_path / "low", shared_data / "bone_microct_tiff"), high=bone)
    assert {case.name for case in (*domains.low, *domains.held_out_low)} == {
        "sinus_ct_dicom",
        "temporal_bone_ct/temporal_bone_right.nrrd",
    }
    (case,) = domains.high
    # 3.9 mm hold twelve clinical voxels; seven slices of 0.3125 mm, four fifths of them rounded.
    assert case.image.array.shape == (48, 96, 96)
    thin, thick = case.scans
    assert thin.array.shape == (6, 12, 12)
    assert thick.array.shape in ((3, 12, 12), (4, 12, 12))
    for scan in case.scans:
        assert scan.array.mean(dtype=float) == pytest.approx(
            case.image.array.mean(dtype=float), abs=0.005
        )
