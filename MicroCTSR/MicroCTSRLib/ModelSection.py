"""The panel's section *Model*: the list, the card in short, and what it says about the input."""

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import ModelError
from microctsr_core.trust.card_check import check_card

from . import Texts


class ModelSection:
    """Keeps the list of models and the warnings of the card check."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = panel.ui
        self._entries = []
        self._checked = None
        self._message = ""
        ui = panel.ui
        ui.modelSelector.currentIndexChanged.connect(self._onSelected)
        ui.importModelButton.clicked.connect(self._onImport)
        ui.openModelsButton.clicked.connect(self._onOpenFolder)
        ui.deleteModelButton.clicked.connect(self._onDelete)
        self._fill()

    def entry(self):
        """The model chosen; the default when the one chosen before is gone."""
        chosen = [entry for entry in self._entries if entry.key == self._panel.parameters.model]
        return (chosen or self._entries)[0]

    def scale(self):
        return int(self.entry().card["scale"])

    def worksOnFineGrid(self):
        """Whether the network maps one fine slice to another, as the paper's does."""
        arguments = self.entry().card["network"].get("arguments", {})
        return arguments.get("scale", 1) == 1 and arguments.get("in_slices", 1) == 1

    def update(self):
        entry, selector = self.entry(), self._ui.modelSelector
        index = self._entries.index(entry)
        if selector.currentIndex != index:
            selector.currentIndex = index
        self._ui.deleteModelButton.enabled = not entry.isBundled
        self._ui.cardLabel.text = entry.summary()
        self._ui.cardLabel.toolTip = entry.whole()
        lines = [Texts.red(self._message)] if self._message else []
        lines += [Texts.amber(warning) for warning in self._warnings(entry)]
        self._ui.cardWarningLabel.text = "<br>".join(lines)
        self._ui.cardWarningLabel.visible = bool(lines)

    def _warnings(self, entry):
        """What of the input lies outside the model's training; looked up once for each input."""
        volume = self._panel.input.volume
        if volume is None:
            self._checked = None
            return []
        node = self._panel.parameters.inputVolume
        what = (node.GetID(), node.GetImageData().GetMTime(), volume.spacing, entry.key)
        if self._checked is None or self._checked[0] != what:
            self._checked = (what, check_card(volume, entry.card))
        return self._checked[1]

    def refresh(self):
        """List the models anew where another module added or removed one."""
        if self._panel.models.entries() != self._entries:
            self._fill()

    def _fill(self):
        self._entries = self._panel.models.entries()
        selector = self._ui.modelSelector
        wasBlocked = selector.blockSignals(True)
        selector.clear()
        for entry in self._entries:
            selector.addItem(
                entry.title if entry.isBundled else _("{0} (yours)").format(entry.title)
            )
        selector.blockSignals(wasBlocked)

    def _onSelected(self, _index=None):
        index = self._ui.modelSelector.currentIndex
        if self._panel.parameters is not None and 0 <= index < len(self._entries):
            self._message = ""
            self._panel.parameters.model = self._entries[index].key

    def _onImport(self, _checked=False):
        import qt

        folder = qt.QFileDialog.getExistingDirectory(
            slicer.util.mainWindow(), _("Choose the folder of a model package")
        )
        if folder:
            self.importPackage(folder)

    def importPackage(self, folder):
        """Copy a package into the user's models and choose it."""
        try:
            entry = self._panel.models.importPackage(folder)
        except ModelError as error:
            self._message = str(error)
            self.update()
            return
        self._message = ""
        self._panel.costs.forget(entry.key)
        self._fill()
        self._panel.parameters.model = entry.key

    def _onOpenFolder(self, _checked=False):
        import qt

        folder = self._panel.models.folder
        folder.mkdir(parents=True, exist_ok=True)
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))

    def _onDelete(self, _checked=False):
        entry = self.entry()
        question = _("Delete the model {name} from your models? Its files in {folder} go.").format(
            name=entry.title, folder=entry.folder
        )
        if not slicer.util.confirmOkCancelDisplay(question, windowTitle="MicroCTSR"):
            return
        try:
            self._panel.models.delete(entry)
            self._message = ""
        except ModelError as error:
            self._message = str(error)
        self._panel.costs.forget(entry.key)
        self._fill()
        self._panel.parameters.model = self._entries[0].key
        self._panel.update()
