"""The layout manager: which slice and 3-D views a layout shows, and what code finds in them."""

import slicer
import vtk
from PySide6.QtCore import Property, QObject, Signal

from .views import DEFAULT_SIZE, SliceView, ThreeDView


class SliceController(QObject):
    """The bar above a slice view."""

    def __init__(self, widget):
        super().__init__()
        self._widget = widget

    def setVisible(self, visible):
        self._widget.controller_visible = bool(visible)

    def fitSliceToBackground(self):
        self._widget.fitSliceToBackground()

    def sliceLogic(self):
        return self._widget.sliceLogic()

    def mrmlSliceNode(self):
        return self._widget.mrmlSliceNode()


class SliceWidget(QObject):
    """A slice view with its bar."""

    def __init__(self, node, application_logic, scene):
        super().__init__()
        self.controller_visible = True
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        self._logic.SetSliceNode(node)
        self._logic.ResizeSliceNode(*DEFAULT_SIZE)
        self._view = SliceView(self._logic, application_logic)
        self._controller = SliceController(self)

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceView(self):
        return self._view

    def sliceController(self):
        return self._controller

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()

    def interactorStyle(self):
        return self._view.interactorStyle()


class ThreeDController(QObject):
    """The bar above a 3-D view."""

    def __init__(self, widget):
        super().__init__()
        self._widget = widget

    def setVisible(self, visible):
        self._widget.controller_visible = bool(visible)

    def resetFocalPoint(self):
        self._widget.threeDView().resetFocalPoint()


class ThreeDWidget(QObject):
    """A 3-D view with its bar."""

    def __init__(self, node, application_logic, scene):
        super().__init__()
        self.controller_visible = True
        self._node = node
        self._logic = slicer.vtkMRMLViewLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        self._logic.AddViewNode(node.GetLayoutName())
        self._view = ThreeDView(node, application_logic)
        self._controller = ThreeDController(self)

    def mrmlViewNode(self):
        return self._node

    def viewLogic(self):
        return self._logic

    def threeDView(self):
        return self._view

    def threeDController(self):
        return self._controller


class LayoutManager(QObject):
    """Follows the layout node, and makes a widget for every view that a layout names."""

    layoutChanged = Signal(int)

    def __init__(self, scene, application_logic):
        super().__init__()
        self._scene, self._application_logic = scene, application_logic
        self._slice_widgets: dict[str, SliceWidget] = {}
        self._three_d_widgets: dict[str, ThreeDWidget] = {}
        self._slice_logics, self._view_logics = vtk.vtkCollection(), vtk.vtkCollection()
        application_logic.SetSliceLogics(self._slice_logics)
        application_logic.SetViewLogics(self._view_logics)
        self._logic = slicer.vtkMRMLLayoutLogic()
        self._logic.SetMRMLApplicationLogic(application_logic)
        self._logic.SetMRMLScene(scene)
        node = self._logic.GetLayoutNode()
        node.SetViewArrangement(node.SlicerLayoutFourUpView)
        self._shown = None
        node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._layout_modified)
        self._layout_modified()
        self._make_views_before_legends()

    def _make_views_before_legends(self):
        """Colour legends are shown only by views that existed before, and these come on demand."""

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def about_to_be_added(_scene, _event, node):
            if node.IsA("vtkMRMLColorLegendDisplayNode"):
                for widget in self._slice_widgets.values():
                    widget.sliceView().renderWindow()
                for widget in self._three_d_widgets.values():
                    widget.threeDView().renderWindow()

        self._scene.AddObserver(self._scene.NodeAboutToBeAddedEvent, about_to_be_added)

    def _layout_modified(self, *_):
        arrangement = self._logic.GetLayoutNode().GetViewArrangement()
        description = self._logic.GetLayoutNode().GetCurrentLayoutDescription()
        if (arrangement, description) == self._shown:
            return
        self._shown = (arrangement, description)
        shown = self.view_nodes()
        for node in slicer.util.getNodesByClass("vtkMRMLAbstractViewNode"):
            node.SetMappedInLayout(node in shown)
        for node in shown:
            name = node.GetLayoutName()
            if node.IsA("vtkMRMLSliceNode") and name not in self._slice_widgets:
                widget = SliceWidget(node, self._application_logic, self._scene)
                self._slice_widgets[name] = widget
                self._slice_logics.AddItem(widget.sliceLogic())
            elif node.IsA("vtkMRMLViewNode") and name not in self._three_d_widgets:
                widget = ThreeDWidget(node, self._application_logic, self._scene)
                self._three_d_widgets[name] = widget
                self._view_logics.AddItem(widget.viewLogic())
        self.layoutChanged.emit(arrangement)

    def view_nodes(self):
        """The nodes of the views in the current layout."""
        nodes = self._logic.GetViewNodes()
        return [nodes.GetItemAsObject(i) for i in range(nodes.GetNumberOfItems())]

    def layoutLogic(self):
        return self._logic

    def setLayout(self, layout):
        self._logic.GetLayoutNode().SetViewArrangement(layout)

    def sliceViewNames(self):
        return tuple(self._slice_widgets)

    def sliceWidget(self, name):
        return self._slice_widgets.get(name)

    def mrmlSliceLogics(self):
        return self._slice_logics

    def threeDWidget(self, which):
        if isinstance(which, str):
            return self._three_d_widgets.get(which)
        widgets = list(self._three_d_widgets.values())
        return widgets[which] if 0 <= which < len(widgets) else None

    def threeDWidgets(self):
        return list(self._three_d_widgets.values())

    def activeThreeDRenderer(self):
        return self.threeDWidget(0).threeDView().renderer()

    def resetThreeDViews(self):
        for widget in self.threeDWidgets():
            widget.threeDView().resetFocalPoint()

    def resetSliceViews(self):
        for widget in self._slice_widgets.values():
            widget.fitSliceToBackground()

    layout = Property(int, lambda self: self._logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: len(self._three_d_widgets))
    tableViewCount = Property(int, lambda _: 0)
    plotViewCount = Property(int, lambda _: 0)
