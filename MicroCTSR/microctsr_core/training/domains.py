"""Two folders of scans become two domains to train on, prepared once and kept in a cache."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from ..errors import MicroCTSRError, WriteError
from ..preparation import HUWindow, Intensity, ZScoreUnit
from .calibration import darkest_and_brightest
from .cases import DataSettings, DomainSettings, HighCase, LowCase, Scan
from .folders import Domain, Source, find_sources
from .high_cases import make_high
from .low_cases import make_low
from .making import Made
from .regions import WHOLE, Part

__all__ = [
    "DataSettings",
    "DomainSettings",
    "Domains",
    "HighCase",
    "LowCase",
    "Scan",
    "Source",
    "prepare",
]

KINDS: dict[Domain, str] = {"low": "clinical scan", "high": "micro-CT"}
"""What a case of each domain is."""

# By how much voxel sizes of the two domains may miss each other.
_SIZE_TOLERANCE = 1.25
# Of a single case, these slices are trained on and those after them held out.
_TRAINED: Part = (0.0, 0.8)
_HELD_OUT: Part = (0.8, 1.0)


@dataclass(frozen=True)
class Domains:
    """Clinical scans and micro-CT, apart for training and validation.

    Args:
        low, high: cases to train on.
        held_out_low, held_out_high: cases to validate with.
        intensity: scaling for the model's card; a z-score is fitted in each scan, not here.
        notes: what the user should know, in plain sentences.
        voxel_size_low_mm, voxel_size_high_mm: least and greatest in the plane.
        intensity_range_hu: of the clinical scans.
    """

    low: tuple[LowCase, ...]
    high: tuple[HighCase, ...]
    held_out_low: tuple[LowCase, ...]
    held_out_high: tuple[HighCase, ...]
    intensity: Intensity
    notes: tuple[str, ...]
    voxel_size_low_mm: tuple[float, float]
    voxel_size_high_mm: tuple[float, float]
    intensity_range_hu: tuple[float, float]


def prepare(
    low: Path,
    high: Path,
    cache: Path,
    settings: DataSettings,
    seed: int,
    progress: Callable[[float, str], None] | None = None,
) -> Domains:
    """Find, check, scale and cache the cases of both folders; a second call finds them made.

    Args:
        low, high: folders of clinical scans and of micro-CT, in any mix of formats.
        cache: folder for the prepared arrays.
        settings: how the folders are read.
        seed: of the scanners drawn and of the choice of held-out cases.
        progress: called with the fraction done and the case at work.

    Raises:
        MicroCTSRError: a folder is empty or has no usable case, the voxel sizes of the domains
            contradict the scale, a case is bad and the settings are strict, or the cache cannot
            be written.
    """
    cache = Path(cache).expanduser().absolute()
    sources_low = find_sources(low, "low", settings.low.spacing)
    sources_high = find_sources(high, "high", settings.high.spacing)
    check_sizes(
        [settings.low.voxel_mm or source.pixel_mm() for source in sources_low],
        [settings.high.voxel_mm or source.pixel_mm() for source in sources_high],
        settings.scale,
    )
    told = _Progress(len(sources_low) + len(sources_high), progress)
    clinical = _made_of(
        "low",
        Path(low),
        sources_low,
        partial(make_low, cache=cache, settings=settings),
        settings,
        seed,
        told,
    )
    pooled = np.concatenate([made.quantiles for made in clinical.made])
    air, bone = (10.0 * round(hu / 10) for hu in darkest_and_brightest(pooled, str(low), "low"))
    micro = _made_of(
        "high",
        Path(high),
        sources_high,
        partial(make_high, cache=cache, settings=settings, seed=seed, classes_hu=(air, bone)),
        settings,
        seed,
        told,
    )
    if progress is not None:
        progress(1.0, f"{len(clinical.made)} clinical scans and {len(micro.made)} micro-CT")
    low_sizes = [made.case.scan.spacing[1] for made in clinical.made]
    high_sizes = [made.case.image.spacing[1] for made in micro.made]
    check_sizes(low_sizes, high_sizes, settings.scale)
    zscore = settings.intensity == "zscore_unit"
    return Domains(
        low=clinical.trained,
        high=micro.trained,
        held_out_low=clinical.held_out,
        held_out_high=micro.held_out,
        intensity=ZScoreUnit() if zscore else HUWindow(*settings.window_hu),
        notes=(*clinical.notes, *micro.notes),
        voxel_size_low_mm=(min(low_sizes), max(low_sizes)),
        voxel_size_high_mm=(min(high_sizes), max(high_sizes)),
        intensity_range_hu=(
            min(made.range_hu[0] for made in clinical.made),
            max(made.range_hu[1] for made in clinical.made),
        ),
    )


Case = TypeVar("Case", LowCase, HighCase)


class _Make(Protocol[Case]):
    def __call__(self, source: Source, *, part: Part = WHOLE) -> Made[Case]: ...


@dataclass(frozen=True)
class _Prepared(Generic[Case]):
    """One domain: every usable case, and which are trained on."""

    made: list[Made[Case]]
    trained: tuple[Case, ...]
    held_out: tuple[Case, ...]
    notes: list[str]


class _Progress:
    """Counts cases and tells of each before it is made."""

    def __init__(self, cases: int, progress: Callable[[float, str], None] | None) -> None:
        self._cases, self._progress, self._done = cases, progress, 0

    def next(self, message: str) -> None:
        if self._progress is not None:
            self._progress(self._done / self._cases, message)
        self._done += 1


def _made_of(
    domain: Domain,
    folder: Path,
    sources: list[Source],
    make: _Make[Case],
    settings: DataSettings,
    seed: int,
    told: _Progress,
) -> _Prepared[Case]:
    """Make every case of a domain, leave out bad ones, and hold some out."""
    kind = KINDS[domain]
    made: list[tuple[Source, Made[Case]]] = []
    bad: list[str] = []
    for source in sources:
        told.next(f"{kind} {source.name}")
        try:
            made.append((source, make(source)))
        except WriteError:
            raise
        except MicroCTSRError as error:
            reason = reason_against(source, error)
            if settings.strict:
                raise MicroCTSRError(reason) from error
            bad.append(reason)
    if not made:
        raise MicroCTSRError(nothing_usable(folder, domain, bad))
    notes = [f"Left out: {reason}" for reason in bad]
    if len(made) == 1:
        source, whole = made[0]
        notes += whole.notes
        if whole.slices == 1:
            notes.append(
                f"{folder} holds one {kind} of one clinical slice, {source.name}, so validation "
                f"sees what is trained on; add cases."
            )
            return _Prepared([whole], (whole.case,), (whole.case,), notes)
        notes.append(
            f"{folder} holds one {kind}, {source.name}, so its last fifth of slices is held out "
            f"and validation says little about other ears; add cases."
        )
        trained, held_out = make(source, part=_TRAINED), make(source, part=_HELD_OUT)
        return _Prepared([whole], (trained.case,), (held_out.case,), notes)
    notes += [note for _, case in made for note in case.notes]
    kept = _held_out([source.name for source, _ in made], settings.held_out, seed)
    return _Prepared(
        [case for _, case in made],
        tuple(case.case for source, case in made if source.name not in kept),
        tuple(case.case for source, case in made if source.name in kept),
        notes,
    )


def reason_against(source: Source, error: MicroCTSRError) -> str:
    """Why a case cannot be trained on, in a sentence that names it."""
    reason = str(error)
    if str(source.path) in reason:
        return reason
    return f"{source.path} cannot be trained on: {reason}"


def nothing_usable(folder: Path, domain: Domain, bad: Sequence[str]) -> str:
    """The sentence about a folder each of whose cases is bad, with the reason against each."""
    return (
        f"{folder} holds no {KINDS[domain]} that can be used: of {len(bad)} found, each was left "
        f"out, the first because {bad[0]}"
    )


def _held_out(names: list[str], share: float, seed: int) -> set[str]:
    """Which of at least two cases to hold out, by their names alone.

    So that the same ears are held out of both domains where both come from one folder.
    """
    count = min(max(1, round(share * len(names))), len(names) - 1)
    order = sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    return set(order[:count])


def check_sizes(low: Sequence[float | None], high: Sequence[float | None], scale: int) -> None:
    """Refuse voxel sizes that contradict the scale, where all of them are known.

    Args:
        low, high: sizes in the plane, in mm, of the cases of each domain.
        scale: by which the low ones are to be larger.

    Raises:
        MicroCTSRError: names the sizes and what to set.
    """
    low_mm, high_mm = ([size for size in sizes if size] for sizes in (low, high))
    if len(low_mm) < len(low) or len(high_mm) < len(high):
        return
    least, greatest = min(low_mm) / scale, max(low_mm) / scale
    if max(high_mm) * _SIZE_TOLERANCE >= least and min(high_mm) <= greatest * _SIZE_TOLERANCE:
        return
    raise MicroCTSRError(
        f"The clinical voxels of {_range(low_mm)} mm divided by the scale {scale} are "
        f"{_range([least, greatest])} mm, but the micro-CT voxels are {_range(high_mm)} mm; set "
        f"data.high.voxel_mm: {(least + greatest) / 2:.4g} to resample the micro-CT, or "
        f"another data.scale."
    )


def _range(sizes: list[float]) -> str:
    least, greatest = f"{min(sizes):.4g}", f"{max(sizes):.4g}"
    return least if least == greatest else f"{least} to {greatest}"
