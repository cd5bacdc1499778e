"""The panel's section *Folders*: clinical CT and micro-CT, and the cases found in them."""

import os
from pathlib import Path

from slicer.i18n import tr as _

from MicroCTSRLib import Texts

from .PathFields import PathFields, forFolders
from .TaskControls import TaskControls

COLUMNS = 5
ROW_HEIGHT = 22  # pixels


class FoldersSection:
    """Checks the folders, and knows why a run cannot use them."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        self._asked = None
        self._survey = None
        forFolders(ui.lowPath, ui.highPath)
        self._fields = PathFields(panel, {"lowFolder": ui.lowPath, "highFolder": ui.highPath})
        self._check = TaskControls(panel, ui.checkButton, self._begin, self._take)
        ui.casesTable.horizontalHeader().stretchLastSection = True
        ui.casesTable.verticalHeader().defaultSectionSize = ROW_HEIGHT
        panel.logic.queue.changed.connect(self.update)

    def problem(self):
        """Why a run cannot use the folders, or nothing."""
        survey = self._surveyOf(self._key())
        return self._pathProblem() or (survey or {}).get("problem") or ""

    def _pathProblem(self):
        """Why there is nothing to check, or nothing."""
        parameters = self._panel.parameters
        for text, what in (
            (parameters.lowFolder, _("clinical CT")),
            (parameters.highFolder, _("micro-CT")),
        ):
            if not text:
                return _("Choose the folder of {what}.").format(what=what)
            path = Path(text).expanduser()
            if not path.is_absolute():
                return _("{path} is no whole path; choose the folder of {what}.").format(
                    path=text, what=what
                )
            if not os.path.isdir(path):
                return _("{path} is no folder; choose the folder of {what}.").format(
                    path=path, what=what
                )
        return ""

    def update(self):
        if self._panel.parameters is None:
            return
        self._fields.update()
        ui = self._ui
        isLocked = self._panel.run.isLocked
        for line in (ui.lowPath, ui.highPath):
            line.enabled = not isLocked
        self._check.update(
            self._pathProblem(),
            _(
                "Read every case in both folders and list what is found, with what is wrong with a "
                "case. Nothing is trained and nothing is written."
            ),
        )
        survey = self._surveyOf(self._key())
        ui.casesTable.visible = survey is not None
        ui.checkLabel.text = self._words(survey)
        ui.checkLabel.visible = bool(ui.checkLabel.text)

    def _words(self, survey):
        if self._check.words or survey is None:
            return self._check.words
        if survey["problem"]:
            return Texts.red(survey["problem"])
        counts = [_usable(survey[domain]) for domain in ("low", "high")]
        bad = sum(len(survey[domain]["cases"]) for domain in ("low", "high")) - sum(counts)
        text = _("{low} clinical scans and {high} micro-CT can be used.").format(
            low=counts[0], high=counts[1]
        )
        if bad:
            return Texts.amber(_("{text} {bad} will be left out.").format(text=text, bad=bad))
        return text

    def _key(self):
        """What a check depends on."""
        parameters = self._panel.parameters
        return (parameters.lowFolder, parameters.highFolder, self._panel.run.request().config)

    def _surveyOf(self, key):
        return self._survey if self._asked == key else None

    def _begin(self):
        self._asked, self._survey = self._key(), None
        return self._panel.logic.survey(self._panel.run.request())

    def _take(self, survey):
        self._survey = survey
        self._list()
        return ""

    def _list(self):
        """Write every case into the table, bad ones in red with the reason."""
        import qt

        table = self._ui.casesTable
        kinds = {"low": _("CT"), "high": _("micro-CT")}
        cases = [
            (kinds[domain], case) for domain in kinds for case in self._survey[domain]["cases"]
        ]
        cases.sort(key=lambda pair: pair[1]["problem"] is None)  # bad ones first
        table.rowCount = len(cases)
        for row, (kind, case) in enumerate(cases):
            problem = case["problem"]
            texts = (
                case["name"],
                _("{domain}, {kind}").format(domain=kind, kind=_kinds().get(case["kind"], "")),
                Texts.grid(case["shape"]) if case["shape"] else "-",
                Texts.lengths(case["spacing_mm"]) if case["spacing_mm"] else "-",
                problem or _("good"),
            )
            for column, text in enumerate(texts):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(problem or text)
                if problem:
                    item.setForeground(qt.QBrush(qt.QColor("#c0392b")))
                table.setItem(row, column, item)
        for column in range(COLUMNS - 1):
            table.resizeColumnToContents(column)


def _kinds():
    return {"volume": _("volume"), "tiff": _("TIFF stack"), "dicom": _("DICOM series")}


def _usable(folder):
    return sum(case["problem"] is None for case in folder["cases"])
