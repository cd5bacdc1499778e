"""What the panels of the modules have in common: their life cycle and that of their parameters."""

import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin


class Panel(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """A panel made of sections that each look after some of its controls, and share it.

    ``parameters`` are those of the open scene, ``None`` while a scene closes.
    """

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.parameters = None
        self.sections = ()

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath(f"UI/{self.moduleName}.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        self.sections = self.makeSections()
        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneEndClose)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self._useParameters()

    def makeSections(self):
        """Make the logic and the sections, and return these."""
        raise NotImplementedError

    def onParameters(self):
        """The parameters of a scene have been taken up; the controls do not show them yet."""

    def onSceneStartClose(self):
        """The scene's nodes are about to go."""

    def enter(self):
        self._useParameters()

    def cleanup(self):
        self._dropParameters()
        self.removeObservers()

    def update(self, _caller=None, _event=None):
        """Bring every section up to date with the parameters."""
        if self.parameters is not None:
            for section in self.sections:
                section.update()

    def _useParameters(self):
        if self.parameters is not None:
            return
        self.parameters = self.logic.getParameterNode()
        self.onParameters()
        # connectGui would find the same widgets, but gives no tag to disconnect them by.
        self._guiTag = self.parameters.connectParametersToGui(self._boundWidgets())
        self.addObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.update)
        self.update()

    def _boundWidgets(self):
        """The controls by the parameter that the .ui file binds them to."""
        widgets = vars(self.ui).values()
        names = [(widget.property("SlicerParameterName"), widget) for widget in widgets]
        return {name: widget for name, widget in names if name}

    def _dropParameters(self):
        if self.parameters is not None:
            self.parameters.disconnectGui(self._guiTag)
            self.removeObserver(self.parameters, vtk.vtkCommand.ModifiedEvent, self.update)
            self.parameters = None

    def _onSceneStartClose(self, _caller, _event):
        self.onSceneStartClose()
        self._dropParameters()

    def _onSceneEndClose(self, _caller, _event):
        self._useParameters()

    def _onNodeRemoved(self, scene, _event):
        if not scene.IsBatchProcessing():
            self.update()


def offer(button, reason, what):
    """Enable a button whose tooltip tells what it does, or disable it and tell the reason."""
    button.enabled = not reason
    button.toolTip = reason or what
