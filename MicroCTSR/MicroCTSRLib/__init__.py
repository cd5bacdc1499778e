"""The Slicer side of MicroCTSR: panel, logic, nodes, background runs and installation."""

from .Logic import MicroCTSRLogic
from .Nodes import ResultNodes
from .ResultSection import installNotice
from .SampleDataSource import registerSampleData
from .Test import MicroCTSRTest
from .Widget import MicroCTSRWidget

__all__ = [
    "MicroCTSRLogic",
    "MicroCTSRTest",
    "MicroCTSRWidget",
    "ResultNodes",
    "installNotice",
    "registerSampleData",
]
