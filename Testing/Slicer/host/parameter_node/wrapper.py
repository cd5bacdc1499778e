"""The decorator that turns an annotated class into a view of a scripted module node."""

import contextlib
import typing

import vtk
from PySide6.QtWidgets import QWidget

from .connectors import connector_for
from .storage import Parameter

PROPERTY = "SlicerParameterName"
RESERVED = (
    "StartModify",
    "EndModify",
    "AddObserver",
    "RemoveObserver",
    "Modified",
    "connectGui",
    "disconnectGui",
    "connectParametersToGui",
    "getValue",
    "setValue",
    "default",
    "dataType",
    "isCached",
    "allParameters",
    "parameterNode",
)


class _Wrapper:
    """What every wrapper class can do."""

    allParameters: dict[str, Parameter]

    def __init__(self, parameterNode):
        self.parameterNode = parameterNode
        self._guis = {}
        self._next_tag = 0
        self._updating_gui = False
        for parameter in self.allParameters.values():
            if not parameter.is_in(parameterNode):
                parameter.write(parameterNode, parameter.default.value)

    def _parameter(self, name):
        if name not in self.allParameters:
            raise ValueError(f"There is no parameter {name!r}, only {sorted(self.allParameters)}")
        return self.allParameters[name]

    def getValue(self, name):
        return self._parameter(name).read(self.parameterNode)

    def setValue(self, name, value):
        self._parameter(name).write(self.parameterNode, value)

    def default(self, name):
        return self._parameter(name).default

    def isCached(self, name):
        return bool(self._parameter(name))

    @classmethod
    def dataType(cls, name):
        return cls.allParameters[name].annotated

    def connectGui(self, gui):
        """Tie every widget with the property SlicerParameterName to the parameter of that name.

        Slicer's own hands back no tag here, so that what it tied cannot be undone; code that has
        to undo it calls connectParametersToGui, which does hand one back.
        """
        if isinstance(gui, QWidget):
            widgets = gui.findChildren(QWidget)
        else:
            widgets = [w for w in vars(gui).values() if isinstance(w, QWidget)]
        named = {w.property(PROPERTY): w for w in widgets if w.property(PROPERTY)}
        self.connectParametersToGui(named)

    def connectParametersToGui(self, widgets):
        connectors = {
            name: connector_for(widget, self._parameter(name).annotated)
            for name, widget in widgets.items()
        }
        tag, self._next_tag = self._next_tag, self._next_tag + 1
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.connect(lambda name=name, connector=connector: self._take(name, connector))
        observer = self.AddObserver(vtk.vtkCommand.ModifiedEvent, self._node_modified)
        self._guis[tag] = (connectors, observer)
        return tag

    def disconnectGui(self, tag):
        if tag in self._guis:
            connectors, observer = self._guis.pop(tag)
            self.RemoveObserver(observer)
            for connector in connectors.values():
                connector.disconnect()

    def _take(self, name, connector):
        if not self._updating_gui:
            with _modifying(self):
                self.setValue(name, connector.read())

    def _node_modified(self, _node, _event):
        if self._updating_gui:
            return
        self._updating_gui = True
        try:
            with _modifying(self):
                for connectors, _ in list(self._guis.values()):
                    for name, connector in connectors.items():
                        connector.write(self.getValue(name))
        finally:
            self._updating_gui = False

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, wasModifying):
        return self.parameterNode.EndModify(wasModifying)

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        self.parameterNode.Modified()


@contextlib.contextmanager
def _modifying(wrapper):
    before = wrapper.StartModify()
    try:
        yield
    finally:
        wrapper.EndModify(before)


def _property_for(name):
    return property(
        lambda self: self.getValue(name), lambda self, value: self.setValue(name, value)
    )


def parameterNodeWrapper(cls=None):
    """Decorate a class whose annotations name parameters."""
    if cls is None:
        return parameterNodeWrapper
    members = typing.get_type_hints(cls, include_extras=True)
    parameters = {}
    for name, annotated in members.items():
        if name in RESERVED:
            raise ValueError(f"{name!r} is reserved in a parameterNodeWrapper")
        parameters[name] = Parameter(name, annotated, getattr(cls, name, ...))
    for name in RESERVED:
        if name in vars(cls):
            raise ValueError(f"{name!r} is reserved in a parameterNodeWrapper")
    body = {
        key: value
        for key, value in vars(cls).items()
        if key not in members and key not in ("__dict__", "__weakref__", "__init__")
    }
    body["allParameters"] = parameters
    body.update({name: _property_for(name) for name in parameters})
    return type(cls.__name__, (_Wrapper, *cls.__bases__), body)


def isParameterNodeWrapper(thing) -> bool:
    return issubclass(thing if isinstance(thing, type) else type(thing), _Wrapper)


def findChildWidgetForParameter(widget, name):
    """The widget in ``widget`` that shows the parameter, or None."""
    for child in widget.findChildren(QWidget):
        if child.property(PROPERTY) == name:
            return child
    return None
