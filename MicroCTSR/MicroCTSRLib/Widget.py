"""The panel: its life cycle, and the sections that each look after some of its controls."""

import slicer
import vtk
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleWidget
from slicer.util import VTKObservationMixin

from .Costs import Costs
from .InputSection import InputSection
from .Logic import MicroCTSRLogic
from .Models import Models
from .ModelSection import ModelSection
from .Notice import ensureNotice
from .QualitySection import QualitySection
from .ResultSection import ResultSection
from .RunSection import RunSection
from .SegmentationSection import SegmentationSection


class MicroCTSRWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The module's panel; sections share it as their ``panel``.

    ``parameters`` are those of the open scene, ``None`` while a scene closes.
    """

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.parameters = None
        self.sections = ()
        self._isTaking = False

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/MicroCTSR.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)

        self.logic = MicroCTSRLogic()
        self.models = Models()
        self.costs = Costs()
        self.input = InputSection(self)
        self.model = ModelSection(self)
        self.quality = QualitySection(self)
        self.run = RunSection(self)
        self.result = ResultSection(self)
        self.segmentation = SegmentationSection(self)
        self.sections = (
            self.input,
            self.model,
            self.quality,
            self.run,
            self.result,
            self.segmentation,
        )
        ensureNotice()
        self.costs.changed.connect(self.update)
        self.logic.queue.changed.connect(self.run.update)
        self.logic.resultAdded.connect(self._onResult)

        scene = slicer.mrmlScene
        self.addObserver(scene, scene.StartCloseEvent, self._onSceneStartClose)
        self.addObserver(scene, scene.EndCloseEvent, self._onSceneEndClose)
        self.addObserver(scene, scene.NodeRemovedEvent, self._onNodeRemoved)
        self._useParameters()

    def enter(self):
        self._useParameters()
        if self.parameters.inputVolume is None:
            self.parameters.inputVolume = self.input.firstVolume()

    def exit(self):
        """The panel is hidden; runs go on, the sections go on following them."""
        self.segmentation.hidePreview()

    def cleanup(self):
        self.logic.cleanup()
        self.costs.cleanup()
        self.segmentation.hidePreview()
        self._dropParameters()
        self.removeObservers()

    def update(self, _caller=None, _event=None):
        """Bring every section up to date with the parameters."""
        if self.parameters is not None and not self._isTaking:
            for section in self.sections:
                section.update()

    def _useParameters(self):
        if self.parameters is not None:
            return
        self.parameters = self.logic.getParameterNode()
        if self.parameters.inputVolume is None:
            self.parameters.inputVolume = self.input.firstVolume()
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
        self.logic.cancelAll()
        self.segmentation.hidePreview()
        self._dropParameters()

    def _onSceneEndClose(self, _caller, _event):
        self._useParameters()

    def _onNodeRemoved(self, scene, _event):
        if not scene.IsBatchProcessing():
            self.update()

    def _onResult(self, job, nodes):
        if self.run.isPreview(job):
            self.result.showPreview(nodes)
            return
        self._isTaking = True  # one update for all that a result changes
        try:
            self.result.take(nodes)
            self.segmentation.take(nodes)
        finally:
            self._isTaking = False
        self.update()
