"""Random changes of patches, by MONAI's transforms; seeded patch by patch."""

from __future__ import annotations

from typing import Any

import numpy as np
from monai.data import get_track_meta, set_track_meta
from monai.transforms import (
    Compose,
    RandFlipd,
    RandGaussianNoised,
    RandGaussianSmoothd,
    RandRotate90d,
    RandScaleIntensityd,
    RandShiftIntensityd,
)
from numpy.typing import NDArray

from .config import AugmentationSettings

_KEYS = ("image", "stack", "stacks")


class Augmentation:
    """Flips, quarter turns and intensity for both domains; point spread and noise for the low one.

    What is changed together stays together: a micro-CT patch and the scan simulated of it get the
    same flips, turns, contrast and shift.
    """

    def __init__(self, settings: AugmentationSettings) -> None:
        common: list[Any] = []
        options: dict[str, Any] = {"keys": _KEYS, "allow_missing_keys": True}
        if settings.flips:
            common += [RandFlipd(prob=0.5, spatial_axis=0, **options)]
        if settings.turns:
            common += [RandRotate90d(prob=0.75, max_k=3, spatial_axes=(0, 1), **options)]
        if settings.intensity_scale:
            common += [RandScaleIntensityd(factors=settings.intensity_scale, prob=1, **options)]
        if settings.intensity_shift:
            common += [RandShiftIntensityd(offsets=settings.intensity_shift, prob=1, **options)]
        low: list[Any] = []
        if settings.blur_pixels:
            spread = (0.0, settings.blur_pixels)
            low += [RandGaussianSmoothd(sigma_x=spread, sigma_y=spread, prob=0.5, **options)]
        if settings.noise:
            low += [RandGaussianNoised(prob=0.5, std=settings.noise, **options)]
        self._pair, self._low = Compose(common), Compose([*common, *low])

    def of_pair(
        self, patch: dict[str, NDArray[np.float32]], coin: np.random.Generator
    ) -> dict[str, NDArray[np.float32]]:
        """Change a micro-CT patch and what goes with it; arrays (channels, H, W)."""
        return _applied(self._pair, patch, coin)

    def of_low(
        self, patch: dict[str, NDArray[np.float32]], coin: np.random.Generator
    ) -> dict[str, NDArray[np.float32]]:
        """Change a clinical patch; arrays (channels, H, W)."""
        return _applied(self._low, patch, coin)


def _applied(
    transform: Compose, patch: dict[str, NDArray[np.float32]], coin: np.random.Generator
) -> dict[str, NDArray[np.float32]]:
    transform.set_random_state(seed=int(coin.integers(2**32, dtype=np.uint64)))
    tracked = get_track_meta()
    set_track_meta(False)  # where an array lies in space is not asked here, and costs much
    try:
        changed = transform(patch)
    finally:
        set_track_meta(tracked)
    return {name: np.ascontiguousarray(changed[name], np.float32) for name in patch}
