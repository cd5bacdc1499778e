"""Measures on held-out phantoms what seeds alone reach, and the segments grown from them.

The middle slices of each clinical scan are super-resolved; Otsu's thresholds, the seeds and
Slicer's grow-cut follow as in the module's panel. In the truth every voxel belongs to the tissue
whose HU is nearest: air below -350 HU, bone from 500 HU on, fluid between. It needs the packages
of the tests, in which Slicer's grow-cut comes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "Testing" / "Slicer"))

import host  # noqa: E402

host.start(testing=True)
host.loadModule(REPOSITORY / "MicroCTSR" / "MicroCTSR.py")

from microctsr_core import load_model, superresolve  # noqa: E402
from microctsr_core.evaluation.fidelity import dice  # noqa: E402
from microctsr_core.phantom import SCALE, make_case  # noqa: E402
from microctsr_core.preparation import resample_cubic  # noqa: E402
from microctsr_core.trust import LABELS, Thresholds, otsu_thresholds, seed_labels  # noqa: E402
from MicroCTSRLib.Segmentation import growCut  # noqa: E402

HELD_OUT_SEED = 90_001
NEAREST = Thresholds(air_hu=-350.0, bone_hu=500.0, uncertainty_hu=np.inf)


def by_value(hu: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Labels of all voxels by their HU alone."""
    labels = np.full(hu.shape, LABELS["fluid"], np.uint8)
    labels[hu < thresholds.air_hu] = LABELS["air"]
    labels[hu >= thresholds.bone_hu] = LABELS["bone"]
    return labels


def measure(number: int, spacing_mm: float, model: object, samples: int) -> dict[str, np.ndarray]:
    """Truth, and what each way makes of one pair."""
    case = make_case(HELD_OUT_SEED, number, spacing_mm, shape=(8, 48, 48))
    box = ((2, 5), (0, 48), (0, 48))
    result = superresolve(case.low, model, box=box, samples=samples, seed=0)
    planes = [SCALE * k + SCALE // 2 for k in range(*box[0])]
    truth = np.stack([case.truth.array[k - 1 : k + 1].mean(0) for k in planes])
    cubic = resample_cubic(case.low.array[box[0][0] : box[0][1]], (1, SCALE, SCALE))
    mean, uncertainty = result.mean.array, result.uncertainty.array
    thresholds = otsu_thresholds(mean, uncertainty)
    seeds = seed_labels(mean, uncertainty, thresholds)
    return {
        "truth": by_value(truth, NEAREST),
        "CT, cubic, by value": by_value(cubic, NEAREST),
        "SR by value": by_value(mean, thresholds),
        "seeds": seeds,
        "grown": growCut(mean, seeds),
    }


def share_of(pairs: list[dict[str, np.ndarray]], one: str, other: str, label: int) -> float:
    """What share of the voxels that have a label in one array have it in the other, too."""
    both = sum(np.sum((pair[one] == label) & (pair[other] == label)) for pair in pairs)
    return float(both / sum(np.sum(pair[one] == label) for pair in pairs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=4, help="pairs per voxel size")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model, console, answer = load_model(), Console(), {}
    for spacing_mm in options.spacings:
        pairs = []
        for number in range(options.pairs):
            pairs.append(measure(number, spacing_mm, model, options.samples))
            console.print(f"{spacing_mm} mm, pair {number + 1} of {options.pairs}", style="dim")
        table = Table(title=f"Dice on {options.pairs} held-out phantom pairs at {spacing_mm} mm")
        for heading in ("", *LABELS):
            table.add_column(heading, justify="left" if not heading else "right")
        answer[str(spacing_mm)] = rows = {}
        for way in [way for way in pairs[0] if way != "truth"]:
            rows[way] = {
                name: float(
                    np.mean([dice(pair[way] == label, pair["truth"] == label) for pair in pairs])
                )
                for name, label in LABELS.items()
            }
            table.add_row(way, *(f"{value:.3f}" for value in rows[way].values()))
        rows["purity of seeds"] = {
            name: share_of(pairs, "seeds", "truth", label) for name, label in LABELS.items()
        }
        rows["coverage of seeds"] = {
            name: share_of(pairs, "truth", "seeds", label) for name, label in LABELS.items()
        }
        for way in ("purity of seeds", "coverage of seeds"):
            table.add_row(way, *(f"{value:.3f}" for value in rows[way].values()))
        console.print(table)
    if options.json:
        options.json.write_text(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
