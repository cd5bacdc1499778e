"""Phantom cases on disk: truth, labels, and what the two scanners saw of the same ear."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from scipy.spatial.transform import Rotation

from ..errors import MicroCTSRError
from ..io import write_volume
from ..volume import Volume
from .anatomy import Ear
from .render import REGIONS, View, render
from .scanners import SCALE, ClinicalCT, ClinicalScanner, MicroScanner
from .tissue import LABELS

SPACING_RANGE_MM = (0.15, 0.35)
"""Voxel sizes of the clinical scanner, from cone-beam CT to bone-kernel CT."""

Domain: TypeAlias = Literal["both", "low", "high"]

ALL_REGIONS = "all"
"""Cases in turn look at every region, at the inner ear's most often."""

_TURN_OF_REGIONS = (
    "inner ear",
    "cochlea",
    "canals",
    "middle ear",
    "inner ear",
    "mastoid",
    "apex",
    "cochlea",
)

# Low voxels rendered around the field of view, for the point spread to draw from.
_MARGIN = 4


@dataclass(frozen=True)
class Case:
    """One phantom ear: volumes in one frame of reference, and how they were made.

    What a single domain does not need is None.
    """

    truth: Volume | None
    labels: Volume | None
    high: Volume | None
    low: Volume | None
    description: dict[str, Any]

    def volumes(self) -> dict[str, Volume]:
        """The volumes there are, by name."""
        found = {name: getattr(self, name) for name in ("truth", "labels", "high", "low")}
        return {name: volume for name, volume in found.items() if volume is not None}


def make_case(
    seed: int,
    number: int,
    spacing_mm: float | None = None,
    shape: tuple[int, int, int] = (16, 64, 64),
    region: str = "inner ear",
    turn_specimen: bool = False,
    scanner: ClinicalCT | None = None,
    domain: Domain = "both",
    thick: bool = False,
) -> Case:
    """Draw case `number` of `seed`.

    The ear, its place, both scanners and their noise do not depend on `domain`: a domain by itself
    shows what it shows in both.

    Args:
        spacing_mm: voxel size of `low`, isotropic; drawn from SPACING_RANGE_MM when None. The high
            grid is eight times finer.
        shape: the field of view (k, j, i) in cubes of `spacing_mm`: the voxels of `low`, unless
            `thick`.
        region: what the view is centred on, a name of REGIONS.
        turn_specimen: the micro-CT's grid lies at a random angle in the common frame, as real
            specimens do.
        scanner: the clinical scanner, such as an `UnseenScanner`; one as training draws them when
            None. The ear, its place and its micro-CT do not depend on it.
        domain: "low" makes `low` alone, of a coarser truth; "high" makes `high` and `truth`
            without labels.
        thick: `low` has slices 1.5 to 2.5 times as thick as its voxels are wide, as multidetector
            CT has.

    Raises:
        MicroCTSRError: the voxel size, the region or, for thick slices, the shape cannot be.
    """
    g = np.random.default_rng([seed, number])
    spacing = float(g.uniform(*SPACING_RANGE_MM)) if spacing_mm is None else float(spacing_mm)
    if not 0.05 <= spacing <= 1.0:
        raise MicroCTSRError(
            f"The voxel size {spacing:g} mm is outside 0.05 to 1.0 mm; give --spacing in "
            "millimetres."
        )
    if region not in REGIONS:
        raise MicroCTSRError(f"There is no region {region!r}; choose one of {', '.join(REGIONS)}.")
    if thick and shape[0] < 3:
        raise MicroCTSRError(
            f"A field of view {shape[0]} voxels high holds no thick slice; give a --shape of 3 or "
            "more voxels there."
        )
    ear = Ear(int(g.integers(2**31)))
    view = View.draw(g, region)
    drawn = ClinicalScanner.draw(g, spacing, thick)
    if drawn.slice_mm is not None:
        # Of half voxels, which every domain's truth can be divided into.
        drawn = replace(drawn, slice_mm=round(2 * drawn.slice_mm / spacing) / 2 * spacing)
    clinical = drawn if scanner is None else scanner
    micro = MicroScanner.draw(g)
    turned = Rotation.random(rng=g).as_matrix() if turn_specimen else None
    low = truth = labels = high = None
    if domain == "low":
        # Blurred to low voxels, a truth at twice the high voxel size shows the same.
        wide, _ = render(ear, view, _scaled(shape, SCALE // 2, _MARGIN), 2 * spacing / SCALE)
    elif domain == "high":
        truth, _ = render(ear, view, _scaled(shape, SCALE, 0), spacing / SCALE)
    else:
        wide, wide_labels = render(ear, view, _scaled(shape, SCALE, _MARGIN), spacing / SCALE)
        cut = _MARGIN * SCALE
        k, j, i = wide.shape
        box = ((cut, k - cut), (cut, j - cut), (cut, i - cut))
        truth, labels = wide.crop(box), wide_labels.crop(box)
    if domain != "high":
        low = clinical.image(wide, spacing, _MARGIN, np.random.default_rng([seed, number, 1]))
    if truth is not None:
        specimen = truth
        if turned is not None:
            specimen, _ = render(ear, view, truth.shape, spacing / SCALE, turned)
        high = micro.image(specimen, np.random.default_rng([seed, number, 2]))
    description = {
        "seed": seed,
        "case": number,
        "side": "left" if ear.left else "right",
        "region": region,
        "domain": domain,
        "spacing_low_mm": None if low is None else list(low.spacing),
        "spacing_high_mm": None if high is None else list(high.spacing),
        "labels": LABELS,
        "tissue_hu": {"air": [None, -500], "fluid": [-200, 300], "bone": [700, None]},
        "clinical_scanner": clinical.parameters(),
        "micro_scanner": micro.parameters(),
    }
    return Case(truth, labels if domain == "both" else None, high, low, description)


def write_cases(
    output: Path | str,
    cases: int,
    seed: int,
    spacing_mm: float | None = None,
    shape: tuple[int, int, int] = (16, 64, 64),
    turn_specimen: bool = False,
    overwrite: bool = False,
    progress: Callable[[float, str], None] | None = None,
    domain: Domain = "both",
    region: str = "inner ear",
    thick_share: float = 0.0,
    workers: int = 1,
) -> list[Path]:
    """Write case_000, case_001, … each with truth, high, low and labels (.nrrd) and case.json.

    With `domain` "low" or "high" a case is that volume and case.json. `region` "all" goes through
    the regions; `thick_share` of the cases, evenly spread, are thick-sliced. With more than one
    of `workers`, as many processes of one thread each make the cases, and the same ones.

    A case folder appears when it is complete. Raises MicroCTSRError where one exists already and
    `overwrite` is False.
    """
    output = Path(output)
    if region not in (ALL_REGIONS, *REGIONS):
        raise MicroCTSRError(
            f"There is no region {region!r}; choose one of {', '.join(REGIONS)}, or {ALL_REGIONS}."
        )
    folders = [output / f"case_{number:03d}" for number in range(cases)]
    for folder in folders:
        if os.path.exists(folder) and not overwrite:
            raise MicroCTSRError(
                f"{folder} exists already; choose another folder or pass --overwrite."
            )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MicroCTSRError(f"The folder {output} can't be made: {error.strerror}.") from error
    turn = _TURN_OF_REGIONS if region == ALL_REGIONS else (region,)
    jobs: list[dict[str, Any]] = [
        {
            "seed": seed,
            "number": number,
            "spacing_mm": spacing_mm,
            "shape": shape,
            "region": turn[number % len(turn)],
            "turn_specimen": turn_specimen,
            "domain": domain,
            "thick": int((number + 1) * thick_share) > int(number * thick_share),
        }
        for number in range(cases)
    ]
    with tempfile.TemporaryDirectory(prefix=".phantom-", dir=output) as scratch:
        todo = [(job, Path(scratch) / f"case_{job['number']:03d}") for job in jobs]
        if progress:
            progress(0.0, _which(1, cases))
        with _mapping(min(workers, cases)) as mapped:
            for done, part in enumerate(mapped(_write, todo), start=1):
                folder = output / part.name
                if folder.exists():
                    shutil.rmtree(folder)
                part.rename(folder)
                if progress:
                    last = f"{cases} cases in {output}"
                    progress(done / cases, last if done == cases else _which(done + 1, cases))
    return folders


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[..., Any]]:
    """A `map` over so many processes, which are gone at the end of the block."""
    if workers <= 1:
        yield map
        return
    pool = multiprocessing.get_context("spawn").Pool(workers, _start_worker)

    def finished(function: Callable[[Any], Any], jobs: list[Any]) -> Iterator[Any]:
        results = pool.imap_unordered(function, jobs)
        while True:
            try:
                result = results.next(timeout=0.2)
            except multiprocessing.TimeoutError:
                continue  # a wait without end would not hear that the run is to stop
            except StopIteration:
                return
            yield result

    try:
        yield finished
    finally:
        pool.terminate()
        pool.join()


def _start_worker() -> None:
    # Ctrl-C reaches every process of a terminal; the first one ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)


def _write(job: tuple[dict[str, Any], Path]) -> Path:
    """Make one case in a folder of its own."""
    options, folder = job
    case = make_case(**options)
    folder.mkdir()
    for name, volume in case.volumes().items():
        if options["domain"] in ("both", name):
            write_volume(_compact(name, volume), folder / f"{name}.nrrd")
    text = json.dumps(case.description, indent=2) + "\n"
    (folder / "case.json").write_text(text, encoding="utf-8")
    return folder


def _which(number: int, cases: int) -> str:
    return f"case {number} of {cases}"


def _scaled(shape: tuple[int, int, int], fine: int, margin: int) -> tuple[int, int, int]:
    """Voxels of a truth that has `fine` to each low one, and a margin of low voxels around."""
    k, j, i = ((n + 2 * margin) * fine for n in shape)
    return k, j, i


def _compact(name: str, volume: Volume) -> Volume:
    """HU volumes as int16: half the disk space, a precision of half an HU."""
    if name in ("truth", "low"):
        return volume.with_array(np.rint(volume.array).astype(np.int16))
    return volume
