"""Results are measured from nodes or files; measures become tables and plots in the scene."""

import importlib
import sys
import time
import typing

import numpy as np
import pytest
import slicer

import host
from panel import add_ct, linear_transform
from training_panel import EVALUATE, open_tab, stand_in_for_evaluation, wait_until_idle


@pytest.fixture
def ready(training, monkeypatch):
    """The panel with two volumes in the scene; evaluations are the stand-in's."""
    stand_in_for_evaluation(monkeypatch)
    open_tab(training, EVALUATE)
    training.parameters.generatedVolume = add_ct(name="Result")
    training.parameters.referenceVolume = add_ct(name="Truth", seed=1)
    return training


def choose_measure(panel, name):
    panel.parameters.measure = type(panel.parameters.measure)[name]


def evaluate(panel):
    host.click(panel.ui.evaluateButton)
    wait_until_idle(panel)


def measures(name):
    """The rows of a table of measures."""
    table = slicer.util.getNode(name).GetTable()
    names, values = table.GetColumnByName("Measure"), table.GetColumnByName("Value")
    return {names.GetValue(n): values.GetValue(n) for n in range(table.GetNumberOfRows())}


def test_without_volumes_it_says_what_to_choose(training, tmp_path):
    button = training.ui.evaluateButton
    assert button.toolTip == "Choose what is measured: a volume, a file or a folder."
    training.parameters.generatedPath = "/no/such.nrrd"
    assert button.toolTip == "/no/such.nrrd does not exist; choose what is measured."
    training.parameters.generatedPath = str(tmp_path)
    assert button.toolTip == "Choose the reference: a volume, a file or a folder."
    choose_measure(training, "FIDELITY")
    assert button.toolTip == "Choose the truth: a volume, a file or a folder."
    training.parameters.referencePath = str(tmp_path)
    assert button.enabled


def test_a_volume_is_not_measured_against_itself(ready):
    ready.parameters.referenceVolume = ready.parameters.generatedVolume
    assert "cannot be measured against itself" in ready.ui.evaluateButton.toolTip


def test_only_fidelity_asks_for_an_uncertainty_and_only_m_hum_for_form_and_distance(ready):
    assert not ready.ui.uncertaintySelector.visible
    assert ready.ui.distanceSelector.enabled
    choose_measure(ready, "FIDELITY")
    assert ready.ui.uncertaintySelector.visible
    assert not ready.ui.distanceSelector.enabled
    assert not ready.ui.formSelector.enabled
    assert ready.ui.referenceCaption.text == "Truth:"


def test_m_hum_becomes_a_table_and_a_plot_of_every_slice(ready):
    evaluate(ready)
    ct = slicer.util.arrayFromVolume(ready.parameters.generatedVolume)
    by_slice = ct.mean(axis=(1, 2), dtype=float)  # what the stand-in answers

    assert measures("Result m-HuM")["m-HuM"] == pytest.approx(by_slice.mean(), rel=1e-5)
    assert slicer.util.getNode("Result m-HuM").GetAttribute("MicroCTSR.distance") == "I1"
    assert "m-HuM" in ready.ui.evaluateLabel.text
    slices = slicer.util.getNode("Result m-HuM by slice")
    found = slicer.util.arrayFromTableColumn(slices, "m_hum")
    np.testing.assert_allclose(found, by_slice, rtol=1e-5)
    chart = slicer.util.getNodesByClass("vtkMRMLPlotChartNode")[0]
    series = chart.GetNthPlotSeriesNode(0)
    assert (series.GetXColumnName(), series.GetYColumnName()) == ("index", "m_hum")
    assert series.GetTableNode() is slices
    assert chart.GetYAxisTitle() == "m-HuM"
    view = slicer.mrmlScene.GetSingletonNode("MicroCTSRSlices", "vtkMRMLPlotViewNode")
    assert view.GetPlotChartNode() is chart
    table_view = slicer.mrmlScene.GetSingletonNode("MicroCTSRMeasures", "vtkMRMLTableViewNode")
    assert table_view.GetTableNode() is slicer.util.getNode("Result m-HuM")


def test_fidelity_with_uncertainty_becomes_a_table_of_every_number(ready):
    choose_measure(ready, "FIDELITY")
    ready.parameters.uncertaintyVolume = add_ct(name="Uncertainty", seed=2)
    evaluate(ready)
    found = measures("Result fidelity")
    truth = slicer.util.arrayFromVolume(ready.parameters.referenceVolume)
    assert found["SSIM"] == pytest.approx(truth.mean(dtype=float), rel=1e-5)
    assert found["Dice fluid"] == 0.7
    assert (found["AUSE"], found["Rank correlation"]) == (0.1, 0.6)
    assert found["Coverage 2"] == 0.95


def test_a_measurement_again_takes_the_place_of_the_one_before(ready):
    evaluate(ready)
    count = slicer.mrmlScene.GetNumberOfNodes()
    evaluate(ready)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_files_are_measured_where_they_lie(ready, tmp_path):
    nodes = ready.parameters.generatedVolume, ready.parameters.referenceVolume
    for node in nodes:
        path = tmp_path / f"{node.GetName()}.nrrd"
        slicer.util.saveNode(node, str(path), {"useCompression": False})
    ready.parameters.generatedVolume = ready.parameters.referenceVolume = None
    ready.parameters.generatedPath = str(tmp_path / "Result.nrrd")
    ready.parameters.referencePath = str(tmp_path / "Truth.nrrd")
    evaluate(ready)
    assert "m-HuM" in measures("Result.nrrd m-HuM")


def test_volumes_under_different_transforms_are_not_compared(ready):
    choose_measure(ready, "FIDELITY")
    transform = linear_transform(1).GetID()
    ready.parameters.generatedVolume.SetAndObserveTransformNodeID(transform)
    host.click(ready.ui.evaluateButton)
    assert "Result and Truth lie under different transforms" in ready.ui.evaluateLabel.text
    ready.parameters.referenceVolume.SetAndObserveTransformNodeID(transform)
    evaluate(ready)
    assert "PSNR, dB" in measures("Result fidelity")


def test_an_evaluation_that_fails_says_why_and_leaves_the_scene(ready):
    ready.parameters.referenceVolume = add_ct(shape=(6, 20, 20), name="Small")
    count = slicer.mrmlScene.GetNumberOfNodes()
    evaluate(ready)
    assert "Failed: The images are of different size" in ready.ui.evaluateLabel.text
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_an_evaluation_can_be_cancelled(ready, monkeypatch):
    monkeypatch.setenv("STAND_IN_SECONDS", "60")
    host.click(ready.ui.evaluateButton)
    host.pump(0.5)
    assert ready.ui.evaluateButton.text == "Cancel"
    start = time.monotonic()
    evaluate(ready)
    assert time.monotonic() - start < 2
    assert ready.ui.evaluateLabel.text == "Cancelled; nothing was changed."
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == []


def test_the_window_is_not_blocked_while_a_large_volume_is_handed_over(ready):
    large = slicer.util.addVolumeFromArray(np.zeros((60, 500, 500), np.float32), name="Large")
    ready.parameters.generatedVolume = ready.parameters.referenceVolume = None
    host.pump(0.2)
    ready.parameters.generatedVolume = large
    ready.parameters.referenceVolume = slicer.util.addVolumeFromArray(
        np.zeros((60, 500, 500), np.float32), name="Large truth"
    )
    with host.longestBlock() as block:
        evaluate(ready)
    assert "Large m-HuM" in [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLNode")]
    assert block.seconds < 0.3


@pytest.mark.parametrize(
    ("command", "option", "kind"),
    [
        ("m_hum.m_hum", "form", "Form"),
        ("m_hum.m_hum", "distance", "Distance"),
        ("training.train", "method", "Method"),
        ("training.train", "preset", "Preset"),
    ],
)
def test_the_panel_offers_what_the_command_takes(command, option, kind, training):
    module, _, function = command.partition(".")
    options = getattr(importlib.import_module(f"microctsr_core.cli.{module}"), function)
    literal, *_ = typing.get_args(options.__annotations__[option])
    offered = getattr(sys.modules["MicroCTSRTrainingLib.Parameter"], kind)
    assert tuple(each.value for each in offered) == typing.get_args(literal)


def test_a_slice_without_a_value_has_no_point_in_the_plot():
    by_slice = sys.modules["MicroCTSRTrainingLib.Measures"].bySlice
    slices = [{"index": 0, "m_hum": None}, {"index": 1, "m_hum": 0.5}]
    found = by_slice({"slices": slices})
    assert found["index"] == [0, 1]
    assert np.isnan(found["m_hum"][0])
    assert found["m_hum"][1] == 0.5
    assert by_slice({"slices": []}) == {}


def test_numbers_of_an_answer_become_rows():
    rows = sys.modules["MicroCTSRTrainingLib.Measures"].rows
    answer = {
        "a": 1,
        "b": {"c": 2.5, "d": {"e": 3}},
        "list": [4, 5],
        "text": "I1",
        "flag": True,
        "nothing": None,
        "slices": [{"index": 0}],
    }
    assert rows(answer) == [("a", 1.0), ("b c", 2.5), ("b d e", 3.0), ("list 0", 4), ("list 1", 5)]


# The report ---------------------------------------------------------------------------------------


def test_the_report_of_a_study_opens_in_the_browser(ready, tmp_path, monkeypatch):
    import qt

    opened = []
    monkeypatch.setattr(qt.QDesktopServices, "openUrl", lambda url: opened.append(url))
    ui = ready.ui
    assert ui.reportButton.toolTip == "Choose the YAML file of a study."
    ready.parameters.studyFile = str(tmp_path)
    assert ui.reportButton.toolTip.endswith("is no file; choose the YAML file of a study.")
    study = tmp_path / "study.yaml"
    study.write_text("methods: []\n")
    ready.parameters.studyFile = str(study)

    host.click(ui.reportButton)
    wait_until_idle(ready)

    assert [url.toLocalFile() for url in opened] == [str(tmp_path / "study.html")]
    assert ui.reportLabel.text == str(tmp_path / "study.html")


def test_a_study_that_cannot_be_compared_says_why(ready, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text("wrong")
    ready.parameters.studyFile = str(study)
    host.click(ready.ui.reportButton)
    wait_until_idle(ready)
    assert "Failed: The study names an unknown method" in ready.ui.reportLabel.text
