"""A run's model is listed, and its curves and pictures stand in Slicer's views."""

import hashlib
import json
import sys

import numpy as np
import pytest
import slicer

import host
from training_panel import stage, wait_for


@pytest.fixture
def finished(run_ready):
    host.click(run_ready.ui.startButton)
    wait_for(run_ready, "FINISHED")
    host.pump(0.2)
    return run_ready


def test_a_finished_model_is_in_the_list_of_microctsr_once(finished, panel):
    names = [entry.card["name"] for entry in panel.models.entries()]
    assert any(name in ("toy", "first") for name in names)
    before = len(names)

    host.click(finished.ui.useModelButton)
    assert slicer.util.selectedModule() == "MicroCTSR"
    chosen = panel.model.entry()
    assert not chosen.isBundled
    card = (finished.logic.run.folder / "card.json").read_text()
    assert chosen.card["weights_sha256"] in card
    assert panel.ui.modelSelector.currentText == f"{chosen.title} (yours)"
    assert len(panel.models.entries()) == before


def test_a_model_that_is_just_being_written_is_not_taken(finished):
    weights = finished.logic.run.folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes() + b"more")
    host.click(finished.ui.useModelButton)
    assert "is just writing its model; try again" in finished.ui.statusLabel.text
    assert slicer.util.selectedModule() == "MicroCTSRTraining"


def test_a_model_gets_the_name_of_its_run_where_nobody_gave_it_one(finished, tmp_path):
    models = type(finished.logic.models)(tmp_path / "models")
    card_file = finished.logic.run.folder / "card.json"
    card = json.loads(card_file.read_text())
    card_file.write_text(json.dumps({**card, "name": "cyclegan-compact"}))
    run = finished.logic.run.folder.rename(finished.logic.run.folder.with_name("My first run!"))
    assert models.importRun(run).card["name"] == "my-first-run"
    assert models.importRun(run).folder.name == "my-first-run-1.0.0"
    weights = (run / "weights.safetensors").read_bytes() + b" "
    (run / "weights.safetensors").write_bytes(weights)
    other = {"name": "cyclegan-compact", "weights_sha256": hashlib.sha256(weights).hexdigest()}
    (run / "card.json").write_text(json.dumps({**card, **other}))
    assert models.importRun(run).card["name"] == "my-first-run-2"


def test_the_curves_of_a_run_stand_in_the_plot_view(finished):
    table = slicer.util.getNode("first history")
    columns = {table.GetColumnName(n) for n in range(table.GetNumberOfColumns())}
    assert {"epoch", "step", "loss cycle_high", "loss real_high", "psnr", "m_hum"} == columns
    assert list(slicer.util.arrayFromTableColumn(table, "step")) == [5, 10]
    assert list(slicer.util.arrayFromTableColumn(table, "loss cycle_high")) == [1.0, 0.5]
    assert np.isnan(slicer.util.arrayFromTableColumn(table, "loss real_high")[0])

    chart = slicer.util.getNode("first curves")
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    series = chart.GetNthPlotSeriesNode(0)
    assert (series.GetXColumnName(), series.GetYColumnName()) == ("step", "loss cycle_high")
    assert series.GetTableNode() is table
    view = slicer.mrmlScene.GetSingletonNode("MicroCTSRCurves", "vtkMRMLPlotViewNode")
    assert view.GetPlotChartNode() is chart

    names = [finished.ui.curvesSelector.itemText(n) for n in range(4)]
    finished.ui.curvesSelector.currentIndex = names.index("Losses of the discriminators")
    assert chart.GetNthPlotSeriesNode(0).GetYColumnName() == "loss real_high"
    finished.ui.curvesSelector.currentIndex = names.index("PSNR, dB")
    assert chart.GetNumberOfPlotSeriesNodes() == 1
    assert chart.GetNthPlotSeriesNode(0).GetYColumnName() == "psnr"
    assert chart.GetYAxisTitle() == "PSNR, dB"


def test_the_newest_picture_stands_upright_in_its_view(finished):
    node = slicer.util.getNode("first picture")
    assert node.GetClassName() == "vtkMRMLVectorVolumeNode"
    assert slicer.util.arrayFromVolume(node).max(axis=(0, 1, 2)).tolist() == [102, 0, 200]

    pixels = host.pictures.view("MicroCTSRPicture", (300, 300)).astype(int)
    red = np.argwhere(pixels[..., 0] > pixels[..., 2] + 50)
    blue = np.argwhere(pixels[..., 2] > pixels[..., 0] + 50)
    assert len(red) > 1000
    assert len(blue) > 1000
    assert red[:, 0].max() < blue[:, 0].min()
    assert abs(red[:, 1].min() - blue[:, 1].min()) <= 1


def test_another_held_out_case_is_shown_on_request(finished):
    finished.ui.heldOutCaseSpinBox.value = 2
    assert slicer.util.arrayFromVolume(slicer.util.getNode("first picture")).max() == 200
    assert finished.parameters.heldOutCase == 2
    finished.ui.heldOutCaseSpinBox.value = 9  # there are two; the last is shown


def test_a_run_shown_again_makes_no_second_nodes(finished):
    count = slicer.mrmlScene.GetNumberOfNodes()
    host.click(finished.ui.showCurvesButton)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_a_scene_is_left_alone_by_a_finished_run_that_is_only_looked_at(finished):
    host.closeScene()
    host.pump(0.6)
    assert stage(finished) == "FINISHED"  # it is remembered
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == []
    assert finished.ui.epochLabel.text == "Epoch 2: m-HuM 0.05, PSNR, dB 17 (the best so far)"
    host.click(finished.ui.showCurvesButton)
    assert slicer.util.getNode("first history").GetNumberOfRows() == 2


def test_the_curves_leave_room_for_their_legend(finished):
    tables = sys.modules["MicroCTSRTrainingLib.Tables"]
    table = slicer.util.getNode("first history")
    chart = tables.nodeOf("vtkMRMLPlotChartNode", "several", "Several")
    drawn = {"m_hum": "a", "loss cycle_high": "b"}
    tables.fillChart(chart, table, "step", drawn, ("Title", "Step", "Value"))
    assert chart.GetLegendVisibility()
    least, greatest = chart.GetYAxisRange()
    assert least == 0
    assert greatest > 1.3  # the highest value is 1
    tables.fillChart(chart, table, "step", {"m_hum": "a"}, ("Title", "Step", "Value"))
    assert chart.GetYAxisRangeAuto()
