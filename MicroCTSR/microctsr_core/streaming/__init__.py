"""Super-resolution slab by slab: memory for a slab, whatever the volume; what is done is kept."""

from __future__ import annotations

from .pipeline import Finished, Here, Maker, going_on, stream
from .run import Run, joined
from .stores import STREAMED_SUFFIXES, check_streamed, is_zarr_name

__all__ = [
    "STREAMED_SUFFIXES",
    "Finished",
    "Here",
    "Maker",
    "Run",
    "check_streamed",
    "going_on",
    "is_zarr_name",
    "joined",
    "stream",
]
