"""Pictures of the whole window: the module's real panel, and the views of the current layout.

The frame around them imitates Slicer's main window, so that a picture for the documentation
looks like what its reader has on the screen. Everything is drawn off screen.
"""

import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import slicer
from PySide6.QtCore import QRect, Qt
from PySide6.QtGui import QColor, QFont, QImage, QPainter, QPixmap
from PySide6.QtWidgets import (
    QApplication,
    QComboBox,
    QFrame,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from . import plots
from .ctk_widgets import ctkCollapsibleButton

BAR_HEIGHT = 24
OFFSET_AXES = "RAS"


def from_qimage(image: QImage) -> np.ndarray:
    """Rows, columns, RGB."""
    image = image.convertToFormat(QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), -1)
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def to_qimage(pixels: np.ndarray) -> QImage:
    """A picture of rows, columns, RGB."""
    pixels = np.ascontiguousarray(pixels)
    rows, columns, _ = pixels.shape
    image = QImage(pixels.data, columns, rows, 3 * columns, QImage.Format.Format_RGB888)
    return image.copy()


def save(pixels: np.ndarray, path: str | Path) -> None:
    """Write a PNG."""
    if not to_qimage(pixels).save(str(path)):
        raise OSError(f"Cannot write {path}")


def panel(name: str, width: int = 430, height: int | None = None) -> np.ndarray:
    """The module's panel alone, as tall as it needs to be."""
    widget = _module_widget(name)
    widget.setParent(None)
    widget.resize(width, height or max(widget.layout().totalSizeHint().height(), 200))
    widget.show()
    QApplication.processEvents()
    return from_qimage(widget.grab().toImage())


def view(name: str, size: tuple[int, int] = (500, 500)) -> np.ndarray:
    """One slice view by its name, or a 3-D view by its number: the picture without its bar."""
    manager = slicer.app.layoutManager()
    widget = manager.sliceWidget(name)
    if widget is not None:
        return _with_layer_names(widget, widget.sliceView().image(size))
    return manager.threeDWidget(name).threeDView().image(size)


def window(
    name: str, size: tuple[int, int] = (1500, 900), panel_width: int = 430, scroll: float = 0.0
) -> np.ndarray:
    """The application with the module's panel on the left and the layout's views on the right.

    ``scroll`` moves the panel down, from 0 to 1, when it is taller than the window.
    """
    module = _module_widget(name)
    frame = QWidget()
    outer = QVBoxLayout(frame)
    outer.setContentsMargins(0, 0, 0, 0)
    outer.setSpacing(0)
    outer.addWidget(_menu_bar())
    outer.addWidget(_tool_bar(name))
    middle = QHBoxLayout()
    middle.setSpacing(3)
    outer.addLayout(middle, 1)
    left, area = _panel_side(name, module, panel_width)
    middle.addWidget(left)
    cells: list[_Cell] = []
    middle.addWidget(_arrange(cells), 1)
    frame.resize(*size)
    # Shown off screen, so that every widget gets its size.
    frame.show()
    QApplication.processEvents()
    bar = area.verticalScrollBar()
    bar.setValue(round(scroll * bar.maximum()))
    for cell in cells:
        cell.draw()
    QApplication.processEvents()
    picture = from_qimage(frame.grab().toImage())
    # The panel belongs to the module, and stays open; the frame goes.
    area.takeWidget()
    module.setParent(None)
    module.show()
    frame.close()
    frame.deleteLater()
    return picture


def _module_widget(name):
    return slicer.app.moduleManager().module(name).widgetRepresentation()


def _menu_bar():
    bar = QLabel("  File    Edit    View    Help")
    bar.setFixedHeight(24)
    bar.setAlignment(Qt.AlignmentFlag.AlignVCenter)
    return bar


def _tool_bar(name):
    bar = QFrame()
    bar.setFrameShape(QFrame.Shape.StyledPanel)
    row = QHBoxLayout(bar)
    row.setContentsMargins(8, 3, 8, 3)
    row.addWidget(QLabel("Modules:"))
    selector = QComboBox()
    module = slicer.app.moduleManager().module(name)
    selector.addItem(module.icon, module.title)
    selector.setMinimumWidth(230)
    row.addWidget(selector)
    row.addStretch(1)
    return bar


def _panel_side(name, module, width):
    side = QFrame()
    side.setFixedWidth(width)
    column = QVBoxLayout(side)
    column.setContentsMargins(4, 4, 0, 4)
    title = QLabel("3D Slicer")
    title.setAlignment(Qt.AlignmentFlag.AlignCenter)
    font = QFont(title.font())
    font.setPointSize(font.pointSize() + 6)
    font.setBold(True)
    title.setFont(font)
    title.setStyleSheet("color: #3f6f9f; padding: 3px")
    column.addWidget(title)
    help_section = ctkCollapsibleButton("Help && Acknowledgement")
    help_section.collapsed = True
    column.addWidget(help_section)
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    module.show()
    area.setWidget(module)
    column.addWidget(area, 1)
    probe = ctkCollapsibleButton("Data Probe")
    probe.collapsed = True
    column.addWidget(probe)
    return side, area


class _Cell(QFrame):
    """A view with its bar.

    Args:
        image: draws the view in a size (columns, rows).
        bar: above it, or None.
    """

    def __init__(self, image, bar):
        super().__init__()
        self._image = image
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        if bar is not None:
            column.addWidget(bar)
        self._picture = QLabel()
        self._picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)
        column.addWidget(self._picture, 1)

    def draw(self):
        pixels = self._image((self._picture.width(), self._picture.height()))
        self._picture.setPixmap(QPixmap.fromImage(to_qimage(pixels)))


def _with_layer_names(widget, pixels):
    """Write into the lower left corner which volumes a slice view shows, as Slicer does."""
    composite = widget.mrmlSliceCompositeNode()
    lines = []
    for letter, identifier, opacity in (
        ("L", composite.GetLabelVolumeID(), composite.GetLabelOpacity()),
        ("F", composite.GetForegroundVolumeID(), composite.GetForegroundOpacity()),
        ("B", composite.GetBackgroundVolumeID(), 1.0),
    ):
        node = slicer.mrmlScene.GetNodeByID(identifier) if identifier else None
        if node is not None:
            share = "" if letter == "B" else f" ({opacity:.0%})"
            lines.append(f"{letter}: {node.GetName()}{share}")
    if not lines:
        return pixels
    image = to_qimage(pixels)
    painter = QPainter(image)
    painter.setFont(QFont("DejaVu Sans", 9))
    place = QRect(6, 0, image.width() - 12, image.height() - 5)
    alignment = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignBottom
    for colour, shift in ((QColor(0, 0, 0), 1), (QColor(230, 230, 230), 0)):
        painter.setPen(colour)
        painter.drawText(place.translated(shift, shift), alignment, "\n".join(lines))
    painter.end()
    return from_qimage(image)


def _arrange(cells) -> QWidget:
    """The views in the order and nesting of the layout's description."""
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    views = {view.GetID(): view for view in slicer.app.layoutManager().view_nodes()}
    return _element(ET.fromstring(node.GetCurrentLayoutDescription()), views, cells)


def _element(element, views, cells) -> QWidget:
    if element.tag == "view":
        return _view_cell(element, views, cells)
    kind = element.get("type", "horizontal")
    items = element.findall("item")
    parts = [_element(item[0], views, cells) for item in items]
    if kind == "tab":
        tabs = QTabWidget()
        for item, part in zip(items, parts, strict=True):
            tabs.addTab(part, item.get("name", ""))
        return tabs
    box = QWidget()
    grid = QGridLayout(box)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(3)
    for number, (item, part) in enumerate(zip(items, parts, strict=True)):
        row = int(item.get("row", number if kind == "vertical" else 0))
        column = int(item.get("column", number if kind == "horizontal" else 0))
        spans = int(item.get("rowspan", 1)), int(item.get("colspan", 1))
        grid.addWidget(part, row, column, *spans)
        share = int(item.get("splitSize", element.get("splitSize", 1)) or 1)
        grid.setRowStretch(row, share if kind == "vertical" else 1)
        grid.setColumnStretch(column, share if kind == "horizontal" else 1)
    return box


def _view_cell(element, views, cells):
    manager = slicer.app.layoutManager()
    tag, kind = element.get("singletontag"), element.get("class")
    if kind == "vtkMRMLTableViewNode":
        return _table_cell(slicer.mrmlScene.GetSingletonNode(tag, kind))
    if kind == "vtkMRMLPlotViewNode":
        node = slicer.mrmlScene.GetSingletonNode(tag, kind)
        cell = _Cell(lambda size: plots.image(node, size), _plain_bar(node))
    elif kind == "vtkMRMLSliceNode":
        widget = manager.sliceWidget(tag)
        cell = _Cell(
            lambda size: _with_layer_names(widget, widget.sliceView().image(size)),
            _slice_bar(widget) if widget.controller_visible else None,
        )
    else:
        widget = manager.threeDWidget(tag)
        bar = _plain_bar(widget.mrmlViewNode()) if widget.controller_visible else None
        cell = _Cell(lambda size: widget.threeDView().image(size), bar)
    cells.append(cell)
    return cell


def _table_cell(node):
    frame = QFrame()
    column = QVBoxLayout(frame)
    column.setContentsMargins(0, 0, 0, 0)
    column.setSpacing(0)
    column.addWidget(_plain_bar(node))
    column.addWidget(plots.table_widget(node), 1)
    return frame


def _plain_bar(node):
    bar = _bar(node)
    bar.layout().addStretch(1)
    return bar


def _bar(node):
    bar = QFrame()
    colour = QColor.fromRgbF(*node.GetLayoutColor())
    bar.setFixedHeight(BAR_HEIGHT)
    bar.setStyleSheet(f"QFrame {{ background: {colour.name()} }}")
    row = QHBoxLayout(bar)
    row.setContentsMargins(6, 1, 4, 1)
    row.setSpacing(6)
    label = QLabel(node.GetLayoutLabel() or "")
    font = QFont(label.font())
    font.setBold(True)
    label.setFont(font)
    row.addWidget(label)
    return bar


def _slice_bar(widget):
    node = widget.mrmlSliceNode()
    bar = _bar(node)
    logic = widget.sliceLogic()
    bounds = [0.0] * 6
    logic.GetLowestVolumeSliceBounds(bounds)
    offset = logic.GetSliceOffset()
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setRange(0, 1000)
    if bounds[5] > bounds[4]:
        slider.setValue(round(1000 * (offset - bounds[4]) / (bounds[5] - bounds[4])))
    bar.layout().addWidget(slider, 1)
    bar.layout().addWidget(QLabel(f"{_offset_axis(node)}: {offset:.3f}mm"))
    return bar


def _offset_axis(node) -> str:
    matrix = node.GetSliceToRAS()
    along = [abs(matrix.GetElement(row, 2)) for row in range(3)]
    return OFFSET_AXES[int(np.argmax(along))]
