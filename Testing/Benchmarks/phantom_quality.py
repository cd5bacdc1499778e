"""Measures the bundled model against cubic interpolation on held-out phantoms: `make quality`.

Every pair is drawn from a seed that training never used. The middle slices of each clinical scan
are super-resolved in the plane and compared with the noise-free truth in the same planes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from microctsr_core import load_model, superresolve
from microctsr_core.evaluation import Fidelity, fidelity
from microctsr_core.phantom import SCALE, make_case
from microctsr_core.preparation import resample_cubic

HELD_OUT_SEED = 90_001
MEASURES = {
    "PSNR dB": lambda f: f.psnr,
    "SSIM": lambda f: f.ssim,
    "Dice fluid": lambda f: f.dice["fluid"],
    "Dice air": lambda f: f.dice["air"],
    "Dice bone": lambda f: f.dice["bone"],
    "noise dense bone HU": lambda f: f.noise_sd_hu["dense bone"],
    "noise bone HU": lambda f: f.noise_sd_hu["bone"],
    "noise fluid HU": lambda f: f.noise_sd_hu["fluid"],
    "noise air HU": lambda f: f.noise_sd_hu["air"],
    "specks dense bone /cm²": lambda f: f.specks_per_cm2["dense bone"],
    "specks bone /cm²": lambda f: f.specks_per_cm2["bone"],
    "specks fluid /cm²": lambda f: f.specks_per_cm2["fluid"],
    "specks air /cm²": lambda f: f.specks_per_cm2["air"],
}


def measure(
    number: int, spacing_mm: float, model: object, samples: int | str, seed: int
) -> tuple[Fidelity, Fidelity]:
    """Fidelity of cubic interpolation and of the model on one pair."""
    case = make_case(seed, number, spacing_mm, shape=(8, 48, 48))
    box = ((2, 5), (0, 48), (0, 48))
    result = superresolve(case.low, model, box=box, samples=samples, seed=0)
    # A slice's centre lies between two planes of the fine grid.
    planes = [SCALE * k + SCALE // 2 for k in range(*box[0])]
    truth = np.stack([case.truth.array[k - 1 : k + 1].mean(0) for k in planes])
    cubic = resample_cubic(case.low.array[box[0][0] : box[0][1]], (1, SCALE, SCALE))
    fine_mm = spacing_mm / SCALE
    return fidelity(cubic, truth, fine_mm), fidelity(result.mean.array, truth, fine_mm)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=8, help="pairs per voxel size")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--samples", default="16")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--model", default="ear")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model = load_model(options.model)
    samples = options.samples if options.samples == "auto" else int(options.samples)
    console, answer = Console(), {}
    for spacing_mm in options.spacings:
        pairs = []
        for number in range(options.pairs):
            pairs.append(measure(number, spacing_mm, model, samples, options.seed))
            console.print(f"{spacing_mm} mm, pair {number + 1} of {options.pairs}", style="dim")
        table = Table(title=f"{options.pairs} held-out phantom pairs at {spacing_mm} mm")
        for heading in ("", "cubic", options.model, "difference", "better on"):
            table.add_column(heading, justify="left" if not heading else "right")
        answer[str(spacing_mm)] = rows = {}
        for name, value in MEASURES.items():
            cubic, ours = (np.array([value(pair[n]) for pair in pairs]) for n in (0, 1))
            higher_is_better = name.startswith(("PSNR", "SSIM", "Dice"))
            better = (ours > cubic) if higher_is_better else (ours <= cubic)
            known = np.isfinite(cubic) & np.isfinite(ours)
            means = [float(values[known].mean()) for values in (cubic, ours)]
            rows[name] = {
                "cubic": means[0],
                "model": means[1],
                "better": int(better[known].sum()),
                "pairs": int(known.sum()),
            }
            table.add_row(
                name,
                f"{means[0]:.3f}",
                f"{means[1]:.3f}",
                f"{means[1] - means[0]:+.3f}",
                f"{better[known].sum()} of {known.sum()}",
            )
        console.print(table)
    if options.json:
        options.json.write_text(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
