"""A run is begun, followed, paused, stopped and found again by the panel, which never waits."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

import host
from training_panel import (
    LONG,
    is_there,
    library_environment,
    stage,
    stand_in_command,
    wait_for,
)


def words_of_last_run(panel):
    lines = (panel.logic.run.folder / "log.txt").read_text().splitlines()
    return [line for line in lines if line.startswith("Words: ")][-1]


def test_a_run_tells_where_it_is_and_how_long_it_will_take(run_at_work):
    ui = run_at_work.ui
    host.pump(until=lambda: "left" in ui.statusLabel.text, timeout=20)
    assert f"step {run_at_work.logic.run.state.step} of {LONG}" in ui.statusLabel.text
    assert ui.progressBar.visible
    assert "Words: train" in ui.logText.plainText
    assert ui.pauseButton.enabled
    assert ui.stopButton.enabled
    for button in (ui.startButton, ui.resumeButton):
        assert button.toolTip == "The run is at work."
    for control in (ui.lowPath, ui.highPath, ui.methodSelector, ui.presetSelector, ui.configPath):
        assert not control.enabled


def test_the_run_gets_what_the_controls_say(run_ready, tmp_path):
    settings = tmp_path / "settings.yaml"
    settings.write_text("epochs: 2\n")
    run_ready.parameters.configFile = str(settings)
    run_ready.ui.methodSelector.currentIndex = 1
    run_ready.ui.presetSelector.currentIndex = 1
    host.click(run_ready.ui.startButton)
    wait_for(run_ready, "FINISHED")
    words = words_of_last_run(run_ready)
    low, high = run_ready.parameters.lowFolder, run_ready.parameters.highFolder
    assert f"--low {low} --high {high} --method unet --preset paper" in words
    assert f"--config {settings}" in words
    assert "--resume" not in words


def test_a_paused_run_goes_on_where_it_was(run_at_work, monkeypatch):
    host.click(run_at_work.ui.pauseButton)
    assert stage(run_at_work) in ("PAUSING", "PAUSED")
    wait_for(run_at_work, "PAUSED")
    step = run_at_work.logic.run.state.step
    assert run_at_work.ui.statusLabel.text == (
        f"Paused at step {step} of {LONG}; click Resume to go on."
    )
    assert not run_at_work.ui.pauseButton.enabled
    assert not run_at_work.ui.startButton.enabled

    monkeypatch.setenv("STAND_IN_STEPS", str(step + 5))
    host.click(run_at_work.ui.resumeButton)
    wait_for(run_at_work, "FINISHED")
    words = words_of_last_run(run_at_work)
    assert "--resume" in words
    assert f"--config {run_at_work.logic.run.folder / 'config.yaml'}" in words
    assert "Finished: all" in run_at_work.ui.statusLabel.text
    assert run_at_work.ui.resumeButton.toolTip == "The run is finished."


def test_a_stopped_run_leaves_a_folder_that_can_be_resumed(run_at_work):
    process = run_at_work.logic.run.state.pid
    host.click(run_at_work.ui.stopButton)
    wait_for(run_at_work, "STOPPED")
    host.pump(until=lambda: not is_there(process), timeout=20)
    assert "it can be resumed" in run_at_work.ui.statusLabel.text
    assert run_at_work.ui.resumeButton.enabled
    assert "holds a run already" in run_at_work.ui.startButton.toolTip
    assert not (run_at_work.logic.run.folder / "stop-request.txt").exists()


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ("early", "It went wrong before it began; do something else."),
        ("late", "The loss is nan; lower optimiser.rate."),
        ("crash", "The system ended the run (status -6), most likely because memory ran out"),
    ],
)
def test_a_run_that_fails_says_why_in_one_sentence(trouble, words, run_ready, monkeypatch):
    monkeypatch.setenv("STAND_IN_TROUBLE", trouble)
    host.click(run_ready.ui.startButton)
    wait_for(run_ready, "FAILED")
    host.pump(1.2)
    assert f"Failed: {words}" in run_ready.ui.statusLabel.text
    # Before there is a checkpoint, what was wrong can be changed and the run begun anew.
    assert run_ready.ui.startButton.enabled == (trouble != "late")
    assert run_ready.ui.resumeButton.enabled == (trouble == "late")
    monkeypatch.setenv("STAND_IN_TROUBLE", "")
    host.click(run_ready.ui.resumeButton if trouble == "late" else run_ready.ui.startButton)
    wait_for(run_ready, "FINISHED")


def test_a_killed_run_is_told_as_such_and_can_be_resumed(run_at_work):
    psutil.Process(run_at_work.logic.run.state.pid).kill()
    wait_for(run_at_work, "FAILED")
    assert "ended without a word" in run_at_work.ui.statusLabel.text
    assert run_at_work.ui.resumeButton.enabled


def test_a_folder_that_cannot_be_written_is_explained(run_ready, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file")
    run_ready.parameters.outputFolder = str(blocked / "run")
    host.click(run_ready.ui.startButton)
    assert f"The run could not be started in {blocked / 'run'}" in run_ready.ui.statusLabel.text


def test_the_window_is_never_blocked_by_a_run(run_ready, monkeypatch):
    monkeypatch.setenv("STAND_IN_STEPS", "60")
    with host.longestBlock() as block:
        host.click(run_ready.ui.startButton)
        wait_for(run_ready, "FINISHED")
    assert run_ready.logic.run.history()
    assert block.seconds < 0.3


# Found again --------------------------------------------------------------------------------------


def test_a_panel_made_anew_finds_the_run_again(run_at_work):
    pid = run_at_work.logic.run.state.pid
    panel = host.reload("MicroCTSRTraining")
    assert panel is not run_at_work
    assert stage(panel) == "RUNNING"
    assert panel.logic.run.state.pid == pid
    assert "Words: train" in panel.ui.logText.plainText
    host.click(panel.ui.pauseButton)
    wait_for(panel, "PAUSED")


def test_the_folder_alone_tells_all_of_a_run(run_at_work, folders, tmp_path):
    run = run_at_work.parameters.outputFolder
    run_at_work.parameters.outputFolder = str(tmp_path / "another")
    run_at_work.parameters.lowFolder = run_at_work.parameters.highFolder = ""
    run_at_work.ui.methodSelector.currentIndex = 2
    assert stage(run_at_work) == "NOTHING"

    run_at_work.ui.outputPath.currentPath = run
    assert stage(run_at_work) == "RUNNING"
    assert run_at_work.parameters.lowFolder == str(folders[0])
    assert run_at_work.parameters.highFolder == str(folders[1])
    assert run_at_work.parameters.method.value == "cyclegan"


def test_a_run_goes_on_when_the_scene_is_closed(run_at_work):
    host.closeScene()
    assert run_at_work.parameters.outputFolder == str(run_at_work.logic.run.folder)
    assert run_at_work.parameters.lowFolder.endswith("low")
    assert stage(run_at_work) == "RUNNING"
    step = run_at_work.logic.run.state.step
    host.pump(until=lambda: run_at_work.logic.run.state.step > step, timeout=20)


def test_a_run_begun_in_a_terminal_is_followed(run_ready, folders, tmp_path):
    run = tmp_path / "terminal"
    run.mkdir()
    words = ["train", "--low", folders[0], "--high", folders[1], "--method", "srgan"]
    command = stand_in_command(*words, "--preset", "compact", "--output", run)
    environment = {**library_environment(), "STAND_IN_STEPS": str(LONG)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        run_ready.parameters.outputFolder = str(run)
        wait_for(run_ready, "RUNNING")
        assert run_ready.logic.run.state.pid == process.pid
        host.click(run_ready.ui.stopButton)
        wait_for(run_ready, "STOPPED")
    assert run_ready.parameters.method.value == "srgan"


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


def test_the_run_survives_the_slicer_that_began_it(run_ready, folders, toy_model, tmp_path):
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
        run_ready.parameters.outputFolder = str(run)
        assert stage(run_ready) == "RUNNING"
        step = run_ready.logic.run.state.step
        host.pump(until=lambda: run_ready.logic.run.state.step > step, timeout=20)
        if hasattr(os, "getsid"):
            assert os.getsid(pid) != os.getsid(0)
        host.click(run_ready.ui.stopButton)
        wait_for(run_ready, "STOPPED")
        host.pump(until=lambda: not is_there(pid), timeout=20)
    finally:
        if is_there(pid):
            psutil.Process(pid).kill()
