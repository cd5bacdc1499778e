"""The panel's section *Rate*: the server, the raters' links, how far they are, and the end."""

from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError
from MicroCTSRLib import Texts
from MicroCTSRLib.Panel import offer
from MicroCTSRLib.Task import CANCELLING, FAILED

from .Parameter import Reach
from .RatersTable import RatersTable


class StudyRateSection:
    """Starts and stops the server of the study, and closes the study."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        self._study = panel.logic.study
        self._message = ""
        self._isAsking = False
        self._raters = RatersTable(panel)
        ui.startServerButton.clicked.connect(self._onStart)
        ui.stopServerButton.clicked.connect(lambda _checked=False: self._study.stop())
        ui.closeStudyButton.clicked.connect(self._onClose)
        ui.keepOpenButton.clicked.connect(lambda _checked=False: self._ask(False))

    def update(self):
        self._holdToServer()
        ui, isServed = self._ui, self._study.isServed
        for control in (ui.studyReachSelector, ui.studyPortSpinBox, ui.studyAddressEdit):
            control.enabled = not isServed
        offer(
            ui.startServerButton,
            _("The server runs already.") if isServed else self._whyNotStart(),
            _("Let raters open their links. The server runs until you stop it or close Slicer."),
        )
        offer(
            ui.stopServerButton,
            "" if isServed else _("No server runs for the study."),
            _("End the server. Ratings are stored already, and links stay the same."),
        )
        ui.serverLabel.text = self._words()
        self._raters.update()
        self._offerClosing()

    def _whyNotStart(self):
        # The click asks for the installation of what is missing.
        return "" if self._study.folder.isLacking else self._panel.readerStudy.problem()

    def _holdToServer(self):
        """Keep the controls at what the server runs for, whatever scene is opened meanwhile."""
        parameters, server = self._panel.parameters, self._study.server
        if not self._study.isServed:
            return
        for name, value in (
            ("readerStudyFolder", str(server.folder)),
            ("studyReach", Reach(server.host)),
            ("studyPort", server.port),
            ("studyAddress", server.address),
        ):
            if getattr(parameters, name) != value:
                setattr(parameters, name, value)

    def _words(self):
        server = self._study.server
        if self._message:
            return Texts.red(self._message)
        if server is None:
            return ""
        if server.state == FAILED:
            return Texts.red(_("Failed: {why}").format(why=_inPanel(server.failure)))
        if server.isOver:
            return _("The server has been stopped; links open again when it is started.")
        if server.state == CANCELLING:
            return _("Stopping")
        if not server.isServing:
            return _("Starting")
        lost = self._study.folder.problem
        if lost:
            return Texts.red(_("The server runs, but {why}").format(why=lost))
        return _(
            "The server runs at {address}, until you stop it or close Slicer. Send each rater the "
            "link of his or her own."
        ).format(address=server.base)

    def _offerClosing(self):
        ui, folder = self._ui, self._study.folder
        isClosed = folder.closedAt is not None
        self._isAsking = self._isAsking and folder.study is not None and not isClosed
        reason = self._panel.readerStudy.problem() if folder.study is None else ""
        offer(
            ui.closeStudyButton,
            _("The study is closed already.") if isClosed else reason,
            _("Take no more ratings, so that the study can be analysed. A closed study stays so."),
        )
        ui.closeStudyButton.text = (
            _("Close it for good: no more ratings") if self._isAsking else _("Close the study")
        )
        ui.keepOpenButton.visible = self._isAsking

    def _onStart(self, _checked=False):
        parameters = self._panel.parameters

        def start():
            self._panel.logic.installation.ensure()
            self._study.folder.refresh()
            address = parameters.studyAddress.strip()
            self._study.serve(parameters.studyReach.value, parameters.studyPort, address)

        self._do(start)

    def _onClose(self, _checked=False):
        if self._isAsking:
            self._isAsking = False
            self._do(self._study.folder.close)
        else:
            self._ask(True)

    def _ask(self, isAsking):
        """Ask once more before the study is closed, or no longer."""
        self._isAsking = isAsking
        self._panel.update()

    def _do(self, action):
        """Do what a button says; what hinders it is told."""
        self._message = ""
        try:
            action()
        except MicroCTSRError as error:
            self._message = str(error)
        self._panel.update()


def _inPanel(text):
    """A sentence of the command line in the words of the panel."""
    return text.replace(" with --port", "").replace("--host or --port", _("port"))
