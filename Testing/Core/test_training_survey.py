"""The check of two folders lists what a run would find in them, and what is wrong with it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from command_line import run
from microctsr_core import Volume, write_volume
from microctsr_core.training import prepare
from microctsr_core.training.cases import DataSettings
from microctsr_core.training.survey import survey
from toy_ears import write_folders


@pytest.fixture
def folders(tmp_path):
    return write_folders(tmp_path)


def test_every_case_is_listed_with_its_kind_and_grid(folders):
    found = survey(*folders)
    assert found.problem is None
    assert [case.name for case in found.low.cases] == ["ear_0.nrrd", "ear_1.nrrd", "ear_2.nrrd"]
    low, high = found.low.cases[0], found.high.cases[0]
    assert (low.kind, low.shape) == ("volume", (6, 20, 24))
    assert low.spacing_mm == pytest.approx((0.4, 0.2, 0.2))
    assert high.shape == (24, 48, 56)
    assert high.spacing_mm == pytest.approx((0.025,) * 3)
    assert not any(case.problem for case in (*found.low.cases, *found.high.cases))


@pytest.fixture
def with_bad_cases(folders):
    low, high = folders
    whole = (low / "ear_0.nrrd").read_bytes()
    (low / "cut.nrrd").write_bytes(whole[:-100])
    grey = np.random.default_rng(0).integers(20000, 40000, (6, 20, 24)).astype(np.uint16)
    write_volume(Volume(grey, (0.4, 0.2, 0.2)), low / "grey.nrrd")
    write_volume(Volume(grey[:, :4, :4], (0.025,) * 3), high / "tiny.nrrd")
    return low, high


def test_a_bad_case_is_listed_with_its_reason(with_bad_cases):
    low, high = with_bad_cases
    found = survey(low, high)
    problems = {case.name: case.problem for case in (*found.low.cases, *found.high.cases)}
    bad = {name: problem for name, problem in problems.items() if problem}
    assert set(bad) == {"cut.nrrd", "grey.nrrd", "tiny.nrrd"}
    assert str(low / "cut.nrrd") in bad["cut.nrrd"]
    assert "is not in HU" in bad["grey.nrrd"]
    assert "less than one clinical voxel" in bad["tiny.nrrd"]
    assert found.problem is None


def test_it_finds_wrong_what_the_preparation_finds_wrong(with_bad_cases, tmp_path):
    notes = prepare(*with_bad_cases, tmp_path / "cache", DataSettings(), 0).notes
    left_out = {note for note in notes if note.startswith("Left out: ")}
    found = survey(*with_bad_cases)
    cases = (*found.low.cases, *found.high.cases)
    assert left_out == {f"Left out: {case.problem}" for case in cases if case.problem}


def test_folders_that_no_run_can_use_are_told(folders, tmp_path):
    low, _high = folders
    (tmp_path / "empty").mkdir()
    assert "does not exist" in survey(low, tmp_path / "nowhere").problem
    assert "holds no volume file" in survey(tmp_path / "empty", low).problem
    (tmp_path / "empty" / "broken.nrrd").write_bytes(b"NRRD0004\n")
    found = survey(tmp_path / "empty", low)
    assert "holds no clinical scan that can be used: of 1 found" in found.problem


def test_voxel_sizes_that_contradict_the_scale_are_told(folders):
    low, _high = folders
    assert "divided by the scale 8" in survey(low, low, DataSettings()).problem


def test_check_prints_a_table_and_writes_it_for_programs(with_bad_cases, tmp_path):
    low, high = with_bad_cases
    answer = tmp_path / "check.json"
    result = run("train", "--low", low, "--high", high, "--check", "--json", answer)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == str(low)
    assert lines[1].split() == ["CASE", "KIND", "VOXELS", "SIZE", "IN", "MM"]
    row = next(line for line in lines if line.startswith("ear_0.nrrd"))
    assert row.split("  ")[-1].strip() == "0.2 x 0.2 x 0.4"
    assert any(line.startswith("    left out: ") and "cut.nrrd" in line for line in lines)
    found = json.loads(answer.read_text())
    assert found["problem"] is None
    assert [case["name"] for case in found["high"]["cases"]][-1] == "tiny.nrrd"
    assert found["low"]["cases"][0].keys() == {"name", "kind", "shape", "spacing_mm", "problem"}


def test_check_of_folders_that_cannot_be_used_ends_in_a_sentence(folders, tmp_path):
    answer = tmp_path / "check.json"
    options = ("--high", tmp_path / "nowhere", "--check", "--json", answer)
    result = run("train", "--low", folders[0], *options)
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1].startswith(f"Error: {tmp_path / 'nowhere'} does not")
    assert len(json.loads(answer.read_text())["low"]["cases"]) == 3


def test_check_reads_the_folders_as_the_settings_say(folders, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("data: {low: {intensity: [[0, -1000], [1, 0]]}, scale: 4}\n")
    options = ("--low", folders[0], "--high", folders[1], "--config", settings)
    result = run("train", *options, "--check")
    assert result.exit_code == 1
    assert "divided by the scale 4" in result.stderr.splitlines()[-1]


def test_training_needs_an_output_and_json_goes_with_check(folders):
    options = ("--low", folders[0], "--high", folders[1])
    assert "--output" in run("train", *options).stderr
    assert run("train", *options).exit_code == 2
    assert run("train", *options, "--output", "x", "--json", "y").exit_code == 2
