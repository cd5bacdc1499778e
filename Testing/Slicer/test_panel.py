"""The panel teaches, estimates, warns, and remembers."""

import json
import shutil
import sys

import numpy as np
import pytest
import slicer

import host
from panel import REPOSITORY, add_ct, use_model


@pytest.fixture
def ready(panel, toy_model):
    """The panel with a CT and a quick model whose cost is known."""
    use_model(panel, toy_model)
    panel.parameters.inputVolume = add_ct(shape=(20, 100, 120))
    host.pump(until=lambda: panel.quality.cost() is not None, timeout=60)
    return panel


def controls(panel):
    kinds = ("Button", "Selector", "Slider", "SpinBox", "CheckBox")
    names = [name for name in vars(panel.ui) if name.endswith(kinds)]
    return {name: getattr(panel.ui, name) for name in names}


def test_every_control_has_a_tooltip_that_teaches(panel):
    found = controls(panel)
    assert len(found) > 30
    for name, widget in found.items():
        assert len(widget.toolTip) > 25, name


def test_a_scene_without_a_ct_says_what_to_do(panel):
    assert not panel.ui.applyButton.enabled
    assert panel.ui.applyButton.toolTip == "Load a CT of an ear and choose it as input."


def test_the_ct_in_the_views_is_chosen(scene, panel):
    first, second = add_ct(name="First"), add_ct(name="Second")
    slicer.util.setSliceViewerLayers(background=second)
    assert panel.input.firstVolume() is second
    slicer.util.setSliceViewerLayers(background=None)
    assert panel.input.firstVolume() is first


def test_size_and_grid_of_the_result_are_told(ready):
    # 120 x 100 x 20 voxels of 0.3 x 0.3 x 0.7 mm, made eight times finer in the plane.
    assert ready.ui.sizeLabel.text == "36 × 30 × 14 mm (120 × 100 × 20)"
    assert ready.ui.resultGridLabel.text == "960 × 800 × 20 voxels of 0.0375 × 0.0375 × 0.7 mm"

    ready.ui.scaleModeSelector.currentIndex = 1
    # 0.7 mm in 19 slices of 0.0368 mm come nearest to cubes of 0.0375 mm.
    assert ready.ui.resultGridLabel.text.startswith("960 × 800 × 380 voxels")


def test_size_follows_the_region_while_it_is_dragged(ready):
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    ready.parameters.region = roi
    roi.SetCenter(12 + 0.3 * 60, -7 + 0.3 * 50, 30 + 0.7 * 10)
    roi.SetSize(0.3 * 11, 0.3 * 21, 0.7 * 5)
    assert "(11 × 21 × 5)" in ready.ui.sizeLabel.text
    roi.SetSize(0.3 * 31, 0.3 * 21, 0.7 * 5)
    assert "(31 × 21 × 5)" in ready.ui.sizeLabel.text


def test_memory_is_red_when_it_does_not_fit_and_the_run_is_barred(ready, monkeypatch):
    assert "GB free" in ready.ui.memoryLabel.text
    assert "color" not in ready.ui.memoryLabel.text
    assert ready.ui.applyButton.enabled

    memory = sys.modules["microctsr_core.memory"]
    monkeypatch.setattr(memory, "free_memory_bytes", lambda: 10_000_000)
    ready.update()

    assert "color" in ready.ui.memoryLabel.text
    assert "10 MB free: too much" in ready.ui.memoryLabel.text
    assert not ready.ui.applyButton.enabled
    assert "choose a smaller" in ready.ui.applyButton.toolTip


def test_time_grows_with_the_passes(ready):
    quality = sys.modules["MicroCTSRLib.Parameter"].Quality
    known, scan = ready.quality.cost(), ready.input
    times = []
    for ready.parameters.quality in (quality.PREVIEW, quality.STANDARD, quality.PAPER):
        assert ready.ui.timeLabel.text.startswith("about ")
        times.append(
            known.seconds(
                scan.volume.shape,
                scan.volume.spacing,
                scan.box,
                "in-plane",
                ready.parameters.samples(),
            )
        )
    assert times == sorted(times)
    assert ready.parameters.samples() == 100


def test_the_device_is_named(ready):
    assert ready.ui.deviceLabel.text.startswith("Will run on ")
    assert len(ready.ui.deviceLabel.text) > len("Will run on .")


def test_a_device_that_is_not_there_is_an_error_and_not_replaced(ready):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this computer has a CUDA device")
    ready.ui.deviceSelector.currentIndex = 2
    host.pump(until=lambda: ready.quality.problem() != "", timeout=60)

    assert "'cuda'" in ready.ui.deviceLabel.text
    assert not ready.ui.applyButton.enabled
    assert "'cuda'" in ready.ui.applyButton.toolTip


def test_the_card_s_warnings_stand_there_before_the_run(panel):
    panel.parameters.model = "ear"
    panel.parameters.inputVolume = add_ct(spacing=(0.9, 0.9, 3.0))
    text = panel.ui.cardWarningLabel.text
    assert "0.9 mm in the plane" in text
    assert "Slices lie 3 mm apart" in text

    panel.parameters.inputVolume = add_ct(spacing=(0.3, 0.3, 0.6))
    assert not panel.ui.cardWarningLabel.visible


def test_a_voxel_size_that_is_corrected_is_checked_against_the_card_again(ready):
    assert not ready.ui.cardWarningLabel.visible
    ct = ready.parameters.inputVolume
    ct.SetSpacing(0.6, 0.6, 0.7)
    assert "Voxels of 0.6 mm in the plane lie outside" in ready.ui.cardWarningLabel.text
    ct.SetSpacing(0.3, 0.3, 0.7)
    assert not ready.ui.cardWarningLabel.visible


def test_the_card_in_short_says_what_for_and_its_limits(panel):
    text = panel.ui.cardLabel.text
    card = json.loads(
        (REPOSITORY / "MicroCTSR/microctsr_core/models/ear/card.json").read_text("utf-8")
    )
    assert "0.15 to 0.35 mm" in text
    assert card["limits"][0] in text
    assert card["intended_use"] in panel.ui.cardLabel.toolTip


@pytest.fixture
def package(toy_model, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(toy_model, folder)
    card = json.loads((folder / "card.json").read_text())
    card["name"] = "mine"
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def test_a_model_is_imported_chosen_and_deleted(panel, package, monkeypatch):
    import qt

    monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_: str(package))
    host.click(panel.ui.importModelButton)
    copy = panel.models.folder / "mine-1.0.0"
    assert sorted(path.name for path in copy.iterdir()) == ["card.json", "weights.safetensors"]
    assert panel.ui.modelSelector.currentText == "mine 1.0.0 (yours)"
    assert panel.parameters.model == str(copy)

    host.answers.confirm = False
    host.click(panel.ui.deleteModelButton)
    assert copy.is_dir()

    host.answers.confirm = True
    host.click(panel.ui.deleteModelButton)
    assert not copy.exists()
    assert panel.ui.modelSelector.currentText.startswith("ear ")
    assert not panel.ui.deleteModelButton.enabled


def test_a_folder_that_is_no_package_is_refused_and_named(panel, tmp_path):
    panel.model.importPackage(tmp_path)
    assert f"{tmp_path} is not a model package" in panel.ui.cardWarningLabel.text
    assert panel.parameters.model == "ear"


def test_a_package_without_weights_is_refused_and_nothing_is_left(panel, package):
    (package / "weights.safetensors").unlink()
    panel.model.importPackage(package)
    assert "holds no weights.safetensors" in panel.ui.cardWarningLabel.text
    assert not (panel.models.folder / "mine-1.0.0").exists()


def test_the_same_model_is_not_imported_over_itself(panel, package):
    panel.model.importPackage(package)
    panel.model.importPackage(package)
    assert "is there already" in panel.ui.cardWarningLabel.text
    shutil.rmtree(panel.models.folder / "mine-1.0.0")


def test_a_damaged_package_is_not_offered(panel, package):
    panel.model.importPackage(package)
    copy = panel.models.folder / "mine-1.0.0"
    (copy / "card.json").write_text("{")
    assert "mine" not in [entry.card.get("name") for entry in panel.models.entries()]
    shutil.rmtree(copy)


def test_settings_come_back_with_the_scene(panel, tmp_path):
    module = sys.modules["MicroCTSRLib.Parameter"]
    panel.ui.qualitySelector.currentIndex = 3
    panel.ui.passesSpinBox.value = 37
    panel.ui.scaleModeSelector.currentIndex = 1
    panel.ui.legendCheckBox.checked = False
    path = str(tmp_path / "scene.mrml")
    slicer.mrmlScene.SetURL(path)
    assert slicer.mrmlScene.Commit()
    host.closeScene()
    assert panel.parameters.quality == module.Quality.STANDARD

    slicer.mrmlScene.SetURL(path)
    assert slicer.mrmlScene.Import()
    host.pump()

    assert panel.parameters.quality == module.Quality.FIXED
    assert panel.parameters.samples() == 37
    assert panel.ui.passesSpinBox.value == 37
    assert panel.ui.passesSpinBox.enabled
    assert panel.parameters.scaleMode == module.ScaleMode.ISOTROPIC
    assert not panel.ui.legendCheckBox.checked


def test_the_sample_ct_is_registered_and_there(panel):
    # The module registers it at the start of the application, which the host counted once.
    from pathlib import Path
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    source = sys.modules["MicroCTSRLib"].registerSampleData
    source(REPOSITORY / "MicroCTSR" / "Resources" / "Icons")
    sample = host.answers.sample_sources[-1]
    assert (sample["category"], sample["sampleName"]) == ("MicroCTSR", "MicroCTSRTemporalBone")
    path = Path(url2pathname(urlparse(sample["uris"]).path))
    assert path.name == sample["fileNames"]
    assert Path(sample["thumbnailFileName"]).is_file()
    node = slicer.util.loadVolume(str(path))
    assert slicer.util.arrayFromVolume(node).shape == (54, 140, 160)


def test_the_module_describes_itself(panel):
    parent = slicer.modules.microctsr
    assert parent.title == "MicroCTSR"
    assert list(parent.categories) == ["Image Synthesis"]
    assert "not for diagnosis" in parent.helpText


def test_an_empty_volume_is_refused_clearly(panel):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Nothing")
    panel.parameters.inputVolume = node
    assert "Nothing holds no image" in panel.ui.inputMessageLabel.text
    assert not panel.ui.applyButton.enabled


def test_updates_are_quick_enough_to_drag(ready):
    import time

    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode")
    ready.parameters.region = roi
    times = []
    for n in range(10):
        start = time.perf_counter()
        roi.SetSize(*np.array([6.0, 6.0, 3.0]) + n)
        times.append(time.perf_counter() - start)
    # A frame of a drag; generous for a busy machine.
    assert sorted(times)[5] < 0.2
