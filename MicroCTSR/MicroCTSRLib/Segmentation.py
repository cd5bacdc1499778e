"""From uncertainty to a segmentation: seeds where the result is reliable, grown to the rest."""

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util import numpy_support

from microctsr_core.errors import MicroCTSRError
from microctsr_core.trust import seeds as core

from . import Nodes

RELIABLE = "Reliable"
COLOURS = {
    "bone": (0.95, 0.84, 0.57),
    "fluid": (0.10, 0.60, 0.85),
    "air": (0.55, 0.80, 0.45),
    RELIABLE: (0.60, 0.60, 0.60),
}
GROW_EFFECT = "Grow from seeds"


def startingThresholds(nodes):
    """Otsu's thresholds of a result: those told by the run, else computed now.

    Returns:
        ``microctsr_core.trust.Thresholds``
    """
    texts = [
        nodes.mean.GetAttribute(Nodes.PREFIX + "seeds." + name)
        for name in ("air_hu", "bone_hu", "uncertainty_hu")
    ]
    if all(texts):
        return core.Thresholds(*(float(text) for text in texts))
    return core.otsu_thresholds(*_arrays(nodes))


def seedLabels(nodes, thresholds):
    """uint8 array (k, j, i) of the library's ``LABELS``, 0 where no seed is."""
    return core.seed_labels(*_arrays(nodes), thresholds)


def createSeeds(nodes, thresholds, reuse=None):
    """A segmentation with segments bone, fluid, air and the mask Reliable.

    Args:
        reuse: an earlier segmentation of seeds to fill again.

    Returns:
        vtkMRMLSegmentationNode, under the transform and in the study of the result.
    """
    labels = seedLabels(nodes, thresholds)
    arrays = {name: labels == label for name, label in core.LABELS.items()}
    arrays[RELIABLE] = core.reliable(_arrays(nodes)[1], thresholds)
    node = _segmentation(nodes, _("{name} seeds").format(name=nodes.mean.GetName()), arrays, reuse)
    # Grow from seeds takes every visible segment for a seed, and the mask is none.
    node.GetDisplayNode().SetSegmentVisibility(RELIABLE, False)
    return node


def grow(nodes, thresholds, onlyReliable=False):
    """Grow the seeds over the whole result, or over what is reliable, along its intensities.

    Args:
        nodes: the result.
        thresholds: of its seeds.
        onlyReliable: leave uncertain voxels to no segment.

    Returns:
        vtkMRMLSegmentationNode with segments bone, fluid and air.
    """
    labels = seedLabels(nodes, thresholds)
    grown = growCut(slicer.util.arrayFromVolume(nodes.mean), labels)
    if onlyReliable:
        grown = np.where(core.reliable(_arrays(nodes)[1], thresholds), grown, 0)
    arrays = {name: grown == label for name, label in core.LABELS.items()}
    return _segmentation(nodes, _("{name} grown").format(name=nodes.mean.GetName()), arrays)


def growCut(intensity, labels):
    """Slicer's grow-cut: every voxel gets the label of the seed that is nearest in intensity.

    Args:
        intensity: (k, j, i) in HU.
        labels: seeds, uint8 of the same shape, 0 where none is.

    Raises:
        MicroCTSRError: there are seeds of fewer than two kinds.
    """
    kinds = [name for name, label in core.LABELS.items() if np.any(labels == label)]
    if len(kinds) < 2:
        raise MicroCTSRError(
            _("There are seeds of {kinds} only; move the thresholds until two kinds show.").format(
                kinds=kinds[0] if kinds else _("no kind")
            )
        )
    # The filter takes three voxels and more along each axis; edges repeated change no path.
    short = [(0, max(0, 3 - length)) for length in labels.shape]
    filter_ = slicer.vtkImageGrowCutSegment()
    filter_.SetIntensityVolume(_image(np.pad(intensity.astype(np.int16), short, mode="edge")))
    padded = np.pad(labels, short, mode="edge")
    filter_.SetSeedLabelVolume(_image(padded))
    filter_.Update()
    grown = numpy_support.vtk_to_numpy(filter_.GetOutput().GetPointData().GetScalars())
    k, j, i = labels.shape
    return grown.reshape(padded.shape)[:k, :j, :i].astype(np.uint8)


def openInSegmentEditor(segmentation, nodes):
    """Open the Segment Editor so that *Grow from seeds* can be run at once."""
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.modules.segmenteditor.widgetRepresentation().self().editor
    editor.setSegmentationNode(segmentation)
    editor.setSourceVolumeNode(nodes.mean)
    settings = editor.mrmlSegmentEditorNode()
    settings.SetMaskMode(slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment)
    settings.SetMaskSegmentID(RELIABLE)
    editor.setActiveEffectByName(GROW_EFFECT)


def shares(segmentation, nodes):
    """What part of the result's voxels each segment holds, by name."""
    segments = segmentation.GetSegmentation()
    ids = [segments.GetNthSegmentID(n) for n in range(segments.GetNumberOfSegments())]
    arrays = {
        id_: slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, id_, nodes.mean)
        for id_ in ids
    }
    return {
        segments.GetSegment(id_).GetName(): np.count_nonzero(array) / array.size
        for id_, array in arrays.items()
    }


class SeedPreview:
    """Seeds as a label layer over the slice views, quick enough to follow a slider."""

    def __init__(self):
        self._node = None

    def show(self, nodes, thresholds):
        labels = seedLabels(nodes, thresholds)
        if self._node is None or not slicer.mrmlScene.IsNodePresent(self._node):
            self._node = _previewNode()
        self._node.CopyOrientation(nodes.mean)
        self._node.SetAndObserveTransformNodeID(nodes.mean.GetTransformNodeID())
        slicer.util.updateVolumeFromArray(self._node, labels)
        slicer.util.setSliceViewerLayers(label=self._node, labelOpacity=0.6)

    def hide(self):
        if self._node is not None and slicer.mrmlScene.IsNodePresent(self._node):
            colours = self._node.GetDisplayNode().GetColorNode()
            slicer.mrmlScene.RemoveNode(self._node)
            slicer.mrmlScene.RemoveNode(colours)
        self._node = None


def _previewNode():
    colours = slicer.vtkMRMLColorTableNode()
    colours.SetTypeToUser()
    colours.SetName("MicroCTSR seeds")
    colours.SetNumberOfColors(1 + len(core.LABELS))
    colours.SetColor(0, "none", 0, 0, 0, 0)
    for name, label in core.LABELS.items():
        colours.SetColor(label, name, *COLOURS[name], 1)
    node = slicer.vtkMRMLLabelMapVolumeNode()
    node.SetName("MicroCTSR seeds")
    for new in (colours, node):
        new.SetHideFromEditors(True)
        new.SetSaveWithScene(False)
    colours = slicer.mrmlScene.AddNode(colours)
    node = slicer.mrmlScene.AddNode(node)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(colours.GetID())
    node.GetDisplayNode().SetSaveWithScene(False)
    return node


def _segmentation(nodes, name, arrays, reuse=None):
    node = reuse
    if node is None:
        name = slicer.mrmlScene.GenerateUniqueName(name)
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(nodes.mean.GetTransformNodeID())
    node.SetReferenceImageGeometryParameterFromVolumeNode(nodes.mean)
    segments = node.GetSegmentation()
    for segment, array in arrays.items():
        if segments.GetSegment(segment) is None:
            segments.AddEmptySegment(segment, segment, COLOURS[segment])
        slicer.util.updateSegmentBinaryLabelmapFromArray(
            array.astype(np.uint8), node, segment, nodes.mean
        )
    for key in ("notice", "model", "model_sha256"):
        node.SetAttribute(Nodes.PREFIX + key, nodes.mean.GetAttribute(Nodes.PREFIX + key))
    Nodes.placeBeside(node, nodes.mean)
    return node


def _arrays(nodes):
    return tuple(slicer.util.arrayFromVolume(node) for node in (nodes.mean, nodes.uncertainty))


def _image(array):
    image = vtk.vtkImageData()
    image.SetDimensions(*reversed(array.shape))
    values = numpy_support.numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True)
    image.GetPointData().SetScalars(values)
    return image
