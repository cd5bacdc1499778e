"""Compares methods on held-out phantom pairs from scanners that no training saw.

Every pair is an ear of a seed apart from all training seeds, seen by an `UnseenScanner`. A pair is
a case of two files: the clinical scan, and the noise-free truth in the middle plane of each of its
slices. Of these the middle ones are compared, by `microctsr evaluate compare` and a study that is
written beside the cases. Pairs are made only once, unless the phantoms change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from microctsr_core import Volume, read_volume, write_volume
from microctsr_core.card import list_models
from microctsr_core.cli.progress import progress_on_stderr
from microctsr_core.evaluation.comparison import load_study, measure, write_report
from microctsr_core.evaluation.comparison.report import work_of
from microctsr_core.io import atomic_path
from microctsr_core.phantom import SCALE, Ear, UnseenScanner, View, make_case, render

HELD_OUT_SEED = 91_001
SHAPE = (8, 48, 48)
SLICES = (2, 5)
BOX = (SLICES, (0, 48), (0, 48))
FOLDER = Path("output/held_out")


@dataclass(frozen=True)
class Pair:
    """A clinical scan, and the truth (HU, slices, j, i) in the middle plane of each slice."""

    low: Volume
    truth: np.ndarray
    scanner: UnseenScanner

    @property
    def fine_mm(self) -> float:
        return self.low.spacing[2] / SCALE


def pair(folder: Path, seed: int, number: int, spacing_mm: float) -> Pair:
    """Pair `number`; read from `folder` where this version of the phantoms made it before."""
    scanner = UnseenScanner.draw(np.random.default_rng([seed, number, 1]), spacing_mm)
    case = cases_of(folder, seed, spacing_mm) / f"case_{number:03d}"
    note, made_by = case / "case.json", {"phantoms": phantoms_version()}
    if not note.exists() or json.loads(note.read_text(encoding="utf-8")) != made_by:
        note.unlink(missing_ok=True)
        made = make_case(seed, number, spacing_mm, SHAPE, scanner=scanner)
        # A slice's centre lies between two planes of the fine grid.
        planes = [SCALE * k + SCALE // 2 for k in range(SHAPE[0])]
        truth = np.stack([made.truth.array[k - 1 : k + 1].mean(0) for k in planes])
        write_volume(made.low, case / "low.nrrd")
        write_volume(made.low.on_refined_grid(truth, (1, SCALE, SCALE)), case / "truth.nrrd")
        with atomic_path(note) as part:  # last: it says that the case is whole
            part.write_text(json.dumps(made_by) + "\n", encoding="utf-8")
    truth = read_volume(case / "truth.nrrd").array
    return Pair(read_volume(case / "low.nrrd"), truth, scanner)


def cases_of(folder: Path, seed: int, spacing_mm: float) -> Path:
    """The folder of all pairs of a seed and a voxel size."""
    return folder / f"{spacing_mm:g}mm-seed-{seed}"


@cache
def phantoms_version() -> str:
    """Changes when phantoms do: of a small pair, and of a whole ear seen coarsely.

    The ear has an effusion. Of the two scanners one is wide, its noise coarse; one is sharp, its
    noise fine.
    """
    scanners = [UnseenScanner.draw(np.random.default_rng(seed), 0.3) for seed in (1, 2)]
    case = make_case(0, 0, 0.3, (1, 2, 2), scanner=scanners[0])
    ear, _ = render(Ear(0), View((-5.0, -2.0, -1.0)), (16, 28, 38), 1.2)
    seen = [scanner.image(ear, 2.4, 0, np.random.default_rng(0)) for scanner in scanners]
    shown = b"".join(volume.array.tobytes() for volume in (case.truth, case.low, ear, *seen))
    return hashlib.sha256(shown).hexdigest()[:12]


def write_study(
    folder: Path, seed: int, spacing_mm: float, models: Sequence[str], samples: int | str
) -> Path:
    """The study of cubic interpolation and models (NAME=DIR) on the pairs that were made."""
    methods: dict[str, object] = {"cubic": "cubic"}
    for argument in models:
        name, _, place = argument.partition("=")
        place = place or name
        known = place in list_models()
        methods[name] = {"model": place if known else os.path.relpath(place, folder)}
    study = {
        "title": f"Held-out phantoms from unseen scanners at {spacing_mm:g} mm",
        "methods": methods,
        "cases": cases_of(folder, seed, spacing_mm).name,
        "box": ",".join(f"{start}:{stop}" for start, stop in BOX),
        "samples": samples,
    }
    path = folder / f"{spacing_mm:g}mm.yaml"
    with atomic_path(path) as part:
        part.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return path


def compare(
    folder: Path,
    seed: int,
    pairs: int,
    spacings: Sequence[float],
    models: Sequence[str],
    samples: int | str,
) -> None:
    """Draw the pairs, and write a study and its report for each voxel size into the folder."""
    for spacing_mm in spacings:
        for number in range(pairs):
            pair(folder, seed, number, spacing_mm)
            print(f"{spacing_mm:g} mm, pair {number + 1} of {pairs} drawn", flush=True)
        study = write_study(folder, seed, spacing_mm, models, samples)
        report = study.with_suffix(".html")
        with progress_on_stderr() as progress:
            results = measure(load_study(study), work_of(report), progress=progress)
        for path in write_report(results, report):
            print(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", nargs="+", default=["MicroCTSR=ear"], metavar="NAME=DIR", help="ours is last"
    )
    parser.add_argument("--pairs", type=int, default=12, help="per voxel size")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--samples", default="8")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    options = parser.parse_args()
    samples = options.samples if options.samples == "auto" else int(options.samples)
    compare(options.folder, options.seed, options.pairs, options.spacings, options.models, samples)


if __name__ == "__main__":
    main()
