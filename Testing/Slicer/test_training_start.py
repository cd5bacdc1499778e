"""Before a run, the panel says what to choose, checks the folders, and asks before it installs."""

import sys
import time

import pytest
import slicer

import host
from training_panel import choose, stage, wait_until_idle


def test_every_control_has_a_tooltip_that_teaches(training):
    kinds = ("Button", "Selector", "Path", "SpinBox", "Bar", "Table", "Text", "Edit")
    found = {name: each for name, each in vars(training.ui).items() if name.endswith(kinds)}
    found = {name: each for name, each in found.items() if name[0].islower()}  # not Qt's own
    assert len(found) > 50
    for name, widget in found.items():
        assert len(widget.toolTip) > 20, name


def test_the_module_describes_itself(training):
    module = slicer.modules.microctsrtraining
    assert module.title == "MicroCTSR Training"
    assert list(module.categories) == ["Image Synthesis"]
    assert list(module.dependencies) == ["MicroCTSR"]
    assert "not for diagnosis" in module.helpText
    assert not module.icon.isNull()


def test_without_folders_it_says_what_to_choose(training, folders):
    ui, parameters = training.ui, training.parameters
    parameters.lowFolder = parameters.highFolder = ""
    assert not ui.startButton.enabled
    assert ui.startButton.toolTip == "Choose the folder of clinical CT."
    parameters.lowFolder = str(folders[0])
    assert ui.startButton.toolTip == "Choose the folder of micro-CT."
    assert ui.checkButton.toolTip == "Choose the folder of micro-CT."
    parameters.highFolder = str(folders[1])
    assert ui.startButton.toolTip == "Choose a folder for the run."
    assert ui.checkButton.enabled


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("lowFolder", "scans", "scans is no whole path; choose the folder of clinical CT."),
        ("highFolder", "/no/such", "/no/such is no folder; choose the folder of micro-CT."),
        ("outputFolder", "run", "run is no whole path; choose a folder for the run."),
        ("outputFolder", __file__, "is a file; choose a folder for the run."),
        ("configFile", "/no/such.yaml", "/no/such.yaml is no file; correct it, or leave it empty."),
    ],
)
def test_what_cannot_be_is_explained_in_one_sentence(name, value, words, run_ready):
    assert run_ready.ui.startButton.enabled
    setattr(run_ready.parameters, name, value)
    assert not run_ready.ui.startButton.enabled
    assert run_ready.ui.startButton.toolTip.endswith(words)


def test_typing_a_path_chooses_it_and_emptying_the_line_chooses_none(training, folders):
    training.ui.lowPath.currentPath = f" {folders[0]} "
    assert training.parameters.lowFolder == str(folders[0])
    assert training.ui.lowPath.currentPath == f" {folders[0]} "
    training.ui.lowPath.currentPath = ""
    assert training.parameters.lowFolder == ""


def test_settings_come_back_with_the_scene(run_ready, tmp_path):
    run_ready.ui.methodSelector.currentIndex = 2
    low, path = run_ready.parameters.lowFolder, str(tmp_path / "scene.mrml")
    slicer.mrmlScene.SetURL(path)
    assert slicer.mrmlScene.Commit()
    host.closeScene()
    assert run_ready.ui.lowPath.currentPath == ""
    slicer.mrmlScene.SetURL(path)
    assert slicer.mrmlScene.Import()
    host.pump()
    assert run_ready.ui.lowPath.currentPath == low
    assert run_ready.parameters.method.value == "srgan"


def test_missing_packages_are_asked_for_by_the_check_and_the_start(run_ready, monkeypatch):
    from panel import pretend_missing

    installation = type(run_ready.logic.installation)
    logic = sys.modules["MicroCTSRTrainingLib.Logic"]
    files = (logic.REQUIREMENTS, logic.TRAINING_REQUIREMENTS)
    monkeypatch.setattr(run_ready.logic, "installation", installation(files, "MicroCTSR Training"))
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    pretend_missing(monkeypatch, "monai")
    host.click(run_ready.ui.startButton)
    (question,) = host.answers.asked
    assert question.startswith("MicroCTSR Training needs")
    assert "monai" in question
    assert "Not installed: monai" in run_ready.ui.statusLabel.text
    assert stage(run_ready) == "NOTHING"


# The check of the folders -------------------------------------------------------------------------


@pytest.fixture
def ears(tmp_path):
    """Two folders with three small cases each."""
    from toy_ears import write_folders

    return write_folders(tmp_path)


def rows_of(table):
    def text(row, column):
        return table.item(row, column).text()

    return [[text(row, column) for column in range(5)] for row in range(table.rowCount)]


def test_the_check_lists_every_case_and_the_reason_against_a_bad_one(training, ears, tmp_path):
    (ears[0] / "cut.nrrd").write_bytes((ears[0] / "ear_0.nrrd").read_bytes()[:-100])
    choose(training, ears, tmp_path / "run")
    assert not training.ui.casesTable.visible

    host.click(training.ui.checkButton)
    assert training.ui.checkButton.text == "Cancel"
    wait_until_idle(training)

    rows = rows_of(training.ui.casesTable)
    assert len(rows) == 7
    assert rows[1][:4] == ["ear_0.nrrd", "CT, volume", "24 × 20 × 6", "0.2 × 0.2 × 0.4 mm"]
    assert rows[0][0] == "cut.nrrd"
    assert "cut.nrrd" in rows[0][4]
    assert rows[-1][1] == "micro-CT, volume"
    text = training.ui.checkLabel.text
    assert "3 clinical scans and 3 micro-CT can be used. 1 will be left out." in text
    assert training.ui.casesTable.visible
    assert training.ui.startButton.enabled


def test_folders_that_no_run_can_use_bar_the_start_until_others_are_chosen(
    training, ears, tmp_path
):
    low, high = ears
    choose(training, (low, low), tmp_path / "run")
    host.click(training.ui.checkButton)
    wait_until_idle(training)
    assert "divided by the scale 8" in training.ui.checkLabel.text
    assert not training.ui.startButton.enabled
    assert "divided by the scale 8" in training.ui.startButton.toolTip

    training.parameters.highFolder = str(high)
    assert training.ui.startButton.enabled
    assert not training.ui.casesTable.visible
    training.parameters.highFolder = ""
    assert training.ui.checkButton.toolTip == "Choose the folder of micro-CT."
    assert not training.ui.checkButton.enabled


def test_the_check_can_be_cancelled(training, ears, tmp_path):
    choose(training, ears, tmp_path / "run")
    host.click(training.ui.checkButton)
    start = time.monotonic()
    host.click(training.ui.checkButton)
    wait_until_idle(training)
    assert time.monotonic() - start < 2
    assert training.ui.checkButton.text == "Check folders"
    assert not training.ui.casesTable.visible
