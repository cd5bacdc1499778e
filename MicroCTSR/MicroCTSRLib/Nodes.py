"""Volumes of the library from Slicer's nodes, and Slicer's nodes from volumes of the library.

Slicer's world is RAS, the library's LPS; both reckon a voxel's place from its centre. What the
library is told of a node is its own frame, ahead of its parent transform; results hang under the
same transform and so end up where they belong.
"""

from typing import NamedTuple

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

from microctsr_core.errors import GeometryError
from microctsr_core.volume import Volume

RAS_FROM_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
PREFIX = "MicroCTSR."
HOUNSFIELD = ("[hnsf'U]", "UCUM", "Hounsfield unit")
ATTENUATION = ("112031", "DCM", "Attenuation Coefficient")


class ResultNodes(NamedTuple):
    """The three volumes of a result, on the input's frame; see ``microctsr_core.Result``."""

    mean: slicer.vtkMRMLScalarVolumeNode
    uncertainty: slicer.vtkMRMLScalarVolumeNode
    consistency: slicer.vtkMRMLScalarVolumeNode


def volumeFromNode(node):
    """The node's voxels, not copied, and their place in the node's own frame.

    Raises:
        GeometryError: the node holds no scalar image, its axes are sheared, or it lies under a
            nonlinear transform.
    """
    name = node.GetName()
    image = node.GetImageData()
    if image is None or image.GetNumberOfPoints() == 0 or image.GetPointData().GetScalars() is None:
        raise GeometryError(_("{name} holds no image; choose a loaded CT.").format(name=name))
    if image.GetNumberOfScalarComponents() != 1:
        raise GeometryError(_("{name} is a colour image; choose a CT.").format(name=name))
    transform = node.GetParentTransformNode()
    if transform is not None and not transform.IsTransformToWorldLinear():
        raise GeometryError(
            _(
                "{name} lies under the nonlinear transform {transform}; harden it "
                "(Transforms module) or move the volume out of it, then try again."
            ).format(name=name, transform=transform.GetName())
        )
    ijkToLps = RAS_FROM_LPS @ ijkToRas(node)
    spacing = np.linalg.norm(ijkToLps[:3, :3], axis=0)
    try:
        return Volume(
            array=slicer.util.arrayFromVolume(node),
            spacing=tuple(spacing[::-1]),
            origin=tuple(ijkToLps[:3, 3]),
            direction=ijkToLps[:3, :3] / spacing,
            metadata={"modality": modality(node)},
        )
    except GeometryError as error:
        raise GeometryError(
            _("{name} cannot be used as it lies: {why} Resample it on a straight grid.").format(
                name=name, why=error
            )
        ) from None


def ijkToRas(node):
    """4x4 array from voxel indices (i, j, k) to RAS mm in the node's own frame."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def ijkToWorld(node):
    """4x4 array from voxel indices (i, j, k) to RAS mm in the world, parent transform included."""
    matrix = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(
        node.GetParentTransformNode(), None, matrix
    )
    return slicer.util.arrayFromVTKMatrix(matrix) @ ijkToRas(node)


def modality(node):
    """The DICOM modality of a node where Slicer knows it, else CT."""
    uids = (node.GetAttribute("DICOM.instanceUIDs") or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if uids and database is not None and database.isOpen:
        return database.instanceValue(uids[0], "0008,0060") or "CT"
    return "CT"


def addResult(result, name, inputNode=None, transformId=None, reuse=None, title=""):
    """Put a result into the scene: all of its volumes, or none.

    Args:
        result: mean, uncertainty, consistency (volumes) and report, as ``microctsr_core.Result``.
        name: the input's, from which the nodes' names are made.
        inputNode: the input, whose place in the subject hierarchy and window are taken.
        transformId: parent transform of the new nodes.
        reuse: existing nodes, or ``None``, to fill instead of new ones.
        title: a word for the names, and an attribute, of results that are not the whole thing.

    Returns:
        ResultNodes
    """
    volumes = (result.mean, result.uncertainty, result.consistency)
    base = f"{name} SR {title}".strip()
    names = (base, f"{base} uncertainty", f"{base} consistency")
    created = []
    try:
        nodes = []
        for volume, full, node in zip(volumes, names, reuse or (None,) * 3, strict=True):
            if node is None:
                node = slicer.mrmlScene.AddNewNodeByClass(
                    "vtkMRMLScalarVolumeNode", slicer.mrmlScene.GenerateUniqueName(full)
                )
                created.append(node)
            fillNode(node, volume)
            node.SetAndObserveTransformNodeID(transformId)
            node.SetAttribute(PREFIX + "title", title or None)
            _describe(node, volume, result.report, inputNode)
            nodes.append(node)
        mean, uncertainty, consistency = nodes
        for part, role in ((uncertainty, "uncertainty"), (consistency, "consistency")):
            mean.SetNodeReferenceID(PREFIX + role, part.GetID())
        for node in nodes:
            placeBeside(node, inputNode)
    except Exception:
        for node in created:
            slicer.mrmlScene.RemoveNode(node)
        raise
    return ResultNodes(mean, uncertainty, consistency)


def fillNode(node, volume):
    """Give a node a volume's voxels, without a copy, and its place."""
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(volume.shape))
    image.GetPointData().SetScalars(_sharedArray(volume.array))
    matrix = slicer.util.vtkMatrixFromArray(RAS_FROM_LPS @ volume.ijk_to_lps)
    wasModifying = node.StartModify()
    node.SetIJKToRASMatrix(matrix)
    node.SetAndObserveImageData(image)
    node.EndModify(wasModifying)


def _sharedArray(array):
    """A VTK array over numpy's memory, which stays as long as VTK uses it."""
    flat = np.ascontiguousarray(array).ravel()
    shared = numpy_support.numpy_to_vtk(flat, deep=False)
    # VTK tells when its last user let go; until then this observer keeps the memory. The
    # reference that numpy_to_vtk leaves on the Python object would keep it for longer.
    shared._numpy_reference = None
    shared.AddObserver("DeleteEvent", lambda *event, memory=flat: memory)
    return shared


def _describe(node, volume, report, inputNode):
    """Provenance: what made the node, of which volume, with which settings."""
    facts = {**volume.metadata, "passes": f"{report['passes_mean']:.3g}"}
    facts["device"] = report["device"]
    thresholds = report["seed_thresholds"]
    facts |= {f"seeds.{key}": f"{value:.4g}" for key, value in thresholds.items()}
    for key, value in facts.items():
        node.SetAttribute(PREFIX + key, value)
    node.SetNodeReferenceID(PREFIX + "input", inputNode.GetID() if inputNode else None)
    for set_, code in (
        (node.SetVoxelValueQuantity, ATTENUATION),
        (node.SetVoxelValueUnits, HOUNSFIELD),
    ):
        entry = slicer.vtkCodedEntry()
        entry.SetValueSchemeMeaning(*code)
        set_(entry)


def placeBeside(node, neighbour):
    """Put a node under the parent that its neighbour has in the subject hierarchy."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if hierarchy is None or neighbour is None:
        return
    parent = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(neighbour))
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent or hierarchy.GetSceneItemID())
    else:
        hierarchy.CreateItem(parent or hierarchy.GetSceneItemID(), node)


def isResult(node):
    """Whether a volume is the mean of a result."""
    return node is not None and node.GetNodeReference(PREFIX + "uncertainty") is not None


def resultNodes(mean):
    """The three nodes of the result with this mean, or ``None`` for another volume."""
    if not isResult(mean):
        return None
    parts = (mean.GetNodeReference(PREFIX + role) for role in ("uncertainty", "consistency"))
    return ResultNodes(mean, *parts)
