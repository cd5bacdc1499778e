"""The panel's section *Report*: methods side by side, as a page that opens in the browser."""

from pathlib import Path

from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError
from MicroCTSRLib import Texts
from MicroCTSRLib.Task import DONE, FAILED

from .PathFields import PathFields, forFiles


class ReportSection:
    """Makes the report of a study, and opens it."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        self._task = None
        self._status = ""
        forFiles(ui.studyPath)
        self._fields = PathFields(panel, {"studyFile": ui.studyPath})
        ui.reportButton.clicked.connect(self._onReport)
        panel.logic.queue.changed.connect(self.update)
        panel.logic.queue.ended.connect(self._onEnded)

    def update(self):
        if self._panel.parameters is None:
            return
        self._fields.update()
        ui = self._ui
        isBusy, problem = self._task is not None, self.problem()
        ui.reportButton.text = _("Cancel") if isBusy else _("Make and open the report")
        ui.reportButton.enabled = isBusy or not problem
        ui.reportButton.toolTip = problem or _(
            "Compare the methods that the study names, and open the page in the browser. It lies "
            "beside the study's file and can be given to others as it is."
        )
        ui.reportProgressBar.visible = isBusy
        ui.reportProgressBar.value = self._task.percent if isBusy else 0
        ui.reportLabel.text = self._task.message if isBusy else self._status

    def problem(self):
        """Why there can be no report, or nothing."""
        text = self._panel.parameters.studyFile
        if not text:
            return _("Choose the YAML file of a study.")
        if not Path(text).expanduser().is_file():
            return _("{path} is no file; choose the YAML file of a study.").format(path=text)
        return ""

    def _onReport(self, _checked=False):
        if self._task is not None:
            self._task.cancel()
            return
        self._status = ""
        try:
            self._panel.logic.installation.ensure()
            study = Path(self._panel.parameters.studyFile).expanduser()
            self._task = self._panel.logic.report(study)
        except MicroCTSRError as error:
            self._status = Texts.red(str(error))
        self._panel.update()

    def _onEnded(self, task):
        if task is not self._task:
            return
        self._task = None
        if task.state == DONE:
            import qt

            qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(task.result)))
            self._status = str(task.result)
        elif task.state == FAILED:
            self._status = Texts.red(_("Failed: {why}").format(why=task.failure))
        else:
            self._status = _("Cancelled.")
        self._panel.update()
