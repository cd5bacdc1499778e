"""The panel of the module MicroCTSRTraining under test, and runs that cost nothing."""

import contextlib
import os
import sys
from pathlib import Path

import psutil
import slicer

import host
from panel import REPOSITORY

MODULE_FILE = REPOSITORY / "MicroCTSRTraining" / "MicroCTSRTraining.py"
LONG = 2000  # steps of the stand-in; a run of these is still at work when it is looked at
STAND_IN = Path(__file__).parent / "stand_in_command.py"


def open_training_panel():
    """The panel, opened as its user does, with nothing remembered of runs before."""
    slicer.app.userSettings().remove("MicroCTSRTraining")
    if not hasattr(slicer.modules, "microctsrtraining"):
        host.loadModule(MODULE_FILE)
    panel = host.openModule("MicroCTSRTraining")
    panel.parameters.outputFolder = ""
    panel.ui.logText.clear()
    open_tab(panel, TRAIN)
    return panel


TRAIN, EVALUATE, READER_STUDY = range(3)


def open_tab(panel, tab):
    """Choose a tab of the panel, as its user does."""
    panel.ui.tabs.currentIndex = tab
    host.pump()


def end_runs():
    """End what the panel started, and let it forget the folder."""
    panel = slicer.modules.MicroCTSRTrainingWidget
    panel.logic.queue.kill()
    if panel.logic.study.server is not None:
        panel.logic.study.server.kill()
    panel.parameters.outputFolder = ""
    slicer.app.userSettings().remove("MicroCTSRTraining")
    begun = getattr(slicer.modules, "microctsrTrainingProcesses", {})
    for each in begun.values():
        with contextlib.suppress(psutil.Error):
            for process in psutil.Process(each.process.pid).children(recursive=True):
                process.kill()
        each.process.kill()
        each.process.wait()
    begun.clear()


def stand_in_for_training(monkeypatch, toy_model, **settings):
    """Let runs be those of the stand-in, which leaves a toy's package; settings are its own."""
    module = sys.modules["MicroCTSRTrainingLib.TrainingRun"]
    monkeypatch.setattr(module, "command", stand_in_command)
    monkeypatch.setenv("STAND_IN_MODEL", str(toy_model))
    for name, value in settings.items():
        monkeypatch.setenv(f"STAND_IN_{name.upper()}", str(value))


def stand_in_for_evaluation(monkeypatch):
    """Let evaluations be those of the stand-in; checks of folders stay real."""
    # The very code that the panel runs: a Reload of MicroCTSR leaves it its own.
    task = sys.modules["MicroCTSRTrainingLib.Tasks"].Task
    names = task._run.__globals__["ChildProcess"].start.__globals__
    real = names["command"]

    def command(*words):
        return (stand_in_command if "evaluate" in words else real)(*words)

    monkeypatch.setitem(names, "command", command)


def stand_in_command(*words):
    return [sys.executable, str(STAND_IN), *map(str, words)]


def stage(panel):
    """The stage of the run by its name."""
    return panel.logic.run.stage.name


def wait_for(panel, *names, seconds=60):
    """Wait until the run is at one of these stages."""
    host.pump(until=lambda: stage(panel) in names, timeout=seconds)


def wait_until_idle(panel, seconds=60):
    host.pump(until=lambda: panel.logic.queue.current is None, timeout=seconds)


def choose(panel, folders, output):
    """Choose both folders, and the folder of the run."""
    panel.parameters.lowFolder, panel.parameters.highFolder = map(str, folders)
    panel.parameters.outputFolder = str(output)


def is_there(pid):
    """Whether a process is at work."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def library_environment():
    """In which a process finds the library."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY / "MicroCTSR")}
