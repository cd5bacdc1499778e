"""The layouts in which a run is followed, and an evaluation and a study of readers are read."""

import slicer
from slicer.i18n import tr as _

CURVES_VIEW, PICTURE_VIEW = "MicroCTSRCurves", "MicroCTSRPicture"
MEASURES_VIEW, SLICES_VIEW = "MicroCTSRMeasures", "MicroCTSRSlices"
STARS_VIEW, STARS_TABLE_VIEW = "MicroCTSRStars", "MicroCTSRStarsTable"
TRAINING_LAYOUT_ID, EVALUATION_LAYOUT_ID, STUDY_LAYOUT_ID = 8217, 8218, 8219
_ROOM = 1.12


def registerLayouts():
    """Let Slicer know the layouts, as scenes saved with them need."""
    node = _layoutNode()
    if node is None:
        return
    for id_, description in (
        (TRAINING_LAYOUT_ID, _trainingLayout()),
        (EVALUATION_LAYOUT_ID, _evaluationLayout()),
        (STUDY_LAYOUT_ID, _studyLayout()),
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
    _setChart(CURVES_VIEW, chart)
    if picture is not None:
        _setPicture(PICTURE_VIEW, picture)


def showStudy(table, picture):
    """Show the box plots of a study of readers above the table of its stars.

    Args:
        table: table node.
        picture: vector volume node, or ``None``.
    """
    if not _show(STUDY_LAYOUT_ID):
        return
    _setTable(STARS_TABLE_VIEW, table)
    if picture is not None:
        _setPicture(STARS_VIEW, picture)


def _setPicture(tag, picture):
    import qt

    _fit(tag, picture)
    # Views that have just been made get their size from Qt a moment later.
    qt.QTimer.singleShot(0, lambda: _fit(tag, picture))


def _fit(tag, picture):
    """Show a picture in its view, with room for what Slicer writes into the corners."""
    widget = slicer.app.layoutManager().sliceWidget(tag)
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
    _setTable(MEASURES_VIEW, table)


def _setTable(tag, table):
    view = slicer.mrmlScene.GetSingletonNode(tag, "vtkMRMLTableViewNode")
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


def _picture(tag, label, id_):
    """A slice view that shows a picture, apart from the views that show the body."""
    properties = (
        '<property name="orientation" action="default">Axial</property>'
        '<property name="viewcolor" action="default">#2E8FC0</property>'
        f'<property name="viewgroup" action="default">{id_}</property>'
    )
    return _view("vtkMRMLSliceNode", tag, label, properties)


def _above(upper, lower):
    return f'<layout type="vertical" split="true">{upper}{lower}</layout>'


def _trainingLayout():
    return _above(
        _view("vtkMRMLPlotViewNode", CURVES_VIEW, _("Curves")),
        _picture(PICTURE_VIEW, _("Picture"), TRAINING_LAYOUT_ID),
    )


def _evaluationLayout():
    return _above(
        _view("vtkMRMLPlotViewNode", SLICES_VIEW, _("Slices")),
        _view("vtkMRMLTableViewNode", MEASURES_VIEW, _("Measures")),
    )


def _studyLayout():
    return _above(
        _picture(STARS_VIEW, _("Stars"), STUDY_LAYOUT_ID),
        _view("vtkMRMLTableViewNode", STARS_TABLE_VIEW, _("Stars by method")),
    )
