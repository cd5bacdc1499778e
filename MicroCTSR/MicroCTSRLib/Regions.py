"""The region to super-resolve: a Markups ROI in the world, a box of voxels in the volume."""

import itertools

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from microctsr_core.errors import GeometryError

from . import Nodes

CROSSHAIR_EDGE_MM = 15.0
# Part of a voxel by which a region may miss a voxel's edge and still be taken to touch it.
_EDGE_TOLERANCE = 1e-4


def wholeBox(volumeNode):
    """All voxels of a volume, as a box ordered (k, j, i)."""
    i, j, k = volumeNode.GetImageData().GetDimensions()
    return ((0, k), (0, j), (0, i))


def boxOf(roiNode, volumeNode):
    """The smallest voxel box that covers a region, cut off at the volume's edges.

    Raises:
        GeometryError: the region lies outside the volume, or has no size.
    """
    if roiNode is None:
        return wholeBox(volumeNode)
    half = np.array(roiNode.GetSize()) / 2
    toWorld = slicer.util.arrayFromVTKMatrix(roiNode.GetObjectToWorldMatrix())
    signs = np.array(list(itertools.product((-1, 1), repeat=3)))
    corners = signs * half @ toWorld[:3, :3].T + toWorld[:3, 3]
    if not half.all():
        raise GeometryError(
            _("The region {name} has no size; place it over the ear.").format(
                name=roiNode.GetName()
            )
        )
    return _covering(_indices(volumeNode, corners), volumeNode, roiNode.GetName())


def placeOverBox(roiNode, volumeNode, box):
    """Make a region cover exactly a voxel box ((k0, k1), (j0, j1), (i0, i1)) of a volume."""
    ends = np.array(box[::-1], float)  # (i, j, k)
    centre = np.append(ends.mean(axis=1) - 0.5, 1.0)
    toWorld = Nodes.ijkToWorld(volumeNode)
    steps = np.linalg.norm(toWorld[:3, :3], axis=0)
    objectToWorld = np.eye(4)
    objectToWorld[:3, :3] = toWorld[:3, :3] / steps
    objectToWorld[:3, 3] = (toWorld @ centre)[:3]
    worldToNode = vtk.vtkMatrix4x4()
    slicer.vtkMRMLTransformNode.GetMatrixTransformBetweenNodes(
        None, roiNode.GetParentTransformNode(), worldToNode
    )
    objectToNode = slicer.util.arrayFromVTKMatrix(worldToNode) @ objectToWorld
    wasModifying = roiNode.StartModify()
    roiNode.SetAndObserveObjectToNodeMatrix(slicer.util.vtkMatrixFromArray(objectToNode))
    roiNode.SetSize(*(steps * (ends[:, 1] - ends[:, 0])))
    roiNode.EndModify(wasModifying)


def boxInView(volumeNode):
    """The voxels that the slice views on screen show, as a box.

    Each view bounds the two axes of the volume that run in its plane best.

    Raises:
        GeometryError: no view shows the volume.
    """
    ranges = np.array(wholeBox(volumeNode)[::-1], float) - 0.5  # (i, j, k), in voxel edges
    steps = np.linalg.norm(Nodes.ijkToWorld(volumeNode)[:3, :3], axis=0)
    for sliceNode in sliceNodesOnScreen():
        width, height, _depth = sliceNode.GetDimensions()
        toWorld = slicer.util.arrayFromVTKMatrix(sliceNode.GetXYToRAS())
        corners = [(x, y, 0, 1) for x in (0, width) for y in (0, height)]
        indices = _indices(volumeNode, (np.array(corners) @ toWorld.T)[:, :3])
        low, high = indices.min(axis=0), indices.max(axis=0)
        through = np.argmin((high - low) * steps)
        for axis in set(range(3)) - {through}:
            ranges[axis] = max(ranges[axis, 0], low[axis]), min(ranges[axis, 1], high[axis])
    if np.any(ranges[:, 0] >= ranges[:, 1]):
        raise GeometryError(
            _("The slice views do not show {name}; bring it into view, then try again.").format(
                name=volumeNode.GetName()
            )
        )
    return _covering(ranges.T, volumeNode, _("the views"))


def boxAround(volumeNode, positionRas, edgeMm=CROSSHAIR_EDGE_MM):
    """The voxels of a cube around a point of the world, cut off at the volume's edges.

    Raises:
        GeometryError: the point lies outside the volume.
    """
    (index,) = _indices(volumeNode, np.array([positionRas]))
    dimensions = np.array(volumeNode.GetImageData().GetDimensions())
    if np.any(index < -0.5) or np.any(index > dimensions - 0.5):
        raise GeometryError(
            _(
                "The crosshair is outside {name}; hold Shift, move the mouse over the ear "
                "in a slice view, then click again."
            ).format(name=volumeNode.GetName())
        )
    steps = np.linalg.norm(Nodes.ijkToWorld(volumeNode)[:3, :3], axis=0)
    half = edgeMm / steps / 2
    return _covering(np.array([index - half, index + half]), volumeNode, _("the crosshair"))


def crosshairRas():
    """Where the crosshair was last moved to, in RAS mm."""
    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode").GetCrosshairRAS()


def sliceNodesOnScreen():
    """Slice nodes of the views that the current layout shows."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    return [node for node in nodes if node.IsMappedInLayout()]


def sliceOf(sliceNode, volumeNode):
    """Number k of the volume's slice that runs through the middle of a view.

    Raises:
        GeometryError: the view's plane lies outside the volume.
    """
    toRas = slicer.util.arrayFromVTKMatrix(sliceNode.GetSliceToRAS())
    (index,) = _indices(volumeNode, toRas[:3, 3][None])
    k = round(index[2])
    if not 0 <= k < volumeNode.GetImageData().GetDimensions()[2]:
        raise GeometryError(
            _("The view {view} shows no slice of {name}; move to a slice of it.").format(
                view=sliceNode.GetLayoutName(), name=volumeNode.GetName()
            )
        )
    return k


def _indices(volumeNode, points):
    """Continuous voxel indices (i, j, k) of points in RAS mm of the world, shape (n, 3)."""
    toIndex = np.linalg.inv(Nodes.ijkToWorld(volumeNode))
    return points @ toIndex[:3, :3].T + toIndex[:3, 3]


def _covering(indices, volumeNode, name):
    first = np.floor(indices.min(axis=0) + 0.5 + _EDGE_TOLERANCE).astype(int)
    last = np.ceil(indices.max(axis=0) + 0.5 - _EDGE_TOLERANCE).astype(int)
    last = np.maximum(last, first + 1)
    first = np.maximum(first, 0)
    last = np.minimum(last, volumeNode.GetImageData().GetDimensions())
    if np.any(first >= last):
        raise GeometryError(
            _("The region of {region} lies outside {name}; move it over the ear.").format(
                region=name, name=volumeNode.GetName()
            )
        )
    i, j, k = ((int(a), int(b)) for a, b in zip(first, last, strict=True))
    return (k, j, i)
