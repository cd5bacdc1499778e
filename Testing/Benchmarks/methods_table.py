"""Compares methods on held-out phantom pairs from scanners that no training saw.

Every pair is an ear of a seed apart from all training seeds, seen by an `UnseenScanner`. The middle
slices are super-resolved in the plane and compared with the noise-free truth in the same planes,
and by m-HuM with slices of the truth of the other ears. P values are those of the paired Wilcoxon
test against the last model named. Pairs are kept in output/methods_table, to be made only once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.stats import wilcoxon

from microctsr_core import Volume, load_model, superresolve
from microctsr_core.evaluation import Shapes, fidelity, joined, m_hum, shapes, structures
from microctsr_core.io import atomic_path
from microctsr_core.phantom import SCALE, Ear, UnseenScanner, View, make_case, render
from microctsr_core.preparation import resample_cubic

HELD_OUT_SEED = 91_001
SHAPE = (8, 48, 48)
SLICES = (2, 5)
BOX = (SLICES, (0, 48), (0, 48))
CUBIC = "cubic"
TRUTH = "truth"
MEASURES = {
    "m-HuM": "lower",
    "Dice fluid": "higher",
    "Dice air": "higher",
    "PSNR dB": "higher",
    "SSIM": "higher",
    "invented /cm²": "lower",
    "missed /cm²": "lower",
}
FORMATS = {"m-HuM": ".4f", "Dice fluid": ".3f", "Dice air": ".3f", "SSIM": ".3f"}


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
    path = folder / f"{phantoms_version()}-{seed}-{spacing_mm:g}mm-{number:03d}.npz"
    if not path.exists():
        case = make_case(seed, number, spacing_mm, SHAPE, scanner=scanner)
        # A slice's centre lies between two planes of the fine grid.
        planes = [SCALE * k + SCALE // 2 for k in range(SHAPE[0])]
        truth = np.stack([case.truth.array[k - 1 : k + 1].mean(0) for k in planes])
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as part:
            np.savez(part, low=case.low.array, truth=truth, origin=case.low.origin)
    with np.load(path) as saved:
        low = Volume(saved["low"], (spacing_mm,) * 3, tuple(saved["origin"].tolist()))
        return Pair(low, saved["truth"], scanner)


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


def results(pair: Pair, models: dict[str, object], samples: int | str) -> dict[str, np.ndarray]:
    """HU of the middle slices by cubic interpolation and by each model."""
    images = {CUBIC: resample_cubic(pair.low.array[slice(*SLICES)], (1, SCALE, SCALE))}
    for name, model in models.items():
        result = superresolve(pair.low, model, box=BOX, samples=samples, seed=0)
        images[name] = result.mean.array
    return images


def measures(image: np.ndarray, pair: Pair, references: Shapes) -> dict[str, float]:
    """All measures of one result; `references` are of other ears."""
    truth = pair.truth[slice(*SLICES)]
    faithful = fidelity(image, truth, pair.fine_mm)
    counts = structures(image, truth, pair.fine_mm)
    islands = structures(image, truth, pair.fine_mm, islands=True)
    answer = {
        "m-HuM": m_hum(shapes(image), references).score,
        "Dice fluid": faithful.dice["fluid"],
        "Dice air": faithful.dice["air"],
        "PSNR dB": faithful.psnr,
        "SSIM": faithful.ssim,
        "invented /cm²": sum(counts.invented.values()),
        "missed /cm²": sum(counts.missed.values()),
    }
    for tissue in counts.invented:
        answer[f"invented {tissue} /cm²"] = counts.invented[tissue]
        answer[f"missed {tissue} /cm²"] = counts.missed[tissue]
    for tissue in islands.invented:
        answer[f"invented islands of {tissue} /cm²"] = islands.invented[tissue]
        answer[f"missed islands of {tissue} /cm²"] = islands.missed[tissue]
    return answer


def paired_p(first: list[float], second: list[float]) -> float:
    """P of the paired Wilcoxon test; 1 where nothing differs, or too little is known."""
    difference = np.asarray(first) - np.asarray(second)
    difference = difference[np.isfinite(difference)]
    return float(wilcoxon(difference).pvalue) if difference.any() else 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", nargs="+", default=["ours=ear"], metavar="NAME=DIR", help="ours is the last"
    )
    parser.add_argument("--pairs", type=int, default=12, help="pairs per voxel size")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--samples", default="16")
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--cache", type=Path, default=Path("output/methods_table"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--markdown", type=Path)
    options = parser.parse_args()
    if options.pairs < 2:
        parser.error("m-HuM compares with other ears, so --pairs has to be 2 or more")
    models = {}
    for argument in options.models:
        name, _, directory = argument.partition("=")
        models[name] = load_model(directory or name)
    samples = options.samples if options.samples == "auto" else int(options.samples)
    console, answer, documents = Console(width=120), {}, []
    for spacing_mm in options.spacings:
        pairs = []
        for number in range(options.pairs):
            pairs.append(pair(options.cache, options.seed, number, spacing_mm))
            console.print(f"{spacing_mm:g} mm, pair {number + 1} drawn", style="dim")
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in (CUBIC, *models)}
        of_truth = []
        for number, each in enumerate(pairs):
            references = joined([shapes(other.truth) for other in pairs if other is not each])
            score = m_hum(shapes(each.truth[slice(*SLICES)]), references).score
            of_truth.append({"m-HuM": score})
            for name, image in results(each, models, samples).items():
                rows[name].append(measures(image, each, references))
            console.print(f"{spacing_mm:g} mm, pair {number + 1} measured", style="dim")
        answer[f"{spacing_mm:g} mm"] = summary({TRUTH: of_truth, **rows})
        title = f"{options.pairs} held-out pairs from unseen scanners at {spacing_mm:g} mm"
        cells = formatted(answer[f"{spacing_mm:g} mm"])
        table = Table(title=title)
        for heading in ("", *MEASURES):
            table.add_column(heading, justify="right" if heading else "left")
        for name, row in cells.items():
            table.add_row(name, *(cell.replace(" (", "\n(") for cell in row))
        console.print(table)
        documents.append(markdown(title, cells))
    if options.json:
        options.json.write_text(json.dumps(answer, indent=2) + "\n")
    if options.markdown:
        options.markdown.write_text("\n".join(documents))


def summary(rows: dict[str, list[dict[str, float]]]) -> dict[str, dict[str, dict[str, object]]]:
    """Of each method and measure: the values, their mean and SD, and p against the last method.

    The truth is among the methods, so that one sees how m-HuM judges a perfect result.
    """
    ours = list(rows)[-1]
    answer: dict[str, dict[str, dict[str, object]]] = {}
    for name, cases in rows.items():
        answer[name] = {}
        for measure in cases[0]:
            values = [case[measure] for case in cases]
            answer[name][measure] = {
                "mean": float(np.nanmean(values)),
                "sd": float(np.nanstd(values, ddof=1)),
                "values": values,
            }
            if name != ours:
                p = paired_p(values, [case[measure] for case in rows[ours]])
                answer[name][measure]["p"] = p
    return answer


def formatted(answer: dict[str, dict[str, dict[str, object]]]) -> dict[str, list[str]]:
    """Cells of the table: mean ± SD, and p of the paired test against the last method."""
    cells = {}
    for name, of in answer.items():
        cells[name] = []
        for measure in MEASURES:
            if measure not in of:
                cells[name].append("")
                continue
            style = FORMATS.get(measure, ".1f")
            text = f"{of[measure]['mean']:{style}} ± {of[measure]['sd']:{style}}"
            p = of[measure].get("p")
            if p is not None:
                text += " (p < 0.001)" if p < 0.001 else f" (p = {p:.3f})"
            cells[name].append(text)
    return cells


def markdown(title: str, cells: dict[str, list[str]]) -> str:
    lines = [f"**{title}**", "", f"| | {' | '.join(MEASURES)} |"]
    lines.append("| --- |" + " ---: |" * len(MEASURES))
    lines += [f"| {name} | {' | '.join(row)} |" for name, row in cells.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
