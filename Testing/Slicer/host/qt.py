"""The module ``qt``: one flat namespace, as in Slicer."""

import types
import xml.etree.ElementTree as ET

from PySide6 import QtCore, QtUiTools

from . import pythonqt

CONNECTION = ("sender", "signal", "receiver", "slot")
_custom_widgets: list[type] = []


def register_widgets(*classes: type) -> None:
    """Let user-interface files name these widgets."""
    _custom_widgets.extend(classes)


class QUiLoader(QtUiTools.QUiLoader):
    """Loads user-interface files that name Slicer's and CTK's widgets."""

    def __init__(self, parent=None):
        super().__init__(parent)
        for cls in _custom_widgets:
            self.registerCustomWidget(cls)

    def createWidget(self, className, parent=None, name=""):
        known = {cls.__name__ for cls in _custom_widgets} | set(self.availableWidgets())
        if className not in known and className != "Line":
            raise RuntimeError(f"The user-interface file names {className}, which this host lacks")
        return super().createWidget(className, parent, name)

    def load(self, device, parentWidget=None):
        """Load a user-interface file; ValueError for a connection that Slicer could not make."""
        tree = ET.fromstring(device.readAll().data())
        connections = tree.find("connections")
        listed = [] if connections is None else list(connections)
        if connections is not None:
            tree.remove(connections)
        buffer = QtCore.QBuffer()
        buffer.setData(ET.tostring(tree))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        widget = super().load(buffer, parentWidget)
        for connection in listed:
            _connect(widget, *(connection.findtext(part).strip() for part in CONNECTION))
        return widget


def _connect(root, sender, signal, receiver, slot):
    found = {}
    for name in (sender, receiver):
        child = root.findChild(QtCore.QObject, name)
        found[name] = root if root.objectName() == name else child
        if found[name] is None:
            raise ValueError(f"The user-interface file connects {name}, which it does not hold")
    emitted, arguments = pythonqt.signal_of(found[sender], signal)
    name, _, accepted = slot.rstrip(")").partition("(")
    receive = getattr(found[receiver], name, None)
    if receive is None or not arguments.startswith(accepted):
        raise ValueError(f"{receiver} has no slot {slot} for {signal}")
    if accepted:
        emitted.connect(lambda value: receive(value))
    else:
        emitted.connect(lambda *_: receive())


class QSettings(QtCore.QSettings):
    """PythonQt hands lists over as tuples."""

    def value(self, key, *default):
        found = super().value(key, *default)
        return tuple(found) if isinstance(found, list) else found


def make_module() -> types.ModuleType:
    """A module with everything of QtCore, QtGui, QtWidgets, QtUiTools and QtTest."""
    module = types.ModuleType("qt", __doc__)
    for source in pythonqt.MODULES:
        for name in dir(source):
            if name.startswith("Q"):
                setattr(module, name, getattr(source, name))
    module.Qt = QtCore.Qt
    module.Signal = QtCore.Signal
    module.Slot = QtCore.Slot
    module.Property = QtCore.Property
    module.QUiLoader = QUiLoader
    module.QSettings = QSettings
    return module
