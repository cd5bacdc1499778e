"""The host loads, opens, reloads and closes a module as the application does."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer

import host as host_package
import tiny_module

HERE = Path(__file__).parent


@pytest.fixture
def tiny(scene, tmp_path):
    """The tiny module, loaded, with its list of events."""
    module = host_package.loadModule(tiny_module.write(tmp_path))
    yield module
    representation = slicer.modules.tiny.widgetRepresentation()
    representation.self().cleanup()
    slicer.util.selectModule("Data")
    representation.close()


def in_own_process(code: str, **environment) -> str:
    """What a script prints in a process with a host of its own."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(HERE)!r})\n{code}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


def test_a_module_is_loaded_before_it_is_opened(tiny):
    assert tiny.events == ["started"]
    assert slicer.modules.tiny.title == "Tiny"
    assert slicer.modules.tiny.categories == ("Examples",)
    assert not hasattr(slicer.modules, "TinyWidget")


def test_opening_a_module_sets_it_up_once_and_enters_it_each_time(tiny):
    widget = host_package.openModule("Tiny")
    assert slicer.modules.TinyWidget is widget
    slicer.util.selectModule("Data")
    host_package.openModule("Tiny")
    assert tiny.events == ["started", "setup", "enter", "exit", "enter"]
    assert slicer.util.selectedModule() == "Tiny"


def test_the_panel_of_the_user_interface_file_works(tiny):
    widget = host_package.openModule("Tiny")
    volume = slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.int16), name="CT")
    widget.ui.volumeSelector.setCurrentNode(volume)
    host_package.setSlider(widget.ui.slider, 42)
    host_package.click(widget.ui.applyButton)
    assert widget.parameters.volume is volume
    assert (widget.parameters.threshold, widget.ui.slider.suffix) == (42, " HU")
    assert tiny.events[-1] == "apply"


def test_a_section_closed_in_the_user_interface_file_opens(tiny):
    ui = host_package.openModule("Tiny").ui
    assert (ui.closedSection.collapsed, ui.line.visible) == (True, False)
    host_package.click(ui.closedSection)
    assert ui.line.visible


def test_a_user_interface_file_with_an_unknown_widget_is_refused(tmp_path, scene):
    ui = tiny_module.UI.replace("QLineEdit", "ctkUnknownEdit")
    path = tmp_path / "Faulty.ui"
    path.write_text(ui)
    with pytest.raises(RuntimeError, match="ctkUnknownEdit"):
        slicer.util.loadUI(str(path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mrmlSceneChanged(", "sceneChanged("),
        ("setMRMLScene(", "setScene("),
        (">volumeSelector</receiver>", ">nobody</receiver>"),
    ],
)
def test_a_user_interface_file_with_a_faulty_connection_is_refused(tmp_path, scene, old, new):
    path = tmp_path / "Faulty.ui"
    path.write_text(tiny_module.UI.replace(old, new))
    with pytest.raises(ValueError, match=r"signal|slot|nobody"):
        slicer.util.loadUI(str(path))


def test_reloading_cleans_up_and_makes_a_new_widget_from_the_changed_file(tiny):
    before = host_package.openModule("Tiny")
    path = Path(slicer.modules.tiny.path)
    path.write_text(path.read_text() + "\nchanged = True\n")
    after = host_package.reload("Tiny")
    assert tiny.events[-1] == "cleanup"
    assert slicer.modules.TinyWidget is after is not before
    assert sys.modules["Tiny"].changed
    assert before.ui.applyButton.visible is False
    assert after.ui.applyButton.visible


def test_closing_the_scene_tells_the_module_and_keeps_singletons(tiny):
    widget = host_package.openModule("Tiny")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    host_package.closeScene()
    assert "close" in tiny.events
    assert slicer.mrmlScene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 0
    assert slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    assert widget.logic.getParameterNode() is not None


def test_an_error_where_nobody_can_catch_it_is_kept_for_the_test(tiny):
    widget = host_package.openModule("Tiny")
    widget.ui.applyButton.clicked.connect(lambda: 1 / 0)
    scene = slicer.mrmlScene
    tag = scene.AddObserver(scene.NodeAddedEvent, lambda *_: {}["observer"])
    host_package.click(widget.ui.applyButton)
    scene.AddNewNodeByClass("vtkMRMLTextNode").SetName("text")
    scene.RemoveObserver(tag)
    assert [type(error) for error in host_package.takeErrors()] == [ZeroDivisionError, KeyError]
    assert host_package.takeErrors() == []


def test_a_module_runs_its_own_test(tiny):
    slicer.selfTests["Tiny"]()
    assert tiny.events[-1] == "tested"


def test_a_logic_has_one_parameter_node(tiny):
    logic = tiny.TinyLogic()
    assert logic.getParameterNode() is logic.getParameterNode()
    assert len(logic.getAllParameterNodes()) == 1


def test_dialogs_do_not_appear_and_tests_give_the_answers(scene):
    assert slicer.util.confirmOkCancelDisplay("Install?") is False
    host_package.answers.confirm = True
    assert slicer.util.confirmOkCancelDisplay("Install now?") is True
    slicer.util.errorDisplay("The model is missing")
    assert host_package.answers.asked == ["Install?", "Install now?"]
    assert host_package.answers.texts("error") == ["The model is missing"]


def test_an_error_is_shown_and_raised_again(scene):
    with pytest.raises(ValueError, match="wrong"), slicer.util.tryWithErrorDisplay("Failed"):
        raise ValueError("wrong")


def test_packages_are_checked_really_and_installed_only_in_pretence(scene):
    from packaging.requirements import Requirement

    numpy, nothing = Requirement("numpy>=1.26"), Requirement("no-such-package>=1")
    assert slicer.packaging.pip_check(numpy)
    assert not slicer.packaging.pip_check(nothing)
    slicer.packaging.pip_ensure([nothing], requester="Test")  # in testing mode it does nothing
    assert host_package.answers.installed == []
    with pytest.raises(RuntimeError, match="declined"):
        slicer.packaging.pip_ensure([nothing], skip_in_testing=False)
    host_package.answers.confirm = True
    slicer.packaging.pip_ensure([nothing], skip_in_testing=False)
    assert host_package.answers.installed == ["no-such-package>=1"]


def test_torch_comes_through_its_extension(scene):
    import PyTorchUtils

    host_package.answers.torch_installed = False
    logic = PyTorchUtils.PyTorchUtilsLogic()
    assert not logic.torchInstalled()
    assert logic.installTorch(askConfirmation=True, torchVersionRequirement=">=2.4") is None
    host_package.answers.confirm = True
    assert logic.installTorch(askConfirmation=True) is not None
    assert host_package.answers.torch_installations[0]["torchVersionRequirement"] == ">=2.4"


def test_sample_data_is_registered(scene):
    import SampleData

    SampleData.SampleDataLogic.registerCustomSampleDataSource(sampleName="Ear", uris="file:///x")
    assert host_package.answers.sample_sources[0]["sampleName"] == "Ear"


def test_slicer_5_10_has_no_packaging_and_no_background_processes():
    printed = in_own_process(
        "import host\n"
        "app = host.start(generation='5.10')\n"
        "import slicer\n"
        "print(app.majorVersion, app.minorVersion, hasattr(slicer, 'packaging'))\n"
        "try:\n"
        "    slicer.util.launchConsoleProcess(['true'], blocking=False)\n"
        "except TypeError as error:\n"
        "    print(error)\n"
        "try:\n"
        "    import slicer.packaging\n"
        "except ImportError:\n"
        "    print('absent')\n"
    )
    assert printed.startswith("5 10 False")
    assert "blocking" in printed
    assert printed.endswith("absent")


def test_the_process_ends_quietly_with_a_module_open(tmp_path):
    path = tiny_module.write(tmp_path)
    printed = in_own_process(
        "import host\n"
        "host.start()\n"
        f"host.loadModule({str(path)!r})\n"
        "host.openModule('Tiny')\n"
        "print('done')\n"
    )
    assert printed == "done"
