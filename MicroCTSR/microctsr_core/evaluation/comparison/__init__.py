"""Comparing methods: a study in YAML becomes a table with statistics, figures and a report.

The names are loaded when they are first used, so that a study can be read, and what is wrong with
it told, before PyTorch is loaded.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .report import write_report
    from .results import Results, measure
    from .study import Study, load_study

__all__ = ["Results", "Study", "load_study", "measure", "write_report"]

_LOADED_ON_FIRST_USE = {
    "Results": "results",
    "Study": "study",
    "load_study": "study",
    "measure": "results",
    "write_report": "report",
}


def __getattr__(name: str) -> Any:
    if name not in _LOADED_ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LOADED_ON_FIRST_USE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
