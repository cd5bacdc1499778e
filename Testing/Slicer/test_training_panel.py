"""A run is begun, followed, paused, stopped and found again by the panel, which never waits."""

import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import slicer

import host
from training_panel import (
    choose,
    is_there,
    library_environment,
    stage,
    stand_in_command,
    stand_in_for_training,
    wait_for,
    wait_until_idle,
)

LONG = 2000  # steps of the stand-in; a run of these is still at work when it is looked at


@pytest.fixture
def folders(tmp_path):
    for name in ("low", "high"):
        (tmp_path / name).mkdir()
    return tmp_path / "low", tmp_path / "high"


@pytest.fixture
def ears(tmp_path):
    """Two folders with three small cases each."""
    from toy_ears import write_folders

    return write_folders(tmp_path)


@pytest.fixture
def ready(training, toy_model, folders, tmp_path, monkeypatch):
    """The panel with both folders chosen and a new folder for a run, which will be a stand-in."""
    stand_in_for_training(monkeypatch, toy_model)
    choose(training, folders, tmp_path / "runs" / "first")
    return training


@pytest.fixture
def at_work(ready, monkeypatch):
    """The panel with a long run at work."""
    monkeypatch.setenv("STAND_IN_STEPS", str(LONG))
    host.click(ready.ui.startButton)
    wait_for(ready, "RUNNING")
    host.pump(until=lambda: ready.logic.run.state.step > 0, timeout=20)
    return ready


def words_of_last_run(panel):
    lines = (panel.logic.run.folder / "log.txt").read_text().splitlines()
    return [line for line in lines if line.startswith("Words: ")][-1]


# What the panel says before a run ----------------------------------------------------------------


def test_every_control_has_a_tooltip_that_teaches(training):
    kinds = ("Button", "Selector", "Path", "SpinBox", "Bar", "Table", "Text")
    found = {name: each for name, each in vars(training.ui).items() if name.endswith(kinds)}
    assert len(found) > 25
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
def test_what_cannot_be_is_explained_in_one_sentence(name, value, words, ready):
    assert ready.ui.startButton.enabled
    setattr(ready.parameters, name, value)
    assert not ready.ui.startButton.enabled
    assert ready.ui.startButton.toolTip.endswith(words)


def test_typing_a_path_chooses_it_and_emptying_the_line_chooses_none(training, folders):
    training.ui.lowPath.currentPath = f" {folders[0]} "
    assert training.parameters.lowFolder == str(folders[0])
    assert training.ui.lowPath.currentPath == f" {folders[0]} "
    training.ui.lowPath.currentPath = ""
    assert training.parameters.lowFolder == ""


def test_settings_come_back_with_the_scene(ready, tmp_path):
    ready.ui.methodSelector.currentIndex = 2
    low, path = ready.parameters.lowFolder, str(tmp_path / "scene.mrml")
    slicer.mrmlScene.SetURL(path)
    assert slicer.mrmlScene.Commit()
    host.closeScene()
    assert ready.ui.lowPath.currentPath == ""
    slicer.mrmlScene.SetURL(path)
    assert slicer.mrmlScene.Import()
    host.pump()
    assert ready.ui.lowPath.currentPath == low
    assert ready.parameters.method.value == "srgan"


# The check of the folders -------------------------------------------------------------------------


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


# The run ------------------------------------------------------------------------------------------


def test_a_run_tells_where_it_is_and_how_long_it_will_take(at_work):
    ui = at_work.ui
    host.pump(until=lambda: "left" in ui.statusLabel.text, timeout=20)
    assert f"step {at_work.logic.run.state.step} of {LONG}" in ui.statusLabel.text
    assert ui.progressBar.visible
    assert "Words: train" in ui.logText.plainText
    assert ui.pauseButton.enabled
    assert ui.stopButton.enabled
    for button in (ui.startButton, ui.resumeButton):
        assert button.toolTip == "The run is at work."
    for control in (ui.lowPath, ui.highPath, ui.methodSelector, ui.presetSelector, ui.configPath):
        assert not control.enabled


def test_the_run_gets_what_the_controls_say(ready, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("epochs: 2\n")
    ready.parameters.configFile = str(settings)
    ready.ui.methodSelector.currentIndex = 1
    ready.ui.presetSelector.currentIndex = 1
    host.click(ready.ui.startButton)
    wait_for(ready, "FINISHED")
    words = words_of_last_run(ready)
    low, high = ready.parameters.lowFolder, ready.parameters.highFolder
    assert f"--low {low} --high {high} --method unet --preset paper" in words
    assert f"--config {settings}" in words
    assert "--resume" not in words


def test_a_paused_run_goes_on_where_it_was(at_work, monkeypatch):
    host.click(at_work.ui.pauseButton)
    assert stage(at_work) in ("PAUSING", "PAUSED")
    wait_for(at_work, "PAUSED")
    step = at_work.logic.run.state.step
    assert at_work.ui.statusLabel.text == (
        f"Paused at step {step} of {LONG}; click Resume to go on."
    )
    assert not at_work.ui.pauseButton.enabled
    assert not at_work.ui.startButton.enabled

    monkeypatch.setenv("STAND_IN_STEPS", str(step + 5))
    host.click(at_work.ui.resumeButton)
    wait_for(at_work, "FINISHED")
    words = words_of_last_run(at_work)
    assert "--resume" in words
    assert f"--config {at_work.logic.run.folder / 'config.yaml'}" in words
    assert "Finished: all" in at_work.ui.statusLabel.text
    assert at_work.ui.resumeButton.toolTip == "The run is finished."


def test_a_stopped_run_leaves_a_folder_that_can_be_resumed(at_work):
    process = at_work.logic.run.state.pid
    host.click(at_work.ui.stopButton)
    wait_for(at_work, "STOPPED")
    host.pump(until=lambda: not is_there(process), timeout=20)
    assert "it can be resumed" in at_work.ui.statusLabel.text
    assert at_work.ui.resumeButton.enabled
    assert "holds a run already" in at_work.ui.startButton.toolTip
    assert not (at_work.logic.run.folder / "stop-request.txt").exists()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("early", "It went wrong before it began; do something else."),
        ("late", "The loss is nan; lower optimiser.rate."),
        ("crash", "The system ended the run (status -6), most likely because memory ran out"),
    ],
)
def test_a_run_that_fails_says_why_in_one_sentence(trouble, words, ready, monkeypatch):
    monkeypatch.setenv("STAND_IN_TROUBLE", trouble)
    host.click(ready.ui.startButton)
    wait_for(ready, "FAILED")
    host.pump(1.2)
    assert f"Failed: {words}" in ready.ui.statusLabel.text
    # Before there is a checkpoint, what was wrong can be changed and the run begun anew.
    assert ready.ui.startButton.enabled == (trouble != "late")
    assert ready.ui.resumeButton.enabled == (trouble == "late")
    monkeypatch.setenv("STAND_IN_TROUBLE", "")
    host.click(ready.ui.resumeButton if trouble == "late" else ready.ui.startButton)
    wait_for(ready, "FINISHED")


def test_a_killed_run_is_told_as_such_and_can_be_resumed(at_work):
    psutil.Process(at_work.logic.run.state.pid).kill()
    wait_for(at_work, "FAILED")
    assert "ended without a word" in at_work.ui.statusLabel.text
    assert at_work.ui.resumeButton.enabled


def test_a_folder_that_cannot_be_written_is_explained(ready, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    ready.parameters.outputFolder = str(blocked / "run")
    host.click(ready.ui.startButton)
    assert f"The run could not be started in {blocked / 'run'}" in ready.ui.statusLabel.text


def test_the_window_is_never_blocked_by_a_run(ready, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEPS", "60")
    with host.longestBlock() as block:
        host.click(ready.ui.startButton)
        wait_for(ready, "FINISHED")
    assert ready.logic.run.history()
    assert block.seconds < 0.3


# Found again --------------------------------------------------------------------------------------


def test_a_panel_made_anew_finds_the_run_again(at_work):
    pid = at_work.logic.run.state.pid
    panel = host.reload("MicroCTSRTraining")
    assert panel is not at_work
    assert stage(panel) == "RUNNING"
    assert panel.logic.run.state.pid == pid
    assert "Words: train" in panel.ui.logText.plainText
    host.click(panel.ui.pauseButton)
    wait_for(panel, "PAUSED")


def test_the_folder_alone_tells_all_of_a_run(at_work, folders, tmp_path):
    run = at_work.parameters.outputFolder
    at_work.parameters.outputFolder = str(tmp_path / "another")
    at_work.parameters.lowFolder = at_work.parameters.highFolder = ""
    at_work.ui.methodSelector.currentIndex = 2
    assert stage(at_work) == "NOTHING"

    at_work.ui.outputPath.currentPath = run
    assert stage(at_work) == "RUNNING"
    assert at_work.parameters.lowFolder == str(folders[0])
    assert at_work.parameters.highFolder == str(folders[1])
    assert at_work.parameters.method.value == "cyclegan"


def test_a_run_goes_on_when_the_scene_is_closed(at_work):
    host.closeScene()
    assert at_work.parameters.outputFolder == str(at_work.logic.run.folder)
    assert at_work.parameters.lowFolder.endswith("low")
    assert stage(at_work) == "RUNNING"
    step = at_work.logic.run.state.step
    host.pump(until=lambda: at_work.logic.run.state.step > step, timeout=20)


def test_a_run_begun_in_a_terminal_is_followed(ready, folders, tmp_path):
    run = tmp_path / "terminal"
    run.mkdir()
    words = ["train", "--low", folders[0], "--high", folders[1], "--method", "srgan"]
    command = stand_in_command(*words, "--preset", "compact", "--output", run)
    environment = {**library_environment(), "STAND_IN_STEPS": str(LONG)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        ready.parameters.outputFolder = str(run)
        wait_for(ready, "RUNNING")
        assert ready.logic.run.state.pid == process.pid
        host.click(ready.ui.stopButton)
        wait_for(ready, "STOPPED")
    assert ready.parameters.method.value == "srgan"


OTHER_SLICER = """
import os, sys
sys.path.insert(0, sys.argv[1])
import host
host.start(testing=True)
from panel import open_panel
open_panel()
from training_panel import choose, open_training_panel, stand_in_command, wait_for
panel = open_training_panel()
sys.modules["MicroCTSRTrainingLib.TrainingRun"].command = stand_in_command
choose(panel, sys.argv[2:4], sys.argv[4])
host.click(panel.ui.startButton)
wait_for(panel, "RUNNING")
print(panel.logic.run.state.pid, flush=True)
os._exit(0)  # however it ends
"""


def test_the_run_survives_the_slicer_that_began_it(ready, folders, toy_model, tmp_path):
    run = tmp_path / "orphan"
    environment = {**library_environment(), "STAND_IN_MODEL": str(toy_model)}
    environment |= {"STAND_IN_STEPS": str(LONG)}
    words = [str(word) for word in (Path(__file__).parent, *folders, run)]
    done = subprocess.run(
        [sys.executable, "-c", OTHER_SLICER, *words],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pid = int(done.stdout.split()[-1])
    try:
        assert is_there(pid)
        ready.parameters.outputFolder = str(run)
        assert stage(ready) == "RUNNING"
        step = ready.logic.run.state.step
        host.pump(until=lambda: ready.logic.run.state.step > step, timeout=20)
        if hasattr(os, "getsid"):
            assert os.getsid(pid) != os.getsid(0)
        host.click(ready.ui.stopButton)
        wait_for(ready, "STOPPED")
        host.pump(until=lambda: not is_there(pid), timeout=20)
    finally:
        if is_there(pid):
            psutil.Process(pid).kill()


# What a run makes ---------------------------------------------------------------------------------


@pytest.fixture
def finished(ready):
    host.click(ready.ui.startButton)
    wait_for(ready, "FINISHED")
    host.pump(0.2)
    return ready


def test_a_finished_model_is_in_the_list_of_microctsr_once(finished, panel):
    names = [entry.card["name"] for entry in panel.models.entries()]
    assert any(name in ("toy", "first") for name in names)
    before = len(names)

    host.click(finished.ui.useModelButton)
    assert slicer.util.selectedModule() == "MicroCTSR"
    chosen = panel.model.entry()
    assert not chosen.isBundled
    card = (finished.logic.run.folder / "card.json").read_text()
    assert chosen.card["weights_sha256"] in card
    assert panel.ui.modelSelector.currentText == f"{chosen.title} (yours)"
    assert len(panel.models.entries()) == before


def test_the_curves_of_a_run_stand_in_the_plot_view(finished):
    table = slicer.util.getNode("first history")
    columns = {table.GetColumnName(n) for n in range(table.GetNumberOfColumns())}
    assert {"epoch", "step", "loss cycle_high", "loss real_high", "psnr", "m_hum"} == columns
    assert list(slicer.util.arrayFromTableColumn(table, "step")) == [5, 10]
    assert list(slicer.util.arrayFromTableColumn(table, "loss cycle_high")) == [1.0, 0.5]
    assert np.isnan(slicer.util.arrayFromTableColumn(table, "loss real_high")[0])

    chart = slicer.util.getNode("first curves")
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    series = chart.GetNthPlotSeriesNode(0)
    assert (series.GetXColumnName(), series.GetYColumnName()) == ("step", "loss cycle_high")
    assert series.GetTableNode() is table
    view = slicer.mrmlScene.GetSingletonNode("MicroCTSRCurves", "vtkMRMLPlotViewNode")
    assert view.GetPlotChartNode() is chart

    names = [finished.ui.curvesSelector.itemText(n) for n in range(4)]
    finished.ui.curvesSelector.currentIndex = names.index("Losses of the discriminators")
    assert chart.GetNthPlotSeriesNode(0).GetYColumnName() == "loss real_high"
    finished.ui.curvesSelector.currentIndex = names.index("PSNR, dB")
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    assert chart.GetNthPlotSeriesNode(0).GetYColumnName() == "psnr"
    assert chart.GetYAxisTitle() == "PSNR, dB"


def test_the_newest_picture_stands_upright_in_its_view(finished):
    node = slicer.util.getNode("first picture")
    assert node.GetClassName() == "vtkMRMLVectorVolumeNode"
    assert slicer.util.arrayFromVolume(node).max(axis=(0, 1, 2)).tolist() == [102, 0, 200]

    pixels = host.pictures.view("MicroCTSRPicture", (300, 300)).astype(int)
    red = np.argwhere(pixels[..., 0] > pixels[..., 2] + 50)
    blue = np.argwhere(pixels[..., 2] > pixels[..., 0] + 50)
    assert len(red) > 1000
    assert len(blue) > 1000
    assert red[:, 0].max() < blue[:, 0].min()
    assert abs(red[:, 1].min() - blue[:, 1].min()) <= 1


def test_another_held_out_case_is_shown_on_request(finished):
    finished.ui.heldOutCaseSpinBox.value = 2
    assert slicer.util.arrayFromVolume(slicer.util.getNode("first picture")).max() == 200
    assert finished.parameters.heldOutCase == 2
    finished.ui.heldOutCaseSpinBox.value = 9  # there are two; the last is shown


def test_a_run_shown_again_makes_no_second_nodes(finished):
    count = slicer.mrmlScene.GetNumberOfNodes()
    host.click(finished.ui.showCurvesButton)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_a_scene_is_left_alone_by_a_finished_run_that_is_only_looked_at(finished):
    host.closeScene()
    host.pump(0.6)
    assert stage(finished) == "FINISHED"  # it is remembered
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == []
    assert finished.ui.epochLabel.text == "Epoch 2: m-HuM 0.05, PSNR, dB 17 (the best so far)"
    host.click(finished.ui.showCurvesButton)
    assert slicer.util.getNode("first history").GetNumberOfRows() == 2


def test_the_curves_leave_room_for_their_legend(finished):
    tables = sys.modules["MicroCTSRTrainingLib.Tables"]
    table = slicer.util.getNode("first history")
    chart = tables.nodeOf("vtkMRMLPlotChartNode", "several", "Several")
    drawn = {"m_hum": "a", "loss cycle_high": "b"}
    tables.fillChart(chart, table, "step", drawn, ("Title", "Step", "Value"))
    assert chart.GetLegendVisibility()
    least, greatest = chart.GetYAxisRange()
    assert least == 0
    assert greatest > 1.3  # the highest value is 1
    tables.fillChart(chart, table, "step", {"m_hum": "a"}, ("Title", "Step", "Value"))
    assert chart.GetYAxisRangeAuto()


def test_missing_packages_are_asked_for_by_the_check_and_the_start(ready, monkeypatch):
    from panel import pretend_missing

    installation = sys.modules["MicroCTSRLib.Installation"].Installation
    logic = sys.modules["MicroCTSRTrainingLib.Logic"]
    files = (logic.REQUIREMENTS, logic.TRAINING_REQUIREMENTS)
    monkeypatch.setattr(ready.logic, "installation", installation(files, "MicroCTSR Training"))
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    pretend_missing(monkeypatch, "monai")
    host.click(ready.ui.startButton)
    assert "MicroCTSR Training needs monai" in host.answers.asked[0]
    assert "Not installed: monai" in ready.ui.statusLabel.text
    assert stage(ready) == "NOTHING"
