"""The panel's section *Create*: what a study of readers compares, and how it shows it."""

import re
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from . import StudyMethods, StudyVolumes
from .Parameter import StudySource
from .PathFields import PathFields, forFiles
from .StudyLogic import StudySettings
from .StudyMethodsTable import StudyMethodsTable
from .StudyVolumesTable import StudyVolumesTable
from .TaskControls import TaskControls

_NUMBERS = re.compile(r"\s*\d+(\s*,\s*\d+)*\s*")


class StudyCreateSection:
    """Makes the study in the folder chosen."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        forFiles(ui.comparisonPath)
        lines = {"studyLowPath": ui.studyLowPath, "comparisonFile": ui.comparisonPath}
        self._fields = PathFields(panel, lines)
        self._volumes, self._methods = StudyVolumesTable(panel), StudyMethodsTable(panel)
        self._creation = TaskControls(
            panel,
            ui.createStudyButton,
            self._begin,
            self._created,
            ui.createStudyProgressBar,
            ui.createStudyLabel,
        )
        panel.logic.queue.changed.connect(self.update)
        scene = slicer.mrmlScene
        for event in (scene.NodeAddedEvent, scene.EndImportEvent):
            panel.addObserver(scene, event, self._onScene)

    def update(self):
        if self._panel.parameters is None:
            return
        self._fields.update()
        self._volumes.update()
        self._methods.update()
        ui, source = self._ui, self._panel.parameters.studySource
        for wanted, controls in (
            (StudySource.VOLUMES, (ui.studyVolumesTable,)),
            (
                StudySource.FOLDERS,
                (
                    *(ui.studyLowCaption, ui.studyLowPath, ui.studyMethodsTable),
                    *(ui.addMethodButton, ui.removeMethodButton),
                ),
            ),
            (StudySource.COMPARISON, (ui.comparisonCaption, ui.comparisonPath)),
        ):
            for control in controls:
                control.visible = source == wanted
        ui.studySlicesSpinBox.enabled = not self._panel.parameters.studyAt.strip()
        self._creation.update(
            self.problem(),
            _(
                "Make the folder of the study, in the background: every slice by every method, in "
                "an order of its own for each rater."
            ),
        )

    def problem(self):
        """Why no study can be made, or nothing."""
        return self._folderProblem() or self._sourceProblem() or self._settingsProblem()

    def _folderProblem(self):
        text, path = self._panel.parameters.readerStudyFolder, self._panel.readerStudy.path()
        if not text:
            return _("Choose a new folder for the study.")
        if path is None:
            return _("{path} is no whole path; choose a new folder for the study.").format(
                path=text
            )
        if path.exists():
            return _("{path} exists already; choose a new folder for the study.").format(path=path)
        return ""

    def _sourceProblem(self):
        parameters = self._panel.parameters
        if parameters.studySource == StudySource.VOLUMES:
            return StudyVolumes.problem(StudyVolumes.read(parameters))
        if parameters.studySource == StudySource.FOLDERS:
            low = parameters.studyLowPath
            if not low:
                return _("Choose a scan, or the folder of scans.")
            if not Path(low).expanduser().exists():
                return _("{path} does not exist; choose the folder of scans.").format(path=low)
            return StudyMethods.problem(StudyMethods.read(parameters.studyMethods))
        file = parameters.comparisonFile
        if not file:
            return _("Choose the YAML file of a comparison.")
        if not Path(file).expanduser().is_file():
            return _("{path} is no file; choose the YAML file of a comparison.").format(path=file)
        return ""

    def _settingsProblem(self):
        parameters = self._panel.parameters
        if parameters.studyAt.strip() and not _NUMBERS.fullmatch(parameters.studyAt):
            return _("{text} is no list of slices; write numbers from 0, such as 3, 5, 9.").format(
                text=parameters.studyAt
            )
        if parameters.studyBlack >= parameters.studyWhite:
            return _("What is shown black has to be below what is shown white.")
        names = _listed(parameters.studyRaters)
        twice = next((name for name in names if names.count(name) > 1), "")
        if twice:
            return _("Two raters are called {name}; give each another name.").format(name=twice)
        against, methods = parameters.studyAgainst.strip(), self._knownMethods()
        if against and methods and against not in methods:
            return _("{name} is none of the methods ({methods}); write one of them.").format(
                name=against, methods=", ".join(methods)
            )
        return ""

    def _knownMethods(self):
        """Names of the methods; nothing where only the file of a comparison knows them."""
        parameters = self._panel.parameters
        if parameters.studySource == StudySource.VOLUMES:
            return StudyVolumes.methodsOf(StudyVolumes.read(parameters))
        if parameters.studySource == StudySource.FOLDERS:
            return [name for name, _folder in StudyMethods.read(parameters.studyMethods)]
        return []

    def _settings(self):
        parameters = self._panel.parameters
        return StudySettings(
            slices=parameters.studySlices,
            at=tuple(_listed(parameters.studyAt)),
            repeated=parameters.studyRepeated / 100,
            raters=tuple(_listed(parameters.studyRaters)),
            against=parameters.studyAgainst.strip(),
            title=parameters.studyTitle.strip(),
            window=(parameters.studyBlack, parameters.studyWhite),
            seed=parameters.studySeed,
        )

    def _begin(self):
        parameters, study = self._panel.parameters, self._panel.logic.study
        path, settings = self._panel.readerStudy.path(), self._settings()
        if parameters.studySource == StudySource.VOLUMES:
            return study.createFromVolumes(path, StudyVolumes.read(parameters), settings)
        if parameters.studySource == StudySource.FOLDERS:
            pairs = StudyMethods.read(parameters.studyMethods)
            methods = {name: Path(folder).expanduser() for name, folder in pairs}
            low = Path(parameters.studyLowPath).expanduser()
            return study.createFromFolders(path, low, methods, settings)
        file = Path(parameters.comparisonFile).expanduser()
        return study.createFromComparison(path, file, settings)

    def _created(self, folder):
        self._panel.logic.study.folder.refresh()
        return _(
            "{folder} holds the study. Look at instructions.txt and criteria.txt in it, then let "
            "it be rated."
        ).format(folder=folder)

    def _onScene(self, scene, _event):
        if not scene.IsBatchProcessing():
            import qt

            # A moment later: a node gets its contents after it was added.
            qt.QTimer.singleShot(0, self.update)


def _listed(text):
    """What commas part, without spaces around it and without empty parts."""
    return [part.strip() for part in text.split(",") if part.strip()]
