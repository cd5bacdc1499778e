"""Comparing methods: a study in YAML becomes a table with statistics, figures and a report.

The names are loaded when they are first used, so that a study can be read, and what is wrong with
it told, before PyTorch is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...on_first_use import loaded_on_first_use

if TYPE_CHECKING:
    from .report import write_report
    from .results import Results, measure
    from .study import Study, load_study

__all__ = ["Results", "Study", "load_study", "measure", "write_report"]

__getattr__, __dir__ = loaded_on_first_use(
    __name__,
    {
        "Results": "results",
        "Study": "study",
        "load_study": "study",
        "measure": "results",
        "write_report": "report",
    },
)
