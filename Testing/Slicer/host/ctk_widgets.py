"""Stand-ins for the CTK widgets that user-interface files of modules name."""

# Classes bear the names that Slicer and its users know.
# ruff: noqa: N801

from PySide6.QtCore import Property, QEvent, QRect, QSize, Qt, Signal
from PySide6.QtGui import QFontMetrics, QIcon
from PySide6.QtWidgets import (
    QAbstractButton,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QFrame,
    QGroupBox,
    QHBoxLayout,
    QLineEdit,
    QMessageBox,
    QPushButton,
    QStyle,
    QStyleOptionButton,
    QStyleOptionFrame,
    QStylePainter,
    QToolButton,
    QWidget,
)


class ctkCollapsibleButton(QAbstractButton):
    """A header that shows or hides the widgets below it."""

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments):
        text = next((a for a in arguments if isinstance(a, str)), "")
        super().__init__(next((a for a in arguments if isinstance(a, QWidget)), None))
        self._collapsed = False
        self._switching = False
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(lambda on: self._set_collapsed(not on))
        self.setContentsMargins(0, self._header_height(), 0, 0)

    def _header_height(self) -> int:
        return max(QFontMetrics(self.font()).height() + 10, 24)

    def _set_collapsed(self, collapsed: bool) -> None:
        collapsed = bool(collapsed)
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self._switching = True
        for child in self._child_widgets():
            if collapsed:
                child.setProperty("visibilityToParent", child.isVisibleTo(self))
                child.setVisible(False)
            else:
                child.setVisible(child.property("visibilityToParent") is not False)
        self._switching = False
        self.setMaximumHeight(self._header_height() if collapsed else 16777215)
        self.setChecked(not collapsed)
        self.updateGeometry()
        self.update()
        self.contentsCollapsed.emit(collapsed)

    def _child_widgets(self):
        return [c for c in self.children() if isinstance(c, QWidget) and not c.isWindow()]

    def childEvent(self, event):
        child = event.child()
        if event.added() and isinstance(child, QWidget):
            child.installEventFilter(self)
            if self._collapsed:
                self._hide_until_opened(child)
        super().childEvent(event)

    def _hide_until_opened(self, child):
        child.setProperty("visibilityToParent", True)
        self._switching = True
        child.setVisible(False)
        self._switching = False

    def eventFilter(self, child, event):
        # A child shown while the section is closed appears when it is opened.
        if self._collapsed and not self._switching:
            if event.type() == QEvent.Type.ShowToParent:
                self._hide_until_opened(child)
            elif event.type() == QEvent.Type.HideToParent:
                child.setProperty("visibilityToParent", False)
        return False

    def hitButton(self, position):
        return position.y() < self._header_height()

    def sizeHint(self):
        header = QSize(
            QFontMetrics(self.font()).horizontalAdvance(self.text()) + 40, self._header_height()
        )
        if self._collapsed or self.layout() is None:
            return header
        return self.layout().totalSizeHint().expandedTo(header)

    def minimumSizeHint(self):
        if self._collapsed or self.layout() is None:
            return QSize(60, self._header_height())
        return self.layout().totalMinimumSize()

    def paintEvent(self, _event):
        painter = QStylePainter(self)
        header = QRect(0, 0, self.width(), self._header_height())
        button = QStyleOptionButton()
        button.initFrom(self)
        button.rect = header
        button.state |= QStyle.StateFlag.State_Raised
        painter.drawControl(QStyle.ControlElement.CE_PushButtonBevel, button)
        button.rect = QRect(8, (header.height() - 10) // 2, 10, 10)
        painter.drawPrimitive(
            QStyle.PrimitiveElement.PE_IndicatorArrowRight
            if self._collapsed
            else QStyle.PrimitiveElement.PE_IndicatorArrowDown,
            button,
        )
        painter.drawItemText(
            header.adjusted(26, 0, -6, 0),
            Qt.AlignmentFlag.AlignLeft
            | Qt.AlignmentFlag.AlignVCenter
            | Qt.TextFlag.TextShowMnemonic,
            self.palette(),
            self.isEnabled(),
            self.text(),
        )
        if not self._collapsed:
            frame = QStyleOptionFrame()
            frame.initFrom(self)
            frame.rect = self.rect().adjusted(0, header.height() - 1, 0, 0)
            frame.frameShape = QFrame.Shape.StyledPanel
            frame.lineWidth = 1
            frame.state |= QStyle.StateFlag.State_Sunken
            painter.drawPrimitive(QStyle.PrimitiveElement.PE_Frame, frame)

    collapsed = Property(bool, lambda self: self._collapsed, _set_collapsed)
    collapsedHeight = Property(int, lambda _: 14, lambda _, __: None)


class ctkCollapsibleGroupBox(QGroupBox):
    """A group box whose title closes it."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setCheckable(True)
        self.toggled.connect(self._show_contents)

    def _show_contents(self, on):
        for child in self.children():
            if isinstance(child, QWidget):
                child.setVisible(on)

    collapsed = Property(
        bool, lambda self: not self.isChecked(), lambda self, on: self.setChecked(not on)
    )


class ctkDoubleSpinBox(QDoubleSpinBox):
    """CTK's spin box, which in these tests is Qt's."""


class ctkComboBox(QComboBox):
    """A combo box with a text for the time when nothing is chosen."""

    defaultText = Property(
        str, lambda self: self.placeholderText(), lambda self, text: self.setPlaceholderText(text)
    )


class ctkExpandButton(QToolButton):
    """A small arrow that shows or hides more."""

    def __init__(self, parent=None):
        super().__init__(parent)
        self.setCheckable(True)
        self.setAutoRaise(True)
        self.toggled.connect(self._point)
        self._point(False)

    def _point(self, on):
        self.setArrowType(Qt.ArrowType.DownArrow if on else Qt.ArrowType.RightArrow)


class ctkMessageBox(QMessageBox):
    """A message box with "do not show again"."""

    dontShowAgainSettingsKey = Property(
        str, lambda self: getattr(self, "_key", ""), lambda self, key: setattr(self, "_key", key)
    )


class ctkPathLineEdit(QWidget):
    """A line for a path, with a button that browses.

    An empty line is no valid input: of its text, as CTK has it, only a valid one is told.
    """

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    # QDir's filters, by which the button browses for files or for folders.
    Dirs, Files = 0x001, 0x002

    def __init__(self, parent=None):
        super().__init__(parent)
        self._key, self._filters = "", self.Dirs | self.Files
        self._line = QLineEdit(self)
        button = QToolButton(self)
        button.setText("…")
        button.clicked.connect(self._browse)
        self._is_valid = False
        self._line.textChanged.connect(self._text_changed)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._line)
        layout.addWidget(button)

    def _text_changed(self, text):
        if text:
            self.currentPathChanged.emit(text)
        if bool(text) != self._is_valid:
            self._is_valid = bool(text)
            self.validInputChanged.emit(self._is_valid)

    def _browse(self):
        if self._filters & self.Files:
            found, _filter = QFileDialog.getOpenFileName(self)
        else:
            found = QFileDialog.getExistingDirectory(self)
        self._set_path(found or self._line.text())

    def _set_filters(self, filters):
        self._filters = int(filters)

    def _set_path(self, path):
        self._line.setText(str(path))

    currentPath = Property(str, lambda self: self._line.text(), _set_path)
    filters = Property(int, lambda self: self._filters, _set_filters)
    settingKey = Property(str, lambda self: self._key, lambda self, key: setattr(self, "_key", key))


class ctkDirectoryButton(QPushButton):
    """A button that shows a folder and lets choose another."""

    directoryChanged = Signal(str)

    def __init__(self, *arguments):
        parent = next((a for a in arguments if isinstance(a, QWidget)), None)
        super().__init__(parent)
        self._directory = ""
        self.setIcon(
            QIcon(self.style().standardIcon(QStyle.StandardPixmap.SP_DirIcon).pixmap(16, 16))
        )
        self.clicked.connect(self._browse)

    def _browse(self):
        self._set_directory(
            QFileDialog.getExistingDirectory(self, "", self._directory) or self._directory
        )

    def _set_directory(self, directory):
        if directory != self._directory:
            self._directory = str(directory)
            self.setText(self._directory)
            self.directoryChanged.emit(self._directory)

    directory = Property(str, lambda self: self._directory, _set_directory)
