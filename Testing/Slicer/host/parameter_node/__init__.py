"""The module ``slicer.parameterNodeWrapper``: typed parameters on a scripted module node."""

from .connectors import Decimals, SingleStep
from .storage import Default
from .validators import (
    Choice,
    Exclude,
    IsInstance,
    Maximum,
    Minimum,
    NotNone,
    Validator,
    WithinRange,
)
from .wrapper import findChildWidgetForParameter, isParameterNodeWrapper, parameterNodeWrapper

__all__ = [
    "Choice",
    "Decimals",
    "Default",
    "Exclude",
    "IsInstance",
    "Maximum",
    "Minimum",
    "NotNone",
    "SingleStep",
    "Validator",
    "WithinRange",
    "findChildWidgetForParameter",
    "isParameterNodeWrapper",
    "parameterNodeWrapper",
]
