"""Asks whether a model's uncertainty is honest, on held-out phantom pairs of unseen scanners.

Pairs are those of held_out, kept in its folder; the middle slices are super-resolved in the plane.
A scale for the uncertainty is learned on pairs of another seed, which neither training nor the
judgement sees. Everything is told for the standard deviation of the passes as it is ("before") and
for that times the scale ("after").
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from held_out import BOX, FOLDER, HELD_OUT_SEED, SLICES, Pair
from held_out import pair as make_pair
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from uncertainty_picture import draw

from microctsr_core import load_model, superresolve
from microctsr_core.evaluation import (
    Honesty,
    fitted_scale,
    gradient_magnitude,
    honesty,
    rank_correlation,
    sparsify,
    tissue,
)
from microctsr_core.evaluation.fidelity import TISSUES_HU
from microctsr_core.phantom import SCALE
from microctsr_core.preparation import resample_cubic

VALIDATION_SEED = 3000
# Half-way between the tissues' limits lie walls; an error within so much of one is a wall's.
NEAREST_HU = (-350.0, 500.0)
WALL_MM = 0.2
SMOOTH_GRADIENT = "rank correlation of the smoothed scan's gradient"
MEASURES = {
    "AUSE": lambda h: h.ause,
    "rank correlation": lambda h: h.rank_correlation,
    "rank correlation of the scan's gradient": lambda h: h.gradient_rank_correlation,
    "coverage of 1 SD": lambda h: h.coverage[1],
    "coverage of 2 SD": lambda h: h.coverage[2],
    "coverage of 3 SD": lambda h: h.coverage[3],
    "calibration error HU": lambda h: h.calibration.error_hu,
    "Dice of bone, best threshold": lambda h: h.bone_best.dice,
    "Dice of bone, Otsu": lambda h: h.bone_otsu.dice,
    "Dice of bone, all called bone": lambda h: h.bone_everywhere,
}


@dataclass(frozen=True)
class Seen:
    """A pair as the model sees it, HU (slices, j, i); deviation is the passes' own SD."""

    mean: np.ndarray
    deviation: np.ndarray
    truth: np.ndarray
    gradient: np.ndarray
    smooth_gradient: np.ndarray
    spacing_mm: float

    @property
    def error(self) -> np.ndarray:
        return np.abs(self.mean - self.truth)

    def judged(self, scale: float) -> Honesty:
        return honesty(self.mean, scale * self.deviation, self.truth, self.gradient)

    def covered(self, name: str, scale: float) -> float:
        """Share of a tissue's voxels whose error is within the scaled deviation."""
        inside = tissue(self.truth, name)
        within = (self.error <= scale * self.deviation)[inside]
        return float(within.mean()) if within.size else float("nan")

    def ranked(self, at_walls: bool) -> float:
        """Rank correlation of error and deviation within WALL_MM of the truth's walls, or not."""
        tissues = np.digitize(self.truth, NEAREST_HU)
        near = np.zeros(tissues.shape, bool)
        for plane, tissue_of in zip(near, tissues, strict=True):
            wall = ndimage.morphological_gradient(tissue_of, 3) > 0
            plane[:] = ndimage.distance_transform_edt(~wall) * self.spacing_mm <= WALL_MM
        chosen = near if at_walls else ~near
        return rank_correlation(self.deviation[chosen], self.error[chosen])


def seen(pair: Pair, model: object, samples: int | str) -> Seen:
    """What the model makes of the middle slices of a pair."""
    result = superresolve(pair.low, model, box=BOX, samples=samples, seed=0)
    cubic = resample_cubic(pair.low.array[slice(*SLICES)], (1, SCALE, SCALE))
    # A baseline with less noise: the scan blurred by one of its voxels.
    smooth = ndimage.gaussian_filter(cubic, (0, SCALE, SCALE))
    return Seen(
        result.mean.array,
        result.uncertainty.array / model.uncertainty_scale,
        pair.truth[slice(*SLICES)],
        gradient_magnitude(cubic, pair.fine_mm),
        gradient_magnitude(smooth, pair.fine_mm),
        pair.fine_mm,
    )


def measured(pairs: list[Seen], scale: float) -> dict[str, dict[str, object]]:
    """Of each measure: the values of all pairs, their mean and SD."""
    judged = [pair.judged(scale) for pair in pairs]
    values = {name: [of(each) for each in judged] for name, of in MEASURES.items()}
    for name in TISSUES_HU:
        values[f"coverage of 1 SD in {name}"] = [pair.covered(name, scale) for pair in pairs]
    for where, at_walls in (("at walls", True), ("elsewhere", False)):
        values[f"rank correlation {where}"] = [pair.ranked(at_walls) for pair in pairs]
    values[SMOOTH_GRADIENT] = [rank_correlation(p.smooth_gradient, p.error) for p in pairs]
    return {
        name: {"mean": float(np.nanmean(of)), "sd": float(np.nanstd(of, ddof=1)), "values": of}
        for name, of in values.items()
    }


def curves(pairs: list[Seen], scale: float) -> dict[str, np.ndarray]:
    """What the picture draws of some pairs: means of their curves."""
    before, after = ([pair.judged(factor) for pair in pairs] for factor in (1.0, scale))
    by_gradient = [sparsify(pair.error, pair.gradient).left for pair in pairs]
    return {
        "removed": after[0].sparsification.removed,
        "left": np.mean([h.sparsification.left for h in after], 0),
        "oracle": np.mean([h.sparsification.oracle for h in after], 0),
        "gradient": np.mean(by_gradient, 0),
        "actual": _rms([h.calibration.actual for h in after]),
        "before": _rms([h.calibration.predicted for h in before]),
        "after": _rms([h.calibration.predicted for h in after]),
        "coverage before": np.mean([list(h.coverage.values()) for h in before], 0),
        "coverage after": np.mean([list(h.coverage.values()) for h in after], 0),
    }


def _rms(values: list[np.ndarray]) -> np.ndarray:
    return np.sqrt(np.mean(np.square(values), 0))


def table_of(title: str, before: dict, after: dict) -> Table:
    table = Table(title=title)
    for heading in ("", "before", "after"):
        table.add_column(heading, justify="right" if heading else "left")
    for name in before:
        style = ".0f" if name.endswith("HU") else ".3f"
        cells = [f"{of[name]['mean']:{style}} ± {of[name]['sd']:{style}}" for of in (before, after)]
        table.add_row(name, cells[0], cells[1] if cells[1] != cells[0] else "the same")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="ear")
    parser.add_argument("--pairs", type=int, default=12, help="held-out pairs per voxel size")
    parser.add_argument(
        "--validation", type=int, default=4, help="pairs per voxel size to learn on"
    )
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--samples", default="16")
    parser.add_argument("--cache", type=Path, default=FOLDER)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    options = parser.parse_args()
    model, console = load_model(options.model), Console(width=100)
    samples = options.samples if options.samples == "auto" else int(options.samples)

    def all_seen(seed: int, count: int) -> dict[float, list[Seen]]:
        found: dict[float, list[Seen]] = {}
        for spacing_mm in options.spacings:
            found[spacing_mm] = []
            for number in range(count):
                pair = make_pair(options.cache, seed, number, spacing_mm)
                found[spacing_mm].append(seen(pair, model, samples))
                console.print(f"seed {seed}, {spacing_mm:g} mm, pair {number + 1}", style="dim")
        return found

    validation = all_seen(VALIDATION_SEED, options.validation)
    learned_on = [pair for pairs in validation.values() for pair in pairs]
    errors = np.concatenate([pair.error.ravel() for pair in learned_on])
    deviations = np.concatenate([pair.deviation.ravel() for pair in learned_on])
    scale = round(fitted_scale(errors, deviations), 1)
    console.print(f"Scale learned on {len(learned_on)} validation pairs: {scale:g}")
    held_out = all_seen(HELD_OUT_SEED, options.pairs)
    answer: dict[str, object] = {
        "scale": scale,
        "scales of the pairs": {
            f"{spacing_mm:g} mm": [fitted_scale(pair.error, pair.deviation) for pair in pairs]
            for spacing_mm, pairs in validation.items()
        },
    }
    for spacing_mm, pairs in held_out.items():
        before, after = measured(pairs, 1.0), measured(pairs, scale)
        console.print(table_of(f"{len(pairs)} held-out pairs at {spacing_mm:g} mm", before, after))
        answer[f"{spacing_mm:g} mm"] = {"before": before, "after": after}
    if options.json:
        options.json.write_text(json.dumps(answer, indent=2) + "\n")
    if options.picture:
        example = held_out[options.spacings[-1]][0]
        draw(
            options.picture,
            {f"{spacing:g} mm": curves(pairs, scale) for spacing, pairs in held_out.items()},
            (example.mean[1], example.error[1], scale * example.deviation[1]),
            scale,
        )


if __name__ == "__main__":
    main()
