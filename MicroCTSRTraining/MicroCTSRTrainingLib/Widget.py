"""The panel, and the sections that each look after some of its controls."""

from MicroCTSRLib.Panel import Panel

from .EvaluationSection import EvaluationSection
from .FoldersSection import FoldersSection
from .Logic import MicroCTSRTrainingLogic
from .ReportSection import ReportSection
from .RunSection import RunSection
from .WatchSection import WatchSection


class MicroCTSRTrainingWidget(Panel):
    """The module's panel; sections share it as their ``panel``."""

    def makeSections(self):
        self.logic = MicroCTSRTrainingLogic()
        self.run = RunSection(self)
        self.folders = FoldersSection(self)
        self.watch = WatchSection(self)
        self.evaluation = EvaluationSection(self)
        self.report = ReportSection(self)
        return (self.run, self.folders, self.watch, self.evaluation, self.report)

    def cleanup(self):
        self.logic.cleanup()
        Panel.cleanup(self)

    def onParameters(self):
        self.run.onParameters()

    def onSceneStartClose(self):
        self.logic.queue.cancelAll()
        self.watch.forget()
