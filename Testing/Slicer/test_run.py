"""Runs in the background: they hand over, report, cancel, queue, and fail without a trace."""

import gc
import sys
import time

import numpy as np
import psutil
import pytest
import slicer

import host
from panel import add_ct, linear_transform, use_model, volumes, wait_until_idle

LONG = 1000  # passes; a run of these is still at work when it is cancelled


@pytest.fixture
def ready(panel, toy_model):
    """The panel with a CT, a quick model, and few passes."""
    use_model(panel, toy_model)
    panel.parameters.inputVolume = add_ct()
    panel.parameters.quality = sys.modules["MicroCTSRLib.Parameter"].Quality.FIXED
    panel.parameters.passes = 2
    host.pump(until=lambda: panel.quality.cost() is not None, timeout=60)
    return panel


def start_long_run(panel):
    """Start a run that would take minutes, and wait until its passes are under way."""
    panel.parameters.inputVolume = add_ct(shape=(20, 60, 60), name="Large")
    panel.parameters.passes = LONG
    host.click(panel.ui.applyButton)
    host.pump(until=lambda: panel.ui.statusLabel.text.startswith("Slice"), timeout=60)


bystanders = set()


@pytest.fixture(autouse=True)
def others_do_not_count():
    """Other tests may have left helpers of Python's own, such as that of multiprocessing."""
    bystanders.clear()
    bystanders.update(psutil.Process().children(recursive=True))


def children():
    found = psutil.Process().children(recursive=True)
    return [process for process in found if process not in bystanders]


def is_at_work(process):
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def left_folders():
    from pathlib import Path

    return list(Path(slicer.app.temporaryPath).glob("MicroCTSR-*"))


def test_a_run_gives_what_the_library_gives(ready):
    import microctsr_core as sr

    ct = ready.parameters.inputVolume
    ct.SetAndObserveTransformNodeID(linear_transform(1).GetID())
    expected = ready.logic.superResolve(ct, model=ready.parameters.model, samples=2)
    host.click(ready.ui.applyButton)
    assert ready.ui.applyButton.text == "Cancel"
    wait_until_idle(ready)

    nodes = ready.result.nodes()
    for node, same in zip(nodes, expected, strict=True):
        found, wanted = slicer.util.arrayFromVolume(node), slicer.util.arrayFromVolume(same)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=0.01)
        assert node.GetTransformNodeID() == ct.GetTransformNodeID()
    assert [node.GetName() for node in nodes] == [
        "CT SR_1",
        "CT SR uncertainty_1",
        "CT SR consistency_1",
    ]
    assert nodes.mean.GetAttribute("MicroCTSR.notice") == "synthetic, not for diagnosis"
    assert nodes.mean.GetAttribute("MicroCTSR.model") == "toy 1.0.0"
    hash_ = nodes.mean.GetAttribute("MicroCTSR.model_sha256")
    assert hash_ == sr.load_model(ready.parameters.model).sha256
    assert nodes.mean.GetNodeReference("MicroCTSR.input") is ct
    assert nodes.mean.GetVoxelValueUnits().GetCodeMeaning() == "Hounsfield unit"
    assert left_folders() == []


def test_the_result_outlives_its_files_and_can_be_edited(ready):
    host.click(ready.ui.applyButton)
    wait_until_idle(ready)
    mean = ready.result.nodes().mean

    values = slicer.util.arrayFromVolume(mean)
    values[:] = 7
    slicer.util.arrayFromVolumeModified(mean)

    assert mean.GetImageData().GetScalarRange() == (7, 7)


def test_results_stand_in_the_study_of_their_input(ready):
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    study = hierarchy.CreateStudyItem(hierarchy.GetSceneItemID(), "Study")
    item = hierarchy.GetItemByDataNode(ready.parameters.inputVolume)
    hierarchy.SetItemParent(item, study)

    host.click(ready.ui.applyButton)
    wait_until_idle(ready)

    for node in ready.result.nodes():
        assert hierarchy.GetItemParent(hierarchy.GetItemByDataNode(node)) == study


def test_outputs_chosen_are_filled(ready):
    mine = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Mine")
    ready.parameters.outputMean = mine

    host.click(ready.ui.applyButton)
    wait_until_idle(ready)

    assert ready.result.nodes().mean is mine
    assert mine.GetName() == "Mine"
    assert slicer.util.arrayFromVolume(mine).shape == (6, 8 * 24, 8 * 28)


def test_the_input_is_never_overwritten(ready):
    ct = ready.parameters.inputVolume
    before = slicer.util.arrayFromVolume(ct).copy()
    ready.parameters.outputMean = ct

    host.click(ready.ui.applyButton)

    assert "CT is the input, too" in ready.ui.statusLabel.text
    assert ready.logic.queue.current is None
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(ct), before)


def test_cancel_takes_under_two_seconds_and_leaves_nothing(ready):
    start_long_run(ready)
    before = slicer.mrmlScene.GetNumberOfNodes()
    assert children()
    start = time.monotonic()

    host.click(ready.ui.applyButton)
    host.pump(until=lambda: ready.ui.applyButton.text == "Super-resolve", timeout=10)

    assert time.monotonic() - start < 2
    assert ready.ui.applyButton.enabled
    assert children() == []
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert left_folders() == []
    assert "scene is as it was" in ready.ui.statusLabel.text


def test_cancel_right_after_the_start_leaves_nothing_either(ready):
    before = slicer.mrmlScene.GetNumberOfNodes()
    host.click(ready.ui.applyButton)
    start = time.monotonic()
    host.click(ready.ui.applyButton)
    wait_until_idle(ready)

    assert time.monotonic() - start < 2
    assert children() == []
    assert slicer.mrmlScene.GetNumberOfNodes() == before


def test_a_child_that_hangs_is_ended_by_force(ready, monkeypatch):
    processes = sys.modules["MicroCTSRLib.ChildProcess"]
    hang = "import time, sys; print(' 50 %  Hanging', flush=True); time.sleep(600)"
    monkeypatch.setattr(processes, "pythonExecutable", lambda: sys.executable)
    real = processes.subprocess.Popen
    monkeypatch.setattr(
        processes.subprocess, "Popen", lambda command, **k: real([command[0], "-c", hang], **k)
    )
    host.click(ready.ui.applyButton)
    host.pump(until=lambda: ready.ui.progressBar.value == 50, timeout=20)
    start = time.monotonic()

    host.click(ready.ui.applyButton)
    wait_until_idle(ready)

    assert time.monotonic() - start < 2
    assert children() == []


def test_the_window_is_never_blocked_for_long_during_a_run(ready):
    ready.parameters.inputVolume = add_ct(shape=(60, 400, 400), name="Large")
    ready.input._place(lambda node: ((20, 22), (180, 204), (180, 204)))
    host.pump(0.3)
    gc.collect()
    gc.freeze()  # what a thousand other tests left in memory is not looked through meanwhile
    longest = []
    for _ in range(3):  # a busy machine may hold up one run; what blocks by itself blocks each
        with host.longestBlock() as block:
            host.click(ready.ui.applyButton)
            wait_until_idle(ready)
        longest.append(block.seconds)
        if block.seconds < 0.2:
            break
    gc.unfreeze()

    assert ready.result.nodes() is not None
    assert min(longest) < 0.2


def test_runs_are_queued_and_done_one_after_the_other(ready):
    first, second = add_ct(name="First"), add_ct(name="Second", seed=1)
    ready.parameters.inputVolume = first
    host.click(ready.ui.applyButton)
    ready.parameters.inputVolume = second
    host.click(ready.ui.queueButton)
    assert ready.ui.queueLabel.text == "Waiting: Second"

    wait_until_idle(ready)

    assert slicer.util.getNode("First SR") is not None
    assert slicer.util.getNode("Second SR") is not None
    assert not ready.ui.queueLabel.visible


def test_a_queued_run_can_be_forgotten(ready):
    start_long_run(ready)
    host.click(ready.ui.queueButton)
    host.click(ready.ui.clearQueueButton)

    assert ready.logic.queue.waiting == ()
    host.click(ready.ui.applyButton)
    wait_until_idle(ready)
    assert [node for node in volumes() if " SR" in node.GetName()] == []


def test_an_error_in_the_child_is_told_with_its_cause(ready, toy_model):
    from pathlib import Path

    before = slicer.mrmlScene.GetNumberOfNodes()
    weights = Path(ready.parameters.model) / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-10])

    host.click(ready.ui.applyButton)
    wait_until_idle(ready)
    weights.write_bytes(whole)

    assert "damaged or not those of the card" in ready.ui.statusLabel.text
    assert "damaged or not those of the card" in ready.ui.logText.plainText
    assert not ready.ui.logSection.collapsed
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert left_folders() == []


def test_a_child_that_is_killed_is_told_as_such(ready):
    start_long_run(ready)
    for process in children():
        process.kill()
    wait_until_idle(ready)

    assert "memory ran out" in ready.ui.statusLabel.text
    assert [node for node in volumes() if " SR" in node.GetName()] == []


LAUNCHER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, *sys.argv[1:]], stdin=subprocess.PIPE)
code = child.wait()
print("[python-real] exit abnormally - Report the problem." if code < 0 else "", flush=True)
sys.exit(max(code, 1) if code else 0)
"""


@pytest.fixture
def launched(ready, monkeypatch, tmp_path):
    """A launcher between Slicer and its Python, which keeps standard input to itself."""
    processes = sys.modules["MicroCTSRLib.ChildProcess"]
    script = tmp_path / "launcher.py"
    script.write_text(LAUNCHER)
    real = processes.subprocess.Popen
    monkeypatch.setattr(
        processes.subprocess,
        "Popen",
        lambda command, **k: real([command[0], str(script), *command[1:]], **k),
    )
    return ready


def test_cancel_reaches_through_a_launcher(launched):
    start_long_run(launched)
    before = children()
    assert len(before) >= 2
    start = time.monotonic()

    host.click(launched.ui.applyButton)
    wait_until_idle(launched)

    assert time.monotonic() - start < 2
    assert not [process for process in before if is_at_work(process)]


def test_a_crash_that_a_launcher_reports_is_told_as_such(launched):
    start_long_run(launched)
    (real,) = children()[0].children()
    real.kill()
    wait_until_idle(launched)

    assert "memory ran out" in launched.ui.statusLabel.text


def test_closing_the_scene_ends_the_run(ready):
    start_long_run(ready)
    start = time.monotonic()
    host.closeScene()
    wait_until_idle(ready)

    assert time.monotonic() - start < 2
    assert children() == []
    assert volumes() == []
    assert ready.parameters is not None
    assert ready.parameters.inputVolume is None


def test_deleting_the_input_during_the_run_still_gives_its_result(ready):
    host.click(ready.ui.applyButton)
    slicer.mrmlScene.RemoveNode(ready.parameters.inputVolume)
    wait_until_idle(ready)

    nodes = ready.result.nodes()
    assert nodes.mean.GetName() == "CT SR"
    assert slicer.util.arrayFromVolume(nodes.mean).shape == (6, 8 * 24, 8 * 28)


def test_reloading_the_module_ends_its_runs_and_gives_a_panel_that_works(ready, toy_model):
    start_long_run(ready)
    before = children()
    panel = host.reload("MicroCTSR")
    assert panel is not ready
    assert not any(is_at_work(process) for process in before)

    panel.parameters.inputVolume = slicer.util.getNode("CT")
    panel.parameters.passes = 2
    host.click(panel.ui.applyButton)
    wait_until_idle(panel)
    assert panel.result.nodes().mean.GetName() == "CT SR"


def test_preview_super_resolves_the_red_slice_alone(ready):
    ct = ready.parameters.inputVolume
    slicer.util.setSliceViewerLayers(background=ct, fit=True)
    red = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceNodeRed")
    red.JumpSliceByCentering(12 + 0.3 * 14, -7 + 0.3 * 12, 30 + 0.7 * 4)
    for _ in range(2):  # the second preview replaces the first
        host.click(ready.ui.previewButton)
        wait_until_idle(ready)

    (mean,) = [node for node in volumes() if node.GetName() == "CT SR preview"]
    assert slicer.util.arrayFromVolume(mean).shape == (1, 8 * 24, 8 * 28)
    expected = [12 - 0.15 + 0.3 / 16, -7 - 0.15 + 0.3 / 16, 30 + 0.7 * 4]
    np.testing.assert_allclose(mean.GetOrigin(), expected, atol=1e-5)
    composite = slicer.mrmlScene.GetNodeByID("vtkMRMLSliceCompositeNodeRed")
    assert composite.GetBackgroundVolumeID() == ct.GetID()
    assert composite.GetForegroundVolumeID() == mean.GetID()


def test_what_a_gone_slicer_left_behind_is_removed(ready):
    from pathlib import Path

    child = psutil.Popen([sys.executable, "-c", ""])
    child.wait()
    left = Path(slicer.app.temporaryPath) / f"MicroCTSR-{child.pid}-abc"
    left.mkdir()
    (left / "input.nrrd").write_bytes(b"a scan")

    host.click(ready.ui.applyButton)
    wait_until_idle(ready)

    assert not left.exists()
