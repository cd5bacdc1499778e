"""Fidelity of a super-resolved volume where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

TISSUES_HU = {"air": (-np.inf, -500.0), "fluid": (-200.0, 300.0), "bone": (700.0, np.inf)}
"""What counts as which tissue; between them lies no tissue (partial volume)."""

DENSE_BONE = "dense bone"

REGIONS_HU = TISSUES_HU | {DENSE_BONE: (1200.0, np.inf)}
"""Where noise and specks are counted: the tissues, and the compact part of bone by itself."""

DATA_RANGE_HU = 3000.0
"""Range that PSNR and SSIM are relative to: from air to dense bone."""

SPECK_MM2 = 0.01
"""Smallest area that counts as a speck."""

MARGIN_MM = 0.2
"""How far homogeneous regions keep from walls and texture."""

FLAT_SD_HU = 60.0
"""Greatest SD of the truth within a homogeneous region."""


@dataclass(frozen=True)
class Fidelity:
    """Agreement with the truth; see `fidelity`."""

    psnr: float
    ssim: float
    dice: Mapping[str, float]
    noise_sd_hu: Mapping[str, float]
    specks_per_cm2: Mapping[str, float]


def tissue(hu: NDArray, name: str) -> NDArray[np.bool_]:
    """Voxels of "air", "fluid", "bone" or "dense bone" by HU."""
    low, high = REGIONS_HU[name]
    return (hu >= low) & (hu <= high)


def dice(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Overlap 2|A∩B| / (|A| + |B|); NaN where both are empty (Dice 1945)."""
    total = int(first.sum()) + int(second.sum())
    return 2 * int((first & second).sum()) / total if total else float("nan")


def homogeneous(truth: NDArray, name: str, spacing_mm: float) -> NDArray[np.bool_]:
    """Where the truth is one tissue and flat, for MARGIN_MM around, slice by slice.

    `truth` is HU (k, j, i); `spacing_mm` is in the plane. The border of the image counts as inside.
    Flat means that the truth's own SD over that margin is below FLAT_SD_HU.
    """
    inside = tissue(truth, name)
    sigma = (0, MARGIN_MM / spacing_mm, MARGIN_MM / spacing_mm)
    mean = ndimage.gaussian_filter(truth.astype(np.float64), sigma)
    spread = ndimage.gaussian_filter(truth.astype(np.float64) ** 2, sigma) - mean**2
    distance = [
        ndimage.distance_transform_edt(plane) if not plane.all() else np.full(plane.shape, np.inf)
        for plane in inside & (spread < FLAT_SD_HU**2)
    ]
    return np.stack(distance) * spacing_mm > MARGIN_MM


def specks(image: NDArray, region: NDArray, name: str, spacing_mm: float) -> int:
    """Invented specks: connected components of another tissue inside a homogeneous region.

    Components (8-connected, slice by slice, HU (k, j, i)) of at least SPECK_MM2 whose voxels all
    belong, by HU, to another tissue than the region's.
    """
    other = np.zeros(image.shape, bool)
    for candidate in TISSUES_HU:
        if candidate not in name:  # dense bone is bone
            other |= tissue(image, candidate)
    other &= region
    count = 0
    for plane in other:
        labels, found = ndimage.label(plane, np.ones((3, 3)))
        if found:
            areas = np.bincount(labels.ravel())[1:] * spacing_mm**2
            count += int((areas >= SPECK_MM2).sum())
    return count


def fidelity(image: NDArray, truth: NDArray, spacing_mm: float) -> Fidelity:
    """Compare an image with the truth on the same grid.

    Parameters
    ----------
    image, truth : HU, (k, j, i), same shape.
    spacing_mm : in-plane voxel size.

    Returns
    -------
    PSNR (infinite for equal images) and SSIM (mean over slices; Wang et al. 2004) over
    DATA_RANGE_HU, Dice of each tissue, and, in homogeneous regions, the noise (HU) and the specks
    per cm². Noise is the SD of image minus truth after its regional mean is taken off.
    """
    image, truth = image.astype(np.float32), truth.astype(np.float32)
    noise, invented = {}, {}
    for name in REGIONS_HU:
        region = homogeneous(truth, name, spacing_mm)
        area_cm2 = float(region.sum()) * spacing_mm**2 / 100
        noise[name] = _noise_sd(image - truth, region, spacing_mm)
        invented[name] = (
            specks(image, region, name, spacing_mm) / area_cm2 if area_cm2 else float("nan")
        )
    with np.errstate(divide="ignore"):
        psnr = float(peak_signal_noise_ratio(truth, image, data_range=DATA_RANGE_HU))
    return Fidelity(
        psnr=psnr,
        ssim=float(
            np.mean(
                [
                    structural_similarity(t, i, data_range=DATA_RANGE_HU)
                    for t, i in zip(truth, image, strict=True)
                ]
            )
        ),
        dice={name: dice(tissue(image, name), tissue(truth, name)) for name in TISSUES_HU},
        noise_sd_hu=noise,
        specks_per_cm2=invented,
    )


def _noise_sd(difference: NDArray, region: NDArray, spacing_mm: float) -> float:
    """SD inside a region about the mean of the region's own voxels within about a millimetre."""
    if not region.any():
        return float("nan")
    sigma = (0, 1 / spacing_mm, 1 / spacing_mm)
    weight = ndimage.gaussian_filter(region.astype(np.float32), sigma)
    total = ndimage.gaussian_filter(np.where(region, difference, 0).astype(np.float32), sigma)
    return float((difference[region] - total[region] / weight[region]).std())
