"""The panel, and the sections that each look after some of its controls."""

import slicer
from slicer.i18n import tr as _

from MicroCTSRLib.Panel import Panel

from .EvaluationSection import EvaluationSection
from .FoldersSection import FoldersSection
from .Logic import MicroCTSRTrainingLogic
from .ReportSection import ReportSection
from .RunSection import RunSection
from .StudyAnalysisSection import StudyAnalysisSection
from .StudyCreateSection import StudyCreateSection
from .StudyRateSection import StudyRateSection
from .StudySection import StudySection
from .WatchSection import WatchSection

_READING_MS = 5000


class MicroCTSRTrainingWidget(Panel):
    """The module's panel; sections share it as their ``panel``."""

    def makeSections(self):
        self.logic = MicroCTSRTrainingLogic()
        self.run = RunSection(self)
        self.folders = FoldersSection(self)
        self.watch = WatchSection(self)
        self.evaluation = EvaluationSection(self)
        self.report = ReportSection(self)
        self.readerStudy = StudySection(self)
        return (
            self.run,
            self.folders,
            self.watch,
            self.evaluation,
            self.report,
            self.readerStudy,
            StudyCreateSection(self),
            StudyRateSection(self),
            StudyAnalysisSection(self),
        )

    def enter(self):
        Panel.enter(self)
        self.update()

    def exit(self):
        """The panel is hidden; a run and a server go on."""
        self._tellOfServer(_("The server of the reader study still runs; raters can rate."))

    def cleanup(self):
        self._tellOfServer(_("The server of the reader study has been stopped with its module."))
        self.logic.cleanup()
        Panel.cleanup(self)

    def onParameters(self):
        self.run.onParameters()

    def onSceneStartClose(self):
        self.logic.queue.cancelAll()
        self.watch.forget()

    def _tellOfServer(self, text):
        if self.logic.study.isServed:
            slicer.util.showStatusMessage(text, _READING_MS)
