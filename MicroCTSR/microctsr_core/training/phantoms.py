"""Phantom scans as training domains: clinical scans of some ears, micro-CT of others."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from ..io import atomic_path
from ..phantom import SCALE, ClinicalScanner, Ear, MicroScanner, View, render
from ..phantom.cases import SPACING_RANGE_MM
from ..phantom.scanners import gaussian_blur

Shape: TypeAlias = tuple[int, int, int]

_MARGIN = 4
_REGIONS = (
    "inner ear",
    "cochlea",
    "canals",
    "middle ear",
    "inner ear",
    "mastoid",
    "apex",
    "cochlea",
)
# Micro-CT noise would be learned as if it were texture; this much smoothing (in its voxels) takes
# it out.
_DENOISING_SIGMA = 0.8


@dataclass(frozen=True)
class LowCase:
    """A clinical scan: HU (k, j, i) int16, its spacing (k, j, i) in mm, its point spread (mm)."""

    hu: np.ndarray
    spacing: tuple[float, float, float]
    psf_sigma_mm: float


@dataclass(frozen=True)
class HighCase:
    """A micro-CT in HU, int16, with clinical scans simulated from the micro-CT itself.

    The scans are free of noise, which is drawn anew for every patch. Each covers exactly the
    micro-CT's field of view; its voxels are `SCALE` times larger in
    the plane.
    """

    hu: np.ndarray
    spacing_mm: float
    scans: list[LowCase]


def low_case(seed: int) -> LowCase:
    """A clinical scan of ear `seed`; a third are thick-sliced, as multidetector CT is."""
    g = np.random.default_rng([seed, 1])
    spacing = float(g.uniform(*SPACING_RANGE_MM))
    ear, view = Ear(seed), View.draw(g, _REGIONS[seed % len(_REGIONS)])
    shape = _with_margin((24, 72, 72), SCALE // 2)
    truth, _ = render(ear, view, shape, 2 * spacing / SCALE)
    scanner = ClinicalScanner.draw(g, spacing, thick=seed % 3 == 0)
    scan = scanner.image(truth, spacing, _MARGIN, g)
    return LowCase(np.rint(scan.array).astype(np.int16), scan.spacing, scanner.psf_sigma_mm)


def high_case(seed: int, scans: int = 2) -> HighCase:
    """A micro-CT of ear `seed`, calibrated to HU and denoised, and clinical scans of it."""
    g = np.random.default_rng([seed, 2])
    spacing = float(g.uniform(*SPACING_RANGE_MM))
    ear, view = Ear(seed), View.draw(g, _REGIONS[seed % len(_REGIONS)])
    shape = _with_margin((14, 56, 56), SCALE)
    truth, _ = render(ear, view, shape, spacing / SCALE)
    micro = MicroScanner.draw(g)
    image = truth.with_array(micro.to_hu(micro.image(truth, g).array))
    simulated = []
    for number in range(scans):
        scanner = ClinicalScanner.draw(g, spacing, thick=number % 2 == 1)
        scan = scanner.image(image, spacing, _MARGIN, None)
        simulated.append(
            LowCase(np.rint(scan.array).astype(np.int16), scan.spacing, scanner.psf_sigma_mm)
        )
    cut = _MARGIN * SCALE
    clean = gaussian_blur(image.array, _DENOISING_SIGMA)[cut:-cut, cut:-cut, cut:-cut]
    return HighCase(np.rint(clean).astype(np.int16), spacing, simulated)


def prepare(
    cache: Path,
    low_seeds: range,
    high_seeds: range,
    workers: int,
    log: Callable[[str], None],
) -> tuple[list[LowCase], list[HighCase]]:
    """Make the cases that `cache` lacks, then load all of them."""
    cache.mkdir(parents=True, exist_ok=True)
    jobs = [(cache, "high", seed) for seed in high_seeds] + [
        (cache, "low", seed) for seed in low_seeds
    ]
    missing = [job for job in jobs if not _path(*job).exists()]
    if missing:
        with multiprocessing.get_context("spawn").Pool(
            workers, torch.set_num_threads, (1,)
        ) as pool:
            for number, path in enumerate(pool.imap_unordered(_make, missing), start=1):
                log(f"{path.stem} ({number} of {len(missing)})")
    return [_load_low(_path(cache, "low", seed)) for seed in low_seeds], [
        _load_high(_path(cache, "high", seed)) for seed in high_seeds
    ]


def _with_margin(low_shape: Shape, fine: int) -> Shape:
    """Shape of the truth to render, `fine` voxels to a low one, for a scan of `low_shape`."""
    k, j, i = ((n + 2 * _MARGIN) * fine for n in low_shape)
    return k, j, i


def _path(cache: Path, domain: str, seed: int) -> Path:
    return cache / f"{domain}_{seed:04d}.npz"


def _make(job: tuple[Path, str, int]) -> Path:
    cache, domain, seed = job
    path = _path(cache, domain, seed)
    if domain == "low":
        arrays: dict[str, Any] = _low_arrays(low_case(seed), "")
    else:
        case = high_case(seed)
        arrays = {"hu": case.hu, "spacing_mm": np.array(case.spacing_mm)}
        for number, scan in enumerate(case.scans):
            arrays |= _low_arrays(scan, f"scan{number}_")
    with atomic_path(path) as part:
        np.savez(part, **arrays)
    return path


def _low_arrays(case: LowCase, prefix: str) -> dict[str, Any]:
    return {
        f"{prefix}hu": case.hu,
        f"{prefix}spacing": np.array(case.spacing),
        f"{prefix}psf": np.array(case.psf_sigma_mm),
    }


def _load_low(path: Path, prefix: str = "") -> LowCase:
    with np.load(path) as arrays:
        return LowCase(
            arrays[f"{prefix}hu"],
            tuple(arrays[f"{prefix}spacing"].tolist()),
            float(arrays[f"{prefix}psf"]),
        )


def _load_high(path: Path) -> HighCase:
    with np.load(path) as arrays:
        count = sum(name.endswith("_psf") for name in arrays)
        hu, spacing = arrays["hu"], float(arrays["spacing_mm"])
    return HighCase(hu, spacing, [_load_low(path, f"scan{n}_") for n in range(count)])
