"""The scene and the logic objects around it, as the application makes them at start."""

from pathlib import Path

import slicer
import vtk

SHARE = "share/Slicer-5.13"
COLOUR_MAPS = ("Inferno", "Magma", "Plasma", "Viridis", "Cividis")
LOGICS = {
    "Annotations": "vtkSlicerAnnotationModuleLogic",
    "Cameras": "vtkSlicerCamerasModuleLogic",
    "Units": "vtkSlicerUnitsLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Models": "vtkSlicerModelsLogic",
    "Tables": "vtkSlicerTablesLogic",
    "Texts": "vtkSlicerTextsLogic",
    "Transforms": "vtkSlicerTransformLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "CropVolume": "vtkSlicerCropVolumeLogic",
    "VolumeRendering": "vtkSlicerVolumeRenderingLogic",
    "Sequences": "vtkSlicerSequencesLogic",
    "ViewControllers": "vtkSlicerViewControllersLogic",
    "Reformat": "vtkSlicerReformatLogic",
    "Plots": "vtkSlicerPlotsLogic",
}
# What the application's plug-ins put into the subject hierarchy by themselves.
IN_HIERARCHY = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLModelNode",
    "vtkMRMLTransformNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
)


class Scene:
    """One MRML scene with application logic, module logics, colours and default nodes."""

    def __init__(self, home: Path):
        _write_colour_files(home / SHARE / "ColorFiles")
        self.scene = slicer.vtkMRMLScene()
        slicer.mrmlScene = self.scene
        self.application_logic = slicer.vtkSlicerApplicationLogic()
        self.application_logic.SetHomeDirectory(str(home))
        self.application_logic.SetShareDirectory(SHARE)
        self.application_logic.SetTemporaryPath(str(home))
        self.application_logic.SetMRMLScene(self.scene)
        self.colour_logic = slicer.vtkSlicerColorLogic()
        self.colour_logic.SetMRMLApplicationLogic(self.application_logic)
        self.application_logic.SetColorLogic(self.colour_logic)
        self.colour_logic.SetMRMLScene(self.scene)
        self.logics = {"Colors": self.colour_logic}
        for name, class_name in LOGICS.items():
            logic = getattr(slicer, class_name)()
            logic.SetMRMLApplicationLogic(self.application_logic)
            logic.SetMRMLScene(self.scene)
            self.logics[name] = logic
        # This one gets no scene: it would look for terminology files that the wheel lacks.
        terminologies = slicer.vtkSlicerTerminologiesModuleLogic()
        terminologies.SetMRMLApplicationLogic(self.application_logic)
        self.logics["Terminologies"] = terminologies
        for name, logic in self.logics.items():
            self.application_logic.SetModuleLogic(name, logic)
        self._make_default_nodes()
        self._keep_hierarchy()

    def _make_default_nodes(self):
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetSingletonTag("default")
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)

    def _keep_hierarchy(self):
        """Enter data nodes into the subject hierarchy, as the application's plug-ins do."""

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def added(scene, _event, node):
            if not scene.IsImporting():
                _enter(scene, node)

        @vtk.calldata_type(vtk.VTK_OBJECT)
        def removed(scene, _event, node):
            if scene.IsClosing() or node.IsA("vtkMRMLSubjectHierarchyNode"):
                return
            hierarchy = scene.GetSubjectHierarchyNode()
            item = hierarchy.GetItemByDataNode(node)
            if item:
                hierarchy.RemoveItem(item, False, False)

        def imported(scene, _event):
            # The scene's file brings a hierarchy of its own, which is merged when asked for.
            scene.GetSubjectHierarchyNode()
            for node in slicer.util.getNodesByClass("vtkMRMLStorableNode", scene):
                _enter(scene, node)

        def closed(scene, _event):
            slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)

        self.scene.AddObserver(self.scene.NodeAddedEvent, added)
        self.scene.AddObserver(self.scene.NodeAboutToBeRemovedEvent, removed)
        self.scene.AddObserver(self.scene.EndImportEvent, imported)
        self.scene.AddObserver(self.scene.EndCloseEvent, closed)

    def close(self):
        """What File > Close scene does."""
        self.scene.Clear(0)


def _enter(scene, node) -> None:
    if not any(node.IsA(kind) for kind in IN_HIERARCHY) or node.GetHideFromEditors():
        return
    hierarchy = scene.GetSubjectHierarchyNode()
    if not hierarchy.GetItemByDataNode(node):
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)


def _write_colour_files(folder: Path) -> None:
    """The colour maps that the application brings as files and the wheel does not."""
    import matplotlib

    folder.mkdir(parents=True, exist_ok=True)
    for name in COLOUR_MAPS:
        colours = matplotlib.colormaps[name.lower()](range(256), bytes=True)
        _write_colours(folder / f"{name}.txt", [f"{name}_{i}" for i in range(256)], colours)
    generic = matplotlib.colormaps["tab20"](range(20), bytes=True)
    _write_colours(
        folder / "GenericColors.txt",
        ["background"] + [f"label_{i}" for i in range(1, 21)],
        [(0, 0, 0, 0), *generic],
    )


def _write_colours(path: Path, names, colours) -> None:
    lines = [f"# Color table file {path}", f"# {len(names)} values"]
    lines += [
        f"{index} {name} " + " ".join(str(int(value)) for value in colour)
        for index, (name, colour) in enumerate(zip(names, colours, strict=True))
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
