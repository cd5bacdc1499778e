"""What m-HuM can and cannot see: truths of phantoms damaged in growing doses, judged by every form.

Slices of the truth of each held-out ear are blurred, made noisy, given a grid of patches, specks
that are not there, and lose cells and canals; each form compares them with the truths of the other
ears. A form sees a damage if its m-HuM grows with the dose in nearly every ear. Fidelity to the
truth, which m-HuM does without, shows how bad each dose is. Pairs are those of held_out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import matplotlib
import numpy as np
from held_out import FOLDER, HELD_OUT_SEED, SLICES, pair
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from scipy import ndimage
from scipy.stats import spearmanr

from microctsr_core.evaluation import joined, m_hum, shapes
from microctsr_core.evaluation.fidelity import DATA_RANGE_HU, tissue
from microctsr_core.evaluation.m_hum import Form
from microctsr_core.preview.drawing import BACKGROUND, FONT, MUTED, TEXT

PICTURE = Path(__file__).resolve().parents[2] / "Docs/pictures/m-hum-sensitivity.png"
FORMS = get_args(Form)
COLOURS = {"paper": "#ffb01f", "shape": "#5ec8e5", "contour": "#b48cf2", "structures": "#ff6f61"}
PATCH = 64
SPECK_MM = 0.1
SEES = 0.8
"""Mean rank correlation of m-HuM with the dose from which a form is said to see a damage."""

Damage = Callable[[np.ndarray, float, float, np.random.Generator], np.ndarray]


def blurred(image: np.ndarray, sigma_mm: float, pixel_mm: float, _: Any) -> np.ndarray:
    sigma = sigma_mm / pixel_mm
    return ndimage.gaussian_filter(image, (0, sigma, sigma))


def noisy(image: np.ndarray, sd_hu: float, pixel_mm: float, g: np.random.Generator) -> np.ndarray:
    """Noise of the correlation length of a clinical voxel, 0.1 mm."""
    noise = ndimage.gaussian_filter(g.standard_normal(image.shape), (0, *2 * [0.1 / pixel_mm]))
    return image + sd_hu * noise / noise.std()


def gridded(image: np.ndarray, step_hu: float, _: float, g: np.random.Generator) -> np.ndarray:
    """Patches that disagree in their level, as stitched patches do."""
    shape = [-(-edge // PATCH) for edge in image.shape[1:]]
    steps = g.standard_normal((len(image), *shape)).repeat(PATCH, 1).repeat(PATCH, 2)
    return image + step_hu * steps[:, : image.shape[1], : image.shape[2]]


def specked(
    image: np.ndarray, per_cm2: float, pixel_mm: float, g: np.random.Generator
) -> np.ndarray:
    """Invented discs of air in bone and fluid, and of bone in air."""
    result, radius = image.copy(), SPECK_MM / pixel_mm
    rows, columns = np.mgrid[: image.shape[1], : image.shape[2]]
    for plane in result:
        for _ in range(g.poisson(per_cm2 * plane.size * pixel_mm**2 / 100)):
            row, column = g.uniform(0, plane.shape[0]), g.uniform(0, plane.shape[1])
            disc = (rows - row) ** 2 + (columns - column) ** 2 < radius**2
            plane[disc] = 1400 if plane[disc].mean() < -500 else -900
    return result


def emptied(image: np.ndarray, share: float, _: float, g: np.random.Generator) -> np.ndarray:
    """Whole cells and canals, connected parts without bone, filled with bone."""
    result = image.copy()
    for plane in result:
        labels, count = ndimage.label(~tissue(plane, "bone") & (plane < 700))
        order = g.permutation(count) + 1
        plane[np.isin(labels, order[: round(share * count)])] = 1400
    return result


DAMAGES: dict[str, tuple[Damage, tuple[float, ...], str]] = {
    "blur": (blurred, (0, 0.05, 0.1, 0.15, 0.2, 0.3), "sigma, mm"),
    "noise": (noisy, (0, 50, 100, 200, 400, 800), "SD, HU"),
    "grid of patches": (gridded, (0, 50, 100, 200, 400, 800), "SD of the steps, HU"),
    "invented specks": (specked, (0, 10, 30, 100, 300, 1000), "per cm²"),
    "missing structures": (emptied, (0, 0.1, 0.2, 0.4, 0.6, 0.9), "share of all"),
}


def measured(pairs: list[Any], distance: str) -> dict[str, Any]:
    """m-HuM of every ear by damage, dose and form; and the PSNR."""
    pixel_mm = pairs[0].fine_mm
    truths = [each.truth for each in pairs]
    sets = {form: [shapes(truth, form, pixel_mm) for truth in truths] for form in FORMS}
    answer: dict[str, Any] = {}
    for name, (damage, doses, unit) in DAMAGES.items():
        found: dict[str, Any] = {form: [] for form in FORMS}
        psnr = []
        for dose in doses:
            scores: dict[str, list[float]] = {form: [] for form in FORMS}
            errors = []
            for number, truth in enumerate(truths):
                clean = truth[slice(*SLICES)].astype(np.float32)
                worse = damage(clean, dose, pixel_mm, np.random.default_rng([number, 5]))
                errors.append(float(np.mean((worse - clean) ** 2)))
                for form in FORMS:
                    others = joined([s for n, s in enumerate(sets[form]) if n != number])
                    nearest = m_hum(shapes(worse, form, pixel_mm), others, distance)
                    compared = nearest.left_out < len(worse)
                    scores[form].append(nearest.score if compared else float("nan"))
            for form in FORMS:
                found[form].append(scores[form])
            mean = float(np.mean(errors))
            psnr.append(None if mean == 0 else 10 * np.log10(DATA_RANGE_HU**2 / mean))
        answer[name] = {"doses": doses, "unit": unit, "psnr": psnr, "m_hum": found}
    return answer


def seen(by_dose: list[list[float]]) -> float:
    """Mean over ears of the rank correlation of m-HuM with the dose."""
    ears = np.array(by_dose).T
    found = [
        spearmanr(np.flatnonzero(np.isfinite(ear)), ear[np.isfinite(ear)]).statistic for ear in ears
    ]
    return float(np.nanmean(found))


def draw(answer: dict[str, Any], path: Path) -> None:
    style = {
        "font.family": FONT, "font.size": 9, "text.color": TEXT, "axes.labelcolor": MUTED,
        "axes.edgecolor": MUTED, "axes.facecolor": BACKGROUND, "axes.spines.top": False,
        "axes.spines.right": False, "figure.facecolor": BACKGROUND, "xtick.color": MUTED,
        "ytick.color": MUTED,
    }  # fmt: skip
    with matplotlib.rc_context(style):
        figure = Figure((13, 7.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(len(FORMS), len(answer), sharex="col")
        for row, form in enumerate(FORMS):
            for axis, (name, found) in zip(axes[row], answer.items(), strict=True):
                draw_form(axis, form, found)
                if row == 0:
                    axis.set_title(name, color=TEXT, fontsize=11)
                if row == len(FORMS) - 1:
                    axis.set_xlabel(found["unit"])
            axes[row][0].set_ylabel(form, color=COLOURS[form], fontsize=11)
        figure.suptitle(
            "m-HuM of damaged truths, relative to the truth itself: median and quartiles of the "
            "ears; the number is the rank correlation with the dose",
            color=MUTED,
            fontsize=10,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=110)


def draw_form(axis: Axes, form: str, found: dict[str, Any]) -> None:
    values = np.array(found["m_hum"][form])
    relative = values / values[0]
    low, middle, high = np.nanpercentile(relative, (25, 50, 75), axis=1)
    positions = range(len(found["doses"]))
    axis.axhline(1, color=MUTED, linewidth=0.7)
    axis.fill_between(positions, low, high, color=COLOURS[form], alpha=0.25, linewidth=0)
    axis.plot(positions, middle, "o-", color=COLOURS[form], markersize=3)
    axis.set_xticks(positions, [f"{dose:g}" for dose in found["doses"]])
    axis.set_yscale("log")
    axis.set_ylim(0.2, 20)
    axis.set_yticks([0.2, 0.5, 1, 2, 5, 10, 20], ["0.2", "0.5", "1", "2", "5", "10", "20"])
    axis.minorticks_off()
    correlation = seen(found["m_hum"][form])
    axis.text(
        0.05, 0.9, f"{correlation:+.2f}", transform=axis.transAxes, va="top",
        color=TEXT if correlation >= SEES else MUTED,
        fontweight="bold" if correlation >= SEES else "normal",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--spacing", type=float, default=0.15)
    parser.add_argument("--distance", default="I1")
    parser.add_argument("--cache", type=Path, default=FOLDER)
    parser.add_argument("--json", type=Path, default=Path("output/m_hum_sensitivity.json"))
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--drawn", action="store_true", help="only draw what is in the JSON")
    options = parser.parse_args()
    if not options.drawn:
        pairs = [
            pair(options.cache, HELD_OUT_SEED, number, options.spacing)
            for number in range(options.pairs)
        ]
        answer = measured(pairs, options.distance)
        options.json.write_text(json.dumps(answer, indent=2) + "\n")
    answer = json.loads(options.json.read_text())
    console = Console(width=120)
    for name, found in answer.items():
        told = ", ".join(f"{form} {seen(found['m_hum'][form]):+.2f}" for form in FORMS)
        console.print(f"{name}: {told}")
    draw(answer, options.picture)


if __name__ == "__main__":
    main()
