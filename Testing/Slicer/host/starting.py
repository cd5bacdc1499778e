"""Putting the host together."""

import atexit
import logging
import shutil
import sys
import tempfile
import types
from pathlib import Path

import slicer
import slicer.util
from PySide6.QtCore import qInstallMessageHandler
from shiboken6 import Shiboken

from . import (
    answering,
    ctk_sliders,
    ctk_widgets,
    parameter_node,
    pythonqt,
    qmrml_widgets,
    scripted_module,
)
from . import modules as module_kinds
from . import qt as qt_module
from .application import Application, version_numbers
from .event_loop import pump
from .io_manager import IOManager
from .scene import Scene


class Host:
    """What runs in this process."""

    def __init__(self, testing: bool, generation: str):
        self.key = (testing, generation)
        self._home = Path(tempfile.mkdtemp(prefix="slicer-host-"))
        atexit.register(self._finish)
        pythonqt.emulate()
        qInstallMessageHandler(_hear_qt)
        self._errors = []
        sys.excepthook = self._keep_error
        self.application = Application(self._home, version_numbers(generation), testing)
        _install_namespaces()
        self.scene = Scene(self._home)
        slicer.app = self.application
        slicer.modules = sys.modules["slicer.modules"] = types.ModuleType("slicer.modules")
        self.modules = module_kinds.ModuleManager(self.scene.logics)
        self.application.set_up(self.scene, self.modules, IOManager(self.scene))
        self.answers = answering.Answers()
        answering.install(self.answers, generation)
        # There is no main window, but modules can still be chosen.
        slicer.util.moduleSelector = lambda: self.modules

    def _keep_error(self, kind, error, trace):
        """Errors in slots and observers, which Qt and VTK would only print."""
        self._errors.append(error)
        sys.__excepthook__(kind, error, trace)

    def takeErrors(self):
        """The errors that nobody could catch since the last time, and forget them."""
        errors, self._errors = self._errors, []
        return errors

    def _finish(self):
        # Widgets go before Python does: their event filters are Python.
        for widget in self.application.topLevelWidgets():
            # What has a parent, as a pop-up list has, goes with it.
            if Shiboken.isValid(widget) and widget.parent() is None:
                Shiboken.delete(widget)
        shutil.rmtree(self._home, ignore_errors=True)

    def loadModule(self, path):
        """Load a module's file, let it finish what it starts at start-up, return the module."""
        module = self.modules.load(Path(path))
        self.application.startupCompleted.emit()
        pump()
        return module

    def openModule(self, name):
        """Choose a module as its user does, and return its Python widget."""
        self.modules.selectModule(name)
        widget = self.modules.module(name).widgetRepresentation()
        widget.resize(max(widget.sizeHint().width(), 420), max(widget.sizeHint().height(), 600))
        widget.show()
        pump()
        return widget.self()

    def reload(self, name):
        """What the Reload button does; returns the new Python widget."""
        slicer.util.reloadScriptedModule(name)
        pump()
        return self.modules.module(name).widgetRepresentation().self()

    def closeScene(self):
        """What File > Close scene does."""
        self.scene.close()
        pump()


def _hear_qt(kind, context, message):
    if "propagateSizeHints" not in message:  # the off-screen platform has no windows to size
        logging.getLogger("qt").warning(message)


def start(testing: bool, generation: str) -> Host:
    return Host(testing, generation)


def _install_namespaces() -> None:
    qt_module.register_widgets(*_classes(ctk_widgets), *_classes(ctk_sliders))
    qt_module.register_widgets(*_classes(qmrml_widgets))
    sys.modules["qt"] = qt_module.make_module()
    ctk = types.ModuleType("ctk")
    for cls in (*_classes(ctk_widgets), *_classes(ctk_sliders)):
        setattr(ctk, cls.__name__, cls)
    sys.modules["ctk"] = ctk
    for cls in (*_classes(qmrml_widgets), *_classes(module_kinds)):
        setattr(slicer, cls.__name__, cls)
    i18n = types.ModuleType("slicer.i18n")
    i18n.tr = lambda text: text
    i18n.translate = lambda context, text: text
    i18n.getContext = lambda source: Path(source).stem
    for name, module in (
        ("i18n", i18n),
        ("parameterNodeWrapper", parameter_node),
        ("ScriptedLoadableModule", scripted_module),
    ):
        sys.modules["slicer." + name] = module
        setattr(slicer, name, module)


def _classes(module) -> list[type]:
    """The widget classes that a module of this package defines under Slicer's names."""
    return [
        value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and name.startswith(("ctk", "qMRML", "qSlicer"))
    ]
