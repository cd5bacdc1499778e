"""The stand-ins for CTK's and MRML's widgets behave as the originals do."""

import time

import ctk
import pytest
import qt
import slicer

import host as host_package


def add_volume(name="CT", kind="vtkMRMLScalarVolumeNode"):
    return slicer.mrmlScene.AddNewNodeByClass(kind, name)


@pytest.fixture
def selector(scene):
    """A combo box of volumes, shown, with the scene."""
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = True
    selector.setMRMLScene(slicer.mrmlScene)
    yield selector
    selector.setMRMLScene(None)


def names(selector):
    return [selector.nodeFromIndex(i).GetName() for i in range(selector.nodeCount())]


def test_a_selector_lists_the_nodes_of_its_types_as_they_come_and_go(selector):
    first, _ = add_volume("A"), add_volume("B")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode", "M")
    assert names(selector) == ["A", "B"]
    slicer.mrmlScene.RemoveNode(first)
    assert names(selector) == ["B"]


def test_a_selector_shows_a_new_name(selector):
    node = add_volume("A")
    selector.setCurrentNode(node)
    node.SetName("Z")
    combo = selector.findChild(qt.QComboBox)
    assert combo.currentText == "Z"


def test_a_selector_leaves_out_hidden_nodes_and_on_request_derived_classes(selector):
    add_volume("A")
    add_volume("L", "vtkMRMLLabelMapVolumeNode")
    hidden = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScalarVolumeNode")
    hidden.UnRegister(None)
    hidden.SetHideFromEditors(True)
    slicer.mrmlScene.AddNode(hidden)
    assert names(selector) == ["A", "L"]
    selector.showChildNodeTypes = False
    assert names(selector) == ["A"]


def test_a_selector_tells_what_is_chosen(selector):
    heard = []
    selector.currentNodeChanged.connect(lambda node: heard.append(node))
    selector.connect("currentNodeChanged(vtkMRMLNode*)", lambda node: heard.append(node))
    selector.connect("currentNodeChanged(bool)", lambda valid: heard.append(valid))
    selector.connect("currentNodeIDChanged(QString)", lambda name: heard.append(name))
    node = add_volume()
    selector.setCurrentNode(node)
    assert heard == [node, node, True, node.GetID()]
    assert selector.currentNodeID == node.GetID()


def test_a_selector_with_none_waits_for_a_choice(selector):
    add_volume()
    assert selector.currentNode() is None


def test_a_selector_without_none_shows_the_first_node_when_it_gets_the_scene(scene):
    node = add_volume()
    selector = slicer.qMRMLNodeComboBox()
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.setMRMLScene(scene)
    assert selector.currentNode() is node
    selector.setMRMLScene(None)


def test_when_the_chosen_node_goes_the_next_is_chosen(selector):
    nodes = [add_volume(name) for name in "ABC"]
    selector.setCurrentNode(nodes[1])
    slicer.mrmlScene.RemoveNode(nodes[1])
    assert selector.currentNode() is nodes[2]
    slicer.mrmlScene.RemoveNode(nodes[2])
    assert selector.currentNode() is nodes[0]
    slicer.mrmlScene.RemoveNode(nodes[0])
    assert selector.currentNode() is None


def test_a_selector_without_a_scene_is_disabled(scene):
    assert not slicer.qMRMLNodeComboBox().enabled


def test_a_selector_creates_renames_and_deletes_on_request(selector):
    selector.baseName = "Box"
    node = selector.addNode()
    assert (node.GetName(), selector.currentNode()) == ("Box", node)
    selector.removeCurrentNode()
    assert selector.nodeCount() == 0


def test_closing_the_scene_empties_a_selector(selector):
    selector.setCurrentNode(add_volume())
    host_package.closeScene()
    assert selector.currentNode() is None


def test_a_collapsible_button_hides_what_it_holds(scene):
    section = ctk.ctkCollapsibleButton("Section")
    line = qt.QLineEdit()
    qt.QVBoxLayout(section).addWidget(line)
    section.show()
    heard = []
    section.contentsCollapsed.connect(lambda on: heard.append(on))
    host_package.click(section)
    assert (section.collapsed, section.checked, line.visible) == (True, False, False)
    section.collapsed = False
    assert (line.visible, heard) == (True, [True, False])
    section.close()


def test_a_widget_shown_in_a_closed_section_appears_when_it_is_opened(scene):
    section = ctk.ctkCollapsibleButton("Section")
    line = qt.QLineEdit()
    qt.QVBoxLayout(section).addWidget(line)
    line.visible = False
    section.show()
    section.collapsed = True
    line.visible = True
    assert not line.visible
    section.collapsed = False
    assert line.visible
    section.close()


def test_a_slider_keeps_to_its_limits_and_digits(scene):
    slider = ctk.ctkSliderWidget()
    slider.decimals = 1
    slider.minimum, slider.maximum = -5, 5
    heard = []
    slider.valueChanged.connect(lambda value: heard.append(value))
    for value in (1.26, 99, -99, -99):
        slider.value = value
    assert heard == [1.3, 5, -5]


def test_typing_into_a_slider_moves_it(scene):
    slider = ctk.ctkSliderWidget()
    host_package.setSlider(slider, 12)
    assert slider.value == 12


def test_a_range_keeps_its_values_in_order(scene):
    both = ctk.ctkRangeWidget()
    both.minimum, both.maximum = -1000, 3000
    heard = []
    both.valuesChanged.connect(lambda low, high: heard.append((low, high)))
    both.setValues(-500, 700)
    both.minimumValue = 900
    assert heard == [(-500, 700), (900, 900)]


def test_a_disabled_or_hidden_button_cannot_be_clicked(scene):
    button = qt.QPushButton("Run")
    button.toolTip = "Choose a CT first"
    button.enabled = False
    with pytest.raises(AssertionError, match="Choose a CT first"):
        host_package.click(button)


def test_the_longest_block_of_the_event_loop_is_measured(scene):
    def block():
        time.sleep(0.12)

    with host_package.longestBlock() as monitor:
        qt.QTimer.singleShot(20, block)
        host_package.pump(0.3)
    assert 0.1 < monitor.seconds < 1
    with host_package.longestBlock() as monitor:
        host_package.pump(0.2)
    assert monitor.seconds < 0.1


def test_waiting_for_what_never_happens_ends(scene):
    with pytest.raises(TimeoutError):
        host_package.pump(until=lambda: False, timeout=0.05)


def test_a_path_line_tells_its_text_and_only_by_another_signal_that_it_is_empty(scene):
    line = ctk.ctkPathLineEdit()
    heard = []
    line.currentPathChanged.connect(lambda path: heard.append(path))
    line.validInputChanged.connect(lambda valid: heard.append(valid))
    line.currentPath = "/data"
    line.currentPath = "/data/low"
    line.currentPath = ""
    assert heard == ["/data", True, "/data/low", False]


@pytest.mark.parametrize(
    ("kind", "method", "found"),
    [("Dirs", "getExistingDirectory", "/chosen"), ("Files", "getOpenFileName", ("/chosen", ""))],
)
def test_a_path_line_browses_for_what_its_filters_say(kind, method, found, scene, monkeypatch):
    monkeypatch.setattr(qt.QFileDialog, method, lambda *_: found)
    line = ctk.ctkPathLineEdit()
    line.filters = getattr(ctk.ctkPathLineEdit, kind)
    host_package.click(line.findChild(qt.QToolButton))
    assert line.currentPath == "/chosen"
