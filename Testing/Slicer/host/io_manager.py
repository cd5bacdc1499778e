"""Loading and saving files through the real storage nodes."""

from pathlib import Path

import slicer
import vtk
from PySide6.QtCore import QObject, Signal

VOLUME_LABEL_OPTION = 1
VOLUME_CENTRE_OPTION = 2
STORED = {
    "SegmentationFile": "vtkMRMLSegmentationNode",
    "ModelFile": "vtkMRMLModelNode",
    "TransformFile": "vtkMRMLTransformNode",
    "TableFile": "vtkMRMLTableNode",
    "TextFile": "vtkMRMLTextNode",
}
ENDINGS = {
    ".seg.nrrd": "SegmentationFile",
    ".mrml": "SceneFile",
    ".mrk.json": "MarkupsFile",
    ".vtk": "ModelFile",
    ".vtp": "ModelFile",
    ".stl": "ModelFile",
    ".obj": "ModelFile",
    ".h5": "TransformFile",
    ".tfm": "TransformFile",
    ".csv": "TableFile",
    ".tsv": "TableFile",
    ".txt": "TextFile",
}


class IOManager(QObject):
    """``slicer.app.coreIOManager()``."""

    newFileLoaded = Signal(object)

    def __init__(self, scene):
        super().__init__()
        self._scene = scene

    def fileType(self, filename):
        for ending, kind in ENDINGS.items():
            if str(filename).lower().endswith(ending):
                return kind
        return "VolumeFile"

    def fileWriterFileType(self, node):
        kinds = [kind for kind, name in STORED.items() if node.IsA(name)]
        return kinds[0] if kinds else "VolumeFile" if node.IsA("vtkMRMLVolumeNode") else "NodeFile"

    def loadNodes(self, kind, properties, loaded: vtk.vtkCollection, messages=None):
        path = Path(properties["fileName"])
        if not path.exists():
            return False
        if kind == "SceneFile":
            self._scene.scene.SetURL(str(path))
            return bool(self._scene.scene.Import() if messages is None else self._import(messages))
        if kind == "VolumeFile":
            node = self._load_volume(path, properties)
        elif kind == "MarkupsFile":
            identifier = self._scene.logics["Markups"].LoadMarkups(str(path), _stem(path))
            node = self._scene.scene.GetNodeByID(identifier) if identifier else None
        else:
            node = self._load_stored(STORED[kind], path)
        if node is None:
            return False
        if properties.get("name"):
            node.SetName(properties["name"])
        loaded.AddItem(node)
        self.newFileLoaded.emit(properties)
        return True

    def _import(self, messages):
        return self._scene.scene.Import(messages)

    def _load_volume(self, path, properties):
        options = VOLUME_LABEL_OPTION * bool(properties.get("labelmap"))
        options += VOLUME_CENTRE_OPTION * bool(properties.get("center"))
        node = self._scene.logics["Volumes"].AddArchetypeVolume(str(path), _stem(path), options)
        if node is None:
            return None
        if properties.get("colorNodeID"):
            node.GetDisplayNode().SetAndObserveColorNodeID(properties["colorNodeID"])
        if properties.get("show", True):
            logic = self._scene.application_logic
            if node.IsA("vtkMRMLLabelMapVolumeNode"):
                logic.GetSelectionNode().SetActiveLabelVolumeID(node.GetID())
            else:
                logic.GetSelectionNode().SetActiveVolumeID(node.GetID())
            logic.PropagateVolumeSelection(1)
        return node

    def _load_stored(self, class_name, path):
        node = self._scene.scene.AddNewNodeByClass(class_name, _stem(path))
        node.AddDefaultStorageNode(str(path))
        if not node.GetStorageNode().ReadData(node):
            self._scene.scene.RemoveNode(node)
            return None
        node.CreateDefaultDisplayNodes() if hasattr(node, "CreateDefaultDisplayNodes") else None
        return node

    def saveNodes(self, kind, properties, _messages=None):
        path = str(properties["fileName"])
        if kind == "SceneFile":
            self._scene.scene.SetURL(path)
            return bool(self._scene.scene.Commit())
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        node.AddDefaultStorageNode(path)
        node.GetStorageNode().SetFileName(path)
        if "useCompression" in properties:
            node.GetStorageNode().SetUseCompression(properties["useCompression"])
        return bool(node.GetStorageNode().WriteData(node))


def _stem(path: Path) -> str:
    return path.name.split(".")[0]
