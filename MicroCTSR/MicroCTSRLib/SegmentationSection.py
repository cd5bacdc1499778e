"""The panel's section *Segmentation*: thresholds, live preview, seeds, and growing them."""

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError
from microctsr_core.trust.seeds import Thresholds

from . import Segmentation, Texts

_PREVIEW_DELAY_MS = 60


class SegmentationSection:
    """Turns the result chosen into seeds and segments."""

    def __init__(self, panel):
        import qt

        self._panel = panel
        self._ui = panel.ui
        self._preview = Segmentation.SeedPreview()
        self._previewed = None
        # A slider that is dragged asks for more previews than can be drawn.
        self._timer = qt.QTimer()
        self._timer.interval = _PREVIEW_DELAY_MS
        self._timer.timeout.connect(self._showPreview)
        ui = panel.ui
        ui.otsuButton.clicked.connect(self._onOtsu)
        ui.createSeedsButton.clicked.connect(self._onCreateSeeds)
        ui.openInSegmentEditorButton.clicked.connect(self._onOpenInSegmentEditor)
        ui.growNowButton.clicked.connect(self._onGrowNow)

    def take(self, nodes):
        """Start with the thresholds of a new result."""
        self._setThresholds(Segmentation.startingThresholds(nodes))
        self._panel.parameters.seeds = None
        self._ui.segmentationSection.collapsed = False
        self._ui.segmentationLabel.text = ""

    def update(self):
        ui, nodes, parameters = self._ui, self._panel.result.nodes(), self._panel.parameters
        for control in (
            ui.seedUncertaintySlider,
            ui.seedAirSlider,
            ui.seedBoneSlider,
            ui.otsuButton,
            ui.previewSeedsCheckBox,
            ui.createSeedsButton,
            ui.openInSegmentEditorButton,
            ui.growNowButton,
            ui.onlyReliableCheckBox,
        ):
            control.enabled = nodes is not None
        if nodes is None or not parameters.previewSeeds:
            self.hidePreview()
        elif self._previewed != (nodes.mean.GetID(), self.thresholds()):
            self._timer.start()

    def thresholds(self):
        """The thresholds as the sliders say."""
        parameters = self._panel.parameters
        return Thresholds(
            air_hu=parameters.seedAir,
            bone_hu=max(parameters.seedBone, parameters.seedAir),
            uncertainty_hu=parameters.seedUncertainty,
        )

    def hidePreview(self):
        self._timer.stop()
        self._preview.hide()
        self._previewed = None

    def _showPreview(self):
        self._timer.stop()
        parameters = self._panel.parameters
        nodes = self._panel.result.nodes() if parameters is not None else None
        if nodes is not None and parameters.previewSeeds:
            self._previewed = (nodes.mean.GetID(), self.thresholds())
            self._preview.show(nodes, self.thresholds())

    def _setThresholds(self, thresholds):
        parameters = self._panel.parameters
        parameters.seedUncertainty = min(max(thresholds.uncertainty_hu, 0.0), 3000.0)
        parameters.seedAir = min(max(thresholds.air_hu, -1000.0), 500.0)
        parameters.seedBone = min(max(thresholds.bone_hu, 0.0), 2500.0)

    def _onOtsu(self, _checked=False):
        self._setThresholds(Segmentation.startingThresholds(self._panel.result.nodes()))

    def _onCreateSeeds(self, _checked=False):
        with slicer.util.tryWithErrorDisplay(_("The seeds could not be made."), waitCursor=True):
            self._createSeeds()

    def _createSeeds(self):
        parameters, nodes = self._panel.parameters, self._panel.result.nodes()
        parameters.seeds = Segmentation.createSeeds(nodes, self.thresholds(), parameters.seeds)
        parameters.previewSeeds = False
        self._tellCoverage(_("Seeds"), parameters.seeds, nodes)
        return parameters.seeds

    def _onOpenInSegmentEditor(self, _checked=False):
        with slicer.util.tryWithErrorDisplay(_("The Segment Editor could not be opened.")):
            seeds = self._panel.parameters.seeds or self._createSeeds()
            Segmentation.openInSegmentEditor(seeds, self._panel.result.nodes())

    def _onGrowNow(self, _checked=False):
        parameters, nodes = self._panel.parameters, self._panel.result.nodes()
        with slicer.util.tryWithErrorDisplay(_("The seeds could not be grown."), waitCursor=True):
            try:
                grown = Segmentation.grow(nodes, self.thresholds(), parameters.onlyReliable)
            except MicroCTSRError as error:
                self._ui.segmentationLabel.text = Texts.red(str(error))
                return
            parameters.previewSeeds = False
            if parameters.seeds is not None:
                parameters.seeds.SetDisplayVisibility(False)
            self._tellCoverage(_("Grown"), grown, nodes)

    def _tellCoverage(self, what, segmentation, nodes):
        """Volume of each segment and what share of the result it is."""
        shares = Segmentation.shares(segmentation, nodes)
        text = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
        self._ui.segmentationLabel.text = _("{what}: {shares} of the result.").format(
            what=what, shares=text
        )
