"""What the panel remembers with the scene: one field for each control."""

from enum import Enum
from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper


class Method(Enum):
    CYCLEGAN = "cyclegan"
    UNET = "unet"
    SRGAN = "srgan"

    def label(self):
        return {
            Method.CYCLEGAN: _("CycleGAN, on both folders"),
            Method.UNET: _("U-Net, on the micro-CT alone"),
            Method.SRGAN: _("SRGAN, on the micro-CT alone"),
        }[self]


class Preset(Enum):
    COMPACT = "compact"
    PAPER = "paper"

    def label(self):
        return {
            Preset.COMPACT: _("Compact: for any computer"),
            Preset.PAPER: _("Paper: needs a graphics card"),
        }[self]


class Measure(Enum):
    M_HUM = "m-hum"
    FIDELITY = "fidelity"

    def label(self):
        return {
            Measure.M_HUM: _("m-HuM: against unrelated micro-CT"),
            Measure.FIDELITY: _("Fidelity: against the truth of the same ear"),
        }[self]


class Form(Enum):
    PAPER = "paper"
    SHAPE = "shape"
    CONTOUR = "contour"
    STRUCTURES = "structures"

    def label(self):
        return {
            Form.PAPER: _("Whole slices, as in the paper"),
            Form.SHAPE: _("What is denser than a threshold"),
            Form.CONTOUR: _("The largest outline"),
            Form.STRUCTURES: _("Every structure by itself"),
        }[self]


class Distance(Enum):
    I1 = "I1"
    I2 = "I2"
    I3 = "I3"

    def label(self):
        return {
            Distance.I1: _("I1: of the reciprocals of the moments"),
            Distance.I2: _("I2: of the moments"),
            Distance.I3: _("I3: the greatest, relative"),
        }[self]


@parameterNodeWrapper
class MicroCTSRTrainingParameterNode:
    """The fields carry the names that the panel's controls name as ``SlicerParameterName``.

    Paths are text, empty where nothing was chosen.
    """

    lowFolder: str
    highFolder: str
    method: Method = Method.CYCLEGAN
    preset: Preset = Preset.COMPACT
    configFile: str
    outputFolder: str
    heldOutCase: Annotated[int, WithinRange(1, 99)] = 1

    measure: Measure = Measure.M_HUM
    form: Form = Form.PAPER
    distance: Distance = Distance.I1
    generatedVolume: vtkMRMLScalarVolumeNode
    generatedPath: str
    referenceVolume: vtkMRMLScalarVolumeNode
    referencePath: str
    uncertaintyVolume: vtkMRMLScalarVolumeNode
    uncertaintyPath: str
    studyFile: str
