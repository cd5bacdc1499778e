"""The scanners that image an ear: clinical CTs (low) and micro-CTs (high)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass

import numpy as np
import torch
from scipy import fft
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from torch.nn import functional

from ..volume import Volume

SCALE = 8
"""Linear factor between the low and the high grid."""


@dataclass(frozen=True)
class ClinicalCT(ABC):
    """A clinical CT: point spread, area sampling, noise with streaks, cupping, HU.

    psf_sigma_mm : SD of the point spread. noise_sd_hu : SD of the noise in soft tissue.
    edge_gain : overshoot of the bone kernel (share of a wider point spread that is subtracted).
    dense_noise : SD of the noise in dense bone over that in soft tissue.
    streak_share : share of that noise (in SD) that lies in streaks. cupping_hu : how much darker
    the middle is.
    slice_mm : slice spacing; the in-plane spacing where None.

    What the point spread and the grain of the noise look like is said by each kind of scanner.
    """

    psf_sigma_mm: float
    noise_sd_hu: float
    edge_gain: float = 0.0
    dense_noise: float = 1.3
    streak_share: float = 0.2
    cupping_hu: float = 20.0
    slice_mm: float | None = None

    @abstractmethod
    def blur(self, hu: np.ndarray, spacing_mm: float) -> np.ndarray:
        """Convolve a fine isotropic volume (k, j, i) with the point spread; float32."""

    @abstractmethod
    def _grain(self, shape: tuple[int, ...], g: np.random.Generator) -> np.ndarray:
        """Noise (k, j, i) of any SD, as the reconstruction kernel leaves it."""

    def parameters(self) -> dict[str, float | None]:
        """The scanner's numbers for case.json."""
        return asdict(self)

    def image(
        self,
        truth: Volume,
        spacing_mm: float,
        margin: int,
        generator: np.random.Generator | None,
    ) -> Volume:
        """Image `truth` (HU, isotropic fine grid) at in-plane `spacing_mm`.

        `truth` reaches `margin` low voxels beyond the field of view on each side, which the point
        spread needs; the result is cropped to the field of view.
        """
        # Averaging pairs first is the first part of area sampling: the same result on an eighth of
        # the voxels.
        half_mm = 2 * truth.spacing[0]
        halved = functional.avg_pool3d(torch.from_numpy(truth.array)[None, None], 2)[0, 0].numpy()
        factor = round(spacing_mm / half_mm)
        slice_factor = round((self.slice_mm or spacing_mm) / half_mm)
        cut = margin * factor
        inner = [n - 2 * cut for n in halved.shape]
        inner[0] -= inner[0] % slice_factor
        blurred = self.blur(halved, half_mm)
        blurred = blurred[cut : cut + inner[0], cut : cut + inner[1], cut : cut + inner[2]]
        kernel = (slice_factor, factor, factor)
        low = functional.avg_pool3d(torch.from_numpy(blurred)[None, None], kernel)[0, 0].numpy()
        low = low + self.cupping(low.shape)
        if generator is not None:
            low = low + self.noise(low, generator)
        spacing = (slice_factor * half_mm, spacing_mm, spacing_mm)
        corner = np.asarray(truth.origin) - truth.spacing[0] / 2 + cut * half_mm
        origin = tuple(corner + np.asarray(spacing[::-1]) / 2)
        return Volume(np.clip(low, -1024, 4000).astype(np.float32), spacing, origin)

    def noise(self, low: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Correlated noise of the reconstruction kernel and faint straight streaks."""
        g = generator
        grain = self._grain(low.shape, g)
        streaks = self._streaks(low.shape, g)
        mixed = grain / grain.std() + self.streak_share * streaks / streaks.std()
        # Dense bone lets fewer photons through, air more: SD 34 in air, 89 in brain, 105 to 137
        # in dense bone.
        levels = (0.4, 1.0, self.dense_noise)
        local = np.interp(gaussian_filter(low, (0, 4, 4)), (-1000, 0, 1800), levels)
        return (self.noise_sd_hu * local * mixed / mixed.std()).astype(np.float32)

    @staticmethod
    def _streaks(shape: tuple[int, ...], g: np.random.Generator) -> np.ndarray:
        rows, columns = np.mgrid[: shape[1], : shape[2]].astype(np.float64)
        streaks = np.zeros(shape)
        for _ in range(6):
            angle = g.uniform(0, np.pi)
            across = rows * np.cos(angle) + columns * np.sin(angle)
            across -= across.min()
            profile = g.standard_normal((shape[0], int(across.max()) + 2))
            profile = gaussian_filter1d(gaussian_filter1d(profile, 0.8, axis=1), 0.7, axis=0)
            below = across.astype(int)
            part = across - below
            streaks += profile[:, below] * (1 - part) + profile[:, below + 1] * part
        return streaks

    def cupping(self, shape: tuple[int, ...]) -> np.ndarray:
        """How much darker, in HU, each place of a slice is by beam hardening, shape (j, i)."""
        rows, columns = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[2] * 1j]
        return (self.cupping_hu * ((rows**2 + columns**2) / 2 - 0.5)).astype(np.float32)


@dataclass(frozen=True)
class ClinicalScanner(ClinicalCT):
    """A clinical CT as training draws them: its point spread is a sum of Gaussians.

    The point spread is the same in all directions. noise_correlation : width of the grain (SD of
    the kernel's smoothing, in voxels). noise_direction : how much the grain is drawn out in one
    direction, 0 to 1: the noise of rays through the most bone.
    """

    noise_correlation: float = 1.0
    noise_direction: float = 0.4

    @classmethod
    def draw(
        cls, generator: np.random.Generator, spacing_mm: float, thick: bool = False
    ) -> ClinicalScanner:
        """A scanner as found in hospitals: cone-beam at 0.15 mm to bone-kernel CT at 0.35."""
        g = generator
        return cls(
            psf_sigma_mm=float(g.uniform(*cls.psf_range_mm(spacing_mm))),
            noise_sd_hu=float(g.uniform(20, 105)),
            edge_gain=float(g.uniform(0, 0.35)),
            noise_correlation=float(g.uniform(0.6, 1.3)),
            noise_direction=float(g.uniform(0, 0.6)),
            dense_noise=float(g.uniform(1.0, 1.7)),
            streak_share=float(g.uniform(0, 0.4)),
            cupping_hu=float(g.uniform(0, 40)),
            slice_mm=float(spacing_mm * g.uniform(1.5, 2.4)) if thick else None,
        )

    @staticmethod
    def psf_range_mm(spacing_mm: float) -> tuple[float, float]:
        """Least and greatest SD of the point spread of scanners with voxels of this size.

        A contrast of a tenth at 1.6 to 2.3 cycles per mm makes 0.15 to 0.21 mm at 0.15 mm; a head
        that moves by a voxel meanwhile makes the latter 0.26 mm. 0.31 mm was measured of a bone
        kernel with voxels of 0.35 mm.
        """
        wider = 0.2 * (spacing_mm - 0.15)
        return 0.142 + wider, 0.27 + wider

    @property
    def gaussians(self) -> tuple[tuple[float, float], ...]:
        """The point spread as a sum of Gaussians: (weight, standard deviation in mm) of each."""
        narrow = (1 + self.edge_gain, self.psf_sigma_mm)
        return (narrow, (-self.edge_gain, 1.7 * self.psf_sigma_mm)) if self.edge_gain else (narrow,)

    def blur(self, hu: np.ndarray, spacing_mm: float) -> np.ndarray:
        """Convolve a fine isotropic volume (k, j, i) with the point spread; float32."""
        blurred = np.zeros(hu.shape, np.float32)
        for weight, sigma_mm in self.gaussians:
            blurred += weight * gaussian_blur(hu, sigma_mm / spacing_mm)
        return blurred

    def _grain(self, shape: tuple[int, ...], g: np.random.Generator) -> np.ndarray:
        """White noise as a bone kernel leaves it: what is finest and coarsest taken away.

        Measured on real brain: power peaks at 0.15 to 0.25 cycles per voxel and ends at 0.3;
        in one direction it is four times that across it.
        """
        border = 8  # the transform joins opposite borders
        wide = (shape[0], *(n + border for n in shape[1:]))
        along = fft.fftfreq(wide[1])[:, None]
        across = fft.rfftfreq(wide[2])[None]
        radius = np.hypot(along, across)
        passed = radius * np.exp(-((np.pi * self.noise_correlation * radius) ** 4))
        angle = 2 * (np.arctan2(along, across) - g.uniform(0, np.pi))
        passed *= 1 + self.noise_direction * np.cos(angle)
        spectrum = fft.rfft2(g.standard_normal(wide, dtype=np.float32))
        grain = fft.irfft2(spectrum * passed.astype(np.float32), wide[1:])
        return gaussian_filter1d(grain[:, : shape[1], : shape[2]], 0.55, axis=0)


@dataclass(frozen=True)
class MicroScanner:
    """A micro-CT: fine point spread, noise, faint rings, its own grey scale (uint16).

    grey = offset + gain * HU. Noise and rings are given in HU.
    """

    psf_sigma_voxels: float
    noise_sd_hu: float
    ring_sd_hu: float
    gain: float
    offset: float

    @classmethod
    def draw(cls, generator: np.random.Generator) -> MicroScanner:
        """A micro-CT with a contrast-to-noise ratio as measured on real trabecular bone (12-17)."""
        g = generator
        return cls(
            psf_sigma_voxels=float(g.uniform(0.5, 0.9)),
            noise_sd_hu=float(g.uniform(70, 115)),
            ring_sd_hu=float(g.uniform(5, 20)),
            gain=float(g.uniform(6, 12)),
            offset=float(g.uniform(12000, 16000)),
        )

    def parameters(self) -> dict[str, float]:
        """The scanner's numbers for case.json."""
        return asdict(self)

    def image(self, truth: Volume, generator: np.random.Generator) -> Volume:
        """Image the noise-free `truth` on its own grid."""
        g = generator
        grey = gaussian_blur(truth.array, self.psf_sigma_voxels)
        grey += self.noise_sd_hu * g.standard_normal(grey.shape, dtype=np.float32)
        rows, columns = np.mgrid[: grey.shape[1], : grey.shape[2]]
        centre = g.uniform(0.3, 0.7, 2) * grey.shape[1:]
        radius = np.hypot(rows - centre[0], columns - centre[1]).astype(int)
        grey += (self.ring_sd_hu * g.standard_normal(radius.max() + 1))[radius].astype(np.float32)
        grey = self.offset + self.gain * grey
        return truth.with_array(np.clip(np.rint(grey), 0, 65535).astype(np.uint16))

    def to_hu(self, grey: np.ndarray) -> np.ndarray:
        """Grey values back to HU by the scanner's two-point calibration."""
        return (grey.astype(np.float32) - self.offset) / self.gain


def gaussian_blur(array: np.ndarray, sigma_voxels: float) -> np.ndarray:
    """Separable Gaussian on (k, j, i) with replicated borders, on all cores; float32."""
    radius = max(1, int(np.ceil(3.5 * sigma_voxels)))
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1) / sigma_voxels) ** 2)
    taps = (taps / taps.sum()).float()
    volume = torch.from_numpy(np.ascontiguousarray(array, np.float32))[None, None]
    for axis in range(3):
        pad = [0] * 6
        pad[2 * (2 - axis)] = pad[2 * (2 - axis) + 1] = radius
        kernel_shape = [1, 1, 1, 1, 1]
        kernel_shape[2 + axis] = len(taps)
        padded = functional.pad(volume, pad, mode="replicate")
        volume = functional.conv3d(padded, taps.reshape(kernel_shape))
    return volume[0, 0].numpy()
