"""The panel's section *Study*: the folder of the study, and what it holds."""

from pathlib import Path

from slicer.i18n import tr as _

from MicroCTSRLib import Texts
from MicroCTSRLib.Panel import offer

from .PathFields import PathFields, forFolders, openPath


class StudySection:
    """Follows the study in the folder chosen."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        self._study = panel.logic.study.folder
        forFolders(ui.readerStudyPath)
        self._fields = PathFields(panel, {"readerStudyFolder": ui.readerStudyPath})
        ui.openStudyFolderButton.clicked.connect(self._onOpen)
        panel.logic.study.changed.connect(panel.update)

    def path(self):
        """The folder chosen, or ``None``."""
        text = self._panel.parameters.readerStudyFolder
        path = Path(text).expanduser() if text else None
        return path if path is not None and path.is_absolute() else None

    def problem(self):
        """Why there is no study to be rated or analysed, or nothing."""
        text = self._panel.parameters.readerStudyFolder
        if not text:
            return _("Choose the folder of a study.")
        if self.path() is None:
            return _("{path} is no whole path; choose the folder of a study.").format(path=text)
        return self._study.problem

    def update(self):
        self._fields.update()
        ui = self._ui
        if self.path() != self._study.folder:
            self._study.attach(self.path())
        ui.readerStudyPath.enabled = not self._panel.logic.study.isServed
        ui.studyLabel.text = self._words()
        offer(
            ui.openStudyFolderButton,
            self.problem(),
            _(
                "Open the folder of the study. In it, instructions.txt and criteria.txt hold what "
                "raters read and are asked; edit them before the first rating."
            ),
        )

    def _words(self):
        study = self._study.study
        if study is None:
            # A folder that is not there yet is to become a study.
            isNew = self.path() is None or not self.path().exists()
            isMissed = self._panel.logic.study.isServed
            return self.problem() if isNew and not isMissed else Texts.red(self.problem())
        words = _("{slices} slices by {methods} methods, {raters} raters; {state}.").format(
            slices=len(study.slices),
            methods=len(study.methods),
            raters=len(study.raters),
            state=_("closed") if self._study.closedAt else _("open"),
        )
        return f"{study.title}: {words}"

    def _onOpen(self, _checked=False):
        openPath(self._study.folder)
