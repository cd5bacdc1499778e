"""Held-out phantom pairs from scanners that no training saw, as a folder of cases with a study.

    python Testing/Benchmarks/held_out.py --models U-Net=output/model/unet MicroCTSR=ear
    microctsr evaluate compare --study output/held_out/0.15mm.yaml --report output/0.15mm.html

Every pair is an ear of a seed apart from all training seeds, seen by an `UnseenScanner`. A case is
the clinical scan and the noise-free truth in the middle plane of each of its slices; the middle
slices are compared. Pairs are made only once, unless the phantoms change.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import numpy as np
import yaml

from microctsr_core import Volume, read_volume, write_volume
from microctsr_core.card import list_models
from microctsr_core.io import atomic_path
from microctsr_core.phantom import SCALE, Ear, UnseenScanner, View, make_case, render

HELD_OUT_SEED = 91_001
SHAPE = (8, 48, 48)
BOX = "2:5,0:48,0:48"
PAIRS = Path("output/held_out")


def pair(folder: Path, seed: int, number: int, spacing_mm: float) -> Path:
    """The folder of pair `number`, made unless this version of the phantoms made it before."""
    case = folder / f"{spacing_mm:g}mm" / f"case_{number:03d}"
    wanted = {"phantoms": phantoms_version(), "seed": seed, "spacing_mm": spacing_mm}
    note = case / "case.json"
    if note.exists() and json.loads(note.read_text(encoding="utf-8")) == wanted:
        return case
    note.unlink(missing_ok=True)
    scanner = UnseenScanner.draw(np.random.default_rng([seed, number, 1]), spacing_mm)
    made = make_case(seed, number, spacing_mm, SHAPE, scanner=scanner)
    low, fine = made.low, made.truth.array
    # A slice's centre lies between two planes of the fine grid.
    planes = [SCALE * k + SCALE // 2 for k in range(SHAPE[0])]
    truth = np.stack([fine[k - 1 : k + 1].mean(0) for k in planes])
    write_volume(low, case / "low.nrrd")
    write_volume(low.on_refined_grid(truth, (1, SCALE, SCALE)), case / "truth.nrrd")
    with atomic_path(note) as part:  # last: it says that the case is whole
        part.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
    return case


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


def write_study(folder: Path, spacing_mm: float, models: Iterable[str], samples: int | str) -> Path:
    """The study that compares cubic interpolation and models (NAME=DIR) on all pairs there are."""
    methods: dict[str, object] = {"cubic": "cubic"}
    for argument in models:
        name, _, place = argument.partition("=")
        place = place or name
        known = place in list_models()
        methods[name] = {"model": place if known else os.path.relpath(place, folder)}
    cases = f"{spacing_mm:g}mm"
    entries = {
        "title": f"Held-out phantoms from unseen scanners at {spacing_mm:g} mm",
        "methods": methods,
        "cases": cases,
        "box": BOX,
        "samples": samples,
    }
    path = folder / f"{cases}.yaml"
    with atomic_path(path) as part:
        part.write_text(yaml.safe_dump(entries, sort_keys=False), encoding="utf-8")
    return path


def scan(folder: Path, seed: int, number: int, spacing_mm: float) -> Volume:
    """The clinical scan of a pair."""
    return read_volume(pair(folder, seed, number, spacing_mm) / "low.nrrd")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models", nargs="+", default=["MicroCTSR=ear"], metavar="NAME=DIR", help="ours is last"
    )
    parser.add_argument("--pairs", type=int, default=12, help="per voxel size")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--samples", default="8")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--output", type=Path, default=PAIRS)
    options = parser.parse_args()
    samples = options.samples if options.samples == "auto" else int(options.samples)
    for spacing_mm in options.spacings:
        for number in range(options.pairs):
            print(pair(options.output, options.seed, number, spacing_mm), flush=True)
        print(write_study(options.output, spacing_mm, options.models, samples))


if __name__ == "__main__":
    main()
