"""What two folders hold, before a run is begun with them: every case, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import MicroCTSRError
from ..io import check_image
from ..preparation import in_plane_mm
from ..volume import Triple, Volume
from .cases import DataSettings
from .domains import KINDS, check_sizes, nothing_usable, reason_against
from .folders import Domain, Source, find_sources
from .high_cases import check_high
from .low_cases import check_low

_CHECKS: dict[Domain, Callable[[Source, Volume, DataSettings], None]] = {
    "low": check_low,
    "high": check_high,
}


@dataclass(frozen=True)
class Found:
    """A case as it lies in its folder.

    Args:
        name: path within the folder.
        kind: ``"volume"``, ``"tiff"`` or ``"dicom"``.
        shape: voxels (k, j, i); None where it could not be read.
        spacing_mm: their size (k, j, i); None where it could not be read.
        problem: why it will be left out, one sentence; None where it can be trained on.
    """

    name: str
    kind: str
    shape: tuple[int, int, int] | None = None
    spacing_mm: Triple | None = None
    problem: str | None = None


@dataclass(frozen=True)
class Folder:
    """One domain's folder.

    Args:
        path: of the folder.
        cases: in the order of their names.
        problem: why no run can use it, one sentence; None where one can.
    """

    path: Path
    cases: tuple[Found, ...]
    problem: str | None


@dataclass(frozen=True)
class Survey:
    """Both folders.

    Args:
        low, high: of clinical CT and of micro-CT.
        problem: why no run can use them, one sentence; None where one can.
    """

    low: Folder
    high: Folder
    problem: str | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""

        def plain(folder: Folder) -> dict[str, Any]:
            cases = [vars(case) for case in folder.cases]
            return {"folder": str(folder.path), "cases": cases, "problem": folder.problem}

        return {"low": plain(self.low), "high": plain(self.high), "problem": self.problem}


def survey(
    low: Path,
    high: Path,
    settings: DataSettings | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> Survey:
    """Look at every case of both folders as a run would; nothing is written.

    What only the preparation finds out, such as a region of interest smaller than a patch, is told
    by the run.

    Args:
        low, high: folders of clinical CT and of micro-CT.
        settings: how a run would read them.
        progress: called with the fraction done and a message.
    """
    settings = settings or DataSettings()
    told = progress or (lambda _fraction, _message: None)
    told(0.0, "Looking for cases")
    places = {"low": Path(low).expanduser(), "high": Path(high).expanduser()}
    folders: dict[Domain, Folder] = {}
    sizes: dict[Domain, list[float]] = {}
    for number, domain in enumerate(_CHECKS):
        path = places[domain]
        try:
            sources = find_sources(path, domain, getattr(settings, domain).spacing)
        except MicroCTSRError as error:
            folders[domain], sizes[domain] = Folder(path, (), str(error)), []
            continue
        cases = []
        for done, source in enumerate(sources):
            told((number + done / len(sources)) / 2, f"{KINDS[domain]} {source.name}")
            cases.append(_found(source, domain, settings))
        bad = [case.problem for case in cases if case.problem is not None]
        problem = nothing_usable(path, domain, bad) if len(bad) == len(cases) else None
        folders[domain] = Folder(path, tuple(cases), problem)
        sizes[domain] = [
            getattr(settings, domain).voxel_mm or in_plane_mm(case.spacing_mm)
            for case in cases
            if case.problem is None and case.spacing_mm is not None
        ]
    told(1.0, "Looked at every case")
    problem = folders["low"].problem or folders["high"].problem
    if problem is None:
        try:
            check_sizes(sizes["low"], sizes["high"], settings.scale)
        except MicroCTSRError as error:
            problem = str(error)
    return Survey(folders["low"], folders["high"], problem)


def _found(source: Source, domain: Domain, settings: DataSettings) -> Found:
    """A case, read whole: a file that is cut short says so only at its end."""
    found = Found(source.name, source.kind)
    try:
        volume = source.read()
        found = Found(source.name, source.kind, _plain(volume.shape), _plain(volume.spacing))
        check_image(volume, str(source.path))
        _CHECKS[domain](source, volume, settings)
    except MicroCTSRError as error:
        problem = reason_against(source, error)
        return Found(found.name, found.kind, found.shape, found.spacing_mm, problem)
    return found


def _plain(values: Any) -> Any:
    """Numbers as JSON writes them."""
    return tuple(value.item() if hasattr(value, "item") else value for value in values)
