"""Clinical scanners that training never draws: models are judged on what these see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import dctn, idctn

from .scanners import ClinicalCT


@dataclass(frozen=True)
class UnseenScanner(ClinicalCT):
    """A clinical CT with another point spread and another noise than `ClinicalScanner`.

    The point spread is given by its modulation transfer, which is round in the plane and not
    Gaussian: of a detector element and a focal spot of finite width (sinc²), of which `glare` is
    spread three times as wide, as light spreads in a scintillator. psf_sigma_mm is the SD of the
    narrow part in the plane; through the plane it is `through_plane` times that.

    The noise is that of filtered back-projection (Riederer et al. 1978): its power grows with
    frequency until the kernel cuts it off at `cutoff`, in cycles per voxel (Nyquist: 0.5).
    `noise_through` is the SD in slices of what smooths it through the plane. `ring_hu` is the SD of
    faint rings.
    """

    through_plane: float = 1.0
    glare: float = 0.0
    cutoff: float = 0.5
    noise_through: float = 0.0
    ring_hu: float = 0.0

    @classmethod
    def draw(
        cls, generator: np.random.Generator, spacing_mm: float, thick: bool = False
    ) -> UnseenScanner:
        """A scanner beside those of training: its noise finer or coarser, and another blur.

        A sharp reconstruction kernel lets more noise pass than a smooth one, so fine noise is
        strong and coarse noise is weak.
        """
        g = generator
        sharp, fine = g.random(2) < 0.5
        width_mm = g.uniform(0.115, 0.138) if sharp else g.uniform(0.227, 0.27)
        return cls(
            psf_sigma_mm=float(width_mm + 0.2 * (spacing_mm - 0.15)),
            through_plane=float(g.uniform(0.75, 1.3)),
            glare=float(g.uniform(0, 0.15)),
            edge_gain=float(g.uniform(0, 0.2)),
            noise_sd_hu=float(g.uniform(60, 120) if fine else g.uniform(12, 50)),
            cutoff=float(g.uniform(0.4, 0.8) if fine else g.uniform(0.08, 0.12)),
            noise_through=float(g.uniform(0, 0.25) if fine else g.uniform(0.8, 1.1)),
            dense_noise=float(g.uniform(1.0, 1.7)),
            streak_share=float(g.uniform(0, 0.4)),
            ring_hu=float(g.uniform(0, 12)),
            cupping_hu=float(g.uniform(50, 90)),
            slice_mm=float(spacing_mm * g.uniform(1.5, 2.4)) if thick else None,
        )

    def blur(self, hu: np.ndarray, spacing_mm: float) -> np.ndarray:
        """Convolve a fine isotropic volume (k, j, i) with the point spread; float32."""
        in_plane, through = _frequencies(hu.shape)
        in_plane, through = in_plane / spacing_mm, through / spacing_mm * self.through_plane
        transfer = (1 + self.edge_gain) * self._transfer(in_plane, through)
        transfer -= self.edge_gain * self._transfer(1.7 * in_plane, 1.7 * through)
        return _filtered(hu, transfer)

    def _transfer(self, in_plane: np.ndarray, through: np.ndarray) -> np.ndarray:
        """Modulation transfer at frequencies in cycles per mm."""
        # Two boxes of this width, convolved, have the SD that is asked for.
        width_mm = np.sqrt(6) * self.psf_sigma_mm
        narrow = (np.sinc(width_mm * in_plane) * np.sinc(width_mm * through)) ** 2
        spread = (3 * self.psf_sigma_mm) ** 2 * (in_plane**2 + through**2)
        return (1 - self.glare) * narrow + self.glare * np.exp(-2 * np.pi**2 * spread)

    def noise(self, low: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Grain and streaks, and faint rings."""
        noise = super().noise(low, generator) + self._rings(low.shape, generator)
        return noise.astype(np.float32)

    def _grain(self, shape: tuple[int, ...], g: np.random.Generator) -> np.ndarray:
        in_plane, through = _frequencies(shape)
        amplitude = np.sqrt(in_plane) * np.exp(-((in_plane / self.cutoff) ** 2) / 2)
        amplitude = amplitude * np.exp(-2 * (np.pi * self.noise_through * through) ** 2)
        return _filtered(g.standard_normal(shape), amplitude)

    def _rings(self, shape: tuple[int, ...], g: np.random.Generator) -> np.ndarray:
        """Rings (j, i) about an axis that lies anywhere in the field of view."""
        rows, columns = np.mgrid[: shape[1], : shape[2]]
        centre = g.uniform(0, 1, 2) * shape[1:]
        radius = np.hypot(rows - centre[0], columns - centre[1])
        profile = self.ring_hu * g.standard_normal(int(radius.max()) + 2)
        return np.interp(radius, np.arange(profile.size), profile)


def _frequencies(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Cycles per voxel of a cosine transform: in the plane (1, j, i) and through it (k, 1, 1)."""
    k, j, i = (np.arange(n) / (2 * n) for n in shape)
    return np.hypot(j[:, None], i)[None], k[:, None, None]


def _filtered(array: np.ndarray, transfer: np.ndarray) -> np.ndarray:
    """Multiply a spectrum by `transfer`; beyond its borders the array is its mirror image."""
    spectrum = dctn(np.asarray(array, np.float32), norm="ortho")
    return idctn(spectrum * transfer.astype(np.float32), norm="ortho")
