"""What the panel remembers with the scene: one field for each control."""

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode, vtkMRMLSegmentationNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

PREVIEW_PASSES = 8
PAPER_PASSES = 100


class Quality(Enum):
    STANDARD = "standard"
    PREVIEW = "preview"
    PAPER = "paper"
    FIXED = "fixed"

    def label(self):
        return {
            Quality.STANDARD: _("Standard: as many passes as needed"),
            Quality.PREVIEW: _("Preview: {count} passes").format(count=PREVIEW_PASSES),
            Quality.PAPER: _("Paper: {count} passes").format(count=PAPER_PASSES),
            Quality.FIXED: _("Fixed number of passes"),
        }[self]


class ScaleMode(Enum):
    IN_PLANE = "in-plane"
    ISOTROPIC = "isotropic"

    def label(self):
        return {
            ScaleMode.IN_PLANE: _("In the plane: keep the slices"),
            ScaleMode.ISOTROPIC: _("Isotropic: make the voxels cubes"),
        }[self]


class Device(Enum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"

    def label(self):
        return {
            Device.AUTO: _("Automatic"),
            Device.CPU: _("Processor (CPU)"),
            Device.CUDA: _("Graphics card (CUDA)"),
        }[self]


class Overlay(Enum):
    UNCERTAINTY = "uncertainty"
    CONSISTENCY = "consistency"
    NOTHING = "nothing"

    def label(self):
        return {
            Overlay.UNCERTAINTY: _("Uncertainty"),
            Overlay.CONSISTENCY: _("Consistency"),
            Overlay.NOTHING: _("Nothing"),
        }[self]


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
