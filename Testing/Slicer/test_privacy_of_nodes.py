"""A result in Slicer takes nothing of its input's node but its name and its place."""

import re
import sys

import pytest
import slicer

import host
from panel import add_ct, use_model, wait_until_idle


@pytest.fixture
def told_and_made(panel, toy_model):
    """What a run printed, and its nodes; the input's node tells all about a patient."""
    from identifiers import IDENTIFIERS

    use_model(panel, toy_model)
    ct = add_ct(shape=(3, 8, 8))
    for number, word in enumerate(IDENTIFIERS):
        ct.SetAttribute(f"DICOM.Tag{number}", word)
        ct.SetAttribute(f"Foreignqx {word}", "1")
    ct.SetDescription("Foreignqx Quoxbridge")
    panel.parameters.inputVolume = ct
    panel.parameters.quality = sys.modules["MicroCTSRLib.Parameter"].Quality.FIXED
    panel.parameters.passes = 1
    host.pump(until=lambda: panel.quality.cost() is not None, timeout=60)
    host.click(panel.ui.applyButton)
    wait_until_idle(panel)
    return panel.ui.logText.plainText, panel.result.nodes()


def test_neither_nodes_nor_log_tell_of_the_patient(told_and_made, tmp_path):
    from identifiers import found_in

    log, nodes = told_and_made
    assert found_in(log.encode()) == set()
    for node in nodes:
        assert found_in(str(node).encode()) == set()
        stored = node.CreateDefaultStorageNode()
        stored.SetFileName(str(tmp_path / f"{node.GetID()}.nrrd"))
        assert stored.WriteData(node)
    for path in tmp_path.iterdir():
        assert found_in(path.read_bytes()) == set()


def test_the_scene_names_the_patient_in_the_input_alone(told_and_made, tmp_path):
    from identifiers import found_in

    _, nodes = told_and_made
    scene = slicer.mrmlScene
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.SetSaveToXMLString(1)
    try:
        scene.Commit()
    finally:
        scene.SetSaveToXMLString(0)
    elements = re.findall(r"<Volume\b.*?</Volume>", scene.GetSceneXMLString(), re.DOTALL)
    told = [element for element in elements if found_in(element.encode())]
    assert len(elements) == 1 + len(nodes)
    assert len(told) == 1
    assert 'name="CT"' in told[0]
