"""How widgets show parameters and hand changes back."""

import enum
import pathlib
from dataclasses import dataclass
from typing import Any

from PySide6 import QtWidgets

from ..ctk_sliders import ctkSliderWidget
from ..ctk_widgets import ctkDirectoryButton, ctkPathLineEdit
from ..qmrml_widgets import qMRMLNodeComboBox
from .storage import node_kinds, unannotated
from .validators import Choice, Maximum, Minimum, WithinRange

INT_LIMIT = 2**31 - 1


@dataclass
class Decimals:
    """How many digits a slider or spin box shows after the point."""

    value: int


@dataclass
class SingleStep:
    """By how much one step of a slider or spin box changes the value."""

    value: float


class Connector:
    """A widget, what reads its value, what writes it, and the signal of its changes."""

    def __init__(self, signal, read, write):
        self._signal, self.read, self._write = signal, read, write
        self._callback = None

    def write(self, value) -> None:
        self._write(value)

    def connect(self, callback) -> None:
        # The receiving function takes nothing: what the signal carries is read from the widget.
        self._callback = lambda: callback()
        self._signal.connect(self._callback)

    def disconnect(self) -> None:
        if self._callback is not None:
            self._signal.disconnect(self._callback)
            self._callback = None


def connector_for(widget, annotated) -> Connector:
    """The connector for a widget and a type; RuntimeError where Slicer has none either."""
    kind, annotations = unannotated(annotated)
    exact = type(widget)
    if kind is bool and exact in (QtWidgets.QCheckBox, QtWidgets.QPushButton):
        if exact is QtWidgets.QPushButton:
            widget.setCheckable(True)
        return Connector(widget.toggled, widget.isChecked, widget.setChecked)
    if kind is int and exact in (QtWidgets.QSlider, QtWidgets.QSpinBox):
        _limit(widget, annotations, exact is QtWidgets.QSlider, (-INT_LIMIT - 1, INT_LIMIT))
        return Connector(widget.valueChanged, widget.value, widget.setValue)
    if kind is float and exact is QtWidgets.QDoubleSpinBox:
        _limit(widget, annotations, False, (float("-inf"), float("inf")))
        return Connector(widget.valueChanged, widget.value, widget.setValue)
    if kind is float and exact is ctkSliderWidget:
        _limit(widget, annotations, True, None)
        return _attribute_connector(widget, widget.valueChanged, "value")
    if exact is QtWidgets.QComboBox:
        return _combo_connector(widget, kind, annotations)
    if kind is str and exact is QtWidgets.QLineEdit:
        return Connector(widget.textChanged, widget.text, widget.setText)
    if kind is str and exact is QtWidgets.QTextEdit:
        return Connector(widget.textChanged, widget.toPlainText, widget.setPlainText)
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath):
        if exact is ctkPathLineEdit:
            return _attribute_connector(widget, widget.currentPathChanged, "currentPath", kind)
        if exact is ctkDirectoryButton:
            return _attribute_connector(widget, widget.directoryChanged, "directory", kind)
    if exact is qMRMLNodeComboBox and node_kinds(kind):
        widget.nodeTypes = [k.__name__ for k in node_kinds(kind)]
        return Connector(widget.currentNodeChanged, widget.currentNode, widget.setCurrentNode)
    raise RuntimeError(f"Slicer connects no {exact.__name__} to a parameter of type {annotated}")


def _attribute_connector(widget, signal, name, kind=None):
    def read():
        value = getattr(widget, name)
        return kind(value) if kind else value

    def write(value):
        setattr(widget, name, str(value) if kind else value)

    return Connector(signal, read, write)


def _first(annotations, kind) -> Any:
    return next((a for a in annotations if isinstance(a, kind)), None)


def _limit(widget, annotations, must_be_bounded, unbounded):
    decimals, step = _first(annotations, Decimals), _first(annotations, SingleStep)
    within = _first(annotations, WithinRange)
    low = within or _first(annotations, Minimum)
    high = within or _first(annotations, Maximum)
    if must_be_bounded and not (low and high):
        raise RuntimeError(f"A {type(widget).__name__} needs a parameter with both limits")
    limits = (low.minimum if low else unbounded[0], high.maximum if high else unbounded[1])
    if isinstance(widget, ctkSliderWidget):
        if decimals:
            widget.decimals = decimals.value
        if step:
            widget.singleStep = step.value
        widget.minimum, widget.maximum = limits
        return
    if decimals:
        widget.setDecimals(decimals.value)
    if step:
        widget.setSingleStep(step.value)
    widget.setRange(*limits)


def _combo_connector(widget, kind, annotations):
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        label = getattr(kind, "label", lambda member: member.name)
        choices = [(label(member), member) for member in kind]
    elif kind in (int, float, str, bool):
        choice = _first(annotations, Choice)
        if choice is None:
            raise RuntimeError("A QComboBox needs a parameter with a Choice")
        choices = [(str(value), value) for value in choice.choices]
    else:
        raise RuntimeError(f"Slicer connects no QComboBox to a parameter of type {kind}")
    widget.clear()
    widget.addItems([text for text, _ in choices])
    values = [value for _, value in choices]

    def write(value):
        if value not in values:
            raise ValueError(f"{value!r} is none of {values}")
        widget.setCurrentIndex(values.index(value))

    return Connector(
        widget.currentIndexChanged, lambda: values[max(widget.currentIndex(), 0)], write
    )
