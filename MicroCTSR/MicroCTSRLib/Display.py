"""How a result is shown: window, overlays with their legend, and input beside result."""

import numpy as np
import slicer
from slicer.i18n import tr as _

from . import Nodes
from .Parameter import Overlay

UNCERTAINTY_COLOURS = "vtkMRMLColorTableNodeFileInferno.txt"
FALLBACK_COLOURS = "vtkMRMLColorTableNodeGrey"
INPUT_VIEW, RESULT_VIEW = "MicroCTSRInput", "MicroCTSRResult"
COMPARE_LAYOUT_ID = 8216
_COLOURS = 256
_COLOURS_ROLE = Nodes.PREFIX + "colours"
_DIVERGING = ((0.02, 0.19, 0.38), (0.97, 0.97, 0.97), (0.40, 0.0, 0.12))  # less, equal, denser


def showResult(nodes, inputNode):
    """Give the nodes of a result their colours and windows, the mean that of the input."""
    for node in nodes:
        if node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().AutoWindowLevelOff()
    _copyWindow(inputNode, nodes.mean)
    uncertainty = nodes.uncertainty.GetDisplayNode()
    setColours(uncertainty, UNCERTAINTY_COLOURS)
    uncertainty.SetWindowLevelMinMax(0, _highest(nodes.uncertainty))
    departure = nodes.consistency.GetDisplayNode()
    departure.SetAndObserveColorNodeID(_divergingColours(nodes.consistency).GetID())
    limit = _highest(nodes.consistency)
    departure.SetWindowLevelMinMax(-limit, limit)


def setColours(displayNode, colourId):
    """Show a volume in a colour table of Slicer's; in grey where this Slicer has no such table."""
    known = slicer.mrmlScene.GetNodeByID(colourId) is not None
    displayNode.SetAndObserveColorNodeID(colourId if known else FALLBACK_COLOURS)


def showInViews(nodes, overlay, opacity):
    """Show the mean in every slice view, with an overlay upon it."""
    part = overlayNode(nodes, overlay)
    slicer.util.setSliceViewerLayers(
        background=nodes.mean, foreground=part, foregroundOpacity=opacity if part else 0.0
    )


def overlayNode(nodes, overlay):
    """The volume that an overlay shows, or ``None``."""
    return {
        Overlay.UNCERTAINTY: nodes.uncertainty,
        Overlay.CONSISTENCY: nodes.consistency,
        Overlay.NOTHING: None,
    }[overlay]


def hideBelow(nodes, valueHu):
    """Make the overlays transparent where they are small: uncertainty, and departure either way."""
    display = nodes.uncertainty.GetDisplayNode()
    if valueHu > 0:
        display.SetThreshold(valueHu, np.finfo(np.float32).max)
        display.ApplyThresholdOn()
    else:
        display.ApplyThresholdOff()
    departure = nodes.consistency.GetDisplayNode()
    colours = nodes.consistency.GetNodeReference(_COLOURS_ROLE)
    # A table of Slicer's own, chosen by the user, is left as it is.
    if colours is not None and departure.GetColorNode() is colours:
        _fillDiverging(colours, valueHu / max(departure.GetWindow() / 2, 1e-6))


def showLegend(nodes, overlay, visible):
    """Show the colours of the overlay with their HU, or no legend."""
    titles = {Overlay.UNCERTAINTY: _("Uncertainty (HU)"), Overlay.CONSISTENCY: _("Departure (HU)")}
    logic = slicer.modules.colors.logic()
    for kind, title in titles.items():
        node = overlayNode(nodes, kind)
        legend = logic.GetColorLegendDisplayNode(node)
        if visible and kind == overlay:
            legend = legend or logic.AddDefaultColorLegendDisplayNode(node)
            legend.SetTitleText(title)
            legend.SetSize(0.07, 0.3)
            legend.SetLabelFormat("%.0f")
            legend.SetVisibility(True)
            legend.Modified()  # a view that has just got its first legend looks again
        elif legend is not None:
            legend.SetVisibility(False)


def renewLegend(nodes, overlay, visible):
    """Make the legend anew: a view that has just appeared knows none of the legends before it."""
    for kind in (Overlay.UNCERTAINTY, Overlay.CONSISTENCY):
        node = overlayNode(nodes, kind)
        legend = slicer.modules.colors.logic().GetColorLegendDisplayNode(node)
        if legend is not None:
            slicer.mrmlScene.RemoveNode(legend)
    showLegend(nodes, overlay, visible)


def linkSlices(linked):
    """Let slice views of one group move and zoom together, at once."""
    for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        node.SetLinkedControl(linked)
        node.SetHotLinkedControl(linked)


def fitViews():
    """Zoom the slice views to what they show."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None:
        layoutManager.resetSliceViews()


def registerLayout():
    """Let Slicer know the layout of the comparison, as a scene saved with it needs."""
    layoutManager = slicer.app.layoutManager()
    if layoutManager is not None:
        layoutNode = layoutManager.layoutLogic().GetLayoutNode()
        if not layoutNode.IsLayoutDescription(COMPARE_LAYOUT_ID):
            layoutNode.AddLayoutDescription(COMPARE_LAYOUT_ID, _compareLayout())


def compare(nodes, inputNode, overlay, opacity):
    """Show input and result side by side in one plane, linked.

    Returns:
        The layout that was shown before.
    """
    layoutManager = slicer.app.layoutManager()
    layoutNode = layoutManager.layoutLogic().GetLayoutNode()
    before = layoutNode.GetViewArrangement()
    registerLayout()
    layoutNode.SetViewArrangement(COMPARE_LAYOUT_ID)
    part = overlayNode(nodes, overlay)
    for view, background, foreground in (
        (INPUT_VIEW, inputNode, None),
        (RESULT_VIEW, nodes.mean, part),
    ):
        composite = compositeNode(view)
        composite.SetBackgroundVolumeID(background.GetID() if background else None)
        composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
        composite.SetForegroundOpacity(opacity if foreground else 0.0)
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)
    showSamePlace(nodes.mean)
    return before


def showSamePlace(volumeNode):
    """Let both views of the comparison show the middle of a volume, slice by slice as it is."""
    logics = [_sliceLogic(view) for view in (INPUT_VIEW, RESULT_VIEW)]
    place, result = (logic.GetSliceNode() for logic in logics)
    result.GetSliceToRAS().DeepCopy(slicer.util.vtkMatrixFromArray(_slicePlane(volumeNode)))
    result.UpdateMatrices()
    logics[1].FitSliceToBackground()
    place.GetSliceToRAS().DeepCopy(result.GetSliceToRAS())
    place.UpdateMatrices()
    _width, height, depth = result.GetFieldOfView()
    columns, rows, _slices = place.GetDimensions()
    place.SetFieldOfView(height * columns / max(rows, 1), height, depth)


def _slicePlane(volumeNode):
    """SliceToRAS through the middle of a volume: columns to the right, rows down, as stored."""
    toWorld = Nodes.ijkToWorld(volumeNode)
    axes = toWorld[:3, :3] / np.linalg.norm(toWorld[:3, :3], axis=0)
    middle = (np.array(volumeNode.GetImageData().GetDimensions()) - 1) / 2
    middle[2] = np.floor(middle[2])  # in a slice, not between two
    plane = np.eye(4)
    plane[:3, :3] = axes * (1, -1, 1)
    plane[:3, 3] = (toWorld @ np.append(middle, 1.0))[:3]
    return plane


def restoreLayout(arrangement):
    """Go back to the layout that :func:`compare` left."""
    slicer.app.layoutManager().layoutLogic().GetLayoutNode().SetViewArrangement(arrangement)


def isComparing():
    layoutManager = slicer.app.layoutManager()
    if layoutManager is None:
        return False
    return layoutManager.layoutLogic().GetLayoutNode().GetViewArrangement() == COMPARE_LAYOUT_ID


def compositeNode(view):
    """The node that says which volumes a slice view shows."""
    return _sliceLogic(view).GetSliceCompositeNode()


def _sliceLogic(view):
    return slicer.app.layoutManager().sliceWidget(view).sliceLogic()


def _compareLayout():
    """Two slice views side by side, in a view group of their own, so that they move together."""
    item = (
        '<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        '<property name="orientation" action="default">Axial</property>'
        '<property name="viewlabel" action="default">{label}</property>'
        '<property name="viewcolor" action="default">{colour}</property>'
        '<property name="viewgroup" action="default">{group}</property>'
        "</view></item>"
    )
    items = [
        item.format(tag=INPUT_VIEW, label=_("CT"), colour="#8C8C8C", group=COMPARE_LAYOUT_ID),
        item.format(tag=RESULT_VIEW, label=_("SR"), colour="#2E8FC0", group=COMPARE_LAYOUT_ID),
    ]
    return '<layout type="horizontal" split="true">' + "".join(items) + "</layout>"


def _copyWindow(source, target):
    display = source.GetDisplayNode() if source is not None else None
    if display is None:
        target.GetDisplayNode().SetWindowLevelMinMax(-1000, 2500)
        return
    target.GetDisplayNode().SetWindowLevel(display.GetWindow(), display.GetLevel())
    target.GetDisplayNode().SetInterpolate(display.GetInterpolate())


def _highest(node):
    """A round HU value that all but a few voxels stay below, either way."""
    values = slicer.util.arrayFromVolume(node).ravel()
    values = np.abs(values[:: max(1, values.size // 100_000)])
    return float(max(50, 10 * np.ceil(np.percentile(values, 99.5) / 10)))


def _divergingColours(node):
    """Blue where the result is less dense than the input, red where denser; one table per map."""
    colours = node.GetNodeReference(_COLOURS_ROLE)
    if colours is None:
        colours = slicer.vtkMRMLColorTableNode()
        colours.SetTypeToUser()
        colours.SetName("MicroCTSR consistency")
        colours.SetHideFromEditors(True)
        colours.SetNumberOfColors(_COLOURS)
        colours = slicer.mrmlScene.AddNode(colours)
        node.SetNodeReferenceID(_COLOURS_ROLE, colours.GetID())
    _fillDiverging(colours, 0.0)
    return colours


def _fillDiverging(colours, hidden):
    """Fill a table; the share ``hidden`` of it around its middle is transparent."""
    places = np.linspace(-1, 1, _COLOURS)
    channels = zip(*_DIVERGING, strict=True)
    red, green, blue = (np.interp(places, (-1, 0, 1), values) for values in channels)
    wasModifying = colours.StartModify()
    for index, place in enumerate(places):
        alpha = 0.0 if abs(place) < hidden else 1.0
        # Names would fill the legend; numbers in HU are wanted there.
        colours.SetColor(index, "", red[index], green[index], blue[index], alpha)
    colours.EndModify(wasModifying)
