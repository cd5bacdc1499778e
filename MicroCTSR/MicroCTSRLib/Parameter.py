"""What the panel remembers with the scene: one field for each control."""

from typing import Annotated

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from .Choice import Choice

PREVIEW_PASSES = 8
PAPER_PASSES = 100


class Quality(Choice):
    STANDARD = "standard", _("Standard: as many passes as needed")
    PREVIEW = "preview", _("Preview: {count} passes").format(count=PREVIEW_PASSES)
    PAPER = "paper", _("Paper: {count} passes").format(count=PAPER_PASSES)
    FIXED = "fixed", _("Fixed number of passes")


class ScaleMode(Choice):
    IN_PLANE = "in-plane", _("In the plane: keep the slices")
    ISOTROPIC = "isotropic", _("Isotropic: make the voxels cubes")


class Device(Choice):
    AUTO = "auto", _("Automatic")
    CPU = "cpu", _("Processor (CPU)")
    CUDA = "cuda", _("Graphics card (CUDA)")


class Overlay(Choice):
    UNCERTAINTY = "uncertainty", _("Uncertainty")
    CONSISTENCY = "consistency", _("Consistency")
    NOTHING = "nothing", _("Nothing")


@parameterNodeWrapper
class MicroCTSRParameterNode:
    """The fields carry the names that the panel's controls name as ``SlicerParameterName``.

    Thresholds are in HU; ``model`` is a bundled model's name or the folder of a package.
    """

    inputVolume: vtkMRMLScalarVolumeNode
    region: vtkMRMLMarkupsROINode
    model: str = "ear"
    quality: Quality = Quality.STANDARD
    passes: Annotated[int, WithinRange(1, 1000)] = 20
    scaleMode: ScaleMode = ScaleMode.IN_PLANE
    device: Device = Device.AUTO
    outputMean: vtkMRMLScalarVolumeNode
    outputUncertainty: vtkMRMLScalarVolumeNode
    outputConsistency: vtkMRMLScalarVolumeNode

    result: vtkMRMLScalarVolumeNode
    overlay: Overlay = Overlay.UNCERTAINTY
    overlayOpacity: Annotated[float, WithinRange(0, 1)] = 0.5
    hideBelow: Annotated[float, WithinRange(0, 3000)] = 40.0
    legend: bool = True
    linkSlices: bool = True

    seedUncertainty: Annotated[float, WithinRange(0, 3000)] = 60.0
    seedAir: Annotated[float, WithinRange(-1000, 500)] = -500.0
    seedBone: Annotated[float, WithinRange(0, 2500)] = 700.0
    previewSeeds: bool = False
    onlyReliable: bool = False
    seeds: vtkMRMLSegmentationNode

    def samples(self):
        """What the library takes for the quality chosen: a number of passes, or ``"auto"``."""
        return {
            Quality.STANDARD: "auto",
            Quality.PREVIEW: PREVIEW_PASSES,
            Quality.PAPER: PAPER_PASSES,
            Quality.FIXED: self.passes,
        }[self.quality]
