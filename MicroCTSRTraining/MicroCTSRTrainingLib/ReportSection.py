"""The panel's section *Report*: methods side by side, as a page that opens in the browser."""

from pathlib import Path

from slicer.i18n import tr as _

from .PathFields import PathFields, forFiles, openPath
from .TaskControls import TaskControls


class ReportSection:
    """Makes the report of a study, and opens it."""

    def __init__(self, panel):
        self._panel = panel
        ui = panel.ui
        forFiles(ui.studyPath)
        self._fields = PathFields(panel, {"studyFile": ui.studyPath})
        self._report = TaskControls(
            panel, ui.reportButton, self._begin, openPath, ui.reportProgressBar, ui.reportLabel
        )
        panel.logic.queue.changed.connect(self.update)

    def update(self):
        if self._panel.parameters is None:
            return
        self._fields.update()
        self._report.update(
            self.problem(),
            _(
                "Compare the methods that the study names, and open the page in the browser. It "
                "lies beside the study's file and can be given to others as it is."
            ),
        )

    def problem(self):
        """Why there can be no report, or nothing."""
        text = self._panel.parameters.studyFile
        if not text:
            return _("Choose the YAML file of a study.")
        if not Path(text).expanduser().is_file():
            return _("{path} is no file; choose the YAML file of a study.").format(path=text)
        return ""

    def _begin(self):
        return self._panel.logic.report(Path(self._panel.parameters.studyFile).expanduser())
