"""Modules: the built-in ones' logics, and scripted modules loaded and shown as Slicer does."""

# Classes bear the names that Slicer and its users know.
# ruff: noqa: N801

import importlib.util
import sys
import types
from pathlib import Path
from typing import ClassVar

import slicer
from PySide6.QtCore import Property, QObject, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QVBoxLayout, QWidget

from . import refusals
from .qmrml_widgets import qMRMLWidget


class qSlicerScriptedLoadableModuleWidget(qMRMLWidget):
    """The widget that holds a scripted module's panel."""

    def __init__(self, module):
        super().__init__()
        QVBoxLayout(self)
        self._module, self._self, self._entered = module, None, False
        self.setObjectName(f"{module.name}ModuleWidget")

    def self(self):
        return self._self

    def create(self):
        python_module = sys.modules[self._module.name]
        widget_class = getattr(python_module, self._module.name + "Widget")
        self._self = widget_class(self)
        setattr(slicer.modules, self._module.name + "Widget", self._self)
        self._self.setup()
        self.setMRMLScene(slicer.mrmlScene)

    def reload(self):
        self.create()
        if self._entered:
            self.enter()

    def enter(self):
        self._entered = True
        getattr(self._self, "enter", lambda: None)()

    def exit(self):
        self._entered = False
        getattr(self._self, "exit", lambda: None)()


class qSlicerCoreModule(QObject):
    """A module of the application: a name and a logic."""

    def __init__(self, name, logic=None, widget=None):
        super().__init__()
        self._name, self._logic, self._widget = name, logic, widget

    def logic(self):
        return self._logic

    def widgetRepresentation(self):
        return self._widget

    name = Property(str, lambda self: self._name)
    title = Property(str, lambda self: self._name)


class qSlicerScriptedLoadableModule(qSlicerCoreModule):
    """A module written in Python; the object that its constructor gets as parent."""

    FIELDS: ClassVar = {
        "title": str,
        "categories": (list, tuple),
        "dependencies": (list, tuple),
        "contributors": (list, tuple),
        "helpText": str,
        "acknowledgementText": str,
        "hidden": bool,
        "icon": QIcon,
        "index": int,
        "associatedNodeTypes": (list, tuple),
        "widgetRepresentationCreationEnabled": bool,
    }

    def __init__(self, name, path):
        super().__init__(name, slicer.vtkSlicerScriptedLoadableModuleLogic())
        self._path = str(path)
        self._fields = {"title": name, "hidden": False, "icon": QIcon()}

    def widgetRepresentation(self):
        if self._widget is None:
            widget = qSlicerScriptedLoadableModuleWidget(self)
            self._widget = widget
            widget.create()
        return self._widget

    def createNewWidgetRepresentation(self):
        widget = qSlicerScriptedLoadableModuleWidget(self)
        widget.create()
        return widget

    def setLogic(self, logic):
        self._logic = logic

    path = Property(str, lambda self: self._path)


def _field(name, kind):
    def read(self):
        value = self._fields.get(name, [])
        return tuple(value) if isinstance(value, list) else value

    def write(self, value):
        if not isinstance(value, kind):
            raise ValueError(f"A module's {name} is no {type(value).__name__}")
        self._fields[name] = value

    return Property(object, read, write)


for _name, _kind in qSlicerScriptedLoadableModule.FIELDS.items():
    setattr(qSlicerScriptedLoadableModule, _name, _field(_name, _kind))


EFFECTS = (
    "Threshold",
    "Paint",
    "Draw",
    "Erase",
    "Level tracing",
    "Grow from seeds",
    "Fill between slices",
    "Margin",
    "Hollow",
    "Smoothing",
    "Scissors",
    "Islands",
    "Logical operators",
    "Mask volume",
)


class SegmentEditor(QObject):
    """The segment editor's widget: it keeps what it is told, in a real parameter node."""

    def __init__(self):
        super().__init__()
        self._node, self._effect = None, None

    def mrmlSegmentEditorNode(self):
        if self._node is None or self._node.GetScene() is None:
            self._node = slicer.mrmlScene.GetSingletonNode(
                "SegmentEditor", "vtkMRMLSegmentEditorNode"
            )
        if self._node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag("SegmentEditor")
            self._node = slicer.mrmlScene.AddNode(node)
        return self._node

    def setMRMLSegmentEditorNode(self, node):
        self._node = node

    def setMRMLScene(self, scene):
        pass

    def setSegmentationNode(self, node):
        self.mrmlSegmentEditorNode().SetAndObserveSegmentationNode(node)

    def segmentationNode(self):
        return self.mrmlSegmentEditorNode().GetSegmentationNode()

    def setSourceVolumeNode(self, node):
        self.mrmlSegmentEditorNode().SetAndObserveSourceVolumeNode(node)

    def sourceVolumeNode(self):
        return self.mrmlSegmentEditorNode().GetSourceVolumeNode()

    def setCurrentSegmentID(self, identifier):
        self.mrmlSegmentEditorNode().SetSelectedSegmentID(identifier)

    def currentSegmentID(self):
        return self.mrmlSegmentEditorNode().GetSelectedSegmentID()

    def setActiveEffectByName(self, name):
        if name and name not in EFFECTS:
            raise ValueError(f"The segment editor has no effect {name!r}")
        self._effect = name
        self.mrmlSegmentEditorNode().SetActiveEffectName(name or "")

    def activeEffect(self):
        return types.SimpleNamespace(name=self._effect) if self._effect else None


class _SegmentEditorWidget(QWidget):
    """What ``slicer.modules.segmenteditor.widgetRepresentation()`` hands out."""

    def __init__(self):
        super().__init__()
        self._scripted = types.SimpleNamespace(editor=SegmentEditor())

    def self(self):
        return self._scripted


class ModuleManager(QObject):
    """All modules by name, and the one that is shown."""

    moduleAboutToBeUnloaded = Signal(str)
    moduleLoaded = Signal(str)

    def __init__(self, logics):
        super().__init__()
        self._modules: dict[str, qSlicerCoreModule] = {}
        self._selected = ""
        for name, logic in logics.items():
            self.add(qSlicerCoreModule(name, logic))
        self.add(qSlicerCoreModule("SegmentEditor", widget=_SegmentEditorWidget()))
        for name in ("Data", "SampleData", "DataProbe"):
            self.add(qSlicerCoreModule(name))

    def add(self, module):
        self._modules[module.name] = module
        setattr(slicer.modules, module.name.lower(), module)

    def module(self, name):
        return self._modules.get(name)

    def modulesNames(self):
        return tuple(self._modules)

    def factoryManager(self):
        return self

    def loadedModuleNames(self):
        return tuple(self._modules)

    def isLoaded(self, name):
        return name in self._modules

    def selectModule(self, name):
        if name not in self._modules:
            raise RuntimeError(f"There is no module {name}")
        before = self._modules.get(self._selected)
        if isinstance(before, qSlicerScriptedLoadableModule):
            before.widgetRepresentation().exit()
        self._selected = name
        module = self._modules[name]
        if isinstance(module, qSlicerScriptedLoadableModule):
            module.widgetRepresentation().enter()

    def load(self, path: Path) -> types.ModuleType:
        """Import a scripted module's file and make its module object, as at application start."""
        path = Path(path).resolve()
        name = path.stem
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        refusals.watch(path.parent)
        spec = importlib.util.spec_from_file_location(name, path)
        python_module = importlib.util.module_from_spec(spec)
        sys.modules[name] = python_module
        try:
            refusals.check_file(path)
            spec.loader.exec_module(python_module)
        except BaseException:
            del sys.modules[name]
            raise
        module = qSlicerScriptedLoadableModule(name, path)
        setattr(slicer.modules, name + "Instance", getattr(python_module, name)(module))
        self.add(module)
        self.moduleLoaded.emit(name)
        return python_module

    selectedModule = Property(str, lambda self: self._selected)
