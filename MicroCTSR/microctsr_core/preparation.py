"""From a scan to what a network reads: region of interest, intensity scaling, cubic resampling.

Intensity scaling is affine and never clips, so it can be undone exactly, and it is fitted to
the whole scan, never to a box: the same voxel gets the same value whatever box is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import MicroCTSRError
from .pieces import SAMPLES, pieces, sampled
from .volume import Box, Triple

# A cubic spline's weights fall by 0.27 from sample to sample: after 16, none is left in float32.
SPLINE_REACH = 16
_NEGLIGIBLE_WEIGHT = 1e-9


def whole_box(shape: Sequence[int]) -> Box:
    """The box that holds a whole volume of a shape (k, j, i)."""
    k, j, i = shape
    return ((0, k), (0, j), (0, i))


def foreground_box(array: NDArray[Any], threshold: float) -> Box:
    """The smallest box that holds every voxel above a threshold: the paper's region of interest.

    Args:
        array: image, ordered (k, j, i).
        threshold: in the image's units; voxels strictly above it are foreground.

    Raises:
        MicroCTSRError: no voxel lies above the threshold.

    Example:
        >>> scan = np.zeros((4, 5, 6))
        >>> scan[1:3, 2, 3:5] = 700
        >>> foreground_box(scan, 500)
        ((1, 3), (2, 3), (3, 5))
    """
    foreground = array > threshold
    if not foreground.any():
        raise MicroCTSRError(
            f"No voxel lies above the threshold {threshold:g} (the largest value is "
            f"{np.max(array):g}); lower the threshold."
        )
    ranges = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        hit = np.flatnonzero(foreground.any(axis=others))
        ranges.append((int(hit[0]), int(hit[-1]) + 1))
    return (ranges[0], ranges[1], ranges[2])


@dataclass(frozen=True)
class HUWindow:
    """Maps Hounsfield units to [0, 1] by a fixed window; values outside it stay, unclipped.

    Args:
        low: HU that becomes 0.
        high: HU that becomes 1.
    """

    low: float = -1000.0
    high: float = 3000.0

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"A HU window runs upwards, not from {self.low} to {self.high}.")

    @property
    def span(self) -> float:
        """Input units per unit of the scaled image: turns scaled differences back into HU."""
        return self.high - self.low

    def fitted(self, array: NDArray[Any]) -> HUWindow:  # noqa: ARG002 - as ZScoreUnit
        """Itself: a fixed window needs no statistics."""
        return self

    def forward(self, array: ArrayLike) -> NDArray[np.float32]:
        """Scale HU to the network's range, float32."""
        return _affine(array, 1 / self.span, -self.low / self.span)

    def inverse(self, scaled: ArrayLike) -> NDArray[np.float32]:
        """Undo :meth:`forward`, float32 HU."""
        return _affine(scaled, self.span, self.low)

    def to_dict(self) -> dict[str, Any]:
        """The entry of a model card."""
        return {"kind": "hu_window", "low": self.low, "high": self.high}


@dataclass(frozen=True)
class ZScoreUnit:
    """The paper's scaling: z-score of the scan's foreground, then mapped to [0, 1].

    The paper does not say how z-scores are mapped. Here ``-spread`` becomes 0 and ``+spread``
    becomes 1; the least and greatest value of a scan would undo the z-score and hang on a single
    bright voxel.

    Args:
        mean, sd: of the foreground in the scan's units; ``None`` until fitted to a scan.
        spread: z-score that becomes 1.
    """

    mean: float | None = None
    sd: float | None = None
    spread: float = 3.0

    @classmethod
    def fit(
        cls, array: NDArray[Any], threshold: float | None = None, spread: float = 3.0
    ) -> ZScoreUnit:
        """Take mean and standard deviation from a whole scan's foreground.

        Args:
            array: the whole scan, never a box of it.
            threshold: voxels above it are foreground; ``None`` takes Otsu's.
            spread: z-score that becomes 1.

        Raises:
            MicroCTSRError: the foreground is empty or constant.
        """
        if threshold is None:
            # Imported here: the rest of this file serves programs that have not installed it.
            from skimage.filters import threshold_otsu

            threshold = float(threshold_otsu(sampled(array, SAMPLES)))
        count, mean, squares = 0, 0.0, 0.0
        for piece in pieces(array):
            foreground = piece[piece > threshold].astype(np.float64)
            if not foreground.size:
                continue
            # Means and squared deviations of parts add up so without loss (Chan et al. 1979).
            own, shift = foreground.mean(), foreground.mean() - mean
            share = foreground.size / (count + foreground.size)
            squares += np.square(foreground - own).sum() + shift**2 * count * share
            mean += shift * share
            count += foreground.size
        if squares == 0:
            raise MicroCTSRError(
                f"The image is constant above the threshold {threshold:g}, so its intensities "
                f"cannot be scaled; give an image with contrast."
            )
        return cls(float(mean), float(np.sqrt(squares / count)), spread)

    @property
    def span(self) -> float:
        """Input units per unit of the scaled image."""
        return 2 * self.spread * self._statistics()[1]

    def fitted(self, array: NDArray[Any]) -> ZScoreUnit:
        """Fitted to a whole scan, unless it is already."""
        return self if self.mean is not None else ZScoreUnit.fit(array, spread=self.spread)

    def forward(self, array: ArrayLike) -> NDArray[np.float32]:
        """Scale a scan to the network's range, float32."""
        return _affine(array, 1 / self.span, 0.5 - self._statistics()[0] / self.span)

    def inverse(self, scaled: ArrayLike) -> NDArray[np.float32]:
        """Undo :meth:`forward`, float32 in the scan's units."""
        return _affine(scaled, self.span, self._statistics()[0] - 0.5 * self.span)

    def to_dict(self) -> dict[str, Any]:
        """The entry of a model card, with the statistics once they are known."""
        entry: dict[str, Any] = {"kind": "zscore_unit", "spread": self.spread}
        return entry if self.mean is None else {**entry, "mean": self.mean, "sd": self.sd}

    def _statistics(self) -> tuple[float, float]:
        if self.mean is None or self.sd is None:
            raise ValueError("This z-score has no statistics yet; call fitted(scan) first.")
        return self.mean, self.sd


Intensity: TypeAlias = HUWindow | ZScoreUnit
_KINDS: dict[str, type[HUWindow] | type[ZScoreUnit]] = {
    "hu_window": HUWindow,
    "zscore_unit": ZScoreUnit,
}


def intensity_from_dict(entry: Mapping[str, Any]) -> Intensity:
    """Make the intensity scaling that a model card describes.

    Raises:
        ValueError: the kind is unknown or an entry does not belong to it.
    """
    arguments = {key: value for key, value in entry.items() if key != "kind"}
    try:
        return _KINDS[entry["kind"]](**arguments)
    except (KeyError, TypeError):
        raise ValueError(
            f"The intensity scaling {dict(entry)} is not known; kinds are {', '.join(_KINDS)}."
        ) from None


def fine_factors(spacing: Triple, scale: int, scale_mode: str) -> tuple[int, int, int]:
    """Fine voxels per voxel along (k, j, i).

    Args:
        spacing: of the scan in mm, ordered (k, j, i).
        scale: of the model, in the plane.
        scale_mode: ``"in-plane"`` keeps the slices; ``"isotropic"`` divides them so that fine
            voxels are as high as wide, to the nearest whole number of fine slices per slice.
    """
    if scale_mode == "in-plane":
        return (1, scale, scale)
    return (max(1, round(spacing[0] * scale / in_plane_mm(spacing))), scale, scale)


def in_plane_mm(spacing: Triple) -> float:
    """Pixel size in the plane in mm: the mean of both axes, which are nearly always equal."""
    return (spacing[1] + spacing[2]) / 2


def refined_positions(first: int, last: int, factor: int) -> NDArray[np.float64]:
    """Centres, in voxels, of the ``factor`` fine voxels in each voxel from first to last - 1.

    Example:
        >>> refined_positions(0, 1, 4)
        array([-0.375, -0.125,  0.125,  0.375])
    """
    return first - 0.5 + (np.arange((last - first) * factor) + 0.5) / factor


def cubic_weights(
    positions: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """Weights of a cubic spline through samples 0 ... count - 1, at any positions.

    Beyond the ends, the end samples are repeated. Only the samples that weigh anything are kept,
    so the result names the slab of a scan that has to be read.

    Args:
        positions: where to interpolate, in samples, shape (m,).
        count: number of samples.

    Returns:
        weights of shape (m, stop - start), and (start, stop), the samples they belong to.

    Example:
        >>> weights, (start, stop) = cubic_weights(np.array([3.0, 7.5]), count=100)
        >>> plane_at_7_5 = np.tensordot(weights[1], np.random.rand(100)[start:stop], 1)
    """
    from scipy import ndimage  # here, so that Slicer does not load it at every start

    nearest = np.clip(positions, 0, count - 1)
    start = max(0, int(np.floor(nearest.min())) - SPLINE_REACH)
    stop = min(count, int(np.ceil(nearest.max())) + SPLINE_REACH + 1)
    # Interpolating the identity gives the weights themselves; along its second axis the
    # coordinates are whole numbers, where a spline passes through its samples.
    where = np.meshgrid(positions - start, np.arange(stop - start), indexing="ij")
    weights = ndimage.map_coordinates(np.eye(stop - start), where, order=3, mode="nearest")
    weights[np.abs(weights) < _NEGLIGIBLE_WEIGHT] = 0
    used = np.flatnonzero(weights.any(axis=0))
    first, last = int(used[0]), int(used[-1]) + 1
    return weights[:, first:last], (start + first, start + last)


def resample_cubic(array: NDArray[Any], factors: Sequence[int]) -> NDArray[np.float32]:
    """Interpolate to a finer grid with the same outer corners, by cubic splines.

    Args:
        array: image of any number of dimensions.
        factors: fine samples per sample along each axis.

    Returns:
        float32 array of shape ``array.shape * factors``.

    Example:
        >>> resample_cubic(np.arange(4.0)[None], (1, 2)).shape
        (1, 8)
    """
    fine = np.asarray(array, dtype=np.float32)
    for axis, factor in enumerate(factors):
        if factor != 1:
            positions = refined_positions(0, array.shape[axis], factor)
            weights, (start, stop) = cubic_weights(positions, array.shape[axis])
            fine = apply_weights(fine.take(range(start, stop), axis=axis), weights, axis)
    return fine


def apply_weights(
    array: NDArray[np.float32], weights: NDArray[np.float64], axis: int
) -> NDArray[np.float32]:
    """Multiply one axis of an array by a weight matrix of shape (new length, old length)."""
    product = np.tensordot(weights.astype(np.float32), array, axes=(1, axis))
    return np.ascontiguousarray(np.moveaxis(product, 0, axis))


def _affine(array: ArrayLike, gain: float, offset: float) -> NDArray[np.float32]:
    # In double precision, so that there and back differs by float32 rounding only.
    scaled: NDArray[np.float32] = (np.asarray(array, np.float64) * gain + offset).astype(np.float32)
    return scaled
