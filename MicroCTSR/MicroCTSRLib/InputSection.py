"""The panel's section *Input*: the CT, the region, and what a run of it would need."""

import slicer
import vtk
from slicer.i18n import tr as _

from microctsr_core import cost
from microctsr_core.errors import MicroCTSRError

from . import Nodes, Regions, Texts


class InputSection:
    """Places the region, and tells its size, grid, memory and time while it changes."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = panel.ui
        self._observed = None
        self._message = ""
        self.volume = None
        self.box = None
        self.problem = ""
        self._ui.fitToViewButton.clicked.connect(self._onFitToView)
        self._ui.aroundCrosshairButton.clicked.connect(self._onAroundCrosshair)

    def firstVolume(self):
        """The CT that a view shows, or the first in the scene that is no result."""
        views = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
        shown = [view.GetBackgroundVolumeID() for view in views]
        candidates = [slicer.mrmlScene.GetNodeByID(id_) for id_ in shown if id_]
        candidates += slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
        for node in candidates:
            isScalar = node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode"
            if isScalar and not node.GetAttribute(Nodes.PREFIX + "notice"):
                return node
        return None

    def update(self):
        parameters = self._panel.parameters
        self._observe(parameters.inputVolume, parameters.region)
        self.volume, self.box, self.problem = self._read(parameters)
        hasVolume = self.volume is not None
        self._ui.fitToViewButton.enabled = hasVolume
        self._ui.aroundCrosshairButton.enabled = hasVolume
        self._tellSize()
        self._tellNeeds()
        message = self._message or (self.problem if parameters.inputVolume is not None else "")
        self._ui.inputMessageLabel.text = Texts.red(message) if message else ""
        self._ui.inputMessageLabel.visible = bool(message)

    def _read(self, parameters):
        """The input as the library sees it, its box, and why a run is impossible, if it is."""
        node = parameters.inputVolume
        if node is None:
            return None, None, _("Load a CT of an ear and choose it as input.")
        try:
            volume = Nodes.volumeFromNode(node)
        except MicroCTSRError as error:
            return None, None, str(error)
        try:
            return volume, Regions.boxOf(parameters.region, node), ""
        except MicroCTSRError as error:
            return volume, None, str(error)

    def _tellSize(self):
        ui = self._ui
        if self.box is None:
            for label in (ui.sizeLabel, ui.resultGridLabel):
                label.text = "-"
            return
        shape = tuple(stop - start for start, stop in self.box)
        size = [n * step for n, step in zip(shape, self.volume.spacing, strict=True)]
        ui.sizeLabel.text = f"{Texts.lengths(size)} ({Texts.grid(shape)})"
        scale = self._panel.model.scale()
        mode = self._panel.parameters.scaleMode.value
        fine, spacing = cost.result_grid(shape, self.volume.spacing, scale, mode)
        ui.resultGridLabel.text = _("{grid} voxels of {size}").format(
            grid=Texts.grid(fine), size=Texts.lengths(spacing)
        )

    def _tellNeeds(self):
        ui, panel = self._ui, self._panel
        known = panel.quality.cost()
        if self.box is None or known is None:
            unknown = "-" if self.box is None else panel.quality.whyUnknown()
            ui.memoryLabel.text = ui.timeLabel.text = unknown
            return
        scan = (self.volume.shape, self.volume.spacing, self.box)
        mode = panel.parameters.scaleMode.value
        from microctsr_core.memory import free_memory_bytes

        needed, free = known.memory(*scan, mode), free_memory_bytes()
        text = _("{needed} of {free} free").format(
            needed=Texts.bytes_(needed), free=Texts.bytes_(free)
        )
        if needed > free:
            text = Texts.red(_("{text}: too much; choose a smaller region").format(text=text))
            self.problem = _("The region needs more memory than is free; choose a smaller one.")
        ui.memoryLabel.text = text
        seconds = known.seconds(*scan, mode, panel.parameters.samples())
        ui.timeLabel.text = Texts.duration(seconds)

    def _onFitToView(self, _checked=False):
        self._place(lambda node: Regions.boxInView(node))

    def _onAroundCrosshair(self, _checked=False):
        self._place(lambda node: Regions.boxAround(node, Regions.crosshairRas()))

    def _place(self, boxFor):
        """Put the region over a box of the input; a region is made when there is none."""
        parameters = self._panel.parameters
        try:
            box = boxFor(parameters.inputVolume)
        except MicroCTSRError as error:
            self._message = str(error)
            self.update()
            return
        self._message = ""
        roi = parameters.region
        if roi is None:
            roi = slicer.mrmlScene.AddNewNodeByClass(
                "vtkMRMLMarkupsROINode", slicer.mrmlScene.GenerateUniqueName(_("Ear region"))
            )
            roi.CreateDefaultDisplayNodes()
            roi.GetDisplayNode().SetFillVisibility(False)
            roi.GetDisplayNode().SetPropertiesLabelVisibility(False)
        Regions.placeOverBox(roi, parameters.inputVolume, box)
        parameters.region = roi
        self.update()

    def _observe(self, *nodes):
        """Follow the volume and the region as they are moved and changed."""
        panel = self._panel
        if self._observed == nodes:
            return
        for node in self._observed or ():
            if node is not None:
                for event in self._events(node):
                    panel.removeObserver(node, event, self._onMoved)
        self._observed = nodes
        for node in nodes:
            if node is not None:
                for event in self._events(node):
                    panel.addObserver(node, event, self._onMoved)

    @staticmethod
    def _events(node):
        events = [vtk.vtkCommand.ModifiedEvent, node.TransformModifiedEvent]
        if node.IsA("vtkMRMLMarkupsROINode"):
            return [*events, node.PointModifiedEvent]
        return [*events, node.ImageDataModifiedEvent]

    def _onMoved(self, _caller, _event):
        self._message = ""
        if self._panel.parameters is not None:
            self.update()
            self._panel.model.update()  # the card is checked against the voxel size
            self._panel.run.update()
