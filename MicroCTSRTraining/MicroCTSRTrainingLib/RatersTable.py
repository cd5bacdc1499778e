"""The table of a study's raters: how far each is, and the links, to be copied."""

from datetime import datetime

from slicer.i18n import tr as _

from MicroCTSRLib.Panel import offer

NAME, DONE, LAST, LINK = range(4)


class RatersTable:
    """A row for each rater, and one for the study's owner; links go to the clipboard."""

    def __init__(self, panel):
        import qt

        self._panel = panel
        self._ui = panel.ui
        self._study = panel.logic.study
        self._table = panel.ui.ratersTable
        self._names = None
        self._buttons = []
        self._copied = None
        self._table.wordWrap = False
        header = self._table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(NAME, qt.QHeaderView.Stretch)
        panel.ui.ownerPageButton.clicked.connect(self._onOwnerPage)

    def update(self):
        progress, server = self._study.folder.progress, self._study.server
        names = [each.name for each in progress]
        if names != self._names:
            self._fill(names)
        self._table.visible = bool(names)
        for row, each in enumerate(progress):
            self._write(row, DONE, f"{each.done} / {each.trials}")
            self._write(row, LAST, *_local(each.last) if each.last else "-")
        isServing = server is not None and server.isServing
        if not isServing:
            self._copied = None
        reason = "" if isServing else _("Start the server first.")
        for row, button in enumerate(self._buttons):
            offer(button, reason, _("Put the link into the clipboard."))
            button.text = _("Copied") if row == self._copied else _("Copy link")
        what = _("Open the page that shows progress in the browser.")
        offer(self._ui.ownerPageButton, reason, what)

    def _fill(self, names):
        import qt

        self._names, self._buttons, self._copied = names, [], None
        rows = [*names, _("Owner")] if names else []
        self._table.rowCount = 0
        self._table.rowCount = len(rows)
        for row, name in enumerate(rows):
            for column in (NAME, DONE, LAST):
                self._table.setItem(row, column, qt.QTableWidgetItem(""))
            self._write(row, NAME, name)
            button = qt.QPushButton()
            button.clicked.connect(lambda _checked=False, row=row: self._onCopy(row))
            self._table.setCellWidget(row, LINK, button)
            self._buttons.append(button)

    def _write(self, row, column, text, whole=""):
        item = self._table.item(row, column)
        if item.text() != text:
            item.setText(text)
            item.setToolTip(whole or text)

    def _onCopy(self, row):
        import qt

        server = self._study.server
        isRater = row < len(self._names)
        link = server.links[self._names[row]] if isRater else server.owner
        qt.QApplication.clipboard().setText(link)
        self._copied = row
        self._panel.update()

    def _onOwnerPage(self, _checked=False):
        import qt

        qt.QDesktopServices.openUrl(qt.QUrl(self._study.server.owner))


def _local(time):
    """A time of the library in the time of this place, in short and whole."""
    here = datetime.fromisoformat(time).astimezone()
    return here.strftime("%d %b %H:%M"), here.strftime("%Y-%m-%d %H:%M:%S")
