"""What the panel remembers with the scene: one field for each control."""

from typing import Annotated

from slicer import vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper

from MicroCTSRLib.Choice import Choice


class Method(Choice):
    CYCLEGAN = "cyclegan", _("CycleGAN, on both folders")
    UNET = "unet", _("U-Net, on the micro-CT alone")
    SRGAN = "srgan", _("SRGAN, on the micro-CT alone")


class Preset(Choice):
    COMPACT = "compact", _("Compact: for any computer")
    PAPER = "paper", _("Paper: needs a graphics card")


class Measure(Choice):
    M_HUM = "m-hum", _("m-HuM: against unrelated micro-CT")
    FIDELITY = "fidelity", _("Fidelity: against the truth of the same ear")


class Form(Choice):
    PAPER = "paper", _("Whole slices, as in the paper")
    SHAPE = "shape", _("What is denser than a threshold")
    CONTOUR = "contour", _("The largest outline")
    STRUCTURES = "structures", _("Every structure by itself")


class Distance(Choice):
    I1 = "I1", _("I1: of the reciprocals of the moments")
    I2 = "I2", _("I2: of the moments")
    I3 = "I3", _("I3: the greatest, relative")


class StudySource(Choice):
    VOLUMES = "volumes", _("Volumes of the scene")
    FOLDERS = "folders", _("Folders")
    COMPARISON = "comparison", _("The file of a comparison")


class Reach(Choice):
    """Who can open the pages of a study; the values are addresses to listen at."""

    THIS_COMPUTER = "127.0.0.1", _("This computer alone")
    NETWORK = "0.0.0.0", _("The network")


@parameterNodeWrapper
class MicroCTSRTrainingParameterNode:
    """The fields carry the names that the panel's controls name as ``SlicerParameterName``.

    Paths are text, empty where nothing was chosen. The volumes of a study are kept by
    ``StudyVolumes``, its methods by ``StudyMethods``.
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

    readerStudyFolder: str
    studySource: StudySource = StudySource.VOLUMES
    studyLowPath: str
    studyMethods: str
    comparisonFile: str
    studySlices: Annotated[int, WithinRange(1, 1000)] = 10
    studyAt: str
    studyRepeated: Annotated[int, WithinRange(0, 100)] = 10
    studyRaters: str
    studyAgainst: str
    studyTitle: str = "Reader study"
    studyBlack: Annotated[float, WithinRange(-32768, 32767)] = -1000.0
    studyWhite: Annotated[float, WithinRange(-32768, 32767)] = 2400.0
    studySeed: Annotated[int, WithinRange(0, 999999)] = 0
    studyReach: Reach = Reach.THIS_COMPUTER
    studyPort: Annotated[int, WithinRange(0, 65535)] = 8765
    studyAddress: str
