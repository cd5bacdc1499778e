"""Super-resolution slab by slab: memory for a slab, whatever the volume; what is done is kept."""

from __future__ import annotations

from .pipeline import Finished, Here, Maker, going_on, stream
from .run import Run, joined, shared
from .stores import STREAMED_SUFFIXES, ZarrStore, check_streamed

__all__ = [
    "STREAMED_SUFFIXES",
    "Finished",
    "Here",
    "Maker",
    "Run",
    "ZarrStore",
    "check_streamed",
    "going_on",
    "joined",
    "shared",
    "stream",
]
