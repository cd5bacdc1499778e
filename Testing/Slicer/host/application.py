"""The object ``slicer.app``."""

import os
import re
from pathlib import Path
from typing import ClassVar

import slicer
from PySide6.QtCore import Property, QCoreApplication, QSettings, QStandardPaths, Signal
from PySide6.QtGui import QColor, QFont, QPalette
from PySide6.QtWidgets import QApplication, QStyleFactory

from . import qt as qt_module
from .layout import LayoutManager


class CommandOptions:
    """How the application was started."""

    def __init__(self, testing):
        self.testingEnabled = testing
        self.runPythonAndExit = False
        self.noMainWindow = True


class Environment(dict):
    """The environment in which the application was started."""

    def value(self, name, default=""):
        return self.get(name, default)


class Application(QApplication):
    """Slicer's application object around the real scene."""

    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)
    SIGNATURES: ClassVar = {"mrmlSceneChanged(vtkMRMLScene*)": "mrmlSceneChanged"}

    def __init__(self, home: Path, version: str, testing: bool):
        super().__init__(["Slicer"])
        self._home, self._version, self._testing = home, version, testing
        self._render_pauses = 0
        self._options = CommandOptions(testing)
        QCoreApplication.setOrganizationName("slicer.org")
        QCoreApplication.setApplicationName("Slicer")
        QCoreApplication.setApplicationVersion(version)
        QStandardPaths.setTestModeEnabled(True)
        QSettings.setDefaultFormat(QSettings.Format.IniFormat)
        for scope in (QSettings.Scope.UserScope, QSettings.Scope.SystemScope):
            QSettings.setPath(QSettings.Format.IniFormat, scope, str(home / "settings"))
        self._settings = qt_module.QSettings()
        self._temporary_path = str(home / "temporary")
        Path(self._temporary_path).mkdir(parents=True, exist_ok=True)
        _look_like_slicer(self)

    def set_up(self, scene, module_manager, io_manager):
        """Connect to the scene and make the views."""
        self._scene, self._module_manager, self._io_manager = scene, module_manager, io_manager
        self._layout_manager = LayoutManager(scene.scene, scene.application_logic)

    def mrmlScene(self):
        return slicer.mrmlScene

    def applicationLogic(self):
        return self._scene.application_logic

    def layoutManager(self):
        return self._layout_manager

    def moduleManager(self):
        return self._module_manager

    def moduleLogic(self, name):
        return self._scene.logics[name]

    def coreIOManager(self):
        return self._io_manager

    def ioManager(self):
        return self._io_manager

    def mainWindow(self):
        return None

    def pythonConsole(self):
        return None

    def commandOptions(self):
        return self._options

    def testingEnabled(self):
        return self._testing

    def userSettings(self):
        return self._settings

    def settings(self):
        return self._settings

    def revisionUserSettings(self):
        return self._settings

    def startupEnvironment(self):
        return Environment(os.environ)

    def pauseRender(self):
        self._render_pauses += 1
        self.applicationLogic().PauseRender()

    def resumeRender(self):
        self._render_pauses -= 1
        self.applicationLogic().ResumeRender()

    def setRenderPaused(self, paused):
        self.pauseRender() if paused else self.resumeRender()

    def isRenderPaused(self):
        return self._render_pauses > 0

    def moduleDocumentationUrl(self, name):
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{name.lower()}.html"

    def restart(self):
        raise RuntimeError("The application was asked to restart")

    def _set_temporary_path(self, path):
        self._temporary_path = str(path)

    temporaryPath = Property(str, lambda self: self._temporary_path, _set_temporary_path)
    slicerHome = Property(str, lambda self: str(self._home))
    slicerUserSettingsFilePath = Property(str, lambda self: self._settings.fileName())
    slicerRevisionUserSettingsFilePath = Property(str, lambda self: self._settings.fileName())
    majorVersion = Property(int, lambda self: int(self._version.split(".")[0]))
    minorVersion = Property(int, lambda self: int(self._version.split(".")[1]))
    documentationBaseUrl = Property(str, lambda _: "https://slicer.readthedocs.io/en/latest/")
    revision = Property(str, lambda _: "34000")
    repositoryRevision = Property(str, lambda _: "0123456")
    os = Property(str, lambda _: "linux")
    arch = Property(str, lambda _: "amd64")
    platform = Property(str, lambda _: "linux-amd64")
    releaseType = Property(str, lambda _: "Stable")


def _look_like_slicer(application: QApplication) -> None:
    application.setStyle(QStyleFactory.create("Fusion"))
    application.setFont(QFont("DejaVu Sans", 9))
    palette = QPalette(QColor(239, 239, 239), QColor(239, 239, 239))
    palette.setColor(QPalette.ColorRole.Base, QColor(255, 255, 255))
    palette.setColor(QPalette.ColorRole.AlternateBase, QColor(246, 246, 246))
    palette.setColor(QPalette.ColorRole.Highlight, QColor(48, 140, 198))
    palette.setColor(QPalette.ColorRole.HighlightedText, QColor(255, 255, 255))
    palette.setColor(QPalette.ColorRole.ToolTipBase, QColor(255, 255, 220))
    palette.setColor(QPalette.ColorRole.PlaceholderText, QColor(128, 128, 128))
    for role in (
        QPalette.ColorRole.WindowText,
        QPalette.ColorRole.Text,
        QPalette.ColorRole.ButtonText,
    ):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(150, 150, 150))
    application.setPalette(palette)


def version_numbers(generation: str) -> str:
    """A full version for a generation such as 5.13."""
    if not re.fullmatch(r"5\.\d+", generation):
        raise ValueError(f"No generation of Slicer: {generation}")
    return f"{generation}.0"
