"""Slice views and 3-D views drawn off screen by Slicer's own displayable managers.

A view makes its render window when something first asks for it: tests that look at no view
stay fast. A renderer below holds the image of a slice view; Slicer's managers draw in one above.
"""

import numpy as np
import slicer
import vtk
from PySide6.QtCore import QObject
from vtk.util.numpy_support import vtk_to_numpy

SLICE_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLScalarBarDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLTransformsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
THREE_D_MANAGERS = (
    "vtkMRMLCameraDisplayableManager",
    "vtkMRMLViewDisplayableManager",
    "vtkMRMLModelDisplayableManager",
    "vtkMRMLThreeDReformatDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager3D",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
    "vtkMRMLVolumeRenderingDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager3D",
    "vtkMRMLTransformsDisplayableManager3D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLColorLegendDisplayableManager",
)
DEFAULT_SIZE = (400, 400)
OVERLAY_LAYER = 1


def _factory(factory, managers, application_logic):
    if factory.GetMRMLApplicationLogic() is not application_logic:
        factory.SetMRMLApplicationLogic(application_logic)
        for name in managers:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
    return factory


class View(QObject):
    """What slice views and 3-D views have in common."""

    def __init__(self, application_logic):
        super().__init__()
        self._application_logic = application_logic
        self._window = self._managers = self._annotation = None
        self._size = DEFAULT_SIZE
        self.scheduled_renders = 0

    def _make_window(self):
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(True)
        self._window.SetMultiSamples(0)
        self._window.SetSize(*self._size)
        self._interactor = vtk.vtkGenericRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        # Only Slicer's own style, which is no vtkInteractorStyle, is to take the events.
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._make_renderers()

    def _start_managers(self, factory, renderer, node, style):
        self._style = style
        self._interactor.Initialize()
        style.SetInteractor(self._interactor)
        self._managers = factory.InstantiateDisplayableManagers(renderer)
        self._managers.SetMRMLDisplayableNode(node)
        style.SetDisplayableManagers(self._managers)

    def renderWindow(self):
        if self._window is None:
            self._make_window()
        return self._window

    def renderer(self):
        return self.renderWindow().GetRenderers().GetFirstRenderer()

    def interactor(self):
        self.renderWindow()
        return self._interactor

    def interactorStyle(self):
        self.renderWindow()
        return self._style

    def displayableManagerByClassName(self, name):
        self.renderWindow()
        return self._managers.GetDisplayableManagerByClassName(name)

    def cornerAnnotation(self):
        if self._annotation is None:
            self._annotation = vtk.vtkCornerAnnotation()
            self._annotation.SetMaximumFontSize(14)
            self._overlay().AddViewProp(self._annotation)
        return self._annotation

    def scheduleRender(self):
        self.scheduled_renders += 1

    def forceRender(self):
        self.renderWindow().Render()

    def image(self, size=None) -> np.ndarray:
        """The view as an array (rows, columns, RGB), at most as Slicer would show it."""
        self.renderWindow()
        self._resize(size or self._size)
        # Managers ask for a second look once the first has told them the window's size.
        for _ in range(2):
            self._update()
            self._window.Render()
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        data = grabber.GetOutput()
        columns, rows, _ = data.GetDimensions()
        pixels = vtk_to_numpy(data.GetPointData().GetScalars()).reshape(rows, columns, -1)
        return np.ascontiguousarray(pixels[::-1, :, :3])

    def _resize(self, size):
        self._size = tuple(size)
        self._window.SetSize(*self._size)
        self._interactor.UpdateSize(*self._size)

    def _update(self):
        pass


class SliceView(View):
    """The picture of a slice with everything Slicer draws over it."""

    def __init__(self, logic, application_logic):
        super().__init__(application_logic)
        self._logic = logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def overlayRenderer(self):
        return self._overlay()

    def _overlay(self):
        self.renderWindow()
        return self._overlay_renderer

    def _make_renderers(self):
        self._image_renderer = vtk.vtkRenderer()
        self._image_renderer.SetBackground(0.0, 0.0, 0.0)
        self._mapper = vtk.vtkImageMapper()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._picture = vtk.vtkActor2D()
        self._picture.SetMapper(self._mapper)
        self._overlay_renderer = vtk.vtkRenderer()
        self._overlay_renderer.SetLayer(OVERLAY_LAYER)
        self._overlay_renderer.GetActiveCamera().ParallelProjectionOn()
        self._window.SetNumberOfLayers(2)
        self._window.AddRenderer(self._image_renderer)
        self._window.AddRenderer(self._overlay_renderer)
        style = slicer.vtkMRMLSliceViewInteractorStyle()
        style.SetSliceLogic(self._logic)
        self._resize(self._size)
        factory = _factory(
            slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance(),
            SLICE_MANAGERS,
            self._application_logic,
        )
        self._start_managers(factory, self._overlay_renderer, self.mrmlSliceNode(), style)

    def _resize(self, size):
        super()._resize(size)
        self._logic.ResizeSliceNode(*self._size)

    def _update(self):
        self._logic.UpdatePipeline()
        connection = self._logic.GetImageDataConnection()
        if connection is None:
            self._image_renderer.RemoveViewProp(self._picture)
        else:
            self._mapper.SetInputConnection(connection)
            if not self._image_renderer.HasViewProp(self._picture):
                self._image_renderer.AddViewProp(self._picture)


class ThreeDView(View):
    """The picture of the scene in space."""

    def __init__(self, node, application_logic):
        super().__init__(application_logic)
        self._node = node

    def mrmlViewNode(self):
        return self._node

    def _overlay(self):
        return self.renderer()

    def _make_renderers(self):
        renderer = vtk.vtkRenderer()
        renderer.SetGradientBackground(True)
        renderer.SetBackground(0.7568, 0.7647, 0.9098)
        renderer.SetBackground2(0.4549, 0.4705, 0.7450)
        self._window.AddRenderer(renderer)
        factory = _factory(
            slicer.vtkMRMLThreeDViewDisplayableManagerFactory.GetInstance(),
            THREE_D_MANAGERS,
            self._application_logic,
        )
        style = slicer.vtkMRMLThreeDViewInteractorStyle()
        self._start_managers(factory, renderer, self._node, style)

    def resetFocalPoint(self):
        """Look at all that is shown; the box around it and its labels do not count."""
        self.renderWindow()
        shown = (self._node.GetBoxVisible(), self._node.GetAxisLabelsVisible())
        self._node.SetBoxVisible(False)
        self._node.SetAxisLabelsVisible(False)
        self.renderer().ResetCamera()
        self._node.SetBoxVisible(shown[0])
        self._node.SetAxisLabelsVisible(shown[1])

    def resetCamera(self):
        self.resetFocalPoint()

    def cameraNode(self):
        return self._application_logic.GetModuleLogic("Cameras").GetViewActiveCameraNode(self._node)

    def rotateToViewAxis(self, axis):
        self.cameraNode().RotateTo(axis)
