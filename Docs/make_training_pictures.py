"""Draw the pictures of the module MicroCTSR Training: the real panel with a run, and with a study.

    python Docs/make_training_pictures.py [study]

It makes phantoms, trains a small model on them for a minute or two, and measures its result, in the
test host. Then it makes a reader study of phantoms, whose raters and ratings are made up; with the
word ``study`` it does that alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

REPOSITORY = Path(__file__).resolve().parents[1]
PICTURES = REPOSITORY / "Docs" / "pictures"
SIZE = (1360, 860)
WAIT_S = 1200
SETTINGS = """
epochs: 12
steps_per_epoch: 20
batch: {size: 4, low_size: 2, patch: 64}
network:
  arguments: {in_slices: 5, width: 16, blocks: 3, upsampling: [16, 8, 8], dropout_blocks: 1}
losses: {judge_filters: 8, alone: 0.5}
optimiser: {rate: 0.002, rise: 20, average_decay: 0.9}
validation: {cases: 2, slices: 2, edge: 24, samples: 4}
"""

sys.path.insert(0, str(REPOSITORY / "Testing" / "Slicer"))


def main() -> None:
    import host

    host.start(testing=True)
    folder = Path(tempfile.gettempdir()) / "ears"  # a short name, as it is in the pictures
    folder.mkdir()
    host.loadModule(REPOSITORY / "MicroCTSR" / "MicroCTSR.py")
    host.loadModule(REPOSITORY / "MicroCTSRTraining" / "MicroCTSRTraining.py")
    panel = host.openModule("MicroCTSRTraining")
    try:
        if "study" not in sys.argv[1:]:
            draw_training(panel, folder)
        draw_study(panel, folder / "study")
    finally:
        panel.logic.cleanup()
        shutil.rmtree(folder)


def save(name: str, scroll: float = 0.0, few_colours: bool = False) -> None:
    """Save a picture of the window, of 256 colours where that loses none that matters."""
    import host
    from host import pictures

    host.pump(0.5)
    window = pictures.window("MicroCTSRTraining", size=SIZE, panel_width=450, scroll=scroll)
    path = PICTURES / f"slicer-{name}.png"
    pictures.save(window, path)
    if few_colours:
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)


def open_tab(panel: Any, tab: int, closed: tuple[str, ...] = ()) -> None:
    """Choose a tab, and close some of its sections."""
    panel.ui.tabs.currentIndex = tab
    for name, widget in vars(panel.ui).items():
        if name.endswith("Section"):
            widget.collapsed = name.removesuffix("Section") in closed


def draw_training(panel: Any, folder: Path) -> None:
    import slicer

    import host

    low, high, run = make_folders(folder)
    settings = folder / "settings.yaml"
    settings.write_text(SETTINGS, encoding="utf-8")

    open_tab(panel, 0, closed=("log",))
    panel.parameters.lowFolder, panel.parameters.highFolder = str(low), str(high)
    panel.parameters.configFile, panel.parameters.outputFolder = str(settings), str(run)
    panel.ui.checkButton.click()
    host.pump(until=lambda: panel.logic.queue.current is None, timeout=WAIT_S)
    panel.ui.startButton.click()
    host.pump(until=lambda: len(panel.logic.run.history()) >= 8, timeout=WAIT_S)
    save("training")  # gives the views their size
    panel.ui.showCurvesButton.click()
    host.pump(until=lambda: len(panel.logic.run.history()) >= 9, timeout=WAIT_S)
    save("training")
    host.pump(until=lambda: panel.logic.run.stage.name == "FINISHED", timeout=WAIT_S)

    generated = super_resolved(folder, low / "case_000" / "low.nrrd", run)
    panel.parameters.generatedVolume = slicer.util.loadVolume(str(generated), {"show": False})
    panel.parameters.generatedVolume.SetName("TemporalBone SR")
    panel.parameters.referencePath = str(high)
    open_tab(panel, 1)
    panel.ui.evaluateButton.click()
    host.pump(until=lambda: panel.logic.queue.current is None, timeout=WAIT_S)
    save("evaluation")


def draw_study(panel: Any, folder: Path) -> None:
    """Volumes of the scene become a study, which is rated and analysed."""
    import make_study_pictures as made
    import qt
    import slicer

    import host

    def wait_for_task() -> None:
        host.pump(until=lambda: panel.logic.queue.current is None, timeout=WAIT_S)

    qt.QDesktopServices.openUrl = lambda _url: True  # the report stays closed
    host.closeScene()
    four = slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView
    slicer.app.layoutManager().layoutLogic().GetLayoutNode().SetViewArrangement(four)
    open_tab(panel, 2, closed=("rate", "analyseStudy"))
    choose_volumes(panel, made.cases(count=1, shape=(4, 40, 48), samples=2)[0])
    panel.parameters.readerStudyFolder = str(folder)
    panel.parameters.studyRaters = ", ".join(made.RATERS)
    panel.parameters.studyTitle, panel.parameters.studySlices = "Sharper ears", 4
    save("study-create")  # gives the views their size
    save("study-create", few_colours=True)
    panel.ui.createStudyButton.click()
    wait_for_task()

    # Tabs are as high as the highest, so that the others decide how far this one scrolls.
    open_tab(panel, 2, closed=("createStudy", "folders", "train", "watch", "log", "evaluate"))
    panel.parameters.studyPort = 0
    panel.ui.startServerButton.click()
    host.pump(until=lambda: panel.logic.study.server.isServing, timeout=WAIT_S)
    study, chance = panel.logic.study.folder.study, np.random.default_rng(4)
    for rater in range(len(made.RATERS)):
        made.rate(study, rater, len(study.raters[rater].order), chance)
    panel.logic.study.folder.refresh()
    panel.logic.study.folder.close()
    panel.ui.analyseStudyButton.click()
    wait_for_task()
    save("study")  # gives the views their size
    nodes = [slicer.util.getNode(f"{folder.name} {what}") for what in ("stars", "picture")]
    sys.modules["MicroCTSRTrainingLib.Layouts"].showStudy(*nodes)
    save("study", scroll=1.0, few_colours=True)


def choose_volumes(panel: Any, case: Any) -> None:
    """Put a scan and its results into the scene, and tick these."""
    import slicer

    import host
    from MicroCTSRLib import Nodes

    volumes = {"CT": case.scan} | dict(case.results)
    for name, volume in volumes.items():
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode")
        node.SetName(f"Ear {name}")
        Nodes.fillNode(node, volume)
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().AutoWindowLevelOff()
        node.GetDisplayNode().SetWindowLevelMinMax(-1000, 2400)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    host.pump(0.2)
    for row, method in enumerate(case.results, start=1):
        cells = (panel.ui.studyVolumesTable.cellWidget(row, column) for column in range(3))
        tick, scan, line = cells
        tick.checked, scan.currentIndex, line.text = True, 1, method


def make_folders(folder: Path) -> tuple[Path, Path, Path]:
    """Phantoms as clinical CT and others as micro-CT, a damaged file, and a name for a run."""
    low, high = folder / "clinical", folder / "micro"
    for path, domain, seed in ((low, "both", 1), (high, "high", 11)):
        words = ["--output", path, "--domain", domain, "--seed", seed, "--cases", 4]
        command("phantom", *words, "--spacing", 0.3, "--shape", "8,40,40")
    (low / "damaged.nrrd").write_bytes(b"NRRD0004\n")
    return low, high, folder / "runs" / "first"


def super_resolved(folder: Path, scan: Path, model: Path) -> Path:
    """The result of a model, in a file."""
    result = folder / "result.nrrd"
    command("superresolve", scan, result, "--model", model, "--samples", 4)
    return result


def command(*words: object) -> None:
    """Run the library's command."""
    subprocess.run([sys.executable, "-m", "microctsr_core", *map(str, words)], check=True)


if __name__ == "__main__":
    main()
