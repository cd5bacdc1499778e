"""Tables and plots in the scene, each found again by what it is of."""

import numpy as np
import slicer
import vtk

ATTRIBUTE = "MicroCTSRTraining.of"
_ROOM = 1.45
COLOURS = (
    (0.12, 0.47, 0.71),
    (1.00, 0.50, 0.05),
    (0.17, 0.63, 0.17),
    (0.84, 0.15, 0.16),
    (0.58, 0.40, 0.74),
    (0.55, 0.34, 0.29),
    (0.89, 0.47, 0.76),
    (0.50, 0.50, 0.50),
)


def nodeOf(kind, owner, name):
    """The node of a class that was made for an owner, such as a run; made where there is none."""
    for node in slicer.util.getNodesByClass(kind):
        if node.GetAttribute(ATTRIBUTE) == owner:
            return node
    node = slicer.mrmlScene.AddNewNodeByClass(kind, slicer.mrmlScene.GenerateUniqueName(name))
    node.SetAttribute(ATTRIBUTE, owner)
    return node


def fillTable(node, columns):
    """Replace what a table holds.

    Args:
        node: table node.
        columns: lists of numbers or of texts by their titles.
    """
    table = vtk.vtkTable()
    for title, values in columns.items():
        isText = any(isinstance(value, str) for value in values)
        column = vtk.vtkStringArray() if isText else vtk.vtkDoubleArray()
        column.SetName(title)
        for value in values:
            column.InsertNextValue(str(value) if isText else float(value))
        table.AddColumn(column)
    node.SetLocked(True)
    node.SetUseColumnTitleAsColumnHeader(True)
    node.SetAndObserveTable(table)


def fillChart(chart, table, x, ys, titles):
    """Let a chart show columns of a table.

    Args:
        chart: plot chart node; the series it had and does not need any more go.
        table: table node.
        x: title of the column along the axis.
        ys: titles of the columns that are drawn, each by its name in the legend.
        titles: of the chart, the axis along, and the axis upwards.
    """
    owner = chart.GetAttribute(ATTRIBUTE)
    wanted = []
    for number, (column, name) in enumerate(ys.items()):
        series = nodeOf("vtkMRMLPlotSeriesNode", f"{owner} {column}", name)
        wasModifying = series.StartModify()
        series.SetName(name)
        series.SetAndObserveTableNodeID(table.GetID())
        series.SetXColumnName(x)
        series.SetYColumnName(column)
        series.SetPlotType(series.PlotTypeScatter)
        series.SetMarkerStyle(series.MarkerStyleCircle)
        series.SetMarkerSize(5)
        series.SetLineWidth(2)
        series.SetColor(*COLOURS[number % len(COLOURS)])
        series.EndModify(wasModifying)
        wanted.append(series.GetID())
    known = [chart.GetNthPlotSeriesNodeID(n) for n in range(chart.GetNumberOfPlotSeriesNodes())]
    if known != wanted:
        chart.RemoveAllPlotSeriesNodeIDs()
        for id_ in wanted:
            chart.AddAndObservePlotSeriesNodeID(id_)
        for id_ in set(known) - set(wanted):
            gone = slicer.mrmlScene.GetNodeByID(id_)
            if gone is not None:
                slicer.mrmlScene.RemoveNode(gone)
    title, along, upwards = titles
    chart.SetTitle(title)
    chart.SetXAxisTitle(along)
    chart.SetYAxisTitle(upwards)
    chart.SetLegendVisibility(len(wanted) > 1)
    chart.SetLegendFontSize(12)
    _leaveRoom(chart, [slicer.util.arrayFromTableColumn(table, column) for column in ys])


def _leaveRoom(chart, columns):
    """Keep the top of a chart free where a legend covers it."""
    values = np.concatenate(columns) if len(columns) > 1 else np.empty(0)
    values = values[np.isfinite(values)]
    chart.SetYAxisRangeAuto(values.size == 0)
    if values.size:
        least, greatest = min(0.0, values.min()), values.max()
        chart.SetYAxisRange(least, least + (greatest - least) * _ROOM or 1.0)
