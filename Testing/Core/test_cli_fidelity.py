"""``microctsr evaluate fidelity``: what it writes and prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from command_line import assert_one_line_error, run
from microctsr_core import Volume, read_volume, write_volume
from microctsr_core.evaluation import fidelity, gradient_magnitude, honesty
from microctsr_core.preparation import resample_cubic
from microctsr_core.trust import consistency, rms

SPACING = (0.3, 0.0375, 0.0375)
PATHS = ("--generated", "sr.nrrd", "--truth", "truth.nrrd")
ALL = (*PATHS, "--uncertainty", "uncertainty.nrrd", "--input", "ct.nrrd")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A scan of 4 slices of 12 by 16 voxels, a result of its middle two, and their truth."""
    generator = np.random.default_rng(0)
    ct = Volume(generator.normal(0, 500, (4, 12, 16)).astype(np.float32), (0.3,) * 3, (1, 2, 3))
    truth = np.full((4, 96, 128), 1500.0, np.float32)
    truth[:, 20:60, 20:90], truth[:, 70:90, 30:50] = 0, -990
    whole = ct.on_refined_grid(truth, (1, 8, 8))
    uncertainty = generator.uniform(10, 100, whole.shape).astype(np.float32)
    result = whole.with_array(whole.array + generator.normal(0, uncertainty).astype(np.float32))
    box = ((1, 3), (0, 96), (0, 128))
    write_volume(ct, tmp_path / "ct.nrrd")
    write_volume(whole, tmp_path / "truth.nrrd")
    write_volume(result.crop(box), tmp_path / "sr.nrrd")
    write_volume(whole.with_array(uncertainty).crop(box), tmp_path / "uncertainty.nrrd")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def moved(path: Path, by: tuple[float, float, float] = (0, 0, 0), **changes: object) -> None:
    """Write a file again with another place or other facts."""
    volume = read_volume(path)
    facts = {"spacing": volume.spacing, "direction": volume.direction, "array": volume.array}
    origin = tuple(a + b for a, b in zip(volume.origin, by, strict=True))
    write_volume(Volume(**{**facts, "origin": origin, **changes}), path)


def test_figures_are_those_of_the_library(folder):
    result = run("evaluate", "fidelity", *ALL, "--json", "f.json")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == "f.json"
    answer = json.loads((folder / "f.json").read_text())
    image, uncertainty = read_volume("sr.nrrd"), read_volume("uncertainty.nrrd").array
    truth, ct = read_volume("truth.nrrd").array[1:3], read_volume("ct.nrrd")
    expected = fidelity(image.array, truth, SPACING[1])
    assert answer["psnr"] == pytest.approx(expected.psnr)
    assert answer["ssim"] == pytest.approx(expected.ssim)
    assert answer["dice"] == pytest.approx(dict(expected.dice))
    gradient = gradient_magnitude(resample_cubic(ct.array[1:3], (1, 8, 8)), SPACING[1])
    found = honesty(image.array, uncertainty, truth, gradient)
    assert answer["ause"] == pytest.approx(found.ause)
    assert answer["rank_correlation"] == pytest.approx(found.rank_correlation)
    assert answer["coverage"] == pytest.approx({str(k): c for k, c in found.coverage.items()})
    assert answer["coverage"]["2"] == pytest.approx(0.954, abs=0.01)
    assert answer["gradient_rank_correlation"] == pytest.approx(found.gradient_rank_correlation)
    low = ct.crop(((1, 3), (0, 12), (0, 16)))
    # The scanner of the bundled model at 0.3 mm: between 0.2 mm and 0.24 mm.
    departure = consistency(image, low, {"psf_sigma_mm": 0.23})
    assert answer["consistency_rms_hu"] == pytest.approx(rms(departure.array))


def test_the_tables_show_each_figure_once(folder):
    result = run("evaluate", "fidelity", *ALL)
    assert result.exit_code == 0, result.output
    for words in ("Dice", "PSNR", "AUSE", "errors within ± 1 SD", "0.683", "missed, large"):
        assert result.stdout.count(words) >= 1, words
    assert not list(folder.glob("*.json"))


def test_without_an_uncertainty_nothing_is_told_of_it(folder):
    result = run("evaluate", "fidelity", *PATHS, "--json", "f.json")
    answer = json.loads((folder / "f.json").read_text())
    assert {"ause", "rank_correlation", "coverage", "consistency_rms_hu"}.isdisjoint(answer)
    assert "AUSE" not in result.stdout


def test_what_is_not_defined_is_null_in_the_file_and_a_dash_in_the_table(folder):
    write_volume(read_volume("truth.nrrd"), "sr.nrrd")
    result = run("evaluate", "fidelity", *PATHS, "--json", "f.json")
    assert result.exit_code == 0, result.output
    text = (folder / "f.json").read_text()
    assert "NaN" not in text
    assert "Infinity" not in text
    assert json.loads(text)["psnr"] is None  # of equal images it is infinite
    assert "│     - │" in result.stdout


def test_folders_of_tiff_slices_are_read_with_the_spacing_given(folder):
    for name in ("sr", "truth"):
        (folder / name).mkdir()
        array = read_volume(f"{name}.nrrd").array[:2].astype(np.int16)
        for k, plane in enumerate(array):
            tifffile.imwrite(folder / name / f"{k}.tif", plane)
    options = ("--generated", "sr", "--truth", "truth", "--spacing", "0.3,0.0375,0.0375")
    result = run("evaluate", "fidelity", *options, "--json", "f.json")
    assert result.exit_code == 0, result.output
    assert json.loads((folder / "f.json").read_text())["dice"]["bone"] > 0.9


def test_a_file_that_exists_is_kept(folder):
    (folder / "f.json").write_text("mine")
    assert_one_line_error(run("evaluate", "fidelity", *PATHS, "--json", "f.json"), "f.json exists")
    assert (folder / "f.json").read_text() == "mine"
    result = run("evaluate", "fidelity", *PATHS, "--json", "f.json", "--overwrite")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("truth.nrrd", {"spacing": (0.3, 0.05, 0.05)}, ("0.0375 x 0.0375 mm", "0.05 x 0.05 mm")),
        ("truth.nrrd", {"by": (100, 0, 0)}, ("sr.nrrd and truth.nrrd do not overlap",)),
        ("truth.nrrd", {"by": (0, 0, 0.5)}, ("sr.nrrd reaches outside truth.nrrd",)),
        ("uncertainty.nrrd", {"by": (1, 0, 0)}, ("uncertainty.nrrd", "lies elsewhere")),
        ("uncertainty.nrrd", {"array": np.ones((3, 96, 128))}, ("3 x 96 x 128 voxels",)),
        ("ct.nrrd", {"by": (0.1, 0, 0)}, ("was not made from whole voxels of ct.nrrd",)),
        ("sr.nrrd", {"array": np.full((2, 96, 128), np.nan)}, ("sr.nrrd", "not numbers")),
        ("sr.nrrd", {"array": np.ones((2, 6, 128))}, ("sr.nrrd", "6 x 128 pixels")),
    ],
)
def test_images_that_do_not_belong_together_are_refused(folder, name, changes, words):
    moved(folder / name, **changes)
    result = run("evaluate", "fidelity", *ALL, "--json", "f.json")
    assert_one_line_error(result, *words)
    assert not (folder / "f.json").exists()


def test_images_without_a_place_and_of_different_size_are_refused(folder):
    for name in ("sr.nrrd", "truth.nrrd"):
        moved(folder / name, origin=(0, 0, 0))
    assert_one_line_error(run("evaluate", "fidelity", *PATHS), "different size", "2 x 96 x 128")


def test_files_that_cannot_be_read_are_refused(folder):
    (folder / "truth.nrrd").write_bytes(b"NRRD0004\nnothing")
    assert_one_line_error(run("evaluate", "fidelity", *PATHS), "truth.nrrd")
    assert_one_line_error(
        run("evaluate", "fidelity", "--generated", "no.nrrd", "--truth", "truth.nrrd"), "no.nrrd"
    )
    assert_one_line_error(run("evaluate", "fidelity", *ALL, "--model", "nonesuch"), "nonesuch")
