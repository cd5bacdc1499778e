"""The tab of the reader study says what to choose, what is wrong, and whether its server runs."""

import shutil
import socket
import time

import numpy as np
import psutil
import pytest
import slicer

import host
from panel import add_ct, linear_transform, pretend_missing
from training_panel import READER_STUDY, open_tab, wait_until_idle


@pytest.fixture
def tab(training):
    """The panel with the tab of the reader study open."""
    open_tab(training, READER_STUDY)
    return training


@pytest.fixture
def study(made, tmp_path):
    """The folder of a copy of the study."""
    return shutil.copytree(made, tmp_path / "ears")


@pytest.fixture
def chosen(tab, study):
    """The tab with the study chosen, to be served at a port that is free."""
    tab.parameters.readerStudyFolder = str(study)
    tab.parameters.studyPort = 0
    return tab


@pytest.fixture
def volumes(tab, tmp_path):
    """A scan and two results on a grid of their own, and a new folder for a study."""
    tab.parameters.readerStudyFolder = str(tmp_path / "new")
    scan = add_ct(shape=(4, 12, 12), name="Scan")
    found = [
        scan,
        *(add_ct(shape=(4, 12, 12), seed=seed, name=f"Result {seed}") for seed in (1, 2)),
    ]
    host.pump(until=lambda: tab.ui.studyVolumesTable.rowCount == 3, timeout=10)
    return found


def tick(tab, row, scan=0, method=""):
    """Tick a volume, say of which scan it is (from 1), and by which method."""
    widgets = [tab.ui.studyVolumesTable.cellWidget(row, column) for column in range(3)]
    if not widgets[0].checked:
        host.click(widgets[0])
    widgets[1].currentIndex = scan
    widgets[2].text = method


def reason(tab):
    """Why no study can be made."""
    button = tab.ui.createStudyButton
    return "" if button.enabled else button.toolTip


def serve(tab):
    host.click(tab.ui.startServerButton)
    server = tab.logic.study.server
    host.pump(until=lambda: server.isServing or server.isOver, timeout=60)
    return server


def stop(tab):
    """Stop the server; the seconds that it took."""
    begin = time.monotonic()
    host.click(tab.ui.stopServerButton)
    host.pump(until=lambda: not tab.logic.study.isServed, timeout=20)
    return time.monotonic() - begin


# Create -------------------------------------------------------------------------------------------


def test_step_by_step_it_says_what_a_study_of_volumes_lacks(tab, volumes, tmp_path):
    tab.parameters.readerStudyFolder = ""
    assert reason(tab) == "Choose a new folder for the study."
    tab.parameters.readerStudyFolder = "ears"
    assert reason(tab) == "ears is no whole path; choose a new folder for the study."
    tab.parameters.readerStudyFolder = str(tmp_path)
    assert reason(tab) == f"{tmp_path} exists already; choose a new folder for the study."
    tab.parameters.readerStudyFolder = str(tmp_path / "new")
    assert reason(tab) == "Tick the results that are compared."
    tick(tab, 1)
    assert reason(tab) == "Choose the scan that Result 1 was made of."
    tick(tab, 1, scan=2)
    assert reason(tab) == "Result 1 was not made of itself; choose its scan."
    tick(tab, 1, scan=1)
    assert reason(tab) == "Write by which method Result 1 is."
    tick(tab, 1, scan=1, method="ours")
    assert "at least two methods, but all results are by ours" in reason(tab)
    tick(tab, 2, scan=1, method="ours")
    assert "at least two methods" in reason(tab)
    tick(tab, 2, scan=1, method="theirs")
    assert reason(tab) == ""
    tab.ui.studyAtEdit.text = "3, five"
    assert reason(tab).startswith("3, five is no list of slices")
    tab.ui.studyAtEdit.text = "1, 3"
    tab.ui.studyRatersEdit.text = "Anna, Ben, Anna"
    assert reason(tab) == "Two raters are called Anna; give each another name."
    tab.ui.studyRatersEdit.text = "Anna, Ben"
    tab.ui.studyAgainstEdit.text = "hers"
    assert reason(tab) == "hers is none of the methods (ours, theirs); write one of them."
    tab.ui.studyAgainstEdit.text = "ours"
    tab.parameters.studyWhite = -2000.0
    assert reason(tab) == "What is shown black has to be below what is shown white."


def test_every_scan_needs_one_result_by_every_method(tab, volumes):
    tick(tab, 1, scan=1, method="ours")
    tick(tab, 2, scan=1, method="theirs")
    add_ct(shape=(4, 12, 12), seed=3, name="Second scan")
    add_ct(shape=(4, 12, 12), seed=4, name="Result 4")
    host.pump(until=lambda: tab.ui.studyVolumesTable.rowCount == 5, timeout=10)
    tick(tab, 4, scan=4, method="ours")
    assert reason(tab) == ("Second scan has no result by theirs; tick one, or leave the scan out.")
    tick(tab, 4, scan=1, method="ours")
    assert reason(tab) == "Two results of Scan are by ours; tick one of them."


def test_results_that_do_not_fit_are_explained_before_anything_is_run(tab, volumes):
    small = add_ct(shape=(4, 10, 12), seed=3, name="Small")
    host.pump(until=lambda: tab.ui.studyVolumesTable.rowCount == 4, timeout=10)
    tick(tab, 1, scan=1, method="ours")
    tick(tab, 3, scan=1, method="theirs")
    host.click(tab.ui.createStudyButton)
    assert tab.logic.queue.current is None
    text = tab.ui.createStudyLabel.text
    assert "Scan: theirs has 4 x 10 x 12 voxels (k, j, i), but ours has 4 x 12 x 12" in text
    small.SetAndObserveTransformNodeID(linear_transform(1).GetID())
    host.click(tab.ui.createStudyButton)
    assert "Scan and Small lie under different transforms" in tab.ui.createStudyLabel.text


def test_a_result_of_microctsr_tells_its_scan_and_its_model(tab, volumes):
    scan, result, uncertainty = volumes
    for node in (result, uncertainty):
        node.SetAttribute("MicroCTSR.notice", "synthetic, not for diagnosis")
        node.SetAttribute("MicroCTSR.model", "ear 0.4.0")
        node.SetNodeReferenceID("MicroCTSR.input", scan.GetID())
    result.SetNodeReferenceID("MicroCTSR.uncertainty", uncertainty.GetID())
    tab.enter()
    table = tab.ui.studyVolumesTable
    assert [table.cellWidget(row, 0).text for row in range(table.rowCount)] == ["Scan", "Result 1"]
    assert table.cellWidget(1, 1).currentText == "Scan"
    assert table.cellWidget(1, 2).text == "ear 0.4.0"


def test_the_choice_of_volumes_comes_back_with_the_scene(tab, volumes, tmp_path):
    tick(tab, 1, scan=1, method="ours")
    tick(tab, 2, scan=1, method="theirs")
    tab.ui.studyRatersEdit.text = "Anna"
    for node in volumes:
        slicer.util.saveNode(node, str(tmp_path / f"{node.GetName()}.nrrd"))
    path = str(tmp_path / "scene.mrml")
    slicer.mrmlScene.SetURL(path)
    assert slicer.mrmlScene.Commit()
    host.closeScene()
    assert tab.ui.studyVolumesTable.rowCount == 0
    assert tab.ui.studyRatersEdit.text == ""
    slicer.mrmlScene.SetURL(path)
    assert slicer.mrmlScene.Import()
    host.pump(0.1)
    table = tab.ui.studyVolumesTable
    assert [table.cellWidget(row, 0).checked for row in range(3)] == [False, True, True]
    assert [table.cellWidget(row, 2).text for row in (1, 2)] == ["ours", "theirs"]
    assert table.cellWidget(1, 1).currentText == "Scan"
    assert tab.ui.studyRatersEdit.text == "Anna"
    assert reason(tab) == ""
    slicer.mrmlScene.RemoveNode(slicer.util.getNode("Result 2"))
    assert "at least two methods" in reason(tab)


def test_folders_of_methods_are_chosen_and_edited(tab, tmp_path, monkeypatch):
    import qt

    tab.ui.studySourceSelector.currentIndex = 1
    assert not tab.ui.studyVolumesTable.visible
    tab.parameters.readerStudyFolder = str(tmp_path / "new")
    assert reason(tab) == "Choose a scan, or the folder of scans."
    tab.ui.studyLowPath.currentPath = "/no/such"
    assert reason(tab) == "/no/such does not exist; choose the folder of scans."
    tab.ui.studyLowPath.currentPath = str(tmp_path)
    assert reason(tab) == "A study compares at least two methods; add one more."
    for name in ("unet", "ours"):
        folder = tmp_path / "results" / name
        folder.mkdir(parents=True)
        monkeypatch.setattr(qt.QFileDialog, "getExistingDirectory", lambda *_, f=folder: str(f))
        host.click(tab.ui.addMethodButton)
    assert reason(tab) == ""
    tab.ui.studyMethodsTable.item(1, 0).setText("unet")
    assert reason(tab) == "Two methods are called unet; give one another name."
    tab.ui.studyMethodsTable.item(1, 0).setText("U-Net")
    tab.ui.studyMethodsTable.item(1, 1).setText("/no/such")
    assert reason(tab) == "/no/such does not exist; correct the folder of U-Net."
    host.click(tab.ui.removeMethodButton)
    assert tab.parameters.studyMethods == f"unet={tmp_path / 'results' / 'unet'}"


def test_a_comparison_needs_its_file_and_says_what_is_wrong_with_it(tab, tmp_path):
    tab.ui.studySourceSelector.currentIndex = 2
    tab.parameters.readerStudyFolder = str(tmp_path / "new")
    assert reason(tab) == "Choose the YAML file of a comparison."
    tab.parameters.comparisonFile = str(tmp_path)
    assert reason(tab).endswith("is no file; choose the YAML file of a comparison.")
    file = tmp_path / "comparison.yaml"
    file.write_text("methods: {cubic: cubic}\ncases: nowhere\n")
    tab.parameters.comparisonFile = str(file)
    host.click(tab.ui.createStudyButton)
    assert tab.ui.createStudyButton.text == "Cancel"
    wait_until_idle(tab)
    assert f"Failed: {tmp_path / 'nowhere'} does not exist" in tab.ui.createStudyLabel.text
    assert not (tmp_path / "new").exists()


def test_a_result_that_cannot_be_shown_is_named_as_the_user_knows_it(tab, volumes, tmp_path):
    values = np.full((4, 12, 12), 100, np.float32)
    values[2, 3, 4] = np.nan
    slicer.util.updateVolumeFromArray(volumes[2], values)
    tick(tab, 1, scan=1, method="ours")
    tick(tab, 2, scan=1, method="theirs")
    host.click(tab.ui.createStudyButton)
    wait_until_idle(tab)
    assert "Failed: Result 2 " in tab.ui.createStudyLabel.text
    assert str(slicer.app.temporaryPath) not in tab.ui.createStudyLabel.text
    assert list(tmp_path.iterdir()) == []


def test_making_a_study_can_be_cancelled_and_leaves_nothing(tab, volumes, tmp_path):
    tick(tab, 1, scan=1, method="ours")
    tick(tab, 2, scan=1, method="theirs")
    host.click(tab.ui.createStudyButton)
    host.pump(0.3)
    begin = time.monotonic()
    host.click(tab.ui.createStudyButton)
    wait_until_idle(tab)
    assert time.monotonic() - begin < 2
    assert tab.ui.createStudyLabel.text == "Cancelled; nothing was changed."
    assert list(tmp_path.iterdir()) == []


def test_missing_packages_are_asked_for_at_the_first_use(chosen, monkeypatch):
    installation = chosen.logic.installation
    monkeypatch.setattr(installation, "_isComplete", False)
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    pretend_missing(monkeypatch, "fastapi", "krippendorff")
    chosen.logic.study.folder.refresh()
    assert "To read the study, Slicer's Python lacks fastapi" in chosen.ui.studyLabel.text
    assert not chosen.ui.analyseStudyButton.enabled
    host.click(chosen.ui.startServerButton)
    (question,) = host.answers.asked
    assert "fastapi" in question
    assert "Not installed: fastapi&gt;=0.115, krippendorff&gt;=0.6" in chosen.ui.serverLabel.text
    assert chosen.logic.study.server is None

    host.answers.confirm = True
    assert serve(chosen).isServing
    assert "2 raters; open." in chosen.ui.studyLabel.text


# Rate ---------------------------------------------------------------------------------------------


def test_a_damaged_study_is_explained_though_the_other_module_was_reloaded(tab, study):
    host.reload("MicroCTSR")
    (study / "study.json").write_text("{}")
    tab.parameters.readerStudyFolder = str(study)
    assert "study.json: id is not valid" in tab.ui.studyLabel.text


def test_a_folder_without_a_study_is_explained(tab, study, tmp_path):
    tab.parameters.readerStudyFolder = str(tmp_path)
    words = f"{tmp_path} holds no study; choose the folder of one, or a new folder."
    assert tab.ui.startServerButton.toolTip == tab.ui.analyseStudyButton.toolTip == words
    assert words in tab.ui.studyLabel.text
    tab.parameters.readerStudyFolder = str(study)
    assert "Reader study: 4 slices by 3 methods, 2 raters; open." in tab.ui.studyLabel.text
    assert tab.ui.analyseStudyButton.toolTip == (
        "The study is open and ratings are missing; close it first."
    )
    (study / "study.json").write_text("{}")
    host.pump(until=lambda: "study.json" in tab.ui.startServerButton.toolTip, timeout=10)
    assert not tab.ui.startServerButton.enabled


def test_a_server_that_dies_is_told_and_started_again(chosen, study):
    server = serve(chosen)
    assert f"The server runs at {server.base}" in chosen.ui.serverLabel.text
    for control in (chosen.ui.readerStudyPath, chosen.ui.studyPortSpinBox):
        assert not control.enabled
    log = "\n".join(server.lines)
    assert all(link not in log for link in (*server.links.values(), server.owner))

    host.click(chosen.ui.ratersTable.cellWidget(1, 3))
    import qt

    assert qt.QApplication.clipboard().text() == server.links["Ben"]
    assert chosen.ui.ratersTable.cellWidget(1, 3).text == "Copied"
    host.click(chosen.ui.ratersTable.cellWidget(2, 3))
    assert qt.QApplication.clipboard().text() == server.owner

    moved = study.rename(study.with_name("moved"))
    words = f"The server runs, but {study} does not exist; create the study, or choose its new"
    host.pump(until=lambda: words in chosen.ui.serverLabel.text, timeout=10)
    moved.rename(study)
    host.pump(until=lambda: "until you stop it" in chosen.ui.serverLabel.text, timeout=10)

    psutil.Process(server._child._process.pid).kill()
    host.pump(until=lambda: server.isOver, timeout=10)
    assert "Failed: The system ended the run (status -9)" in chosen.ui.serverLabel.text
    assert "start the server again" in chosen.ui.serverLabel.text
    assert chosen.ui.startServerButton.enabled
    assert not chosen.ui.ratersTable.cellWidget(1, 3).enabled


def test_a_running_server_outlives_its_scene_and_ends_with_its_module(chosen, study):
    server = serve(chosen)
    process = psutil.Process(server._child._process.pid)
    host.answers.told.clear()
    host.closeScene()
    assert chosen.parameters.readerStudyFolder == str(study)
    assert server.isServing
    slicer.util.selectModule("MicroCTSR")
    told = host.answers.texts("status")
    assert told == ["The server of the reader study still runs; raters can rate."]
    slicer.util.selectModule("MicroCTSRTraining")

    panel = host.reload("MicroCTSRTraining")
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert panel.logic.study.server is None
    assert "has been stopped with its module" in host.answers.texts("status")[-1]
    assert panel.parameters.readerStudyFolder == str(study)

    open_tab(panel, READER_STUDY)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        panel.parameters.studyPort = port = busy.getsockname()[1]
        assert serve(panel).isOver
    words = f"The port {port} is in use, perhaps by another study; stop that one, or give another"
    assert f"Failed: {words} port." in panel.ui.serverLabel.text
    assert serve(panel).isServing
    assert stop(panel) < 2
    assert "links open again when it is started" in panel.ui.serverLabel.text


# Close and analyse --------------------------------------------------------------------------------


def test_closing_asks_once_more(chosen):
    host.click(chosen.ui.closeStudyButton)
    assert chosen.ui.keepOpenButton.visible
    host.click(chosen.ui.keepOpenButton)
    assert chosen.ui.closeStudyButton.text == "Close the study"
    assert not chosen.ui.keepOpenButton.visible
    assert "; open." in chosen.ui.studyLabel.text
    host.click(chosen.ui.closeStudyButton)
    host.click(chosen.ui.closeStudyButton)
    assert "; closed." in chosen.ui.studyLabel.text
    assert chosen.ui.closeStudyButton.toolTip == "The study is closed already."

    host.click(chosen.ui.analyseStudyButton)
    wait_until_idle(chosen)
    assert "holds no ratings; there is nothing to analyse." in chosen.ui.analyseStudyLabel.text
    assert slicer.util.getNodesByClass("vtkMRMLTableNode") == []


def test_ratings_that_come_are_told_and_none_can_be_missed(chosen, study):
    from microctsr_core.study import open_study
    from toy_reader_study import rate_all

    table = chosen.ui.ratersTable
    assert table.item(0, 1).text() == "0 / 15"
    rate_all(open_study(study), lambda rater, place, _trial: (3, 4) if rater else (None, 4))
    host.pump(until=lambda: table.item(1, 1).text() == "15 / 15", timeout=10)
    assert table.item(0, 1).text() == "0 / 15"
    assert table.item(1, 2).toolTip().startswith("2026-01-01")
    assert [table.item(row, 0).text() for row in range(3)] == ["Anna", "Ben", "Owner"]
