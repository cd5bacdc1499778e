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

import matplotlib
import numpy as np
import torch
from methods_table import HELD_OUT_SEED, SHAPE, pair
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
        for what in ("sigma", "mean"):
            values = np.array([getattr(block, f"{which}_{what}") for block in blocks])
            name = f"{'σ' if what == 'sigma' else 'mean / σ'}, {which} seed"
            facts[f"{name}: median"] = float(np.median(values))
            facts[f"{name}: 90th percentile"] = float(np.percentile(values, 90))
            facts[f"{name}: within the tolerance"] = float(np.mean(values <= tolerance))
    table = Table(title=f"auto at a tolerance of {tolerance:g}, against {PAPER_PASSES} passes")
    table.add_column("")
    table.add_column("value", justify="right")
    for name, value in facts.items():
        table.add_row(name, f"{value:.3f}")
    return table, facts


def draw(blocks: list[Block], tolerance: float, file: Path) -> None:
    """Passes of the blocks, and how far each is from 100 passes."""
    matplotlib.use("Agg")
    from matplotlib import pyplot

    passes = [block.passes for block in blocks]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    left.hist(passes, bins=range(10, 103, 3), color="#3b6ea5")
    left.set(xlabel="passes that auto took", ylabel="blocks of 32 × 32 voxels or less")
    for which, colour, label in (
        ("other", "#c9803a", "100 passes with another seed"),
        ("same", "#3b6ea5", "100 passes with the same seed"),
    ):
        values = [getattr(block, f"{which}_sigma") for block in blocks]
        right.scatter(passes, values, s=12, color=colour, label=label)
    right.axhline(tolerance, color="black", linewidth=1)
    right.text(100, tolerance, "tolerance", ha="right", va="bottom")
    right.set(xlabel="passes that auto took", ylabel="relative difference of σ", ylim=(0, None))
    right.legend(frameon=False)
    figure.savefig(file, dpi=110)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=12, help="pairs per voxel size")
    parser.add_argument("--spacings", type=float, nargs="+", default=[0.15, 0.3])
    parser.add_argument("--seed", type=int, default=HELD_OUT_SEED)
    parser.add_argument("--tolerance", type=float, default=0.15)
    parser.add_argument("--model", default="ear")
    parser.add_argument("--folder", type=Path, default=Path("output/methods_table"))
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
