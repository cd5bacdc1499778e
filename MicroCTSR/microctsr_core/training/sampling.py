"""Batches of patches from the two domains, as the generators see them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..phantom import SCALE, ClinicalScanner
from ..preparation import HUWindow, cubic_weights
from .phantoms import HighCase, LowCase

WINDOW = HUWindow()

Case = TypeVar("Case")


@dataclass(frozen=True)
class LowBatch:
    """Clinical patches, each as three stacks of planes around three output planes.

    The output planes lie at the nodes of a three-point Gauss-Hermite rule for the scanner's blur
    through the plane, so that `NODE_WEIGHTS` times what is generated on them is what the slice in
    the middle averages.

    stacks : (N, 3, planes, H, W) in [0, 1]. sigma_pixels : (N,) point spread in high pixels.
    """

    stacks: Tensor
    sigma_pixels: Tensor


@dataclass(frozen=True)
class HighBatch:
    """Micro-CT patches (N, 1, 8H, 8W); clinical stacks made of them (N, planes, H, W)."""

    images: Tensor
    stacks: Tensor


NODE_WEIGHTS = (1 / 6, 2 / 3, 1 / 6)


class Sampler:
    """Draws patches of `size` low pixels with random flips and quarter turns.

    `noise_gain` multiplies the noise of the scans simulated from micro-CT.
    """

    def __init__(
        self,
        low: list[LowCase],
        high: list[HighCase],
        size: int,
        generator: np.random.Generator,
        planes: int = 5,
    ) -> None:
        self._low, self._high = low, high
        self._size, self._planes = size, planes
        self._generator = generator
        self.noise_gain = 1.0

    def high_batch(self, count: int) -> HighBatch:
        """Micro-CT patches with a scan simulated from them."""
        images, stacks = [], []
        for _ in range(count):
            case = self._pick(self._high)
            scan = self._pick(case.scans)
            plane = int(self._generator.integers(len(case.hu)))
            position = (plane + 0.5) * case.spacing_mm / SCALE
            j, i = self._place(scan.hu[min(int(position / scan.spacing[0]), len(scan.hu) - 1)])
            size, fine = self._size, self._size * SCALE
            noisy = self._noisy(scan, scan.hu[:, j : j + size, i : i + size])
            stack = through_plane(noisy, position, self._planes)
            image = case.hu[
                plane, j * SCALE : j * SCALE + fine, i * SCALE : i * SCALE + fine
            ].astype(np.float32)
            pair = self._turned(stack, image[None])
            stacks.append(pair[0])
            images.append(pair[1])
        return HighBatch(_tensor(images), _tensor(stacks))

    def low_batch(self, count: int) -> LowBatch:
        """Clinical patches."""
        stacks, sigmas = [], []
        for _ in range(count):
            case = self._pick(self._low)
            depth = len(case.hu) * case.spacing[0]
            spread = np.sqrt(3 * (case.psf_sigma_mm**2 + case.spacing[0] ** 2 / 12))
            middle = int(self._generator.integers(len(case.hu)))
            centre = (middle + 0.5) * case.spacing[0]
            nodes = [np.clip(centre + step, 0, depth) for step in (-spread, 0.0, spread)]
            around = [through_plane(case, node, self._planes) for node in nodes]
            j, i = self._place(around[1][self._planes // 2])
            size = self._size
            stacks.append(
                np.stack(self._turned(*(a[:, j : j + size, i : i + size] for a in around)))
            )
            sigmas.append(case.psf_sigma_mm / (case.spacing[1] / SCALE))
        return LowBatch(_tensor(stacks), torch.tensor(sigmas, dtype=torch.float32))

    def _noisy(self, scan: LowCase, patch: np.ndarray) -> LowCase:
        """A patch (k, j, i) of a noise-free scan with the noise of a scanner drawn for it."""
        hu = patch.astype(np.float32)
        scanner = ClinicalScanner.draw(self._generator, scan.spacing[1])
        return replace(scan, hu=hu + self.noise_gain * scanner.noise(hu, self._generator))

    def _pick(self, items: list[Case]) -> Case:
        return items[int(self._generator.integers(len(items)))]

    def _place(self, plane: np.ndarray) -> tuple[int, int]:
        """Corner of a patch; of two candidates mostly the one with more to see."""
        rows, columns = (n - self._size + 1 for n in plane.shape)
        corners = [
            (int(self._generator.integers(rows)), int(self._generator.integers(columns)))
            for _ in range(2)
        ]
        contrast = [plane[j : j + self._size, i : i + self._size].std() for j, i in corners]
        better = int(np.argmax(contrast))
        return corners[better if self._generator.random() < 0.8 else 1 - better]

    def _turned(self, *stacks: np.ndarray) -> list[np.ndarray]:
        """The same random flips and quarter turn for all; the order of planes may turn too."""
        quarter = int(self._generator.integers(4))
        mirrored, upside = self._generator.random(2) < 0.5
        turned = []
        for stack in stacks:
            stack = np.rot90(stack, quarter, (1, 2))
            if mirrored:
                stack = stack[:, :, ::-1]
            turned.append(stack[::-1] if upside else stack)
        return turned


def through_plane(case: LowCase, position_mm: float, planes: int) -> np.ndarray:
    """Planes one in-plane voxel apart around a position (mm from the scan's first face), HU."""
    half = planes // 2
    wanted = position_mm + np.arange(-half, half + 1.0) * case.spacing[1]
    weights, (start, stop) = cubic_weights(wanted / case.spacing[0] - 0.5, len(case.hu))
    return np.tensordot(weights.astype(np.float32), case.hu[start:stop].astype(np.float32), 1)


def _tensor(arrays: list[np.ndarray]) -> Tensor:
    return torch.from_numpy(WINDOW.forward(np.stack(arrays)))
