"""Grey values to Hounsfield units: are they HU already, and if not, a straight line to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MicroCTSRError

NOMINAL_CLASSES_HU = (-1000.0, 1500.0)
"""Air and bone, for clinical scans in arbitrary units that are scaled by their z-score anyway."""

_DENSE = 0.9
_SAMPLES = 2_000_000
_AIR_HU = (-1200.0, -600.0)
# What a scan holds less of than this share of its values, it does not show.
_LEAST_SHARE = 0.0005
# Fat, and fluid with its noise: what a clinical scan without air shows, and grey values do not that
# begin at zero or have their air there.
_BELOW_WATER_HU = (-600.0, -50.0)
# A scan that shows neither is of bone alone.
_BONE_ALONE_HU = (200.0, 3500.0)
_PLAUSIBLE_HU = (-4100.0, 8000.0)
_LEAST_BONE_HU = 300.0


@dataclass(frozen=True)
class Calibration:
    """A straight line from grey values to Hounsfield units: HU = offset + gain · grey."""

    gain: float = 1.0
    offset: float = 0.0

    @classmethod
    def through(cls, points: Sequence[Sequence[float]]) -> Calibration:
        """The line through two points [[grey, HU], [grey, HU]].

        Raises:
            ValueError: it is not two points of a rising line.
        """
        try:
            (grey0, hu0), (grey1, hu1) = ((float(grey), float(hu)) for grey, hu in points)
            gain = (hu1 - hu0) / (grey1 - grey0)
        except (TypeError, ValueError, ZeroDivisionError):
            gain = 0.0
        if not 0 < gain < np.inf:
            raise ValueError(
                f"The intensity {points!r} is no calibration; give auto, hu, or two points "
                f"[[grey, hu], [grey, hu]] in which the brighter has the more HU."
            )
        return cls(gain, hu0 - gain * grey0)

    @property
    def is_identity(self) -> bool:
        """Whether values stay as they are."""
        return self == Calibration()

    def to_hu(self, grey: ArrayLike) -> NDArray[np.float32]:
        """Grey values in HU, float32."""
        hu: NDArray[np.float32] = np.asarray(grey).astype(np.float32)
        return hu if self.is_identity else hu * np.float32(self.gain) + np.float32(self.offset)


def sample(array: NDArray) -> NDArray:
    """Some two million values at most, taken evenly from the whole of an array (k, j, i)."""
    step = max(1, int(np.ceil((array.size / _SAMPLES) ** (1 / 3))))
    step_k = min(step, max(1, array.shape[0] // 8))
    return array[::step_k, ::step, ::step].ravel()


def why_not_hu(values: NDArray, trusted: bool = False, airless: bool = False) -> str | None:
    """Why values cannot be HU, as the end of a sentence, or None.

    Args:
        values: a sample of a scan.
        trusted: the user says that it is HU, so that only impossible values are refused.
        airless: whether a field of view without air is likely, as in clinical scans; micro-CT
            shows the air around its specimen.
    """
    low, high = (float(end) for end in np.quantile(values, (0.001, 0.999)))
    least, greatest = _PLAUSIBLE_HU
    if low < least or high > greatest:
        return f"its values run from {low:.0f} to {high:.0f}"
    if trusted:
        return None
    if _shows(values, _AIR_HU):
        if high < 0:
            return f"its brightest values are about {high:.0f}, where HU have fluid near 0"
        return None
    if airless and _is_airless_hu(values, low, high):
        return None
    return f"its darkest values are about {low:.0f}, where HU have air near -1000"


def _shows(values: NDArray, hu: tuple[float, float]) -> bool:
    """Whether a fair share of the values lies in a range."""
    count = np.count_nonzero((values >= hu[0]) & (values < hu[1]))
    return int(count) >= _LEAST_SHARE * values.size


def _is_airless_hu(values: NDArray, low: float, high: float) -> bool:
    """Whether values without air can be HU: of fluid and tissue, or of bone alone."""
    if values.dtype.kind == "u" or high < _LEAST_BONE_HU:  # HU have a sign
        return False
    least, greatest = _BONE_ALONE_HU
    return _shows(values, _BELOW_WATER_HU) or (low >= least and high <= greatest)


def darkest_and_brightest(values: NDArray, what: str, domain: str) -> tuple[float, float]:
    """The median of the darkest and the dense end of the brightest of three classes.

    The classes are told apart by Otsu's method for several thresholds. In scans of thin bone most
    of the brightest class is bone and its surroundings in one voxel, so its median would be no
    bone.

    Args:
        values: a sample of one scan or several.
        what: where they are from, for the message.
        domain: ``"low"`` or ``"high"``, for the message.

    Raises:
        MicroCTSRError: there are not three classes to tell apart.

    Reference: Liao, Chen and Chung, "A fast algorithm for multilevel thresholding", J. Inf. Sci.
    Eng. 17 (2001).
    """
    from skimage.filters import threshold_multiotsu  # slow to import

    ends = np.quantile(values, (0.001, 0.999))
    inside = np.clip(values.astype(np.float32), *ends)
    try:
        lower, upper = threshold_multiotsu(inside, classes=3)
    except ValueError:
        raise MicroCTSRError(
            f"{what} has no three classes of values between {ends[0]:g} and {ends[1]:g}, so that "
            f"air and bone cannot be told apart in it; set data.{domain}.intensity to two points "
            f"[[grey, hu], [grey, hu]]."
        ) from None
    dark, bright = inside[inside <= lower], inside[inside > upper]
    return float(np.median(dark)), float(np.quantile(bright, _DENSE))
