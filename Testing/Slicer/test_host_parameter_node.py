"""The stand-in for the parameter node wrapper: what it stores, checks and connects."""

import enum
from typing import Annotated

import ctk
import pytest
import qt
import slicer
import vtk
from slicer.parameterNodeWrapper import (
    Choice,
    Default,
    WithinRange,
    parameterNodeWrapper,
)


class Mode(enum.Enum):
    PLANE = "In the plane"
    SPACE = "In space"

    def label(self):
        return self.value


@parameterNodeWrapper
class Parameters:
    volume: slicer.vtkMRMLScalarVolumeNode
    box: slicer.vtkMRMLMarkupsROINode | None
    level: Annotated[float, WithinRange(0, 10)] = 5.0
    passes: Annotated[int, Default(20), WithinRange(2, 100)]
    name: str = "ear"
    mode: Mode = Mode.SPACE
    quality: Annotated[str, Choice(["fast", "good"])] = "good"
    invert: bool = False

    def isReady(self):
        return self.volume is not None


@pytest.fixture
def node(scene):
    return scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")


@pytest.fixture
def parameters(node):
    return Parameters(node)


def widget_for(name, widget):
    widget.setProperty("SlicerParameterName", name)
    widget.objectName = name
    return widget


class Gui:
    """What childWidgetVariables makes: an object whose attributes are widgets."""


@pytest.fixture
def gui(parameters):
    gui = Gui()
    gui.level = widget_for("level", ctk.ctkSliderWidget())
    gui.passes = widget_for("passes", qt.QSpinBox())
    gui.name = widget_for("name", qt.QLineEdit())
    gui.mode = widget_for("mode", qt.QComboBox())
    gui.quality = widget_for("quality", qt.QComboBox())
    gui.invert = widget_for("invert", qt.QCheckBox())
    gui.volume = widget_for("volume", slicer.qMRMLNodeComboBox())
    gui.volume.noneEnabled = True
    gui.volume.setMRMLScene(slicer.mrmlScene)
    yield gui
    gui.volume.setMRMLScene(None)


def test_defaults_are_written_into_the_node(node, parameters):
    assert node.GetParameter("level") == "5.0"
    assert node.GetParameter("passes") == "20"
    assert node.GetParameter("mode") == "SPACE"
    assert (parameters.volume, parameters.name, parameters.invert) == (None, "ear", False)


def test_values_stay_in_the_node_for_the_next_wrapper(node, parameters):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    parameters.volume, parameters.mode, parameters.level = volume, Mode.PLANE, 2.5
    again = Parameters(node)
    assert (again.volume, again.mode, again.level) == (volume, Mode.PLANE, 2.5)
    assert again.isReady()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("level", 11.0, ValueError),
        ("passes", 1, ValueError),
        ("passes", 2.5, TypeError),
        ("quality", "best", ValueError),
        ("level", None, ValueError),
        ("mode", "PLANE", TypeError),
    ],
)
def test_what_an_annotation_forbids_is_refused(parameters, name, value, error):
    with pytest.raises(error):
        setattr(parameters, name, value)


def test_a_node_of_another_class_is_refused(parameters):
    model = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
    with pytest.raises(TypeError):
        parameters.volume = model


def test_a_node_that_left_the_scene_reads_as_none(parameters):
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    parameters.volume = volume
    slicer.mrmlScene.RemoveNode(volume)
    assert parameters.volume is None


def test_connecting_shows_the_parameters(parameters, gui):
    parameters.connectGui(gui)
    assert (gui.level.value, gui.level.maximum) == (5.0, 10.0)
    assert (gui.passes.value, gui.passes.minimum, gui.passes.maximum) == (20, 2, 100)
    assert [gui.mode.itemText(i) for i in range(gui.mode.count)] == ["In the plane", "In space"]
    assert (gui.mode.currentText, gui.quality.currentText) == ("In space", "good")
    assert gui.volume.nodeTypes == ["vtkMRMLScalarVolumeNode"]


def test_widgets_change_parameters_and_parameters_change_widgets(parameters, gui):
    parameters.connectGui(gui)
    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
    gui.level.value = 7
    gui.mode.currentIndex = 0
    gui.invert.checked = True
    gui.volume.setCurrentNode(volume)
    assert (parameters.level, parameters.mode) == (7.0, Mode.PLANE)
    assert parameters.invert
    assert parameters.volume is volume
    parameters.name, parameters.passes, parameters.volume = "ear 2", 50, None
    assert (gui.name.text, gui.passes.value, gui.volume.currentNode()) == ("ear 2", 50, None)


def test_observers_hear_of_changes(parameters):
    heard = []
    tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: heard.append(1))
    parameters.level = 1.0
    parameters.RemoveObserver(tag)
    parameters.level = 2.0
    assert heard == [1]


def test_changes_in_one_modification_are_heard_once(parameters):
    heard = []
    parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: heard.append(1))
    with slicer.util.NodeModify(parameters):
        parameters.level = 1.0
        parameters.passes = 3
    assert heard == [1]


def test_connecting_by_names_can_be_undone_and_connect_gui_cannot(parameters, gui):
    tag = parameters.connectParametersToGui({"level": gui.level})
    assert parameters.connectGui(gui) is None
    parameters.disconnectGui(tag)
    parameters.level = 3.0
    assert gui.level.value == 3.0  # by connectGui, which Slicer gives no tag


def test_a_slider_needs_a_parameter_with_limits(node):
    @parameterNodeWrapper
    class Boundless:
        level: float

    with pytest.raises(RuntimeError, match="limits"):
        Boundless(node).connectParametersToGui({"level": ctk.ctkSliderWidget()})


def test_a_widget_that_slicer_cannot_connect_is_refused(parameters):
    with pytest.raises(RuntimeError, match="QLabel"):
        parameters.connectParametersToGui({"level": qt.QLabel()})


def test_a_gui_that_names_an_unknown_parameter_is_refused(parameters):
    with pytest.raises(ValueError, match="levle"):
        parameters.connectParametersToGui({"levle": ctk.ctkSliderWidget()})


def test_reserved_names_are_refused():
    with pytest.raises(ValueError, match="reserved"):

        @parameterNodeWrapper
        class Faulty:
            default: int
