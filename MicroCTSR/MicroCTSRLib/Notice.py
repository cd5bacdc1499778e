"""The words "synthetic, not for diagnosis" in every view that shows a result.

Slicer's own corner annotations are rewritten whenever a view changes, so the words are an actor
of their own in each view.
"""

import slicer
import vtk
from slicer.util import VTKObservationMixin

from . import Nodes

TEXT = "synthetic, not for diagnosis"


class Notice(VTKObservationMixin):
    """Looks after the words in all slice views and 3-D views."""

    def __init__(self):
        VTKObservationMixin.__init__(self)
        self._actors = {}

    def install(self):
        """Watch the views; does nothing where Slicer runs without a window."""
        layoutManager = slicer.app.layoutManager()
        if layoutManager is None:
            return
        scene = slicer.mrmlScene
        for event in (
            scene.NodeAddedEvent,
            scene.NodeRemovedEvent,
            scene.EndImportEvent,
            scene.EndCloseEvent,
        ):
            self.addObserver(scene, event, self._onScene)
        layoutManager.layoutChanged.connect(self._onLayout)
        self._watchViews()
        self.update()

    def remove(self):
        """Stop watching and take the words away."""
        self.removeObservers()
        layoutManager = slicer.app.layoutManager()
        if layoutManager is not None:
            layoutManager.layoutChanged.disconnect(self._onLayout)
        for renderer, actor in self._actors.values():
            renderer.RemoveViewProp(actor)
            if renderer.GetRenderWindow() is not None:
                renderer.GetRenderWindow().RemoveRenderer(renderer)
        self._actors = {}

    def update(self):
        """Show the words where they belong, and only there."""
        layoutManager = slicer.app.layoutManager()
        for name in layoutManager.sliceViewNames():
            widget = layoutManager.sliceWidget(name)
            composite = widget.sliceLogic().GetSliceCompositeNode()
            if composite is None:  # the view is being made
                continue
            layers = (composite.GetBackgroundVolumeID(), composite.GetForegroundVolumeID())
            self._set(f"slice {name}", widget.sliceView(), any(map(_isSynthetic, layers)))
        anywhere = any(
            node.GetAttribute(Nodes.PREFIX + "notice")
            for kind in ("vtkMRMLScalarVolumeNode", "vtkMRMLSegmentationNode")
            for node in slicer.util.getNodesByClass(kind)
        )
        for number in range(layoutManager.threeDViewCount):
            view = layoutManager.threeDWidget(number).threeDView()
            self._set(f"3D {number}", view, anywhere)

    def _set(self, key, view, visible):
        known = self._actors.get(key)
        if known is None or known[0].GetRenderWindow() is not view.renderWindow():
            if not visible:
                return
            self._actors[key] = (_addRenderer(view), _text())
            self._actors[key][0].AddViewProp(self._actors[key][1])
        actor = self._actors[key][1]
        if bool(actor.GetVisibility()) != visible:
            actor.SetVisibility(visible)
            view.scheduleRender()

    def _watchViews(self):
        for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
            if not self.hasObserver(node, vtk.vtkCommand.ModifiedEvent, self._onView):
                self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._onView)

    def _onScene(self, _caller=None, _event=None):
        if not slicer.mrmlScene.IsBatchProcessing():
            self._watchViews()
            self.update()

    def _onView(self, _caller=None, _event=None):
        self.update()

    def _onLayout(self, _layout=None):
        self._watchViews()
        self.update()


def _isSynthetic(volumeId):
    node = slicer.mrmlScene.GetNodeByID(volumeId) if volumeId else None
    return node is not None and bool(node.GetAttribute(Nodes.PREFIX + "notice"))


def _addRenderer(view):
    """A renderer that draws over all others of a view, and takes no mouse.

    Segments and markups come and go in the view's own; those of a higher layer, such as the
    orientation marker's, may be confined to a corner.
    """
    window = view.renderWindow()
    layer = max(1, window.GetNumberOfLayers() - 1)
    window.SetNumberOfLayers(layer + 1)
    renderer = vtk.vtkRenderer()
    renderer.SetLayer(layer)
    renderer.InteractiveOff()
    window.AddRenderer(renderer)
    return renderer


def _text():
    actor = vtk.vtkTextActor()
    actor.SetVisibility(False)
    actor.SetInput(TEXT)
    actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
    actor.SetPosition(0.98, 0.97)
    style = actor.GetTextProperty()
    style.SetFontSize(14)
    style.SetJustificationToRight()
    style.SetVerticalJustificationToTop()
    style.SetColor(1.0, 0.8, 0.2)
    style.ShadowOn()
    return actor


def ensureNotice():
    """Keep the notice in the views, whichever module is open; Reload renews it."""
    earlier = getattr(slicer.modules, "microctsrNotice", None)
    if isinstance(earlier, Notice):
        return
    if earlier is not None:
        earlier.remove()
    slicer.modules.microctsrNotice = Notice()
    slicer.modules.microctsrNotice.install()
