"""One stand-in application per test process, and an empty scene per test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import host as slicer_host

try:
    slicer_host.start(testing=True, generation=os.environ.get("SLICER_GENERATION", "5.13"))
    MISSING = ""
except slicer_host.HostUnavailable as error:
    # The other files import Slicer; this one says what is missing.
    MISSING = str(error)
    collect_ignore = [
        path.name for path in Path(__file__).parent.glob("test_*.py")
        if path.name != "test_host_libraries.py"
    ]  # fmt: skip


@pytest.fixture(scope="session")
def missing_for_host():
    """What keeps the host from starting, in words; empty where it runs."""
    return MISSING


@pytest.fixture(scope="session")
def host():
    """The module ``host``, started."""
    return slicer_host


@pytest.fixture
def scene(host):
    """The scene, emptied before and after the test, with the host's answers and layout as at start.

    An error in a slot or an observer, which Qt and VTK only print, fails the test.
    """
    import slicer

    host.closeScene()
    host.answers.reset()
    host.takeErrors()
    layout = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    before = layout.GetViewArrangement()
    yield slicer.mrmlScene
    host.closeScene()
    host.answers.reset()
    layout.SetViewArrangement(before)
    assert host.takeErrors() == []


@pytest.fixture
def panel(scene):
    """The module's panel in an empty scene; whatever it started is ended afterwards."""
    from panel import open_panel

    panel = open_panel()
    yield panel
    panel = sys.modules["slicer"].modules.MicroCTSRWidget
    panel.logic.cleanup()


@pytest.fixture
def training(panel):
    """The panel of MicroCTSRTraining in an empty scene; its runs are ended afterwards."""
    from training_panel import end_runs, open_training_panel

    yield open_training_panel()
    end_runs()


@pytest.fixture
def folders(tmp_path):
    """Two empty folders, for clinical CT and for micro-CT."""
    for name in ("low", "high"):
        (tmp_path / name).mkdir()
    return tmp_path / "low", tmp_path / "high"


@pytest.fixture
def run_ready(training, toy_model, folders, tmp_path, monkeypatch):
    """The panel with both folders chosen and a new folder for a run, which will be a stand-in."""
    from training_panel import choose, stand_in_for_training

    stand_in_for_training(monkeypatch, toy_model)
    choose(training, folders, tmp_path / "runs" / "first")
    return training


@pytest.fixture
def run_at_work(run_ready, host, monkeypatch):
    """The panel with a long run at work."""
    from training_panel import LONG, wait_for

    monkeypatch.setenv("STAND_IN_STEPS", str(LONG))
    host.click(run_ready.ui.startButton)
    wait_for(run_ready, "RUNNING")
    host.pump(until=lambda: run_ready.logic.run.state.step > 0, timeout=20)
    return run_ready


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory):
    """The folder of a tiny model package: untrained, but quick."""
    from panel import REPOSITORY

    sys.path.append(str(REPOSITORY / "Testing" / "Core"))
    from toy_models import make_model

    folder = tmp_path_factory.mktemp("models") / "toy"
    make_model().save(folder)
    return folder


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of a study of two raters that the library made.

    In a process of its own: opening a module drops the library that the tests of it have imported.
    """
    from panel import REPOSITORY

    folder = tmp_path_factory.mktemp("made") / "ears"
    made = f"toy_study({str(folder)!r}, raters=['Anna', 'Ben'])"
    paths = [str(REPOSITORY / "MicroCTSR"), str(REPOSITORY / "Testing" / "Core")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    subprocess.run(
        [sys.executable, "-c", f"from toy_reader_study import toy_study; {made}"],
        env=environment,
        check=True,
    )
    return folder
