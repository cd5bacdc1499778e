"""Making a reader study: what is shown, in which order, and what tells nobody whose it is."""

from __future__ import annotations

import json
import random
import shutil
import stat
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from command_line import assert_one_line_error, run
from microctsr_core import write_volume
from microctsr_core.errors import GeometryError, MicroCTSRError, ReadError, WriteError
from microctsr_core.io.atomic import discard_unfinished
from microctsr_core.preview.planes import interpolate_cubic
from microctsr_core.study import Case, create_study, from_comparison, from_folders, open_study
from microctsr_core.study.order import LEAST_GAP, draw_order
from toy_reader_study import METHODS, RATERS, toy_cases, toy_study
from toy_studies import low, truth, write_phantoms, write_results


def pixels(path: Path) -> np.ndarray:
    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def test_every_rater_sees_every_slice_by_every_method_and_a_share_twice(tmp_path):
    study = toy_study(tmp_path / "study")
    for rater in study.raters:
        first = Counter((t.slice, t.method) for t in rater.order if t.showing == 1)
        again = Counter((t.slice, t.method) for t in rater.order if t.showing == 2)
        assert first == Counter({(s, m): 1 for s in range(4) for m in METHODS})
        assert sum(again.values()) == 3  # a quarter of twelve
        assert set(again.values()) == {1}
        assert Counter(method for _, method in again) == dict.fromkeys(METHODS, 1)


def test_raters_have_different_orders_and_the_seed_gives_them_again(tmp_path):
    studies = [toy_study(tmp_path / str(n), seed=seed) for n, seed in enumerate((7, 7, 8))]
    orders = [[rater.order for rater in study.raters] for study in studies]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    assert len({tuple(order) for order in map(tuple, orders[0])}) == 3


def test_a_second_showing_comes_well_after_the_first_and_slices_do_not_follow_each_other():
    order = draw_order(20, ["a", "b", "c"], 0.2, random.Random(1))
    first = {(t.slice, t.method): n for n, t in enumerate(order) if t.showing == 1}
    again = {(t.slice, t.method): n for n, t in enumerate(order) if t.showing == 2}
    assert len(again) == 12
    assert min(again[pair] - first[pair] for pair in again) > LEAST_GAP
    once = [trial for trial in order if trial.showing == 1]
    assert all(before.slice != after.slice for before, after in pairwise(once))


def test_over_many_orders_every_method_comes_first_equally_often():
    first = Counter(draw_order(6, "abc", 0, random.Random(seed))[0].method for seed in range(3000))
    # Binomial with p = 1/3: within four standard deviations, 26 each.
    assert all(abs(count - 1000) < 104 for count in first.values())


def test_images_show_the_slices_in_one_window_and_the_original_cubically_interpolated(tmp_path):
    study = toy_study(tmp_path / "study", window_hu=(-500.0, 2050.0))
    cases = {case.name: case for case in toy_cases()}
    assert [(s.case, s.index) for s in study.slices] == [
        ("ear_0", 0), ("ear_0", 2), ("ear_1", 0), ("ear_1", 2),
    ]  # fmt: skip
    for shown in study.slices:
        case = cases[shown.case]
        for method, name in shown.images.items():
            plane = case.results[method].array[shown.index]
            wanted = np.clip((plane + 500) / 10, 0, 255)
            assert np.abs(pixels(study.folder / "images" / name) - wanted).max() <= 0.51
        plane = interpolate_cubic(case.scan, case.results["OurNet"], shown.index)
        wanted = np.clip((plane + 500) / 10, 0, 255)
        assert np.abs(pixels(study.folder / "images" / shown.original) - wanted).max() <= 0.51


def test_slices_lie_as_radiologists_see_them(tmp_path):
    turned = np.diag([-1.0, -1.0, 1.0])  # i runs to the right of the patient, j to the front
    case = toy_cases(1)[0]
    scan = replace(case.scan, direction=turned)
    # The same outer corners as the scan, on the grid of the results.
    results = {
        name: scan.on_refined_grid(volume.array, (1, 8, 8)) for name, volume in case.results.items()
    }
    study = create_study(tmp_path / "study", [Case("ear", scan, results)], slices=[1])
    shown = pixels(study.folder / "images" / study.slices[0].images["OurNet"])
    wanted = np.clip((results["OurNet"].array[1] + 1000) / 3400, 0, 1) * 255
    assert np.abs(shown - wanted[::-1, ::-1]).max() <= 0.51


def test_files_tell_nothing_of_the_method(tmp_path):
    study = toy_study(tmp_path / "study")
    files = sorted((study.folder / "images").iterdir())
    assert len(files) == 4 * (1 + len(METHODS))
    assert {len(file.name) for file in files} == {36}
    assert len({file.stat().st_size for file in files}) == 1
    for file in files:
        data, kinds, place = file.read_bytes(), [], 8
        while place < len(data):
            kinds.append(data[place + 4 : place + 8])
            place += 12 + int.from_bytes(data[place : place + 4], "big")
        assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
    # Names are drawn anew, so that they cannot be computed from what is known.
    again = toy_study(tmp_path / "again")
    assert not {f.name for f in files} & {f.name for f in (again.folder / "images").iterdir()}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_only_the_owner_of_the_files_can_read_the_key(tmp_path):
    study = toy_study(tmp_path / "study")
    for name in ("study.json", "links.json", "ratings.sqlite"):
        assert stat.S_IMODE((study.folder / name).stat().st_mode) == 0o600


def test_a_moved_study_opens_where_it_lies_and_its_texts_can_be_edited(tmp_path):
    toy_study(tmp_path / "study")
    shutil.move(tmp_path / "study", tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "criteria.txt").write_text("Noise\nLittle of it.\n\n\nSharpness\n")
    (tmp_path / "elsewhere" / "instructions.txt").write_text("Look.\n\nJudge.\n")
    study = open_study(tmp_path / "elsewhere")
    assert [(c.name, c.explanation) for c in study.criteria] == [
        ("Noise", "Little of it."),
        ("Sharpness", ""),
    ]
    assert study.instructions == ["Look.", "Judge."]
    assert [rater.name for rater in study.raters] == list(RATERS)
    with pytest.raises(ReadError, match="study does not exist; give the study's folder"):
        open_study(tmp_path / "study")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"slices": [1, 7]}, "ear_0 has no slice 7; its 3 slices are counted from 0"),
        ({"slices": {"ear_9": [1]}}, "There is no case 'ear_9'"),
        ({"raters": ["Anna", "Anna"]}, "Two raters are called 'Anna'"),
        ({"slices": 0}, "choose at least one slice"),
        ({"raters": []}, "at least one rater"),
        ({"repeated": 1.5}, "between 0 and 1"),
        ({"window_hu": (300, 100)}, "runs backwards"),
        ({"against": "theirs"}, "'theirs' is none of the methods"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_a_study_cannot_be_made_of_is_told(tmp_path, options, words):
    with pytest.raises(MicroCTSRError, match=words):
        toy_study(tmp_path / "study", **options)
    assert list(tmp_path.iterdir()) == []


def test_methods_that_cannot_stand_side_by_side_are_told(tmp_path):
    case = toy_cases(1)[0]
    few = {"OurNet": case.results["OurNet"]}
    with pytest.raises(MicroCTSRError, match="at least two methods, but ear has 1"):
        create_study(tmp_path / "study", [Case("ear", case.scan, few)])
    whole = case.results["OurNet"]
    other = few | {"theirs": whole.crop(((0, 2), (0, 96), (0, 96)))}
    with pytest.raises(
        GeometryError, match=r"theirs has 2 x 96 x 96 voxels .* OurNet has 3 x 96 x"
    ):
        create_study(tmp_path / "study", [Case("ear", case.scan, other)])
    shifted = few | {"theirs": replace(whole, origin=(6.0, -3.0, 2.0))}
    with pytest.raises(GeometryError, match="theirs lies elsewhere in the patient than OurNet"):
        create_study(tmp_path / "study", [Case("ear", case.scan, shifted)])
    x, y, z = whole.origin
    for step in (-0.5, 0.5):  # mm, which is more than a voxel of the scan
        beyond = {n: replace(v, origin=(x + step, y, z)) for n, v in case.results.items()}
        with pytest.raises(GeometryError, match="do not lie in the scan"):
            create_study(tmp_path / "study", [Case("ear", case.scan, beyond)])
    mixed = [case, Case("other", low(1), {"a": truth(1), "b": truth(1)})]
    with pytest.raises(MicroCTSRError, match="give all cases by the same methods"):
        create_study(tmp_path / "study", mixed)
    toy_study(tmp_path / "study")
    with pytest.raises(WriteError, match="exists already; give the study another folder"):
        toy_study(tmp_path / "study")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("criteria.txt", "\n\n", "holds 0 criteria; write 1 to 6"),
        ("criteria.txt", "Noise\n\nNoise", "two criteria called 'Noise'"),
        ("study.json", "{}", "study.json: .*is not valid"),
        ("study.json", "{", "is not valid JSON"),
    ],
)
def test_damaged_files_of_a_study_are_named(tmp_path, name, text, words):
    study = toy_study(tmp_path / "study")
    (study.folder / name).write_text(text)
    with pytest.raises(MicroCTSRError, match=words) as caught:
        assert open_study(study.folder).criteria
    assert name in str(caught.value)


def test_a_study_file_cannot_lead_out_of_its_folder(tmp_path):
    study = toy_study(tmp_path / "study")
    entries = json.loads((study.folder / "study.json").read_text())
    entries["slices"][0]["original"] = "../links.json"
    (study.folder / "study.json").write_text(json.dumps(entries))
    with pytest.raises(ReadError, match=r"'\.\./links\.json', which is no image"):
        open_study(study.folder)


def test_folders_of_results_make_a_study(tmp_path):
    for number in range(2):
        write_volume(low(number), tmp_path / "clinical" / f"ear_{number}.nrrd")
        for method, volume in toy_cases()[number].results.items():
            write_volume(volume, tmp_path / method / f"ear_{number}.nii.gz")
    folder = tmp_path / "study"
    methods = [part for m in METHODS for part in ("--method", f"{m}={tmp_path / m}")]
    result = run(
        "study", "create", folder, "--low", tmp_path / "clinical", *methods, "--slices", 2,
        "--rater", "Anna", "--rater", "Ben", "--against", "NoisyNet", "--title", "Ears",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "4 slices by 3 methods: 13 pairs for each of 2 raters" in result.stdout
    study = open_study(folder)
    assert (study.title, study.methods, study.against) == ("Ears", list(METHODS), "NoisyNet")
    direct = toy_study(tmp_path / "direct")
    for one, other in zip(study.slices, direct.slices, strict=True):
        for method in METHODS:
            first = pixels(folder / "images" / one.images[method])
            second = pixels(direct.folder / "images" / other.images[method])
            assert np.array_equal(first, second)


def test_folders_that_do_not_fit_are_told_in_one_line(tmp_path):
    write_volume(low(0), tmp_path / "clinical" / "ear.nrrd")
    write_volume(truth(0), tmp_path / "a" / "ear.nrrd")
    write_volume(truth(0).crop(((0, 2), (0, 96), (0, 96))), tmp_path / "b" / "ear.nrrd")
    (tmp_path / "c").mkdir()

    def create(*methods: str):
        named = [part for m in methods for part in ("--method", f"{m}={tmp_path / m}")]
        return run("study", "create", tmp_path / "s", "--low", tmp_path / "clinical", *named)

    assert_one_line_error(create("a", "b"), str(tmp_path / "b" / "ear.nrrd"), "2 x 96 x 96")
    assert_one_line_error(create("a", "c"), str(tmp_path / "c"), "no result of the case ear")
    assert_one_line_error(create("a", "d"), str(tmp_path / "d"), "no folder of results")
    assert_one_line_error(create("a"), "at least two methods")
    assert create("a", "a").exit_code == 2
    assert not (tmp_path / "s").exists()


def test_a_comparison_makes_a_study_and_needs_no_truth(tmp_path):
    write_phantoms(tmp_path / "cases", 1)
    (tmp_path / "cases" / "case_000" / "truth.nrrd").unlink()
    write_results(tmp_path / "elsewhere", 1)
    yaml = tmp_path / "comparison.yaml"
    yaml.write_text("methods:\n  cubic: cubic\n  ours: {results: elsewhere}\ncases: cases\n")
    told = []
    cases = from_comparison(yaml, tmp_path / "work", progress=lambda *step: told.append(step))
    study = create_study(tmp_path / "study", cases, slices=1)
    assert study.methods == ["cubic", "ours"]
    assert [message for _, message in told] == ["case_000, cubic", "case_000, ours"]
    shown = study.slices[0]
    cubic, original = shown.images["cubic"], shown.original
    images = study.folder / "images"
    assert np.array_equal(pixels(images / cubic), pixels(images / original))


def test_a_comparison_names_the_method_that_the_others_are_compared_with(tmp_path):
    write_phantoms(tmp_path / "cases", 1)
    write_results(tmp_path / "elsewhere", 1)
    yaml = tmp_path / "comparison.yaml"
    methods = "methods:\n  ours: {results: elsewhere}\n  cubic: cubic\n"
    yaml.write_text(f"{methods}cases: cases\nagainst: ours\n")
    options = ("study", "create", tmp_path / "study", "--comparison", yaml, "--slices", 1)
    assert_one_line_error(
        run(*options, "--against", "theirs"),
        f"'theirs' is none of the methods of {yaml} (ours, cubic); name one of them.",
    )
    assert not (tmp_path / "study_work").exists()  # before any work
    assert run(*options).exit_code == 0
    assert open_study(tmp_path / "study").against == "ours"


def test_a_single_scan_may_be_given_with_single_results(tmp_path):
    write_volume(low(0), tmp_path / "ct.nrrd")
    for name, volume in toy_cases(1)[0].results.items():
        write_volume(volume, tmp_path / f"{name}.nrrd")
    methods = {name: tmp_path / f"{name}.nrrd" for name in METHODS}
    (case,) = from_folders(tmp_path / "ct.nrrd", methods)
    assert case.name == "ct"
    assert list(case.results) == list(METHODS)


def test_a_study_whose_making_is_ended_by_force_leaves_nothing(tmp_path):
    seen = []

    def cases():
        yield toy_cases(1)[0]
        seen.extend(path.name for path in tmp_path.iterdir())
        discard_unfinished()  # what the process does last
        seen.append([*tmp_path.iterdir()])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        create_study(tmp_path / "study", cases())
    assert seen[0].startswith(".study-")
    assert seen[1:] == [[]]
