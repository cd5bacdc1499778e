"""m-HuM: how near the shapes in slices are to those of a reference set (Li et al. 2021).

The measure needs no truth: every slice is compared with the reference slice that is most like it.
Of a slice, one of several forms takes the shapes. Docs/evaluation.md tells what each can see.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.filters import threshold_otsu

from ..errors import MicroCTSRError
from ..pieces import SAMPLES, sampled
from ..preparation import ZScoreUnit
from .hu_moments import Distance, hu_distances, invariants

Form: TypeAlias = Literal["paper", "shape", "contour", "structures"]

OfPlane: TypeAlias = Callable[[NDArray], NDArray]
"""Takes the shape out of a slice."""

DEFAULT_FORM: Form = "paper"

STRUCTURE_MM2 = 0.02
"""Area from which a structure has a shape worth comparing."""

_PAIRS = 2**22  # of distances held at once


@dataclass(frozen=True)
class Shapes:
    """Hu's invariants of the shapes in a set of slices.

    Args:
        moments: (shapes, 7).
        slices: (shapes,), the slice that each lies in.
        bright: (shapes,), whether it is brighter than what surrounds it. Bright shapes are
            compared with bright ones alone, dark ones with dark ones.
        count: of slices.
    """

    moments: NDArray[np.float64]
    slices: NDArray[np.intp]
    bright: NDArray[np.bool_]
    count: int


@dataclass(frozen=True)
class Nearest:
    """What :func:`m_hum` found.

    Args:
        distances: (slices,), m-HuM of each slice; infinite for a slice that has no shape to
            compare, such as an empty one where no slice of the reference set is empty.
        slices: (slices,), the reference slice nearest to it; -1 where there is none.
    """

    distances: NDArray[np.float64]
    slices: NDArray[np.intp]

    @property
    def left_out(self) -> int:
        """How many slices have no distance and do not count for the score."""
        return int(np.isinf(self.distances).sum())

    @property
    def score(self) -> float:
        """Of the set: the mean over its slices that have a distance.

        Raises:
            MicroCTSRError: none has one.
        """
        if self.left_out == len(self.distances):
            raise MicroCTSRError(
                "No slice shows a shape that could be compared with the reference set's, so there "
                "is no m-HuM; give slices with contrast, or choose another form."
            )
        return float(self.distances[np.isfinite(self.distances)].mean())


def shapes(
    array: NDArray, form: Form = DEFAULT_FORM, pixel_mm: float = 1.0, threshold: float | None = None
) -> Shapes:
    """Hu's invariants of what slices show.

    Args:
        array: slices (k, j, i) of one image, in any units.
        form: ``"paper"``: the grey values of a whole slice, prepared as in the paper: cropped to
            what lies above the threshold, scaled by the z-score of the image's foreground, clipped
            to [0, 1]. ``"shape"``: all that lies above the threshold in a slice, as a mask.
            ``"contour"``: the outline of its largest connected part. ``"structures"``: each
            connected part above the threshold, and each below it, by itself, unless it touches the
            border of the slice, which cuts its shape, or is smaller than STRUCTURE_MM2.
        pixel_mm: edge of a pixel.
        threshold: in the array's units; by default Otsu's, of the whole image.

    A slice with nothing above the threshold, and every slice of an image without contrast, is
    empty: it has the invariants 0, and no structures.

    Raises:
        MicroCTSRError: the form is unknown, or the array is not one of slices.
    """
    if form not in get_args(Form):
        raise MicroCTSRError(
            f'The form "{form}" of m-HuM is unknown; choose {", ".join(get_args(Form))}.'
        )
    if array.ndim != 3 or 0 in array.shape:
        raise MicroCTSRError(
            f"m-HuM takes slices ordered (k, j, i), not an array of shape {array.shape}."
        )
    if threshold is None:
        threshold = float(threshold_otsu(sampled(array, SAMPLES)))
    if form == "structures":
        return _structures(array, threshold, max(1, round(STRUCTURE_MM2 / pixel_mm**2)))
    of_plane = {"paper": _grey, "shape": _mask, "contour": _outline}[form](array, threshold)
    with ThreadPoolExecutor() as threads:  # OpenCV lets other threads run meanwhile
        moments = list(threads.map(lambda plane: invariants(of_plane(plane)), array))
    return Shapes(np.stack(moments), np.arange(len(array)), np.ones(len(array), bool), len(array))


def joined(sets: Sequence[Shapes]) -> Shapes:
    """Several sets as one; the slices of each are numbered on from those of the one before."""
    starts = np.cumsum([0, *(each.count for each in sets)])
    return Shapes(
        np.concatenate([np.zeros((0, 7)), *(each.moments for each in sets)]),
        np.concatenate(
            [
                np.zeros(0, np.intp),
                *(each.slices + start for each, start in zip(sets, starts, strict=False)),
            ]
        ),
        np.concatenate([np.zeros(0, bool), *(each.bright for each in sets)]),
        int(starts[-1]),
    )


def m_hum(images: Shapes, references: Shapes, distance: Distance = "I1") -> Nearest:
    """Distance of each slice to the reference set, and the reference slice nearest to it.

    That is the distance of the slice's shape to the shape nearest to it in the reference set; the
    mean of those, where a slice has several, and the nearest slice is then the one that most of
    them were found in. Among equals it is the first. The paper does not say which of the three
    distances it took; see :func:`~.hu_distances` for them.

    Args:
        images: of the slices.
        references: of the reference set, in the same form.
        distance: "I1", "I2" or "I3" of OpenCV's ``matchShapes``.

    Raises:
        MicroCTSRError: there is no reference slice, or `distance` is unknown.
    """
    if not references.count:
        raise MicroCTSRError("The reference set of m-HuM is empty; give at least one slice.")
    found = np.full(len(images.moments), np.inf)
    where = np.full(len(images.moments), -1, np.intp)
    for bright in (False, True):
        of_images = np.flatnonzero(images.bright == bright)
        of_references = np.flatnonzero(references.bright == bright)
        rows = max(1, _PAIRS // max(1, len(of_references)))
        for start in range(0, len(of_images) if len(of_references) else 0, rows):
            some = of_images[start : start + rows]
            distances = hu_distances(
                images.moments[some], references.moments[of_references], distance
            )
            nearest = distances.argmin(1)
            found[some] = distances[np.arange(len(some)), nearest]
            where[some] = references.slices[of_references[nearest]]
    return _by_slice(images, found, where)


def _by_slice(images: Shapes, found: NDArray, where: NDArray) -> Nearest:
    """Means over the shapes of a slice that have a distance, and where most of those were found."""
    distances, nearest = np.full(images.count, np.inf), np.full(images.count, -1, np.intp)
    compared = np.isfinite(found)
    for number in np.unique(images.slices[compared]):
        those = compared & (images.slices == number)
        distances[number] = found[those].mean()
        nearest[number] = np.bincount(where[those]).argmax()
    return Nearest(distances, nearest)


def _grey(array: NDArray, threshold: float) -> OfPlane:
    """Grey values in [0, 1], cropped to the foreground."""
    mean, sd = _foreground(array, threshold)
    if sd == 0:  # a foreground of one value has no z-score
        return lambda plane: _cropped(plane > threshold, 0)
    intensity = ZScoreUnit(mean, sd)

    def scaled(plane: NDArray) -> NDArray:
        grey = intensity.forward(_cropped(plane, threshold))
        return np.clip(grey, 0, 1, out=grey)

    return scaled


def _foreground(array: NDArray, threshold: float) -> tuple[float, float]:
    """Mean and SD of what lies above a threshold, as `ZScoreUnit.fit`, on all processor cores."""

    def of_plane(plane: NDArray) -> tuple[int, float, float]:
        mask = (plane > threshold).view(np.uint8)
        mean, sd = cv2.meanStdDev(plane.astype(np.float64), mask=mask)
        return cv2.countNonZero(mask), mean.item(), sd.item()

    with ThreadPoolExecutor() as threads:
        counts, means, sds = np.array(list(threads.map(of_plane, array))).T
    if not counts.any():
        return 0.0, 0.0
    mean = np.average(means, weights=counts)
    variance = np.average(sds**2 + (means - mean) ** 2, weights=counts)
    return float(mean), float(np.sqrt(variance))


def _cropped(plane: NDArray, threshold: float) -> NDArray:
    """The smallest rectangle that holds what lies above a threshold."""
    column, row, width, height = cv2.boundingRect((plane > threshold).view(np.uint8))
    return plane[row : row + height, column : column + width]


def _mask(_: NDArray, threshold: float) -> OfPlane:
    return lambda plane: plane > threshold


def _outline(_: NDArray, threshold: float) -> OfPlane:
    def largest(plane: NDArray) -> NDArray:
        outlines, _ = cv2.findContours(
            (plane > threshold).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        return max(outlines, key=cv2.contourArea, default=np.zeros((0, 1, 2), np.int32))

    return largest


def _structures(array: NDArray, threshold: float, least_pixels: int) -> Shapes:
    with ThreadPoolExecutor() as threads:
        found = list(
            threads.map(lambda plane: _parts_of_plane(plane > threshold, least_pixels), array)
        )
    counts = [len(bright) for _, bright in found]
    return Shapes(
        np.concatenate([moments for moments, _ in found]),
        np.repeat(np.arange(len(array)), counts),
        np.concatenate([bright for _, bright in found]),
        len(array),
    )


def _parts_of_plane(
    mask: NDArray[np.bool_], least_pixels: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Invariants of connected parts of a mask (j, i) and of what it leaves out; which is which."""
    moments, bright = [], []
    # Where bright pixels that meet at a corner hang together, dark ones there do not.
    for phase, connectivity in ((mask, 8), (~mask, 4)):
        count, labels, boxes, _ = cv2.connectedComponentsWithStats(
            phase.astype(np.uint8), connectivity=connectivity
        )
        for number in range(1, count):
            column, row, width, height, pixels = boxes[number]
            end_row, end_column = row + height, column + width
            cut = 0 in (row, column) or end_row == mask.shape[0] or end_column == mask.shape[1]
            if pixels >= least_pixels and not cut:
                part = labels[row:end_row, column:end_column] == number
                moments.append(invariants(part))
                bright.append(phase is mask)
    return np.array(moments, np.float64).reshape(-1, 7), np.array(bright, bool)
