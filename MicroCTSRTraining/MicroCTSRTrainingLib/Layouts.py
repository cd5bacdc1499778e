"""The layouts in which a run is followed and an evaluation is read."""

import slicer
from slicer.i18n import tr as _

CURVES_VIEW, PICTURE_VIEW = "MicroCTSRCurves", "MicroCTSRPicture"
MEASURES_VIEW, SLICES_VIEW = "MicroCTSRMeasures", "MicroCTSRSlices"
TRAINING_LAYOUT_ID, EVALUATION_LAYOUT_ID = 8217, 8218
_ROOM = 1.12


def registerLayouts():
    """Let Slicer know the layouts, as scenes saved with them need."""
    node = _layoutNode()
    if node is None:
        return
    for id_, description in (
        (TRAINING_LAYOUT_ID, _trainingLayout()),
        (EVALUATION_LAYOUT_ID, _evaluationLayout()),
    ):
        if not node.IsLayoutDescription(id_):
            node.AddLayoutDescription(id_, description)


def showTraining(chart, picture):
    """Show the curves of a run above its newest picture.

    Args:
        chart: plot chart node.
        picture: vector volume node, or ``None``.
    """
    if not _show(TRAINING_LAYOUT_ID):
        return
    import qt

    _setChart(CURVES_VIEW, chart)
    if picture is not None:
        _fit(picture)
        # Views that have just been made get their size from Qt a moment later.
        qt.QTimer.singleShot(0, lambda: _fit(picture))


def _fit(picture):
    """Show a picture in its view, with room for what Slicer writes into the corners."""
    widget = slicer.app.layoutManager().sliceWidget(PICTURE_VIEW)
    if widget is None or not slicer.mrmlScene.IsNodePresent(picture):
        return
    logic = widget.sliceLogic()
    logic.GetSliceCompositeNode().SetBackgroundVolumeID(picture.GetID())
    logic.GetSliceCompositeNode().SetForegroundVolumeID(None)
    logic.FitSliceToBackground()
    columns, rows, depth = logic.GetSliceNode().GetFieldOfView()
    logic.GetSliceNode().SetFieldOfView(columns * _ROOM, rows * _ROOM, depth)


def showEvaluation(table, chart):
    """Show a table of measures, and above it a chart of them slice by slice if there is one."""
    if not _show(EVALUATION_LAYOUT_ID):
        return
    _setChart(SLICES_VIEW, chart)
    view = slicer.mrmlScene.GetSingletonNode(MEASURES_VIEW, "vtkMRMLTableViewNode")
    if view is not None and view.GetTableNode() is not table:
        view.SetTableNodeID(None)
        view.SetTableNodeID(table.GetID())


def _show(id_):
    """Whether there is a window to show a layout in."""
    node = _layoutNode()
    if node is None:
        return False
    registerLayouts()
    if node.GetViewArrangement() != id_:
        node.SetViewArrangement(id_)
    return True


def _layoutNode():
    manager = slicer.app.layoutManager()
    return None if manager is None else manager.layoutLogic().GetLayoutNode()


def _setChart(tag, chart):
    view = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLPlotViewNode")
    if view is not None and view.GetPlotChartNode() is not chart:
        # A view outlives its scene; the same identifier may stand for a chart that is gone.
        view.SetPlotChartNodeID(None)
        view.SetPlotChartNodeID(chart.GetID() if chart is not None else None)


def _view(kind, tag, label, extra=""):
    return (
        f'<item><view class="{kind}" singletontag="{tag}">'
        f'<property name="viewlabel" action="default">{label}</property>{extra}</view></item>'
    )


def _trainingLayout():
    picture = (
        '<property name="orientation" action="default">Axial</property>'
        '<property name="viewcolor" action="default">#2E8FC0</property>'
        f'<property name="viewgroup" action="default">{TRAINING_LAYOUT_ID}</property>'
    )
    return (
        '<layout type="vertical" split="true">'
        + _view("vtkMRMLPlotViewNode", CURVES_VIEW, _("Curves"))
        + _view("vtkMRMLSliceNode", PICTURE_VIEW, _("Picture"), picture)
        + "</layout>"
    )


def _evaluationLayout():
    return (
        '<layout type="vertical" split="true">'
        + _view("vtkMRMLPlotViewNode", SLICES_VIEW, _("Slices"))
        + _view("vtkMRMLTableViewNode", MEASURES_VIEW, _("Measures"))
        + "</layout>"
    )
