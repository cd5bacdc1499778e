"""Boxes: the region of interest, the field of view within it, and parts of its slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from ..volume import Box

Part: TypeAlias = tuple[float, float]
"""From which to which share of its slices a case is used."""

WHOLE: Part = (0.0, 1.0)

# Clinical voxels (k, j, i) below which a case is not cropped.
_LEAST = (8, 48, 48)


def grown(box: Sequence[tuple[int, int]], shape: Sequence[int], margin: int) -> Box:
    """A box in clinical voxels, grown by a margin and to a least size, within a shape."""
    ends = []
    for (start, stop), full, least in zip(box, shape, _LEAST, strict=True):
        lacking = max(0, least - (stop - start) - 2 * margin)
        start = max(0, min(start - margin - (lacking + 1) // 2, full - least))
        ends.append((start, min(full, max(stop + margin + lacking // 2, start + least))))
    return (ends[0], ends[1], ends[2])


def field_of_view(region: Box, scale: int, margin: int) -> Box:
    """Field of view of the simulated scans: whole clinical voxels in the middle of a region.

    The margin around it is given up only as far as enough is left.
    """
    ends = []
    for (start, stop), least in zip(region, _LEAST, strict=True):
        voxels = (stop - start) // scale
        voxels -= 2 * min(margin, max(0, (voxels - least) // 2))
        first = start + (stop - start - voxels * scale) // 2
        ends.append((first, first + voxels * scale))
    return (ends[0], ends[1], ends[2])


def widened(box: Box, by: int, shape: tuple[int, int, int]) -> tuple[Box, Box]:
    """A box with what lies around it, within a shape, and the box as seen from there."""
    wide = [
        (max(0, start - by), min(full, stop + by))
        for (start, stop), full in zip(box, shape, strict=True)
    ]
    inner = [(a - w, b - w) for (a, b), (w, _) in zip(box, wide, strict=True)]
    return (wide[0], wide[1], wide[2]), (inner[0], inner[1], inner[2])


def split(slices: int, part: Part) -> tuple[int, int]:
    """Range of slices that a part of at least two of them is; no part is empty."""
    start, stop = (
        round(share * slices) if share in WHOLE else min(max(1, round(share * slices)), slices - 1)
        for share in part
    )
    return start, stop
