"""The command on the kinds of scan people have, and what its results must not depend on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from command_line import run
from microctsr_core import Volume, read_volume, write_volume
from microctsr_core.sample import sample_volume_path
from toy_models import make_model

HU_RANGE = 4000


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "toy"
    make_model().save(folder)
    return folder


def superresolve(source: Path, output: Path, *options: object) -> Volume:
    result = run("superresolve", source, output, *options)
    assert result.exit_code == 0, result.output
    return read_volume(output)


def itk_corners(path: Path, first: tuple[int, ...], size: tuple[int, ...]) -> np.ndarray:
    """Outer corners in LPS mm of a box (i, j, k) of an image file, computed by ITK."""
    image = sitk.ReadImage(str(path))
    ends = [(start - 0.5, start + length - 0.5) for start, length in zip(first, size, strict=True)]
    corners = [(i, j, k) for k in ends[2] for j in ends[1] for i in ends[0]]
    return np.array([image.TransformContinuousIndexToPhysicalPoint(corner) for corner in corners])


@pytest.mark.parametrize("oblique", [False, True])
def test_a_box_of_48_by_48_by_8_becomes_384_by_384_by_8_in_the_same_place(oblique, tmp_path, model):
    source = tmp_path / "ct.nrrd"
    ct = read_volume(sample_volume_path())
    direction = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    write_volume(
        Volume(ct.array, ct.spacing, ct.origin, direction if oblique else ct.direction), source
    )
    output = tmp_path / "sr.nrrd"
    options = ("--box", "24:32,49:97,56:104", "--samples", 1, "--model", model)
    result = superresolve(source, output, *options)
    assert result.shape == (8, 384, 384)
    wanted = itk_corners(source, (56, 49, 24), (48, 48, 8))
    found = itk_corners(output, (0, 0, 0), (384, 384, 8))
    assert np.abs(found - wanted).max() < 1e-6


def test_a_dicom_folder_runs(shared_data, tmp_path, model):
    options = ("--model", model, "--samples", 1, "--box", "3:5,200:208,200:216")
    result = superresolve(shared_data / "sinus_ct_dicom", tmp_path / "sr.nrrd", *options)
    assert result.shape == (2, 64, 128)


def test_a_tiff_stack_runs_and_the_card_check_warns_that_it_is_no_clinical_ct(
    shared_data, tmp_path, model
):
    report = tmp_path / "report.json"
    size = ("--spacing", "0.0195,0.0195,0.0195")
    options = ("--model", model, "--samples", 1, "--box", "3:5,20:28,20:36", "--report", report)
    source, output = shared_data / "bone_microct_tiff", tmp_path / "sr.nrrd"
    result = run("superresolve", source, output, *size, *options)
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(read_volume(output).size_mm, (0.039, 0.156, 0.312))
    said = [line for line in result.stderr.splitlines() if line.startswith("Warning: ")]
    assert any("0.0195 mm" in line and "0.15 to 0.35 mm" in line for line in said)
    assert any("do not look like Hounsfield units" in line for line in said)
    assert [f"Warning: {warning}" for warning in json.loads(report.read_text())["warnings"]] == said


@pytest.fixture(scope="module")
def wide_scan(tmp_path_factory) -> Path:
    """Slices of 176 x 176 pixels: four tiles of 96 or of 160, or a single one."""
    rng = np.random.default_rng(0)
    array = 15000 * ndimage.gaussian_filter(rng.normal(size=(3, 176, 176)), (1, 3, 3))
    path = tmp_path_factory.mktemp("scan") / "ct.nrrd"
    write_volume(Volume(array.astype(np.int16), (0.6, 0.3, 0.3)), path)
    return path


def test_tiles_of_96_and_160_and_the_whole_slice_give_the_same(wide_scan, tmp_path, model):
    parts = {}
    for tile in (96, 160, 176):
        output, uncertainty = tmp_path / f"{tile}.nrrd", tmp_path / f"{tile}_sd.nrrd"
        options = ("--tile", tile, "--samples", 2, "--box", "1:2,0:176,0:176", "--model", model)
        mean = superresolve(wide_scan, output, *options, "--uncertainty", uncertainty)
        parts[tile] = np.stack([mean.array, read_volume(uncertainty).array])
    assert parts[176][1].max() > 0.01 * HU_RANGE
    for tile in (96, 160):
        assert np.abs(parts[tile] - parts[176]).max() < 1e-3 * HU_RANGE


def test_the_same_seed_gives_the_same_bits_and_another_seed_another_sample(
    wide_scan, tmp_path, model
):
    options = ("--samples", 3, "--box", "1:2,40:60,40:60", "--model", model)
    first, again, other = (
        superresolve(wide_scan, tmp_path / f"{n}.nrrd", *options, "--seed", seed).array
        for n, seed in enumerate((5, 5, 6))
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3 * HU_RANGE
