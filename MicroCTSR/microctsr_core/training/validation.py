"""Validation: held-out scans super-resolved as a user would, judged, and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from ..evaluation import fidelity
from ..evaluation.hu_moments import hu_distances, hu_moments
from ..io import read_volume
from ..io.writing import to_itk
from ..model import Model
from ..preparation import whole_box
from ..preview import write_preview
from ..superresolution import Result, superresolve
from ..volume import Box, Volume
from .config import ValidationSettings
from .domains import Domains, HighCase
from .folders import Source, find_sources

_REFERENCES = 64
"""Slices of held-out micro-CT that m-HuM looks for its nearest in."""


@dataclass(frozen=True)
class Validated:
    """What one round of validation found.

    Args:
        measures: means over cases: ``m_hum`` always; ``psnr``, ``ssim``, ``dice_fluid``,
            ``dice_air`` and ``dice_bone`` where a truth is known.
        pictures: of each case.
    """

    measures: dict[str, float]
    pictures: list[Path]

    @property
    def score(self) -> float:
        """Higher is better: PSNR where a truth is known, else m-HuM with its sign turned."""
        return self.measures.get("psnr", -self.measures["m_hum"])


class Validation:
    """Held-out scans and micro-CT of a run.

    Args:
        domains: of the run.
        settings: how much of them is looked at.
    """

    def __init__(self, domains: Domains, settings: ValidationSettings) -> None:
        self._cases: list[tuple[Source, Box | None]]
        if settings.folder is None:
            self._cases = [(case.source, case.box) for case in domains.held_out_low]
        else:
            self._cases = [(source, None) for source in find_sources(Path(settings.folder), "low")]
        self._cases = self._cases[: settings.cases]
        self._settings = settings
        self._references = _moments(domains.held_out_high)

    def run(self, model: Model, folder: Path, name: str) -> Validated:
        """Super-resolve the middle of every case; pictures go to ``folder/name-case.png``."""
        found: list[dict[str, float]] = []
        pictures = []
        for number, (source, part) in enumerate(self._cases):
            scan = source.read()
            box = self._box(part or whole_box(scan.shape))
            result = superresolve(scan, model, box, self._settings.samples)
            distances = hu_distances(hu_moments(result.mean.array), self._references)
            measures = {"m_hum": float(distances.min(axis=1).mean())}
            if source.truth is not None:
                measures |= _against(read_volume(source.truth), result)
            found.append(measures)
            picture = folder / f"{name}-{number}.png"
            write_preview(picture, scan, result, len(result.mean.array) // 2)
            pictures.append(picture)
        names = list(dict.fromkeys(name for measures in found for name in measures))
        means = {
            name: float(np.nanmean([each[name] for each in found if name in each]))
            for name in names
        }
        return Validated(means, pictures)

    def _box(self, part: Box) -> Box:
        """Some slices of a part of a scan, and a square around their middle."""
        lengths = (self._settings.slices, self._settings.edge, self._settings.edge)
        spans = []
        for (start, stop), wanted in zip(part, lengths, strict=True):
            length = min(wanted, stop - start)
            begin = start + (stop - start - length) // 2
            spans.append((begin, begin + length))
        return (spans[0], spans[1], spans[2])


def _against(truth: Volume, result: Result) -> dict[str, float]:
    """Fidelity to a truth, linearly interpolated on the result's grid."""
    image = sitk.Resample(
        sitk.Cast(to_itk(truth), sitk.sitkFloat32), to_itk(result.mean), sitk.Transform(),
        sitk.sitkLinear, -1000.0,
    )  # fmt: skip
    found = fidelity(result.mean.array, sitk.GetArrayFromImage(image), result.mean.spacing[1])
    dice = {f"dice_{name}": value for name, value in found.dice.items()}
    return {"psnr": found.psnr, "ssim": found.ssim, **dice}


def _moments(cases: Sequence[HighCase]) -> NDArray[np.float64]:
    """Hu moments of slices spread evenly over held-out micro-CT."""
    every = max(1, sum(len(case.image.array) for case in cases) // _REFERENCES)
    planes = [
        (case.image.intensity, case.image.array[plane])
        for case in cases
        for plane in range(0, len(case.image.array), every)
    ]
    return np.concatenate([hu_moments(scaling.inverse(plane)[None]) for scaling, plane in planes])
