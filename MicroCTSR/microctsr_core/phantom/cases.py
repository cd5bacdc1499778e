"""Phantom cases on disk: truth, labels, and what the two scanners saw of the same ear."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..errors import MicroCTSRError
from ..io import write_volume
from ..volume import Volume
from .anatomy import LABELS, Ear
from .render import View, render
from .scanners import SCALE, ClinicalScanner, MicroScanner

SPACING_RANGE_MM = (0.15, 0.35)
"""Voxel sizes of the clinical scanner, from cone-beam CT to bone-kernel CT."""

# Low voxels rendered around the field of view, for the point spread to draw from.
_MARGIN = 4


@dataclass(frozen=True)
class Case:
    """One phantom ear: four volumes in one frame of reference, and how they were made."""

    truth: Volume
    labels: Volume
    high: Volume
    low: Volume
    description: dict


def make_case(
    seed: int,
    number: int,
    spacing_mm: float | None = None,
    shape: tuple[int, int, int] = (16, 64, 64),
    region: str = "inner ear",
    turn_specimen: bool = False,
    scanner: ClinicalScanner | None = None,
) -> Case:
    """Draw case `number` of `seed`.

    Parameters
    ----------
    spacing_mm : voxel size of `low`, isotropic; drawn from SPACING_RANGE_MM when None. The high
    grid is
        eight times finer.
    shape : voxels (k, j, i) of `low`.
    turn_specimen : the micro-CT's grid lies at a random angle in the common frame, as real
    specimens do.
    scanner : the clinical scanner, such as an `UnseenScanner`; one as training draws them when
    None. The ear, its place and its micro-CT do not depend on it.
    """
    g = np.random.default_rng([seed, number])
    spacing = float(g.uniform(*SPACING_RANGE_MM)) if spacing_mm is None else float(spacing_mm)
    if not 0.05 <= spacing <= 1.0:
        raise MicroCTSRError(
            f"The voxel size {spacing:g} mm is outside 0.05 to 1.0 mm; give --spacing in "
            "millimetres."
        )
    ear = Ear(int(g.integers(2**31)))
    view = View.draw(g, region)
    drawn = ClinicalScanner.draw(g, spacing)
    clinical = drawn if scanner is None else scanner
    micro = MicroScanner.draw(g)
    fine = spacing / SCALE
    k, j, i = ((n + 2 * _MARGIN) * SCALE for n in shape)
    wide, wide_labels = render(ear, view, (k, j, i), fine)
    low = clinical.image(wide, spacing, _MARGIN, g)
    cut = _MARGIN * SCALE
    box = ((cut, k - cut), (cut, j - cut), (cut, i - cut))
    truth, labels = wide.crop(box), wide_labels.crop(box)
    if turn_specimen:
        turned = Rotation.random(rng=g).as_matrix()
        specimen, _ = render(ear, view, truth.shape, fine, turned)
    else:
        specimen = truth
    description = {
        "seed": seed,
        "case": number,
        "side": "left" if ear.left else "right",
        "spacing_low_mm": list(low.spacing),
        "spacing_high_mm": list(truth.spacing),
        "labels": LABELS,
        "tissue_hu": {"air": [None, -500], "fluid": [-200, 300], "bone": [700, None]},
        "clinical_scanner": clinical.parameters(),
        "micro_scanner": micro.parameters(),
    }
    return Case(truth, labels, micro.image(specimen, g), low, description)


def write_cases(
    output: Path | str,
    cases: int,
    seed: int,
    spacing_mm: float | None = None,
    shape: tuple[int, int, int] = (16, 64, 64),
    turn_specimen: bool = False,
    overwrite: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> list[Path]:
    """Write case_000, case_001, … each with truth, high, low and labels (.nrrd) and case.json.

    A case folder appears when it is complete. Raises MicroCTSRError where one exists already and
    `overwrite` is False.
    """
    output = Path(output)
    folders = [output / f"case_{number:03d}" for number in range(cases)]
    for folder in folders:
        if folder.exists() and not overwrite:
            raise MicroCTSRError(
                f"{folder} exists already; choose another folder or pass --overwrite."
            )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MicroCTSRError(f"The folder {output} can't be made: {error.strerror}.") from error
    for number, folder in enumerate(folders):
        if progress:
            progress(number / cases, f"case {number + 1} of {cases}")
        case = make_case(seed, number, spacing_mm, shape, turn_specimen=turn_specimen)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=output) as scratch:
            part = Path(scratch) / folder.name
            part.mkdir()
            for name in ("truth", "labels", "high", "low"):
                write_volume(_compact(name, getattr(case, name)), part / f"{name}.nrrd")
            (part / "case.json").write_text(json.dumps(case.description, indent=2) + "\n")
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
    if progress:
        progress(1.0, f"{cases} cases in {output}")
    return folders


def _compact(name: str, volume: Volume) -> Volume:
    """HU volumes as int16: half the disk space, a precision of half an HU."""
    if name in ("truth", "low"):
        return volume.with_array(np.rint(volume.array).astype(np.int16))
    return volume
