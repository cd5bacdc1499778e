"""Running Qt's event loop in a test: waiting, clicking, and finding what blocks it."""

# Classes bear the names that Slicer and its users know.
# ruff: noqa: N801

import time
from collections.abc import Callable

from PySide6.QtCore import QEventLoop, QPoint, Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QRadioButton, QWidget


def pump(seconds: float = 0.0, until: Callable[[], bool] | None = None, timeout: float = 30.0):
    """Run the event loop for so many seconds, or until a condition holds.

    With ``until`` it raises TimeoutError when the condition does not hold in time.
    """
    end = time.monotonic() + (timeout if until else seconds)
    QApplication.processEvents()
    while time.monotonic() < end:
        if until and until():
            return
        loop = QEventLoop()
        QTimer.singleShot(5, loop.quit)
        loop.exec()
    if until and not until():
        raise TimeoutError(f"Waited {timeout} s for {getattr(until, '__name__', until)}")


def click(widget: QWidget) -> None:
    """Press the left mouse button on a widget; refuses what a user could not click."""
    if not widget.isEnabled():
        raise AssertionError(f"{_words(widget)} is disabled: {widget.toolTip()}")
    if widget.isHidden():
        raise AssertionError(f"{_words(widget)} is hidden")
    place = widget.rect().center()
    if isinstance(widget, QCheckBox | QRadioButton):
        place = QPoint(8, widget.height() // 2)  # beyond the text a click hits nothing
    elif hasattr(widget, "contentsCollapsed"):
        place = QPoint(widget.width() // 2, 8)
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)
    QApplication.processEvents()


def _words(widget) -> str:
    return f"{type(widget).__name__} {widget.objectName()!r}"


def setSlider(widget, value: float) -> None:
    """Type a value into the spin box of a slider widget, or move a plain slider."""
    if hasattr(widget, "_spin"):
        widget._spin.setValue(value)
    elif isinstance(widget.__class__.value, property) or not callable(widget.value):
        widget.value = value
    else:
        widget.setValue(value)
    QApplication.processEvents()


class longestBlock:
    """Measures, while its ``with`` block runs, for how long the event loop did not get a turn."""

    def __init__(self, interval_ms: int = 5):
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.setInterval(interval_ms)
        self._timer.timeout.connect(self._tick)
        self.seconds = 0.0

    def _tick(self):
        now = time.perf_counter()
        self.seconds = max(self.seconds, now - self._last)
        self._last = now

    def __enter__(self):
        QApplication.processEvents()
        self.seconds, self._last = 0.0, time.perf_counter()
        self._timer.start()
        return self

    def __exit__(self, *_):
        self._tick()
        self._timer.stop()
