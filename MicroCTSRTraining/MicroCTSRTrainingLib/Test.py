"""The module's self-test: from two folders to a measured model, and from volumes to a rated study.

It runs in the real application (*Reload & Test*, CTest) and in the project's test host.
"""

import shutil
import tempfile
import unittest
from pathlib import Path

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

from MicroCTSRLib.ChildProcess import ChildProcess
from MicroCTSRLib.Test import waitUntil

from .Parameter import Measure, Method
from .StudyScenario import StudyScenario
from .TrainingRun import Stage

NAME = "microctsr-self-test"
# Ten steps of a network small enough for any computer.
SETTINGS = """
epochs: 2
steps_per_epoch: 5
batch: {size: 2, low_size: 2, patch: 64}
network:
  arguments: {width: 8, blocks: 2, upsampling: [8, 6, 4], dropout_blocks: 1, in_slices: 5}
losses: {judge_filters: 4, alone: 0.4}
validation: {cases: 1, slices: 1, edge: 8, samples: 1}
"""


class MicroCTSRTrainingTest(ScriptedLoadableModuleTest):
    """Two scenarios, as a researcher goes through them."""

    def setUp(self):
        slicer.mrmlScene.Clear()
        self.folder = Path(tempfile.mkdtemp(prefix="MicroCTSRTraining-"))
        self.run = self.folder / "runs" / NAME
        self.remembered = openPanel().run.remembered()

    def tearDown(self):
        """Leave the user's list of models, and the run that the panel remembers, as they were."""
        widget = openPanel()
        run = widget.logic.run
        if run.isAtWork:
            run.stop()
            waitUntil(lambda: not run.isAtWork)
        for entry in widget.logic.models.entries():
            if entry.card["name"] == NAME and not entry.isBundled:
                widget.logic.models.delete(entry)
        widget.parameters.outputFolder = self.remembered
        widget.run.remember(self.remembered)
        shutil.rmtree(self.folder, ignore_errors=True)

    def runTest(self):
        for scenario in (
            self.test_FromVolumesToARatedStudy,
            self.test_FromTwoFoldersToAMeasuredModel,
        ):
            self.setUp()
            try:
                scenario()
            finally:
                self.tearDown()

    def test_FromTwoFoldersToAMeasuredModel(self):
        widget = openPanel()
        missing = widget.logic.installation.missing()
        if missing:
            raise unittest.SkipTest(f"Slicer's Python lacks {', '.join(missing)}")
        self.makePhantoms()
        self.check(widget)
        self.begin(widget)
        widget = self.attachAgain()
        self.finish(widget)
        self.evaluate(widget)

    def test_FromVolumesToARatedStudy(self):
        widget = openPanel()
        missing = widget.logic.installation.missing()
        if missing:
            raise unittest.SkipTest(f"Slicer's Python lacks {', '.join(missing)}")
        try:
            StudyScenario(self, widget, self.folder / "ears").run()
        finally:
            widget.logic.study.stop()

    def makePhantoms(self):
        self.delayDisplay("Make four ears")
        words = ["--cases", 4, "--seed", 1, "--spacing", 0.3, "--shape", "8,24,24"]
        child = ChildProcess(
            ["phantom", "--output", self.folder / "phantoms", *words], self.folder / "log.txt"
        )
        codes = []
        child.finished.connect(codes.append)
        child.start()
        waitUntil(lambda: codes)
        self.assertEqual(codes, [0], (self.folder / "log.txt").read_text(encoding="utf-8"))

    def check(self, widget):
        self.delayDisplay("Check the folders")
        widget.parameters.lowFolder = widget.parameters.highFolder = str(self.folder / "phantoms")
        widget.ui.checkButton.click()
        waitUntil(lambda: widget.logic.queue.current is None)
        self.assertEqual(widget.ui.casesTable.rowCount, 8, widget.ui.checkLabel.text)
        self.assertIn("4 clinical scans and 4 micro-CT", widget.ui.checkLabel.text)

    def begin(self, widget):
        self.delayDisplay("Begin ten steps, and pause")
        settings = self.folder / "settings.yaml"
        settings.write_text(SETTINGS, encoding="utf-8")
        widget.parameters.method = Method.CYCLEGAN
        widget.parameters.configFile = str(settings)
        widget.parameters.outputFolder = str(self.run)
        self.assertTrue(widget.ui.startButton.enabled, widget.ui.startButton.toolTip)
        widget.ui.startButton.click()
        waitUntil(lambda: self.isAt(widget, Stage.RUNNING))
        widget.ui.pauseButton.click()

    def isAt(self, widget, stage):
        run = widget.logic.run
        self.assertNotEqual(run.stage, Stage.FAILED, widget.ui.statusLabel.text)
        return run.stage == stage

    def attachAgain(self):
        self.delayDisplay("Forget the panel, and find the run again")
        slicer.util.reloadScriptedModule("MicroCTSRTraining")
        widget = openPanel()
        self.assertEqual(widget.parameters.outputFolder, str(self.run))
        waitUntil(lambda: self.nameOfStage(widget) == "PAUSED")
        self.assertEqual(widget.parameters.lowFolder, str(self.folder / "phantoms"))
        return widget

    def nameOfStage(self, widget):
        """The stage by its name: the Reload made its class anew."""
        name = widget.logic.run.stage.name
        self.assertNotEqual(name, "FAILED", widget.ui.statusLabel.text)
        return name

    def finish(self, widget):
        self.delayDisplay("Go on to the end")
        widget.ui.resumeButton.click()
        waitUntil(lambda: self.nameOfStage(widget) == "FINISHED")
        self.assertEqual(len(widget.logic.run.history()), 2)
        self.assertIn("Finished", widget.ui.statusLabel.text)
        names = [entry.card["name"] for entry in widget.logic.models.entries()]
        self.assertIn(NAME, names)
        widget.ui.showCurvesButton.click()
        history = slicer.util.getNode(f"{NAME} history")
        self.assertEqual(history.GetNumberOfRows(), 2)
        chart = slicer.util.getNode(f"{NAME} curves")
        self.assertGreater(chart.GetNumberOfPlotSeriesNodes(), 0)
        picture = slicer.util.getNode(f"{NAME} picture")
        self.assertEqual(picture.GetImageData().GetNumberOfScalarComponents(), 3)

    def evaluate(self, widget):
        self.delayDisplay("Measure a micro-CT against the others")
        generated = slicer.util.loadVolume(str(self.folder / "phantoms/case_000/high.nrrd"))
        generated.SetName("Ear")
        widget.parameters.measure = type(widget.parameters.measure)(Measure.M_HUM.value)
        widget.parameters.generatedVolume = generated
        widget.parameters.referencePath = str(self.folder / "phantoms/case_001/high.nrrd")
        widget.ui.evaluateButton.click()
        waitUntil(lambda: widget.logic.queue.current is None)
        self.assertIn("m-HuM", widget.ui.evaluateLabel.text)
        measures = slicer.util.getNode("Ear m-HuM")
        self.assertEqual(measures.GetTable().GetColumn(0).GetValue(0), "m-HuM")
        slices = slicer.util.getNode("Ear m-HuM by slice")
        self.assertIsNotNone(slices)


def openPanel():
    """The module's panel, opened as by a user."""
    slicer.util.selectModule("MicroCTSRTraining")
    return slicer.modules.microctsrtraining.widgetRepresentation().self()
