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
from ..preparation import Intensity, whole_box
from ..preview import write_preview
from ..superresolution import Result, superresolve
from ..volume import Box, Triple, Volume
from .config import ValidationSettings
from .domains import Domains, HighCase, LowCase
from .folders import Source, find_sources

_REFERENCES = 64
"""Slices of held-out micro-CT that m-HuM looks for its nearest in."""


@dataclass(frozen=True)
class Validated:
    """What one round of validation found.

    Args:
        measures: means over cases: ``m_hum`` and ``consistency_rms_hu`` always; ``psnr``, ``ssim``,
            ``dice_fluid``, ``dice_air`` and ``dice_bone`` where a truth is known.
        pictures: of each case.
        warnings: what super-resolution warned of, each once.
    """

    measures: dict[str, float]
    pictures: list[Path]
    warnings: list[str]


class Validation:
    """Held-out scans and micro-CT of a run.

    Args:
        domains: of the run.
        settings: how much of them is looked at.
        spacing: (k, j, i) in mm, for files in ``settings.folder`` that do not tell theirs.
        device: where the networks run.
    """

    def __init__(
        self, domains: Domains, settings: ValidationSettings, spacing: Triple | None, device: str
    ) -> None:
        self._cases: list[LowCase | Source]
        if settings.folder is None:
            self._cases = [*domains.held_out_low]
        else:
            self._cases = [*find_sources(Path(settings.folder).expanduser(), "low", spacing)]
        self._cases = self._cases[: settings.cases]
        self._settings, self._device = settings, device
        self._references = _references(domains.held_out_high)

    def run(self, model: Model, folder: Path, name: str) -> Validated:
        """Super-resolve the middle of every case; pictures go to ``folder/name-case.png``."""
        found: list[dict[str, float]] = []
        pictures: list[Path] = []
        warnings: dict[str, None] = {}
        for number, case in enumerate(self._cases):
            scan = case.read()
            box = self._box(case.box if isinstance(case, LowCase) else whole_box(scan.shape))
            result = superresolve(scan, model, box, self._settings.samples, self._device)
            warnings |= dict.fromkeys(result.report["warnings"])
            intensity = model.intensity.fitted(scan.array)
            distances = hu_distances(_moments(intensity, result.mean.array), self._references)
            measures = {
                "m_hum": float(distances.min(axis=1).mean()),
                "consistency_rms_hu": result.report["consistency_rms_hu"],
            }
            if case.truth is not None:
                measures |= _against(read_volume(case.truth), result)
            found.append(measures)
            picture = folder / f"{name}-{number}.png"
            write_preview(picture, scan, result, len(result.mean.array) // 2)
            pictures.append(picture)
        names = list(dict.fromkeys(name for measures in found for name in measures))
        means = {
            name: float(np.nanmean([each[name] for each in found if name in each]))
            for name in names
        }
        return Validated(means, pictures, list(warnings))

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


def _references(cases: Sequence[HighCase]) -> NDArray[np.float64]:
    """Hu moments of slices spread evenly over held-out micro-CT."""
    every = max(1, sum(len(case.image.array) for case in cases) // _REFERENCES)
    return np.concatenate([_clipped(case.image.array[::every]) for case in cases])


def _moments(intensity: Intensity, hu: NDArray) -> NDArray[np.float64]:
    """Hu moments of slices in HU."""
    return _clipped(intensity.forward(hu))


def _clipped(scaled: NDArray) -> NDArray[np.float64]:
    """Hu moments of slices in [0, 1], as moments want them: HU may be negative."""
    return hu_moments(np.clip(np.asarray(scaled, np.float32), 0, 1))
