"""Running a study: the values are right, bad images are told, and nothing is made twice."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from scipy import ndimage

from microctsr_core import (
    Cancelled,
    MicroCTSRError,
    Volume,
    read_volume,
    superresolve,
    write_volume,
)
from microctsr_core.evaluation.comparison import images, load_study, measure
from microctsr_core.evaluation.comparison.results import flattened
from microctsr_core.evaluation.comparison.shown import most_structured
from microctsr_core.evaluation.comparison.tables import per_case_csv, summary_csv
from microctsr_core.preparation import resample_cubic
from toy_models import make_model
from toy_studies import ERROR_HU, low, truth, write_phantoms, write_results, write_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("study")
    write_study(place)
    return place


@pytest.fixture(scope="module")
def results(folder):
    return measure(load_study(folder / "study.yaml"), folder / "work")


def test_fidelity_is_that_of_an_error_known_by_hand(results):
    # Every voxel is 90 HU off, and PSNR is relative to 3000 HU.
    assert results.of("elsewhere", "psnr") == pytest.approx([20 * np.log10(3000 / ERROR_HU)] * 2)


def test_uncertainty_above_every_error_covers_all_of_them(results):
    assert results.of("elsewhere", "coverage.1") == pytest.approx([1, 1])
    assert results.of("elsewhere", "ause") == pytest.approx([0, 0], abs=1e-3)
    assert not results.known("cubic", "coverage.1")


def test_cubic_interpolation_is_that_of_the_scan(results):
    error = resample_cubic(low(1).array, (1, 8, 8)) - truth(1).array
    expected = 20 * np.log10(3000 / np.sqrt(np.mean(np.square(error, dtype=np.float64))))
    assert results.of("cubic", "psnr")[1] == pytest.approx(expected, rel=1e-5)


def test_a_model_is_run_with_the_settings_of_the_study(results, folder):
    expected = superresolve(low(0), make_model(), samples=2, seed=0)
    kept = read_volume(folder / "work" / "Toy_co" / "case_000.nrrd")
    np.testing.assert_array_equal(kept.array, expected.mean.array)
    assert results.runs["Toy & co"][0]["passes_mean"] == 2
    assert results.models["Toy & co"]["name"] == "toy"


def test_m_hum_is_zero_for_an_image_that_is_a_truth_of_another_case(tmp_path):
    write_phantoms(tmp_path / "phantoms", 2)
    first = low(0)
    for number, other in ((0, 1), (1, 0)):
        write_volume(truth(0).with_array(truth(other).array), tmp_path / f"case_{number:03d}.nrrd")
    assert first.same_grid(low(1))
    text = "methods: {swapped: {results: .}}\ncases: phantoms\n"
    (tmp_path / "study.yaml").write_text(text)
    found = measure(load_study(tmp_path / "study.yaml"), tmp_path / "work")
    assert found.of("swapped", "m_hum") == pytest.approx([0, 0], abs=1e-12)
    assert (found.of("truth", "m_hum") > 0).all()


def test_without_references_or_other_truths_there_is_no_m_hum_and_it_is_said(tmp_path):
    study = write_study(tmp_path, cases=1)
    found = measure(load_study(study), tmp_path / "work")
    assert "m_hum" not in found.measures
    assert "psnr" in found.measures
    assert any("m-HuM needs references" in note for note in found.notes)


def test_with_few_cases_there_is_no_p_and_it_is_said(results):
    assert [c.p for c in results.compared("psnr").values()] == [None, None]
    assert any("Wilcoxon" in note for note in results.notes)


def test_references_named_in_the_study_are_used(tmp_path):
    study = write_study(tmp_path, cases=1, references="micro")
    write_volume(truth(0), tmp_path / "micro" / "specimen.nrrd")
    found = measure(load_study(study), tmp_path / "work")
    assert found.of("truth", "m_hum") == pytest.approx([0], abs=1e-12)
    assert not any("m-HuM" in note for note in found.notes)


def test_micro_ct_as_a_tiff_stack_in_grey_values_can_be_the_reference(tmp_path):
    # Its own grey scale does not matter: shapes are compared once intensities are scaled.
    study = write_study(tmp_path, cases=1, references="micro", spacing=[0.3, 0.0375, 0.0375])
    grey = np.rint(14000 + 8 * truth(0).array).astype(np.uint16)
    (tmp_path / "micro").mkdir()
    for k, plane in enumerate(grey):
        tifffile.imwrite(tmp_path / "micro" / f"slice_{k}.tif", plane)
    found = measure(load_study(study), tmp_path / "work")
    assert found.of("truth", "m_hum") == pytest.approx([0], abs=1e-3)


def test_super_resolved_cases_are_found_again_unless_a_setting_or_the_scan_changes(
    folder, results, monkeypatch
):
    assert results.methods
    asked = []

    def remembered(scan, *arguments, **options):
        asked.append(options["seed"])
        return superresolve(scan, *arguments, **options)

    monkeypatch.setattr(images, "superresolve", remembered)
    study = load_study(folder / "study.yaml")
    again = measure(study, folder / "work")
    assert asked == []
    np.testing.assert_array_equal(again.of("Toy & co", "ssim"), results.of("Toy & co", "ssim"))
    measure(replace(study, seed=1), folder / "work_of_another_seed")
    assert asked == [1, 1]
    path = folder / "phantoms" / "case_001" / "low.nrrd"
    before = read_volume(path)
    write_volume(before.with_array(before.array + 1), path)
    measure(study, folder / "work")
    write_volume(before, path)
    assert asked == [1, 1, 0]


def test_a_volume_that_was_not_written_to_the_end_is_made_again(tmp_path):
    study = load_study(write_study(tmp_path, cases=1))
    measure(study, tmp_path / "work")
    note = tmp_path / "work" / "Toy_co" / "case_000.json"
    key = json.loads(note.read_text())["key"]
    note.write_text('{"key": ')
    measure(study, tmp_path / "work")
    assert json.loads(note.read_text())["key"] == key


def wrong(folder: Path, volume: Volume) -> Path:
    """A study in which the result of the second case is another volume."""
    path = write_study(folder, methods={"ours": {"results": "elsewhere"}})
    write_volume(volume, folder / "elsewhere" / "case_001.nrrd")
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: v.crop(((0, 3), (0, 90), (0, 96))), ["3 x 90 x 96", "3 x 96 x 96"]),
        (lambda v: replace(v, spacing=(0.3, 0.05, 0.05)), ["0.3 x 0.05 x 0.05 mm", "voxel size"]),
        (lambda v: replace(v, origin=(9.0, 9.0, 9.0)), ["lies elsewhere"]),
        (lambda v: v.with_array(np.full(v.shape, np.nan, np.float32)), ["not numbers"]),
    ],
    ids=["size", "voxel size", "place", "not a number"],
)
def test_results_of_another_grid_end_in_one_sentence_before_any_work(tmp_path, change, words):
    study = load_study(wrong(tmp_path, change(truth(1))))
    with pytest.raises(MicroCTSRError) as caught:
        measure(study, tmp_path / "work")
    assert "case_001.nrrd" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_result_that_is_missing_is_named(tmp_path):
    path = write_study(tmp_path, methods={"ours": {"results": "elsewhere"}})
    (tmp_path / "elsewhere" / "case_001.nrrd").unlink()
    with pytest.raises(MicroCTSRError, match=r"holds no result of the case case_001"):
        measure(load_study(path), tmp_path / "work")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda v: replace(v, origin=(500.0, 0.0, 0.0)), ["do not overlap"]),
        (lambda v: replace(v, spacing=(0.3, 0.05, 0.05)), ["resample"]),
        (lambda v: v.crop(((0, 3), (0, 50), (0, 96))), ["reaches outside"]),
        (lambda v: v.with_array(np.full(v.shape, np.inf, np.float32)), ["not numbers"]),
    ],
    ids=["elsewhere", "voxel size", "too small", "not a number"],
)
def test_a_truth_that_does_not_fit_ends_in_one_sentence_that_names_it(tmp_path, change, words):
    study = load_study(write_study(tmp_path))
    path = tmp_path / "phantoms" / "case_001" / "truth.nrrd"
    write_volume(change(truth(1)), path)
    with pytest.raises(MicroCTSRError) as caught:
        measure(study, tmp_path / "work")
    assert str(path) in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_a_box_outside_the_scan_names_its_case(tmp_path):
    study = load_study(write_study(tmp_path, box="0:3,0:12,0:99"))
    with pytest.raises(MicroCTSRError, match=r"the box of case_000: .*0:12"):
        measure(study, tmp_path / "work")


@pytest.mark.parametrize(
    ("figure", "words"),
    [
        ({"slice": 3}, ["figure.slice is 3", "3 slices"]),
        ({"zoom": "0:10"}, ["figure.zoom is '0:10'", "j0:j1,i0:i1"]),
        ({"zoom": "0:10,90:97"}, ["figure.zoom is 0:10,90:97", "96 x 96 pixels"]),
    ],
    ids=["slice", "no zoom", "outside"],
)
def test_a_figure_outside_the_images_is_told_before_any_work(tmp_path, figure, words):
    study = load_study(write_study(tmp_path, figure=figure))
    with pytest.raises(MicroCTSRError) as caught:
        measure(study, tmp_path / "work")
    for word in words:
        assert word in str(caught.value)
    assert not (tmp_path / "work").exists()


def test_a_figure_shows_the_slice_and_part_that_the_study_names(tmp_path):
    figure = {"cases": ["case_001"], "slice": 2, "zoom": "8:40,16:64"}
    methods = {"ours": {"results": "elsewhere"}}
    (shown,) = measure(
        load_study(write_study(tmp_path, figure=figure, methods=methods)), tmp_path / "work"
    ).shown
    assert (shown.case, shown.slice, shown.slices) == ("case_001", 3, 3)
    assert list(shown.planes) == ["input", "ours", "truth"]
    (j0, j1), (i0, i1) = shown.zoom
    # An identity direction lies on the page as it is stored.
    np.testing.assert_array_equal(
        shown.planes["truth"][j0:j1, i0:i1], truth(1).array[2, 8:40, 16:64]
    )


def test_models_of_different_scales_cannot_be_compared(tmp_path):
    study = load_study(write_study(tmp_path, scale=4))
    with pytest.raises(MicroCTSRError, match="scales differ"):
        measure(study, tmp_path / "work")


def test_results_of_any_scale_can_be_compared_where_the_study_names_it(tmp_path):
    write_phantoms(tmp_path / "phantoms", 1)
    coarse = truth(0).array.reshape(3, 48, 2, 48, 2).mean((2, 4))
    volume = low(0).on_refined_grid(coarse, (1, 4, 4))
    write_volume(volume, tmp_path / "results" / "case_000.nrrd")
    write_volume(volume, tmp_path / "phantoms" / "case_000" / "truth.nrrd")
    text = "methods: {theirs: {results: results}}\ncases: phantoms\nscale: 4\n"
    (tmp_path / "study.yaml").write_text(text)
    found = measure(load_study(tmp_path / "study.yaml"), tmp_path / "work")
    assert found.of("theirs", "dice.bone") == pytest.approx([1])


def test_a_study_can_be_stopped(folder):
    with pytest.raises(Cancelled):
        measure(load_study(folder / "study.yaml"), folder / "stopped", cancel=lambda: True)


def test_progress_rises_to_the_end_and_names_case_and_method(folder):
    told = []
    measure(
        load_study(folder / "study.yaml"),
        folder / "work",
        progress=lambda fraction, message: told.append((fraction, message)),
    )
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert any("case_001 (2 of 2), Toy & co" in message for _, message in told)


def test_all_values_are_in_the_csv(results):
    lines = list(csv.DictReader(per_case_csv(results).splitlines()))
    assert [(line["case"], line["method"]) for line in lines] == [
        (case, method)
        for case in ("case_000", "case_001")
        for method in ("cubic", "elsewhere", "Toy & co", "truth")
    ]
    assert float(lines[1]["psnr"]) == pytest.approx(20 * np.log10(3000 / ERROR_HU))
    assert lines[0]["coverage.1"] == ""
    assert "invented_per_cm2.air.small" in lines[0]


def test_summary_is_of_the_cases_in_which_a_measure_is_known(tmp_path):
    write_results(tmp_path / "worse", 6, error_hu=2 * ERROR_HU)
    methods = {"worse": {"results": "worse"}, "ours": {"results": "elsewhere"}}
    path = write_study(tmp_path, cases=6, methods=methods)
    (tmp_path / "phantoms" / "case_005" / "truth.nrrd").unlink()
    found = measure(load_study(path), tmp_path / "work")
    rows = {(r["measure"], r["method"]): r for r in csv.DictReader(summary_csv(found).splitlines())}
    assert rows["psnr", "worse"]["cases"] == "5"
    assert rows["m_hum", "worse"]["cases"] == "6"
    assert float(rows["psnr", "worse"]["mean"]) == pytest.approx(20 * np.log10(3000 / 180))
    assert rows["psnr", "worse"]["better"] == "5"
    assert float(rows["psnr", "worse"]["mean_advantage"]) == pytest.approx(20 * np.log10(2))
    assert rows["psnr", "worse"]["p"] == ""
    assert rows["m_hum", "worse"]["p"] != ""
    assert any("5 have a truth" in note for note in found.notes)


def test_nested_values_become_columns():
    assert flattened({"a": {"b": 1, "c": {"d": 2.5}}, "side": "above", "list": [1]}) == {
        "a.b": 1,
        "a.c.d": 2.5,
    }


def test_a_closer_look_is_taken_where_the_walls_are():
    plane = np.zeros((100, 100))
    blobs = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(30, 30)), 2) > 0
    plane[60:90, 15:45] = 1000.0 * blobs
    plane[:, 99] = 3000  # one strong wall
    (top, bottom), (left, right) = most_structured(plane)
    assert (bottom - top, right - left) == (30, 30)
    assert abs(top - 60) <= 6
    assert abs(left - 15) <= 6


def test_cubes_are_compared_with_a_truth_on_the_fine_grid(tmp_path):
    found = measure(load_study(write_study(
        tmp_path, cases=1, scale_mode="isotropic",
        methods={"cubic": "cubic", "toy": {"model": "toy"}},
    )), tmp_path / "work")  # fmt: skip
    made = read_volume(tmp_path / "work" / "toy" / "case_000.nrrd")
    assert made.shape == (24, 96, 96)
    assert made.spacing == pytest.approx((0.0375,) * 3)
    # The truth's slices are thick, so walls between them are unsharp: the score is only finite.
    assert np.isfinite(found.of("cubic", "psnr")).all()
