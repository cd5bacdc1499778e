"""The panel's section *Analyse*: what the raters said of which method."""

from slicer.i18n import tr as _

from . import Layouts, StudyResults
from .PathFields import openPath
from .TaskControls import TaskControls


class StudyAnalysisSection:
    """Unblinds the study, shows box plots and table, and opens the report."""

    def __init__(self, panel):
        self._panel = panel
        self._study = panel.logic.study.folder
        ui = panel.ui
        self._analysis = TaskControls(
            panel,
            ui.analyseStudyButton,
            panel.logic.study.analyse,
            self._show,
            ui.analyseStudyProgressBar,
            ui.analyseStudyLabel,
        )
        panel.logic.queue.changed.connect(self.update)

    def update(self):
        if self._panel.parameters is None:
            return
        self._analysis.update(
            self.problem(),
            _(
                "Unblind the study: box plots and a table of stars in the views, tests and "
                "agreement as tables of the scene, and a report that opens in the browser."
            ),
        )

    def problem(self):
        """Why the study cannot be analysed, or nothing."""
        if self._study.study is None:
            return self._panel.readerStudy.problem()
        if self._study.closedAt is None and not self._study.isFinished:
            return _("The study is open and ratings are missing; close it first.")
        return ""

    def _show(self, folder):
        self._study.refresh()  # it is closed now
        table, picture = StudyResults.show(folder)
        Layouts.showStudy(table, picture)
        return openPath(folder / "report.html")
