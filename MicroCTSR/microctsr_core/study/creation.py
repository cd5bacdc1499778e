"""Making a study: slices cut, windowed and stored under names that tell nothing, orders drawn."""

from __future__ import annotations

import json
import math
import os
import random
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ..errors import GeometryError, MicroCTSRError, ReadError, WriteError
from ..io.atomic import unfinished
from ..preview.planes import View, interpolate_cubic
from .case import Case
from .folder import (
    CRITERIA_FILE,
    IMAGES,
    INSTRUCTIONS_FILE,
    LINKS,
    RATINGS,
    STUDY,
    Links,
    Rater,
    ReaderStudy,
    Slice,
    open_study,
)
from .order import draw_order
from .protocol import CRITERIA, INSTRUCTIONS
from .ratings import Ratings

SLICES, REPEATED, RATERS = 10, 0.1, 3
WINDOW_HU = (-1000.0, 2400.0)
TITLE = "Reader study"

Chosen = int | Sequence[int] | Mapping[str, Sequence[int]]
"""So many slices of each case, these slices of every case, or these of each case by its name."""


def create_study(
    folder: str | os.PathLike[str],
    cases: Iterable[Case],
    *,
    slices: Chosen = SLICES,
    repeated: float = REPEATED,
    raters: int | Sequence[str] = RATERS,
    seed: int = 0,
    window_hu: tuple[float, float] = WINDOW_HU,
    title: str = TITLE,
    against: str | None = None,
) -> ReaderStudy:
    """Make a study's folder. It appears whole or not at all.

    Args:
        folder: to be made; must not exist.
        cases: scans with what every method made of them; see :mod:`~.cases`.
        slices: which slices of each case are shown, evenly spread if a number is given.
        repeated: share of the trials that each rater sees twice; less in studies so short that
            there is no place for a second showing well after the first.
        raters: names, or how many.
        seed: of the orders. The same seed gives the same orders; which file shows what is never
            told by it.
        window_hu: HU shown black and white.
        title: what raters see.
        against: the method that the others are compared with; by default the last one.

    Raises:
        WriteError: the folder exists or cannot be written.
        MicroCTSRError: fewer than two methods, methods or names that do not fit, slices that a
            case does not have; and what `cases` raises.

    Example:
        >>> cases = from_folders("clinical", {"U-Net": "results/unet", "ours": "results/ours"})
        >>> study = create_study("study", cases, slices=8, raters=["Dr Li", "Dr Bai"])
    """
    folder = Path(folder).expanduser()
    names = [f"Rater {n + 1}" for n in range(raters)] if isinstance(raters, int) else list(raters)
    _check(names, repeated, window_hu)
    with _appearing(folder) as temporary:
        shown: list[Slice] = []
        methods: list[str] = []
        seen: set[str] = set()
        for case in cases:
            case.check()
            methods = methods or list(case.results)
            if set(case.results) != set(methods):
                raise MicroCTSRError(
                    f"{case.name} has results of {', '.join(case.results)}, but the cases before "
                    f"of {', '.join(methods)}; give all cases by the same methods."
                )
            if case.name in seen:
                raise MicroCTSRError(
                    f"Two cases are called {case.name!r}; give each a name of its own."
                )
            seen.add(case.name)
            shown += [
                _cut(case, k, methods, window_hu, temporary / IMAGES)
                for k in _slices_of(case, slices)
            ]
        if isinstance(slices, Mapping) and set(slices) - seen:
            raise MicroCTSRError(
                f"There is no case {sorted(set(slices) - seen)[0]!r} (there is "
                f"{', '.join(sorted(seen))}); name one of them."
            )
        if not shown:
            raise MicroCTSRError("The study would show nothing; choose at least one slice.")
        if against is not None and against not in methods:
            raise MicroCTSRError(
                f"{against!r} is none of the methods ({', '.join(methods)}); name one of them."
            )
        study = ReaderStudy(
            folder=temporary,
            id=secrets.token_hex(16),
            title=title,
            created=date.today().isoformat(),
            seed=seed,
            window_hu=window_hu,
            methods=methods,
            against=against or methods[-1],
            slices=shown,
            raters=[
                Rater(name, draw_order(len(shown), methods, repeated, _chance(seed, number)))
                for number, name in enumerate(names)
            ],
        )
        _write(study)
    return open_study(folder)


def _check(names: Sequence[str], repeated: float, window_hu: tuple[float, float]) -> None:
    if not names:
        raise MicroCTSRError("A study needs at least one rater; name one.")
    for name in names:
        if not name.strip():
            raise MicroCTSRError("A rater's name is empty; give each rater a name.")
        if names.count(name) > 1:
            raise MicroCTSRError(f"Two raters are called {name!r}; give each another name.")
    if not 0 <= repeated <= 1:
        raise MicroCTSRError(
            f"The share of trials shown twice is {repeated:g}; give one between 0 and 1."
        )
    if not (math.isfinite(window_hu[0]) and math.isfinite(window_hu[1])) or (
        window_hu[0] >= window_hu[1]
    ):
        raise MicroCTSRError(
            f"The window {window_hu[0]:g} to {window_hu[1]:g} HU runs backwards or has no end; "
            f"give the HU of black first."
        )


def _slices_of(case: Case, slices: Chosen) -> list[int]:
    there = next(iter(case.results.values())).shape[0]
    if isinstance(slices, int):
        if slices < 1:
            return []
        count = min(slices, there)
        return [int((n + 0.5) * there / count) for n in range(count)]
    wanted = slices.get(case.name, ()) if isinstance(slices, Mapping) else slices
    for k in wanted:
        if not 0 <= k < there:
            raise GeometryError(
                f"{case.name} has no slice {k}; its {there} slices are counted from 0."
            )
    return sorted(set(wanted))


def _cut(
    case: Case, k: int, methods: Sequence[str], window_hu: tuple[float, float], folder: Path
) -> Slice:
    """Write the images of a slice, in no order that would tell anything."""
    grid = case.results[methods[0]]
    view = View.of(grid)
    planes = {method: np.asarray(case.results[method].array[k], np.float32) for method in methods}
    for method, plane in planes.items():
        if not np.isfinite(plane).all():
            raise ReadError(
                f"{case.name}: slice {k} of {method} has values that are no numbers; give a "
                f"result without them."
            )
    files: dict[str | None, str] = {name: _name() for name in (None, *methods)}
    everything: list[tuple[str | None, NDArray]] = [
        (None, interpolate_cubic(case.scan, grid, k)),
        *planes.items(),
    ]
    secrets.SystemRandom().shuffle(everything)
    for shown, plane in everything:
        _write_bytes(folder / files[shown], encode(view.lay(plane), window_hu))
    height, width = grid.shape[1:]
    _, high_mm, wide_mm = grid.spacing
    images = {method: files[method] for method in methods}
    return Slice(case.name, k, width, height, (wide_mm, high_mm), files[None], images)


def _name() -> str:
    return f"{secrets.token_hex(16)}.png"


def encode(plane: NDArray, window_hu: tuple[float, float]) -> bytes:
    """A slice as a PNG of 8-bit grey that is stored and not compressed.

    Compressed, a noisy image would be larger than a smooth one, and its length would tell the
    method; stored, the length depends on the number of pixels alone. Nothing but the pixels is in
    the file.
    """
    black, white = window_hu
    grey = np.clip((plane - black) / (white - black), 0, 1) * 255
    done, data = cv2.imencode(".png", np.rint(grey).astype(np.uint8), _STORED)
    assert done
    return data.tobytes()


_STORED = [cv2.IMWRITE_PNG_COMPRESSION, 0]


def _chance(seed: int, rater: int) -> random.Random:
    return random.Random(f"{seed}, rater {rater}")


def _write(study: ReaderStudy) -> None:
    folder = study.folder
    entries: dict[str, Any] = asdict(study)
    del entries["folder"]
    _write_json(folder / STUDY, {"format": entries.pop("format"), **entries})
    links = Links(secrets.token_urlsafe(18), [secrets.token_urlsafe(18) for _ in study.raters])
    _write_json(folder / LINKS, asdict(links))
    _write_bytes(folder / INSTRUCTIONS_FILE, INSTRUCTIONS.encode())
    _write_bytes(folder / CRITERIA_FILE, CRITERIA.encode())
    Ratings(folder / RATINGS, study.id).create()
    for secret in (STUDY, LINKS, RATINGS):
        (folder / secret).chmod(0o600)  # the key to the methods, and to the raters' pages


def _write_json(path: Path, entries: Mapping[str, Any]) -> None:
    _write_bytes(path, (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode())


def _write_bytes(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """Lend a folder under another name, which gets its own when the block ends well."""
    if os.path.lexists(folder):
        raise WriteError(f"{folder} exists already; give the study another folder.")
    temporary = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    try:
        with unfinished(temporary):
            temporary.mkdir(parents=True)
            yield temporary
            temporary.rename(folder)
    except OSError as error:
        raise WriteError(
            f"{folder} cannot be written ({error.strerror or error}); choose another folder."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
