"""Stand-ins for CTK's sliders of floating-point numbers, with one value and with two."""

# Classes bear the names that Slicer and its users know.
# ruff: noqa: N801

import math

from PySide6.QtCore import Property, QPoint, QRect, QSize, Qt, Signal
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QDoubleSpinBox, QHBoxLayout, QSizePolicy, QSlider, QWidget

STEPS = 10_000


def _stored(kind, name, default):
    """A property that only keeps its value."""
    return Property(
        kind,
        lambda self: self.__dict__.get("_" + name, default),
        lambda self, value: self.__dict__.__setitem__("_" + name, value),
    )


class ctkSliderWidget(QWidget):
    """A slider with a spin box beside it."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = QSlider(Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, STEPS)
        self._spin = QDoubleSpinBox(self)
        self._spin.setRange(0.0, 99.0)
        self._spin.setKeyboardTracking(False)
        self._value, self._dragging, self._syncing = 0.0, False, False
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin)
        self._slider.valueChanged.connect(self._slid)
        self._slider.sliderPressed.connect(lambda: setattr(self, "_dragging", True))
        self._slider.sliderReleased.connect(self._released)
        self._spin.valueChanged.connect(self._set_value)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def _low_high(self):
        return self._spin.minimum(), self._spin.maximum()

    def _slid(self, position):
        if self._syncing:
            return
        low, high = self._low_high()
        value = self._on_grid(low + (high - low) * position / STEPS)
        if self._dragging and not self.tracking:
            self._syncing = True
            self._spin.setValue(value)
            self._syncing = False
            self.valueIsChanging.emit(value)
            return
        if self._dragging:
            self.valueIsChanging.emit(value)
        self._set_value(value)

    def _released(self):
        self._dragging = False
        self._set_value(self._spin.value())

    def _on_grid(self, value):
        low, high = self._low_high()
        step = self._spin.singleStep()
        if step > 0:
            value = low + round((value - low) / step) * step
        return round(min(max(value, low), high), self._spin.decimals())

    def _set_value(self, value):
        if self._syncing:
            return
        low, high = self._low_high()
        value = round(min(max(float(value), low), high), self._spin.decimals())
        self._syncing = True
        self._spin.setValue(value)
        self._slider.setValue(round((value - low) / (high - low) * STEPS) if high > low else 0)
        self._syncing = False
        if value != self._value:
            self._value = value
            self.valueChanged.emit(value)

    def _bound(self, low=None, high=None):
        low = self._spin.minimum() if low is None else low
        high = self._spin.maximum() if high is None else high
        if not (math.isfinite(low) and math.isfinite(high)):
            raise ValueError("A slider needs finite limits")
        self._syncing = True
        self._spin.setRange(low, high)
        self._syncing = False
        self._set_value(self._value)

    value = Property(float, lambda self: self._value, _set_value)
    minimum = Property(
        float, lambda self: self._spin.minimum(), lambda self, low: self._bound(low=low)
    )
    maximum = Property(
        float, lambda self: self._spin.maximum(), lambda self, high: self._bound(high=high)
    )
    singleStep = Property(
        float, lambda self: self._spin.singleStep(), lambda self, s: self._spin.setSingleStep(s)
    )
    decimals = Property(
        int, lambda self: self._spin.decimals(), lambda self, n: self._spin.setDecimals(n)
    )
    suffix = Property(
        str, lambda self: self._spin.suffix(), lambda self, s: self._spin.setSuffix(s)
    )
    prefix = Property(
        str, lambda self: self._spin.prefix(), lambda self, s: self._spin.setPrefix(s)
    )
    spinBoxVisible = Property(
        bool,
        lambda self: self._spin.isVisibleTo(self),
        lambda self, on: self._spin.setVisible(on),
    )
    tracking = _stored(bool, "tracking", True)
    pageStep = _stored(float, "pageStep", 10.0)
    tickInterval = _stored(float, "tickInterval", 0.0)
    spinBoxAlignment = _stored(int, "spinBoxAlignment", 0)
    popupSlider = _stored(bool, "popupSlider", False)


class ctkDoubleRangeSlider(QWidget):
    """A slider with two handles."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    HANDLE = 8

    def __init__(self, *arguments):
        super().__init__(next((a for a in arguments if isinstance(a, QWidget)), None))
        self._range, self._values, self._held = (0.0, 99.0), (0.0, 99.0), None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def sizeHint(self):
        return QSize(120, 22)

    def setRange(self, low, high):
        self._range = (float(low), float(max(low, high)))
        self.setValues(*self._values)
        self.update()

    def setValues(self, low, high):
        bottom, top = self._range
        low, high = (min(max(float(v), bottom), top) for v in (min(low, high), max(low, high)))
        before, self._values = self._values, (low, high)
        self.update()
        if before != self._values:
            if before[0] != low:
                self.minimumValueChanged.emit(low)
            if before[1] != high:
                self.maximumValueChanged.emit(high)
            self.valuesChanged.emit(low, high)

    def _x(self, value):
        low, high = self._range
        fraction = (value - low) / (high - low) if high > low else 0.0
        return round(self.HANDLE + fraction * (self.width() - 2 * self.HANDLE))

    def _value_at(self, x):
        low, high = self._range
        span = max(self.width() - 2 * self.HANDLE, 1)
        return low + (high - low) * min(max((x - self.HANDLE) / span, 0.0), 1.0)

    def mousePressEvent(self, event):
        x = event.position().x()
        distances = [abs(x - self._x(value)) for value in self._values]
        self._held = 0 if distances[0] < distances[1] else 1
        self.mouseMoveEvent(event)

    def mouseMoveEvent(self, event):
        if self._held is not None:
            moved = list(self._values)
            moved[self._held] = self._value_at(event.position().x())
            if moved[0] <= moved[1]:
                self.setValues(*moved)

    def mouseReleaseEvent(self, _event):
        self._held = None

    def paintEvent(self, _event):
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        middle = self.height() // 2
        painter.setPen(self.palette().mid().color())
        painter.setBrush(self.palette().base())
        painter.drawRoundedRect(QRect(2, middle - 3, self.width() - 4, 6), 3, 3)
        left, right = (self._x(value) for value in self._values)
        group = self.palette().highlight() if self.isEnabled() else self.palette().mid()
        painter.setBrush(group)
        painter.drawRect(QRect(left, middle - 3, right - left, 6))
        painter.setBrush(self.palette().button())
        painter.setPen(QColor(120, 120, 120))
        for x in (left, right):
            painter.drawRoundedRect(
                QRect(QPoint(x - self.HANDLE // 2, middle - 8), QSize(self.HANDLE, 16)), 2, 2
            )

    minimum = Property(
        float, lambda self: self._range[0], lambda self, low: self.setRange(low, self._range[1])
    )
    maximum = Property(
        float, lambda self: self._range[1], lambda self, high: self.setRange(self._range[0], high)
    )
    minimumValue = Property(
        float, lambda self: self._values[0], lambda self, v: self.setValues(v, self._values[1])
    )
    maximumValue = Property(
        float, lambda self: self._values[1], lambda self, v: self.setValues(self._values[0], v)
    )
    singleStep = _stored(float, "singleStep", 1.0)
    orientation = _stored(int, "orientation", 1)


class ctkRangeWidget(QWidget):
    """A slider with two handles between two spin boxes."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)
    rangeChanged = Signal(float, float)

    def __init__(self, parent=None):
        super().__init__(parent)
        self._slider = ctkDoubleRangeSlider(self)
        self._low, self._high = QDoubleSpinBox(self), QDoubleSpinBox(self)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._low)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._high)
        self._low.valueChanged.connect(lambda value: self._typed(value, None))
        self._high.valueChanged.connect(lambda value: self._typed(None, value))
        self._slider.valuesChanged.connect(self._moved)
        self._slider.minimumValueChanged.connect(self.minimumValueChanged)
        self._slider.maximumValueChanged.connect(self.maximumValueChanged)
        self.setRange(0.0, 99.0)
        self.setValues(0.0, 99.0)

    def _typed(self, low, high):
        now = self._slider._values
        low, high = (now[0] if low is None else low), (now[1] if high is None else high)
        # The value just typed wins, and pushes the other along.
        self.setValues(min(low, high), max(low, high))

    def _moved(self, low, high):
        for box, value in ((self._low, low), (self._high, high)):
            box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(False)
        self.valuesChanged.emit(low, high)

    def setRange(self, low, high):
        for box in (self._low, self._high):
            box.blockSignals(True)
            box.setRange(low, high)
            box.blockSignals(False)
        self._slider.setRange(low, high)
        self._moved_quietly()
        self.rangeChanged.emit(low, high)

    def _moved_quietly(self):
        blocked = self.blockSignals(True)
        self._moved(*self._slider._values)
        self.blockSignals(blocked)

    def setValues(self, low, high):
        digits = self._low.decimals()
        self._slider.setValues(round(low, digits), round(high, digits))

    def _both(self, call, value):
        for box in (self._low, self._high):
            getattr(box, call)(value)

    minimum = Property(
        float,
        lambda self: self._slider._range[0],
        lambda self, low: self.setRange(low, self._slider._range[1]),
    )
    maximum = Property(
        float,
        lambda self: self._slider._range[1],
        lambda self, high: self.setRange(self._slider._range[0], high),
    )
    minimumValue = Property(
        float,
        lambda self: self._slider._values[0],
        lambda self, v: self.setValues(v, max(v, self._slider._values[1])),
    )
    maximumValue = Property(
        float,
        lambda self: self._slider._values[1],
        lambda self, v: self.setValues(min(v, self._slider._values[0]), v),
    )
    singleStep = Property(
        float,
        lambda self: self._low.singleStep(),
        lambda self, value: self._both("setSingleStep", value),
    )
    decimals = Property(
        int, lambda self: self._low.decimals(), lambda self, n: self._both("setDecimals", n)
    )
    suffix = Property(
        str, lambda self: self._low.suffix(), lambda self, s: self._both("setSuffix", s)
    )
    prefix = Property(
        str, lambda self: self._low.prefix(), lambda self, s: self._both("setPrefix", s)
    )
    tracking = _stored(bool, "tracking", True)
