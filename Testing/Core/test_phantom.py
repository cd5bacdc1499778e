"""Phantom ears: the anatomy is the published one, and two scanners see it in one frame."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import uniform_filter1d
from scipy.special import erf

from microctsr_core import MicroCTSRError, Volume, read_volume
from microctsr_core.phantom import (
    LABELS,
    SCALE,
    Case,
    ClinicalScanner,
    Ear,
    MicroScanner,
    UnseenScanner,
    View,
    make_case,
    render,
    write_cases,
)
from microctsr_core.phantom.cochlea import Spiral


@pytest.fixture(scope="module")
def case() -> Case:
    return make_case(seed=5, number=0, spacing_mm=0.3, shape=(4, 24, 24))


@pytest.fixture(scope="module")
def whole_ear() -> tuple[Volume, Volume]:
    return render(Ear(3), View((-5.0, -2.0, -1.0)), (48, 80, 110), 0.4)


def test_mean_cochlea_has_the_published_size():
    spiral = Spiral.mean()
    angle = np.linspace(0, spiral.end_angle, 20_000)
    radius, height = spiral.wall(angle)
    path = np.stack([radius * np.cos(angle), radius * np.sin(angle), height])
    length = np.linalg.norm(np.diff(path, axis=1), axis=0).sum()
    at = dict(zip((0, 90, 180, 270), spiral.wall(np.deg2rad([0, 90, 180, 270]))[0], strict=True))
    assert np.rad2deg(spiral.end_angle) == pytest.approx(966.9, abs=0.5)
    assert at[0] + at[180] == pytest.approx(9.06, abs=0.01)
    assert at[90] + at[270] == pytest.approx(6.95, abs=0.01)
    assert length == pytest.approx(41.0, abs=0.1)
    assert np.ptp(height) == pytest.approx(2.77, abs=0.02)


def test_cochleae_differ_between_individuals_as_published():
    spirals = [Spiral.draw(np.random.default_rng(seed)) for seed in range(200)]
    turns = np.array([spiral.end_angle for spiral in spirals]) / (2 * np.pi)
    assert 2.4 < turns.mean() < 2.8
    assert 0.05 < turns.std() < 0.4


def test_every_structure_is_present_with_its_tissue(whole_ear):
    hu, labels = whole_ear
    found = set(np.unique(labels.array))
    thin = {LABELS["basilar membrane"], LABELS["osseous spiral lamina"]}
    assert found >= set(LABELS.values()) - thin - {LABELS["outside air"]}
    for name in ("vestibule", "superior canal", "scala tympani"):
        assert -200 < np.median(hu.array[labels.array == LABELS[name]]) < 300
    for name in ("mastoid cell", "middle ear", "ear canal"):
        assert np.median(hu.array[labels.array == LABELS[name]]) < -500
    for name in ("cortical bone", "otic capsule", "ossicle"):
        assert np.median(hu.array[labels.array == LABELS[name]]) > 700


def test_otic_capsule_is_the_densest_bone(whole_ear):
    hu, labels = whole_ear
    median = {
        name: np.median(hu.array[labels.array == LABELS[name]])
        for name in ("otic capsule", "cortical bone", "trabecular bone")
    }
    assert max(median, key=median.get) == "otic capsule"


def test_low_high_truth_and_labels_share_one_frame(case):
    for volume in (case.high, case.labels, case.low):
        np.testing.assert_allclose(volume.corners_lps(), case.truth.corners_lps(), atol=1e-6)
    assert case.truth.shape == tuple(SCALE * n for n in case.low.shape)
    np.testing.assert_allclose(np.array(case.low.spacing) / SCALE, case.truth.spacing)


def test_low_shows_the_same_anatomy_as_the_truth(case):
    k, j, i = case.low.shape
    averaged = case.truth.array.reshape(k, SCALE, j, SCALE, i, SCALE).mean((1, 3, 5))
    assert np.corrcoef(averaged.ravel(), case.low.array.ravel())[0, 1] > 0.9


def test_micro_ct_calibrates_back_to_the_truth(case):
    scanner = MicroScanner(**case.description["micro_scanner"])
    difference = scanner.to_hu(case.high.array) - case.truth.array
    assert abs(np.median(difference)) < 10
    assert case.high.array.dtype == np.uint16


def test_turned_specimen_keeps_its_place_in_the_frame(case):
    turned = make_case(seed=5, number=0, spacing_mm=0.3, shape=(4, 24, 24), turn_specimen=True)
    assert not np.allclose(turned.high.direction, np.eye(3), atol=0.1)
    place = _itk(turned.high)
    expected = sitk.GetArrayFromImage(
        sitk.Resample(_itk(case.truth), place, sitk.Transform(), sitk.sitkLinear, -9999.0)
    )
    inside = expected > -2000
    grey = MicroScanner(**turned.description["micro_scanner"]).to_hu(turned.high.array)
    assert inside.mean() > 0.05
    assert np.corrcoef(expected[inside], grey[inside])[0, 1] > 0.95


def test_clinical_scanner_blurs_an_edge_by_its_point_spread_and_voxel():
    fine, spacing, sigma = 0.05, 0.2, 0.3
    x = (np.arange(160) - 79.5) * fine
    truth = np.broadcast_to(np.where(x > 0, 1000.0, 0.0), (64, 64, 160)).astype(np.float32)
    volume = Volume(truth, (fine,) * 3, (x[0], 0.0, 0.0))
    scanner = ClinicalScanner(psf_sigma_mm=sigma, noise_sd_hu=1e-6, cupping_hu=0)
    low = scanner.image(volume, spacing, 4, np.random.default_rng(0))
    centres = low.origin[0] + spacing * np.arange(low.shape[2])
    total = np.sqrt(sigma**2 + spacing**2 / 12)
    expected = 500 * (1 + erf(centres / (total * np.sqrt(2))))
    np.testing.assert_allclose(low.array[4, 4], expected, atol=5)


def test_clinical_noise_has_the_stated_sd_and_is_correlated():
    scanner = ClinicalScanner(psf_sigma_mm=0.2, noise_sd_hu=60)
    noise = scanner.noise(np.zeros((12, 64, 64), np.float32), np.random.default_rng(1))
    assert noise.std() == pytest.approx(60, rel=0.02)
    assert np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1] > 0.2


def test_thick_slices_are_possible():
    volume = Volume(np.zeros((64, 64, 64), np.float32) + 40, (0.05,) * 3)
    scanner = ClinicalScanner(psf_sigma_mm=0.1, noise_sd_hu=5, slice_mm=0.4)
    low = scanner.image(volume, 0.2, 2, np.random.default_rng(0))
    assert low.spacing == pytest.approx((0.4, 0.2, 0.2))
    assert low.shape == (6, 12, 12)


def test_unseen_scanner_blurs_an_edge_by_its_aperture_and_voxel():
    fine, spacing, sigma = 0.05, 0.2, 0.3
    x = (np.arange(160) - 79.5) * fine
    truth = np.broadcast_to(np.where(x > 0, 1000.0, 0.0), (64, 64, 160)).astype(np.float32)
    volume = Volume(truth, (fine,) * 3, (x[0], 0.0, 0.0))
    scanner = UnseenScanner(psf_sigma_mm=sigma, noise_sd_hu=1e-6, cupping_hu=0)
    low = scanner.image(volume, spacing, 4, np.random.default_rng(0))
    step = spacing / 21
    position = (np.arange(-800, 800) + 0.5) * step
    edge = np.where(position > 0, 1000.0, 0.0)
    for width in (np.sqrt(6) * sigma, np.sqrt(6) * sigma, spacing):
        edge = uniform_filter1d(edge, round(width / step), mode="nearest")
    centres = low.origin[0] + spacing * np.arange(low.shape[2])
    np.testing.assert_allclose(low.array[4, 4], np.interp(centres, position, edge), atol=6)


def test_unseen_noise_has_the_stated_sd_and_lies_beside_that_of_training():
    def correlation(scanner):
        noise = scanner.noise(np.zeros((16, 64, 64), np.float32), np.random.default_rng(0))
        return np.corrcoef(noise[:, :, :-1].ravel(), noise[:, :, 1:].ravel())[0, 1], noise.std()

    fine = UnseenScanner(0.2, 60, streak_share=0, cutoff=0.6)
    coarse = UnseenScanner(0.2, 60, streak_share=0, cutoff=0.12, noise_through=0.8)
    assert correlation(fine) == (pytest.approx(0, abs=0.15), pytest.approx(60, rel=0.05))
    assert correlation(coarse) == (pytest.approx(0.8, abs=0.1), pytest.approx(60, rel=0.05))


def test_no_unseen_scanner_has_a_point_spread_that_training_draws():
    for spacing in (0.15, 0.3):
        draws = [np.random.default_rng(seed) for seed in range(100)]
        trained = [ClinicalScanner.draw(g, spacing).psf_sigma_mm for g in draws]
        unseen = np.array([UnseenScanner.draw(g, spacing).psf_sigma_mm for g in draws])
        assert not ((unseen > min(trained)) & (unseen < max(trained))).any()
        assert (unseen < min(trained)).mean() == pytest.approx(0.5, abs=0.15)


def test_the_ear_and_its_micro_ct_do_not_depend_on_the_clinical_scanner():
    unseen = UnseenScanner.draw(np.random.default_rng(0), 0.3)
    first = make_case(1, 0, 0.3, (1, 4, 4))
    second = make_case(1, 0, 0.3, (1, 4, 4), scanner=unseen)
    np.testing.assert_array_equal(first.truth.array, second.truth.array)
    assert first.description["micro_scanner"] == second.description["micro_scanner"]
    assert second.description["clinical_scanner"]["psf_sigma_mm"] == unseen.psf_sigma_mm
    assert not np.array_equal(first.low.array, second.low.array)


def test_a_seed_always_gives_the_same_ear_and_another_seed_another():
    first, again, other = (make_case(seed, 0, 0.3, (2, 8, 8)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.low.array, again.low.array)
    np.testing.assert_array_equal(first.high.array, again.high.array)
    assert not np.array_equal(first.truth.array, other.truth.array)


def test_written_cases_have_the_fixed_files_and_read_back(tmp_path):
    (folder,) = write_cases(tmp_path, cases=1, seed=4, spacing_mm=0.3, shape=(2, 8, 8))
    names = {path.name for path in folder.iterdir()}
    assert names == {"truth.nrrd", "high.nrrd", "low.nrrd", "labels.nrrd", "case.json"}
    description = json.loads((folder / "case.json").read_text())
    assert description["seed"] == 4
    assert description["labels"]["scala tympani"] == LABELS["scala tympani"]
    assert description["spacing_low_mm"] == pytest.approx([0.3] * 3)
    truth, low = read_volume(folder / "truth.nrrd"), read_volume(folder / "low.nrrd")
    np.testing.assert_allclose(truth.corners_lps(), low.corners_lps(), atol=1e-6)


def test_existing_cases_are_not_overwritten_unasked(tmp_path):
    (tmp_path / "case_000").mkdir()
    with pytest.raises(MicroCTSRError, match=r"case_000 exists already.*--overwrite"):
        write_cases(tmp_path, cases=1, seed=4, spacing_mm=0.3, shape=(2, 8, 8))


def test_impossible_voxel_size_is_explained():
    with pytest.raises(MicroCTSRError, match=r"30 mm is outside 0\.05 to 1\.0 mm"):
        make_case(seed=1, number=0, spacing_mm=30.0, shape=(2, 8, 8))


def _itk(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection(np.asarray(volume.direction).ravel().tolist())
    return image
