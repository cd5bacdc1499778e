"""The table in which volumes of the scene are ticked for a study of readers."""

from . import StudyVolumes
from .StudyVolumes import Choice


class StudyVolumesTable:
    """A row for each volume that may be a result: a tick, its scan, its method."""

    def __init__(self, panel):
        import qt

        self._panel = panel
        self._table = panel.ui.studyVolumesTable
        self._table.horizontalHeader().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        self._listed = None
        self._rows = []
        self._scans = []
        self._isShowing = False

    def update(self):
        """List the volumes that there are, and show the choices kept by the parameters."""
        results, scans = StudyVolumes.results(), StudyVolumes.scans()
        listed = [[(n.GetID(), n.GetName()) for n in nodes] for nodes in (results, scans)]
        if listed != self._listed:
            self._listed, self._scans = listed, scans
            self._fill(results)
        choices = {each.result: each for each in StudyVolumes.read(self._panel.parameters)}
        self._isShowing = True
        for node, *widgets in self._rows:
            self._show(choices.get(node) or StudyVolumes.suggestion(node), *widgets)
            tick, scan, method = widgets
            tick.checked = scan.enabled = method.enabled = node in choices
        self._isShowing = False

    def _show(self, choice, _tick, scan, method):
        place = self._scans.index(choice.scan) + 1 if choice.scan in self._scans else 0
        if scan.currentIndex != place:
            scan.currentIndex = place
        # A space at the end may be the middle of a name that is being typed.
        if method.text.strip() != choice.method:
            method.text = choice.method

    def _fill(self, results):
        import qt

        self._rows = []
        self._table.rowCount = 0
        self._table.rowCount = len(results)
        for row, node in enumerate(results):
            tick, scan, method = qt.QCheckBox(), qt.QComboBox(), qt.QLineEdit()
            tick.text = node.GetName().replace("&", "&&")  # one alone would underline a letter
            tick.toolTip = node.GetName()
            scan.addItem("-")
            for each in self._scans:
                scan.addItem(each.GetName())
            for column, widget in enumerate((tick, scan, method)):
                self._table.setCellWidget(row, column, widget)
            tick.toggled.connect(self._onChanged)
            scan.currentIndexChanged.connect(self._onChanged)
            method.textChanged.connect(self._onChanged)
            self._rows.append((node, tick, scan, method))

    def _onChanged(self, _value=None):
        if self._isShowing or self._panel.parameters is None:
            return
        choices = []
        for node, tick, scan, method in self._rows:
            if tick.checked:
                place = scan.currentIndex - 1
                made = self._scans[place] if place >= 0 else None
                choices.append(Choice(node, made, method.text.strip()))
        StudyVolumes.write(self._panel.parameters, choices)
