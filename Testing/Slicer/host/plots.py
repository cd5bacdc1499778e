"""Plot views and table views in pictures: what their nodes say, drawn as in the application."""

import numpy as np
import vtk
from PySide6.QtWidgets import QAbstractItemView, QTableWidget, QTableWidgetItem
from vtk.util.numpy_support import vtk_to_numpy

MARKERS = (
    vtk.vtkPlotPoints.NONE,
    vtk.vtkPlotPoints.CROSS,
    vtk.vtkPlotPoints.PLUS,
    vtk.vtkPlotPoints.SQUARE,
    vtk.vtkPlotPoints.CIRCLE,
    vtk.vtkPlotPoints.DIAMOND,
)


def image(view, size: tuple[int, int]) -> np.ndarray:
    """The chart of a plot view node as an array (rows, columns, RGB); white without one."""
    context = vtk.vtkContextView()
    window = context.GetRenderWindow()
    window.SetOffScreenRendering(True)
    window.SetMultiSamples(8)
    window.SetSize(*size)
    context.GetRenderer().SetBackground(1.0, 1.0, 1.0)
    node = view.GetPlotChartNode()
    if node is not None:
        context.GetScene().AddItem(_chart(node))
    window.Render()
    grabber = vtk.vtkWindowToImageFilter()
    grabber.SetInput(window)
    grabber.ReadFrontBufferOff()
    grabber.Update()
    data = grabber.GetOutput()
    columns, rows, _ = data.GetDimensions()
    pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(rows, columns, -1)
    return np.ascontiguousarray(pixels[::-1, :, :3])


def _chart(node) -> vtk.vtkChartXY:
    chart = vtk.vtkChartXY()
    for number in range(node.GetNumberOfPlotSeriesNodes()):
        _add_series(chart, node.GetNthPlotSeriesNode(number))
    chart.SetTitle(node.GetTitle() or "")
    chart.GetTitleProperties().SetFontSize(node.GetTitleFontSize())
    chart.SetShowLegend(node.GetLegendVisibility())
    chart.GetLegend().SetLabelSize(node.GetLegendFontSize())
    for place, title, is_auto, limits in (
        (
            vtk.vtkAxis.BOTTOM,
            node.GetXAxisTitle(),
            node.GetXAxisRangeAuto(),
            node.GetXAxisRange(),
        ),
        (vtk.vtkAxis.LEFT, node.GetYAxisTitle(), node.GetYAxisRangeAuto(), node.GetYAxisRange()),
    ):
        axis = chart.GetAxis(place)
        axis.SetTitle(title or "")
        axis.GetTitleProperties().SetFontSize(node.GetAxisTitleFontSize())
        axis.GetLabelProperties().SetFontSize(node.GetAxisLabelFontSize())
        axis.SetGridVisible(node.GetGridVisibility())
        if not is_auto:
            axis.SetBehavior(vtk.vtkAxis.FIXED)
            axis.SetRange(*limits)
    return chart


def _add_series(chart, series) -> None:
    """A line through the points of a series, with its markers."""
    plot = chart.AddPlot(vtk.vtkChart.LINE)
    table = series.GetTableNode().GetTable()
    plot.SetInputData(table, series.GetXColumnName(), series.GetYColumnName())
    plot.SetLabel(series.GetName())
    plot.SetColorF(*series.GetColor())
    plot.SetWidth(series.GetLineWidth())
    plot.SetMarkerStyle(MARKERS[series.GetMarkerStyle()])
    plot.SetMarkerSize(series.GetMarkerSize())


def table_widget(view) -> QTableWidget:
    """A widget with what the table of a table view node holds."""
    node = view.GetTableNode()
    table = node.GetTable() if node is not None else vtk.vtkTable()
    rows, columns = table.GetNumberOfRows(), table.GetNumberOfColumns()
    widget = QTableWidget(rows, columns)
    widget.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    widget.setHorizontalHeaderLabels([table.GetColumnName(n) for n in range(columns)])
    for row in range(rows):
        for column in range(columns):
            item = QTableWidgetItem(node.GetCellText(row, column))
            widget.setItem(row, column, item)
    widget.resizeColumnsToContents()
    return widget
