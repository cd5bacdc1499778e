"""Structures that a result invents or misses, where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .fidelity import MARGIN_MM, TISSUES_HU, tissue

STRUCTURE_MM2 = 0.02
"""Area above which a connected component counts as a structure."""

SIZES_MM2 = {"small": STRUCTURE_MM2, "medium": 0.1, "large": 0.5}
"""Area above which a structure belongs to a class, and up to which to the one before.

0.1 mm² is a round cell 0.36 mm wide, 0.5 mm² one of 0.8 mm, as wide as a semicircular canal.
"""


@dataclass(frozen=True)
class Structures:
    """Structures per cm² of image by tissue ("air", "fluid", "bone"), all of them and by the class
    of their size (SIZES_MM2); see `structures`."""

    invented: Mapping[str, float]
    missed: Mapping[str, float]
    invented_by_size: Mapping[str, Mapping[str, float]]
    missed_by_size: Mapping[str, Mapping[str, float]]


def structures(
    image: NDArray, truth: NDArray, spacing_mm: float, islands: bool = False
) -> Structures:
    """Count the structures that are only in the image, and those that are only in the truth.

    Invented is what the image shows of a tissue farther than MARGIN_MM from that tissue in the
    truth; missed is what the truth has of it farther than that from the tissue in the image. Of
    each, connected components (8-connected, slice by slice) with an area above STRUCTURE_MM2 are
    counted. So a wall out of place is neither, but a septum lost between two cells is missed
    although it hangs together with other bone, and a bridge across a canal is invented.

    With `islands`, only what stands apart counts: whole components of a tissue that share no voxel
    with it in the other image. This sees specks, but no bridges and no lost septa, and blur that
    runs structures into one hides them from it.

    Between air and bone any blur passes through the HU of fluid. That band is an unsharp wall and
    no structure, so what lies within MARGIN_MM of both air and bone of the truth does not count for
    fluid.

    The size of a structure is the area of the component that is counted.

    Parameters
    ----------
    image, truth : HU, (k, j, i), same shape.
    spacing_mm : in-plane voxel size.
    """
    area_cm2 = truth.size * spacing_mm**2 / 100
    only_in = _islands_only_in if islands else _far_from
    none = np.zeros(len(SIZES_MM2))
    invented, missed = dict.fromkeys(TISSUES_HU, none), dict.fromkeys(TISSUES_HU, none)
    for plane, true_plane in zip(image, truth, strict=True):
        near = {name: ~_far(tissue(true_plane, name), spacing_mm) for name in ("air", "bone")}
        for name in TISSUES_HU:
            counted = ~(near["air"] & near["bone"]) if name == "fluid" else True
            found, true = tissue(plane, name), tissue(true_plane, name)
            more = _counts(only_in(found, true, spacing_mm), counted, spacing_mm)
            less = _counts(only_in(true, found, spacing_mm), counted, spacing_mm)
            invented[name], missed[name] = invented[name] + more, missed[name] + less
    return Structures(
        {name: float(n.sum()) / area_cm2 for name, n in invented.items()},
        {name: float(n.sum()) / area_cm2 for name, n in missed.items()},
        {name: _classes(n / area_cm2) for name, n in invented.items()},
        {name: _classes(n / area_cm2) for name, n in missed.items()},
    )


def _far_from(
    mask: NDArray[np.bool_], other: NDArray[np.bool_], spacing_mm: float
) -> NDArray[np.bool_]:
    """Of a mask (j, i), what is farther than MARGIN_MM from another."""
    return mask & _far(other, spacing_mm)


def _islands_only_in(
    mask: NDArray[np.bool_],
    other: NDArray[np.bool_],
    spacing_mm: float,  # noqa: ARG001 - as _far_from
) -> NDArray[np.bool_]:
    """Of a mask (j, i), the components that share no voxel with another."""
    labels, found = ndimage.label(mask, np.ones((3, 3)))
    apart = np.ones(found + 1, bool)
    apart[0] = False
    apart[labels[other]] = False
    return apart[labels]


def _far(mask: NDArray[np.bool_], spacing_mm: float) -> NDArray[np.bool_]:
    """What is farther than MARGIN_MM from a mask (j, i): everything, from an empty one."""
    if not mask.any():
        return np.ones(mask.shape, bool)
    far: NDArray[np.bool_] = ndimage.distance_transform_edt(~mask) * spacing_mm > MARGIN_MM
    return far


def _classes(densities: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(SIZES_MM2, densities.tolist(), strict=True))


def _counts(
    mask: NDArray[np.bool_], counted: NDArray[np.bool_] | bool, spacing_mm: float
) -> NDArray[np.int_]:
    """Components of a mask (j, i), where it is counted, by the class of their area."""
    labels, _ = ndimage.label(mask & counted, np.ones((3, 3)))
    areas_mm2 = np.bincount(labels.ravel())[1:] * spacing_mm**2
    # The class of 0 holds what is too small to be a structure.
    classes = np.searchsorted(list(SIZES_MM2.values()), areas_mm2, side="left")
    return np.bincount(classes, minlength=len(SIZES_MM2) + 1)[1:]
