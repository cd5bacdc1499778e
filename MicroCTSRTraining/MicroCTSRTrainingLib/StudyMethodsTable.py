"""The table of methods with the folders of their results, for a study of readers."""

from pathlib import Path

from slicer.i18n import tr as _

from MicroCTSRLib.Panel import offer

from . import StudyMethods


class StudyMethodsTable:
    """A row for each method, to be edited, and the buttons that add and remove one."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        ui.studyMethodsTable.horizontalHeader().stretchLastSection = True
        ui.studyMethodsTable.itemChanged.connect(self._onChanged)
        ui.addMethodButton.clicked.connect(self._onAdd)
        ui.removeMethodButton.clicked.connect(self._onRemove)

    def update(self):
        pairs = StudyMethods.read(self._panel.parameters.studyMethods)
        if self._pairs() != pairs:
            self._fill(pairs)
        reason = "" if pairs else _("There is no method to remove.")
        what = _("Take the chosen method out of the list; its folder stays.")
        offer(self._ui.removeMethodButton, reason, what)

    def _pairs(self):
        table = self._ui.studyMethodsTable
        cells = ([table.item(row, column) for column in (0, 1)] for row in range(table.rowCount))
        return [tuple(cell.text().strip() if cell else "" for cell in row) for row in cells]

    def _fill(self, pairs):
        import qt

        table = self._ui.studyMethodsTable
        wasBlocked = table.blockSignals(True)
        table.rowCount = len(pairs)
        for row, pair in enumerate(pairs):
            for column, text in enumerate(pair):
                item = qt.QTableWidgetItem(text)
                item.setToolTip(text)
                table.setItem(row, column, item)
        table.blockSignals(wasBlocked)

    def _onChanged(self, _item=None):
        if self._panel.parameters is not None:
            self._keep(self._pairs())

    def _onAdd(self, _checked=False):
        import qt

        title = _("The folder with a method's results")
        folder = qt.QFileDialog.getExistingDirectory(None, title)
        if folder:
            self._keep([*self._pairs(), (Path(folder).name, folder)])

    def _onRemove(self, _checked=False):
        pairs, row = self._pairs(), self._ui.studyMethodsTable.currentRow()
        pairs.pop(row if 0 <= row < len(pairs) else -1)
        self._keep(pairs)

    def _keep(self, pairs):
        self._panel.parameters.studyMethods = StudyMethods.written(pairs)
