"""Phantom ears: the anatomy is the published one, and two scanners see it in one frame."""

from __future__ import annotations

import json

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import uniform_filter1d
from scipy.spatial import cKDTree
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
from microctsr_core.phantom.air_cells import ANTRUM_MM
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


def test_bone_behind_the_labyrinth_is_compact_and_the_apex_spongy(whole_ear):
    """As in textbooks of the temporal bone, and on the bundled CT."""
    labels = whole_ear[1].array
    z, y, x = _ear_coordinates(whole_ear[1])
    bony = [LABELS[name] for name in ("cortical bone", "trabecular bone", "marrow")]
    behind = np.isin(labels, bony) & (np.hypot(x, y - 6.5) < 4) & (np.abs(z) < 3)
    apex = np.isin(labels, bony) & (x > 7) & (y < -4) & (np.abs(z) < 4)
    marrow = labels == LABELS["marrow"]
    assert behind.sum() > 500
    assert marrow[behind].mean() < 0.05 < 0.15 < marrow[apex].mean()


def test_ear_canal_is_bent_narrowest_in_its_bony_part_and_higher_than_wide():
    ear, spacing = Ear(4), 0.4
    labels = render(ear, View((-15.0, -4.5, -2.0)), (36, 36, 36), spacing)[1].array
    canal = labels == LABELS["ear canal"]
    canal = canal[:, :, ::-1] if ear.left else canal
    pieces = [np.argwhere(canal[:, :, i]) * spacing for i in range(0, 36, 4)]
    middle = np.array([piece[:, 1].mean() for piece in pieces])
    straight = np.linspace(middle[0], middle[-1], len(middle))
    assert np.abs(middle - straight).max() > 0.5
    assert 2 < np.argmin([len(piece) for piece in pieces]) < 7
    assert all(piece[:, 0].std() > piece[:, 1].std() for piece in pieces)


def test_air_cells_are_smaller_near_the_antrum():
    ear = Ear(3)
    place = ear.cells.centres
    distance = np.linalg.norm(place - ANTRUM_MM, axis=1)
    nearest = cKDTree(place).query(place, k=2)[0][:, 1]
    assert np.median(nearest[distance < 5]) < 0.7 * np.median(nearest[distance > 12])


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


def test_clinical_noise_has_the_spectrum_measured_on_real_brain():
    """On the bundled CT: most power at 0.15 to 0.25 cycles per voxel, none beyond 0.35, and in one
    direction four times that across it."""
    scanner = ClinicalScanner(psf_sigma_mm=0.2, noise_sd_hu=89, noise_correlation=1.15)
    noise = scanner.noise(np.full((24, 64, 64), 30, np.float32), np.random.default_rng(3))
    power = (np.abs(np.fft.fft2(noise)) ** 2).mean(0)
    along, across = np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64), indexing="ij")
    radius, angle = np.hypot(along, across), np.arctan2(along, across) % np.pi
    rings = [power[(radius >= r) & (radius < r + 0.05)].mean() for r in np.arange(0, 0.5, 0.05)]
    assert 0.1 <= 0.05 * np.argmax(rings) <= 0.2
    assert max(rings[7:]) < 0.03 * max(rings)
    middle = (radius > 0.1) & (radius < 0.3)
    sectors = [
        power[middle & (angle >= a) & (angle < a + np.pi / 6)].mean()
        for a in np.arange(0, np.pi - 0.01, np.pi / 6)
    ]
    assert 2.5 < max(sectors) / min(sectors) < 8


def test_clinical_noise_is_stronger_in_dense_bone_and_weaker_in_air():
    """On the bundled CT: SD 34 in air, 89 in brain, 105 to 137 in dense bone."""
    scanner = ClinicalScanner(psf_sigma_mm=0.2, noise_sd_hu=89)
    tissue = np.zeros((12, 96, 96), np.float32)
    tissue[:, :32], tissue[:, 64:] = -1000, 1800
    sd = scanner.noise(tissue, np.random.default_rng(2)).std((0, 2))
    assert sd[:20].mean() / sd[44:52].mean() == pytest.approx(34 / 89, rel=0.2)
    assert 105 / 89 < sd[76:].mean() / sd[44:52].mean() < 137 / 89


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


def test_half_of_the_unseen_scanners_are_sharper_than_any_that_training_draws():
    for spacing in (0.15, 0.3):
        draws = [np.random.default_rng(seed) for seed in range(100)]
        trained = [ClinicalScanner.draw(g, spacing).psf_sigma_mm for g in draws]
        unseen = np.array([UnseenScanner.draw(g, spacing).psf_sigma_mm for g in draws])
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


def test_a_domain_alone_shows_what_it_shows_in_both():
    both, low, high = (
        make_case(6, 1, 0.3, (4, 12, 12), domain=domain) for domain in ("both", "low", "high")
    )
    np.testing.assert_allclose(high.high.array.astype(int), both.high.array, atol=1)
    np.testing.assert_allclose(high.high.corners_lps(), both.high.corners_lps(), atol=1e-6)
    np.testing.assert_allclose(low.low.corners_lps(), both.low.corners_lps(), atol=1e-6)
    # Fields and truth are coarser for low alone, which its point spread hides.
    assert np.abs(low.low.array - both.low.array).mean() < 20
    assert set(low.volumes()) == {"low"}


def test_training_folders_hold_one_domain_of_regions_in_turn(tmp_path):
    options = {"cases": 3, "seed": 8, "spacing_mm": 0.3, "shape": (6, 8, 8)}
    folders = write_cases(tmp_path / "low", domain="low", region="all", thick_share=0.34, **options)
    assert {path.name for folder in folders for path in folder.iterdir()} == {
        "low.nrrd",
        "case.json",
    }
    described = [json.loads((folder / "case.json").read_text()) for folder in folders]
    assert len({case["region"] for case in described}) == 3
    thickness = [read_volume(folder / "low.nrrd").spacing[0] for folder in folders]
    assert thickness[:2] == pytest.approx([0.3, 0.3])
    assert thickness[2] > 0.4


def test_a_training_folder_of_micro_ct_tells_its_calibration(tmp_path):
    (folder,) = write_cases(tmp_path, 1, 8, spacing_mm=0.3, shape=(2, 8, 8), domain="high")
    assert {path.name for path in folder.iterdir()} == {"high.nrrd", "case.json"}
    scanner = MicroScanner(**json.loads((folder / "case.json").read_text())["micro_scanner"])
    hu = scanner.to_hu(read_volume(folder / "high.nrrd").array)
    assert np.percentile(hu, 1) == pytest.approx(-1000, abs=250)  # air, and the scanner's noise
    assert 1500 < np.percentile(hu, 99) < 2800  # the otic capsule


def test_several_processes_make_the_same_cases(tmp_path):
    options = {"seed": 8, "spacing_mm": 0.3, "shape": (2, 8, 8), "domain": "low"}
    alone = write_cases(tmp_path / "alone", 2, **options)
    together = write_cases(tmp_path / "together", 2, workers=2, **options)
    for one, other in zip(alone, together, strict=True):
        first, second = (read_volume(folder / "low.nrrd").array for folder in (one, other))
        np.testing.assert_array_equal(first, second)
    assert sorted(path.name for path in (tmp_path / "together").iterdir()) == [
        "case_000",
        "case_001",
    ]


def test_unknown_region_is_explained(tmp_path):
    with pytest.raises(MicroCTSRError, match=r"no region 'nose'; choose one of inner ear, .*all"):
        write_cases(tmp_path, 1, 4, region="nose")


def test_field_of_view_too_low_for_thick_slices_is_explained():
    with pytest.raises(MicroCTSRError, match="2 voxels high holds no thick slice"):
        make_case(1, 0, 0.3, (2, 8, 8), thick=True)


def test_existing_cases_are_not_overwritten_unasked(tmp_path):
    (tmp_path / "case_000").mkdir()
    with pytest.raises(MicroCTSRError, match=r"case_000 exists already.*--overwrite"):
        write_cases(tmp_path, cases=1, seed=4, spacing_mm=0.3, shape=(2, 8, 8))


def test_impossible_voxel_size_is_explained():
    with pytest.raises(MicroCTSRError, match=r"30 mm is outside 0\.05 to 1\.0 mm"):
        make_case(seed=1, number=0, spacing_mm=30.0, shape=(2, 8, 8))


def _ear_coordinates(labels: Volume) -> list[np.ndarray]:
    """z, y, x in the frame of the `whole_ear`."""
    centre = (-1.0, -2.0, -5.0)
    axes = [
        (np.arange(n) - (n - 1) / 2) * step + middle
        for n, step, middle in zip(labels.shape, labels.spacing, centre, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    return [z, y, -x - 10 if Ear(3).left else x]


def _itk(volume: Volume) -> sitk.Image:
    image = sitk.GetImageFromArray(volume.array)
    image.SetSpacing(volume.spacing[::-1])
    image.SetOrigin(volume.origin)
    image.SetDirection(np.asarray(volume.direction).ravel().tolist())
    return image
