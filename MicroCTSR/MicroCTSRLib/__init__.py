"""The Slicer side of MicroCTSR: panel, logic, nodes, background runs and installation."""

from .Display import registerLayout
from .Logic import MicroCTSRLogic
from .Nodes import ResultNodes
from .Notice import ensureNotice
from .SampleDataSource import registerSampleData
from .Test import MicroCTSRTest
from .Widget import MicroCTSRWidget

__all__ = [
    "MicroCTSRLogic",
    "MicroCTSRTest",
    "MicroCTSRWidget",
    "ResultNodes",
    "ensureNotice",
    "registerLayout",
    "registerSampleData",
]
