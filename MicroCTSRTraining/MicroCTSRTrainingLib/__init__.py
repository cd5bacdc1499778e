"""The Slicer side of training and evaluation: panel, logic, runs, curves, pictures and tables."""

from .Layouts import registerLayouts
from .Logic import MicroCTSRTrainingLogic
from .Test import MicroCTSRTrainingTest
from .Widget import MicroCTSRTrainingWidget

__all__ = [
    "MicroCTSRTrainingLogic",
    "MicroCTSRTrainingTest",
    "MicroCTSRTrainingWidget",
    "registerLayouts",
]
