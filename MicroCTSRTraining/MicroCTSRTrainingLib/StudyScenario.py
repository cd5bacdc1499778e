"""The self-test's way through the tab of the reader study, by the pages that raters see, too."""

import json
import sys
import urllib.request
from unittest.mock import patch

import numpy as np
import slicer

from MicroCTSRLib.Test import waitUntil

PATIENT = "Doe^Jane"
TAB = 2
STARS = {"ours": 5, "theirs": 2}
RATERS = ("Anna", "Ben")


class StudyScenario:
    """Volumes with a patient's name become a study that two raters rate.

    Args:
        test: whose assertions are used.
        widget: the panel.
        folder: of the study, to be made.
    """

    def __init__(self, test, widget, folder):
        self.test, self.widget, self.ui, self.folder = test, widget, widget.ui, folder

    def run(self):
        self.ui.tabs.currentIndex = TAB
        self.addVolumes()
        self.create()
        self.serve()
        self.rate()
        self.close()
        self.analyse()
        self.stop()

    def addVolumes(self):
        """A scan, and on a grid four times as fine what two methods made of it."""
        random = np.random.default_rng(0)
        scan = random.integers(-900, 1900, (6, 12, 12)).astype(np.int16)
        coarse, fine = np.diag([0.4, 0.4, 0.7, 1.0]), np.diag([0.1, 0.1, 0.7, 1.0])
        fine[:2, 3] = -0.15  # both grids reach equally far
        slicer.util.addVolumeFromArray(scan, ijkToRAS=coarse, name=f"{PATIENT} CT")
        blocky = scan.repeat(4, 1).repeat(4, 2)
        for name, sd in (("sharp", 1), ("noisy", 200)):
            values = (blocky + random.normal(0, sd, blocky.shape)).astype(np.float32)
            slicer.util.addVolumeFromArray(values, ijkToRAS=fine, name=f"{PATIENT} {name}")
        waitUntil(lambda: self.ui.studyVolumesTable.rowCount == 3)

    def create(self):
        self.test.delayDisplay("Make a study of two results")
        table = self.ui.studyVolumesTable
        for row, method in ((1, "theirs"), (2, "ours")):
            tick, scan, line = (table.cellWidget(row, column) for column in range(3))
            tick.checked = True
            scan.currentIndex = 1
            line.text = method
        parameters = self.widget.parameters
        parameters.readerStudyFolder = str(self.folder)
        parameters.studyRaters = ", ".join(RATERS)
        parameters.studySlices, parameters.studyRepeated = 3, 0
        self.click(self.ui.createStudyButton)
        waitUntil(lambda: self.widget.logic.queue.current is None)
        self.test.assertIn("holds the study", self.ui.createStudyLabel.text)
        self.test.assertIn("3 slices by 2 methods, 2 raters; open", self.ui.studyLabel.text)
        for file in self.folder.rglob("*"):
            if file.is_file():
                self.test.assertNotIn(b"Doe", file.read_bytes(), file)

    def serve(self):
        self.test.delayDisplay("Start the server")
        self.widget.parameters.studyPort = 0
        self.click(self.ui.startServerButton)
        study = self.widget.logic.study
        waitUntil(lambda: study.server.isServing or study.server.isOver)
        self.test.assertIn("The server runs at http://127.0.0.1", self.ui.serverLabel.text)

    def rate(self):
        self.test.delayDisplay("Rate as two raters in their browsers")
        key = json.loads((self.folder / "study.json").read_text(encoding="utf-8"))
        for row, name in enumerate(RATERS):
            self.ui.ratersTable.cellWidget(row, 3).click()
            link = self.copied()
            self.test.assertIn(b"<html", ask(link))
            state = json.loads(ask(link + "state"))
            self.test.assertEqual((state["rater"], len(state["trials"])), (name, 6))
            for place, trial in enumerate(key["raters"][row]["order"]):
                stars = STARS[trial["method"]]
                given = {"revision": 1, "stars": [stars, stars - 1], "remark": ""}
                self.test.assertTrue(ask(f"{link}image/{place}/right").startswith(b"\x89PNG"))
                ask(f"{link}trial/{place}", given)
        waitUntil(lambda: [self.rated(row) for row in (0, 1)] == ["6 / 6", "6 / 6"])

    def rated(self, row):
        return self.ui.ratersTable.item(row, 1).text()

    def copied(self):
        import qt

        return qt.QApplication.clipboard().text()

    def close(self):
        self.test.delayDisplay("Close the study")
        self.click(self.ui.closeStudyButton)  # asks
        self.test.assertIn("; open", self.ui.studyLabel.text)
        self.click(self.ui.closeStudyButton)
        self.test.assertIn("; closed", self.ui.studyLabel.text)

    def analyse(self):
        self.test.delayDisplay("Analyse")
        opened = []
        section = sys.modules["MicroCTSRTrainingLib.StudyAnalysisSection"]
        with patch.object(section, "openPath", lambda path: opened.append(path) or str(path)):
            self.click(self.ui.analyseStudyButton)
            waitUntil(lambda: self.widget.logic.queue.current is None)
        report = self.folder / "analysis" / "report.html"
        self.test.assertEqual(opened, [report], self.ui.analyseStudyLabel.text)
        self.test.assertTrue(report.is_file())
        stars = slicer.util.getNode(f"{self.folder.name} stars").GetTable()
        methods, means = (stars.GetColumnByName(title) for title in ("method", "mean"))
        found = [(methods.GetValue(n), means.GetValue(n)) for n in range(4)]
        # Of the first criterion, then of the second, which was given a star less.
        self.test.assertEqual(found, [("theirs", 2), ("ours", 5), ("theirs", 1), ("ours", 4)])
        slicer.util.getNode(f"{self.folder.name} tests")
        slicer.util.getNode(f"{self.folder.name} agreement")
        image = slicer.util.getNode(f"{self.folder.name} picture").GetImageData()
        self.test.assertEqual(image.GetNumberOfScalarComponents(), 3)
        self.test.assertLessEqual(image.GetDimensions()[0], 1200)

    def stop(self):
        self.test.delayDisplay("Stop the server")
        self.click(self.ui.stopServerButton)
        waitUntil(lambda: not self.widget.logic.study.isServed)
        self.test.assertIn("has been stopped", self.ui.serverLabel.text)

    def click(self, button):
        self.test.assertTrue(button.enabled, button.toolTip)
        button.click()


def ask(address, given=None):
    """The body of an answer; what is given is sent as JSON."""
    data = None if given is None else json.dumps(given).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read()
