"""Compares `samples="auto"` with T = 100 on held-out phantoms, block by block.

Both are run twice over: with the same masks, so that auto is the beginning of the 100 passes, and
with others, as a second run of the paper's method would have. What is compared is what the
tolerance speaks of (see `moments.settled`): the relative error of the uncertainty in a block, where
pixels weigh with the square of their variance; and the mean, as a share of the uncertainty.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from held_out import FOLDER, HELD_OUT_SEED, SHAPE, pair
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from microctsr_core import Model, Volume, load_model
from microctsr_core.inference import Settings, network_on, plan_work
from microctsr_core.moments import Stopping
from microctsr_core.posterior import Posterior, posterior
from microctsr_core.tiles import Tile, relative

SLICE = SHAPE[0] // 2
BOX = ((SLICE, SLICE + 1), (0, SHAPE[1]), (0, SHAPE[2]))
PAPER_PASSES = 100
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Block:
    """What auto says of a block, against 100 passes: of the same seed, and of another one.

    Args:
        passes: that auto took.
        sigma_hu: RMS of the uncertainty after 100 passes.
        same_sigma, other_sigma: relative error of the uncertainty.
        same_mean, other_mean: RMS difference of the mean, in units of `sigma_hu`.
    """

    passes: int
    sigma_hu: float
    same_sigma: float
    same_mean: float
    other_sigma: float
    other_mean: float


def blocks_of(low: Volume, model: Model, stopping: Stopping) -> list[Block]:
    """Compare every block of the middle slice of a scan."""
    plan = plan_work(low, model, BOX, Settings())
    stack, span = torch.from_numpy(plan.stacks.stack(0)), plan.intensity.span
    blocks = []
    with network_on(CPU, model) as network:
        for tile in plan.tiles:
            part = stack[(slice(None), *relative(tile.read, plan.read))]
            auto, same, other = (
                posterior(
                    network,
                    part,
                    samples,
                    seed,
                    read=tile.read,
                    blocks=tile.blocks,
                    stopping=stopping,
                )
                for samples, seed in (("auto", 0), (PAPER_PASSES, 0), (PAPER_PASSES, 1))
            )
            blocks += compared(tile, network.scale, span, auto, same, other)
    return blocks


def compared(
    tile: Tile, scale: int, span: float, auto: Posterior, same: Posterior, other: Posterior
) -> list[Block]:
    """The blocks of a tile."""
    answer = []
    for block, passes in zip(tile.blocks, auto.passes, strict=True):
        place = relative(block, tile.write, scale)
        sigma = np.sqrt(same.variance[place].mean(dtype=float)) * span
        errors = [e for reference in (same, other) for e in departure(auto, reference, place)]
        answer.append(Block(passes, float(sigma), *errors))
    return answer


def departure(
    auto: Posterior, reference: Posterior, place: tuple[slice, slice]
) -> tuple[float, float]:
    """Relative error of the uncertainty, and difference of the mean per uncertainty."""
    mine, variance = (each.variance[place].astype(float) for each in (auto, reference))
    mean = (auto.mean[place] - reference.mean[place]).astype(float)
    of_sigma = 0.5 * np.sqrt(np.mean((mine - variance) ** 2) / np.mean(variance**2))
    return float(of_sigma), float(np.sqrt(np.mean(mean**2) / np.mean(variance)))


def table_of(blocks: list[Block], tolerance: float) -> tuple[Table, dict[str, float]]:
    """Passes, and how far blocks are from 100 passes."""
    passes = np.array([block.passes for block in blocks], float)
    facts = {
        "blocks": float(len(blocks)),
        "passes: mean": float(passes.mean()),
        "passes: median": float(np.median(passes)),
        "blocks that took all 100": float(np.mean(passes == PAPER_PASSES)),
    }
    for which in ("same", "other"):
        of_sigma, of_mean = (
            np.array([getattr(block, f"{which}_{what}") for block in blocks])
            for what in ("sigma", "mean")
        )
        in_hu = of_mean * [block.sigma_hu for block in blocks]
        facts |= {
            f"σ, {which} seed: RMS": float(np.sqrt(np.mean(of_sigma**2))),
            f"σ, {which} seed: median": float(np.median(of_sigma)),
            f"σ, {which} seed: largest": float(of_sigma.max()),
            f"σ, {which} seed: blocks within the tolerance": float(np.mean(of_sigma <= tolerance)),
            f"mean, {which} seed: RMS, in σ": float(np.sqrt(np.mean(of_mean**2))),
            f"mean, {which} seed: RMS, HU": float(np.sqrt(np.mean(in_hu**2))),
        }
    table = Table(title=f"auto at a tolerance of {tolerance:g}, against {PAPER_PASSES} passes")
    table.add_column("")
    table.add_column("value", justify="right")
    for name, value in facts.items():
        table.add_row(name, f"{value:.3f}")
    return table, facts


def draw(blocks: list[Block], tolerance: float, file: Path) -> None:
    """Passes of the blocks, and how far each is from 100 passes."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    passes = [block.passes for block in blocks]
    left.hist(passes, bins=np.arange(10, 104, 3), color="#3b6ea5")
    left.set(xlabel="passes that auto took", ylabel="blocks of 32 × 32 voxels or less")
    for which, colour in (("other", "#c9803a"), ("same", "#3b6ea5")):
        values = [getattr(block, f"{which}_sigma") for block in blocks]
        right.scatter(
            passes, values, s=12, color=colour, label=f"{PAPER_PASSES} passes, {which} seed"
        )
    right.axhline(tolerance, color="black", linewidth=1, label="tolerance")
    right.set(xlabel="passes that auto took", ylabel="relative difference of σ", ylim=(0, None))
    right.legend(frameon=False)
    FigureCanvasAgg(figure).print_png(str(file))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs per voxel size")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--tolerance", type=float, default=0.15)
    parser.add_argument("--model", default="ear")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    model, console = load_model(options.model), Console()
    # As in a run: an uncertainty below 1 HU is none.
    stopping = Stopping(options.tolerance, floor=1 / model.intensity.span)
    blocks: list[Block] = []
    for spacing_mm in options.spacings:
        for number in range(options.pairs):
            low = pair(options.folder, options.seed, number, spacing_mm).low
            blocks += blocks_of(low, model, stopping)
            console.print(f"{spacing_mm} mm, pair {number + 1} of {options.pairs}", style="dim")
    table, facts = table_of(blocks, options.tolerance)
    console.print(table)
    if options.picture:
        draw(blocks, options.tolerance, options.picture)
    if options.json:
        answer = {**facts, "of blocks": [asdict(block) for block in blocks]}
        options.json.write_text(json.dumps(answer, indent=2) + "\n")


if __name__ == "__main__":
    main()
