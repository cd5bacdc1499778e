"""The panel's section *Result*: overlays, legend, link and comparison."""

import slicer

from . import Display, Nodes, Segmentation
from .Parameter import Overlay

_HIDE_DEPARTURE_BELOW_HU = 40.0
_MOST_HU = 3000.0  # of the slider


class ResultSection:
    """Shows the result chosen, as the controls say."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = panel.ui
        self._layoutBefore = None
        self._shown = None
        ui = panel.ui
        ui.showButton.clicked.connect(self._onShow)
        ui.compareButton.clicked.connect(self._onCompare)

    def nodes(self):
        """The nodes of the result chosen, or ``None``; a result with a part deleted is none."""
        nodes = Nodes.resultNodes(self._panel.parameters.result)
        return nodes if nodes is not None and all(nodes) else None

    def take(self, nodes):
        """Show a new result."""
        parameters = self._panel.parameters
        parameters.result = nodes.mean
        parameters.hideBelow = _startingHideBelow(nodes, parameters.overlay)
        self._ui.resultSection.collapsed = False
        self._shown = None
        self._show(nodes)

    def showPreview(self, nodes):
        """Lay the preview of one slice over its input."""
        slicer.util.setSliceViewerLayers(
            background=self._inputOf(nodes), foreground=nodes.mean, foregroundOpacity=1.0
        )

    def update(self):
        ui, nodes = self._ui, self.nodes()
        for control in (
            ui.overlaySelector,
            ui.opacitySlider,
            ui.hideBelowSlider,
            ui.legendCheckBox,
            ui.linkCheckBox,
            ui.showButton,
            ui.compareButton,
        ):
            control.enabled = nodes is not None
        ui.compareButton.checked = Display.isComparing()
        if nodes is not None:
            self._apply(nodes)

    def _apply(self, nodes):
        """Make the views follow the controls; what did not change is left alone."""
        parameters = self._panel.parameters
        wanted = (
            nodes.mean.GetID(),
            parameters.overlay,
            parameters.overlayOpacity,
            parameters.hideBelow,
            parameters.legend,
            parameters.linkSlices,
        )
        if wanted == self._shown:
            return
        isShown = self._shown is not None and self._shown[0] == wanted[0]
        isOtherOverlay = isShown and self._shown[1] != wanted[1]
        self._shown = wanted
        if isOtherOverlay:  # whose values are of another size
            parameters.hideBelow = _startingHideBelow(nodes, parameters.overlay)
        if any(node.GetDisplayNode() is None for node in nodes):
            Display.showResult(nodes, self._inputOf(nodes))
        Display.hideBelow(nodes, parameters.hideBelow)
        Display.showLegend(nodes, parameters.overlay, parameters.legend)
        Display.linkSlices(parameters.linkSlices)
        if isShown:
            self._layers(nodes)

    def _layers(self, nodes):
        parameters = self._panel.parameters
        if Display.isComparing():
            part = Display.overlayNode(nodes, parameters.overlay)
            composite = Display.compositeNode(Display.RESULT_VIEW)
            composite.SetForegroundVolumeID(part.GetID() if part else None)
            composite.SetForegroundOpacity(parameters.overlayOpacity if part else 0.0)
        else:
            Display.showInViews(nodes, parameters.overlay, parameters.overlayOpacity)

    def _show(self, nodes):
        parameters = self._panel.parameters
        Display.showInViews(nodes, parameters.overlay, parameters.overlayOpacity)
        self._apply(nodes)
        if Display.isComparing():
            self._compare(nodes)
        else:
            Display.fitViews()

    def _onShow(self, _checked=False):
        self._show(self.nodes())

    def _onCompare(self, _checked=False):
        if Display.isComparing():
            Display.restoreLayout(self._layoutBefore or 1)
            self._show(self.nodes())
        else:
            self._compare(self.nodes())
        self._ui.compareButton.checked = Display.isComparing()

    @staticmethod
    def _fitComparison(mean):
        if Display.isComparing() and slicer.mrmlScene.IsNodePresent(mean):
            Display.showSamePlace(mean)

    def _compare(self, nodes):
        import qt

        parameters = self._panel.parameters
        before = Display.compare(
            nodes, self._inputOf(nodes), parameters.overlay, parameters.overlayOpacity
        )
        # Views that have just been made get their size from Qt a moment later.
        qt.QTimer.singleShot(0, lambda: self._fitComparison(nodes.mean))
        if before != Display.COMPARE_LAYOUT_ID:
            self._layoutBefore = before
        Display.renewLegend(nodes, parameters.overlay, parameters.legend)

    @staticmethod
    def _inputOf(nodes):
        return nodes.mean.GetNodeReference(Nodes.PREFIX + "input")


def _startingHideBelow(nodes, overlay):
    """Where an overlay begins to deserve attention, in HU: for the uncertainty, not far below the
    threshold of reliable voxels, whatever the model's scale of uncertainty."""
    if overlay != Overlay.UNCERTAINTY:
        return _HIDE_DEPARTURE_BELOW_HU
    return min(round(2 / 3 * Segmentation.startingThresholds(nodes).uncertainty_hu), _MOST_HU)
