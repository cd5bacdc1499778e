"""Trains the bundled model from nothing but seeds: `python -m microctsr_core.training.bundled`."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console

from ..io import atomic_path
from ..model import Model, load_model
from ..networks.compact import CompactGenerator
from ..phantom import SCALE
from ..phantom.cases import SPACING_RANGE_MM
from .cyclegan import CycleGAN, Weights
from .phantoms import prepare
from .sampling import WINDOW, Sampler


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the bundled model."""

    low_seeds: tuple[int, int] = (1000, 1012)
    high_seeds: tuple[int, int] = (2000, 2020)
    seed: int = 0
    warm_steps: int = 3400
    steps: int = 4300
    size: int = 24
    warm_batch: int = 6
    batch: int = 4
    low_batch: int = 2
    learning_rate: float = 4e-4
    judge_rate: float = 2e-4
    average_decay: float = 0.998
    # Once anatomy is learned, noise up to that of the worst scans teaches what not to believe.
    noisy_from: int = 2000
    noise_gain: float = 1.4
    network: dict[str, Any] = field(
        default_factory=lambda: {
            "in_slices": 5,
            "scale": SCALE,
            "width": 64,
            "blocks": 8,
            "upsampling": [40, 24, 16],
            "dropout_blocks": 4,
            "dropout_rate": 0.2,
        }
    )

    def rate(self, step: int) -> float:
        """Learning rate: a short rise, then a cosine down to a fiftieth."""
        rise = min(1.0, (step + 1) / 200)
        fall = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return self.learning_rate * rise * fall


class Training:
    """The networks, optimisers and random states of one run; saved and resumed as a whole."""

    def __init__(self, recipe: Recipe) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe = recipe
        self.step = 0
        self.seconds = 0.0
        self.random = np.random.default_rng(recipe.seed)
        self.networks = CycleGAN(CompactGenerator(**recipe.network), Weights())
        self.networks.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generators = torch.optim.Adam(
            [*self.networks.up.parameters(), *self.networks.down.parameters()],
            lr=recipe.learning_rate,
            betas=(0.9, 0.99),
        )
        self.judges = torch.optim.Adam(
            [*self.networks.judge_high.parameters(), *self.networks.judge_low.parameters()],
            lr=recipe.judge_rate,
            betas=(0.5, 0.9),
        )

    def advance(self, sampler: Sampler) -> dict[str, float]:
        """One step of the recipe; returns the losses."""
        recipe, started = self.recipe, time.monotonic()
        for group in self.generators.param_groups:
            group["lr"] = recipe.rate(self.step)
        self.networks.train()
        self.networks.average.eval()
        sampler.noise_gain = recipe.noise_gain if self.step >= recipe.noisy_from else 1.0
        if self.step < recipe.warm_steps:
            losses = self.networks.warm_step(sampler.high_batch(recipe.warm_batch), self.generators)
        else:
            losses = self.networks.full_step(
                sampler.low_batch(recipe.low_batch),
                sampler.high_batch(recipe.batch),
                self.generators,
                self.judges,
            )
        decay = min(recipe.average_decay, (self.step + 1) / (self.step + 10))
        self.networks.update_average(decay)
        self.step += 1
        self.seconds += time.monotonic() - started
        return losses

    def save(self, path: Path) -> None:
        """Write the whole state in one step."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "networks": self.networks.state_dict(),
            "generators": self.generators.state_dict(),
            "judges": self.judges.state_dict(),
            "torch": torch.get_rng_state(),
            "random": json.dumps(self.random.bit_generator.state),
        }
        with atomic_path(path) as part:
            torch.save(state, part)

    def load(self, path: Path) -> None:
        """Go on from a saved state."""
        state = torch.load(path, weights_only=True)
        self.step, self.seconds = state["step"], state["seconds"]
        self.networks.load_state_dict(state["networks"])
        self.generators.load_state_dict(state["generators"])
        self.judges.load_state_dict(state["judges"])
        torch.set_rng_state(state["torch"])
        self.random.bit_generator.state = json.loads(state["random"])


def card(training: Training) -> dict[str, Any]:
    """The card's fixed words with what this run decides; the measured quality comes later."""
    recipe, up = training.recipe, training.networks.average
    words: dict[str, Any] = json.loads((Path(__file__).parent / "bundled_card.json").read_text())
    words["network"] = {"name": "compact", "arguments": recipe.network}
    words["scale"] = SCALE
    words["voxel_size_low_mm"] = list(SPACING_RANGE_MM)
    words["voxel_size_high_mm"] = [spacing / SCALE for spacing in SPACING_RANGE_MM]
    words["intensity"] = WINDOW.to_dict()
    words["dropout"] = {
        "kind": "channel",
        "rate": up.dropout_rate,
        "sites": len(up.dropout_channels),
    }
    words["training"] |= {
        "seeds": {"low": list(recipe.low_seeds), "high": list(recipe.high_seeds)},
        "hours": round(training.seconds / 3600, 2),
        "steps": training.step,
        "recipe": asdict(recipe),
    }
    words["training"]["losses"] |= asdict(training.networks.weights)
    return words


def export(training: Training, folder: Path) -> None:
    """Write the averaged generator as a model package."""
    Model(training.networks.average, card(training), None).save(folder)
    load_model(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("output/model"))
    parser.add_argument(
        "--package", type=Path, default=Path(__file__).parents[1] / "models" / "ear"
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    recipe, console = Recipe(), Console(soft_wrap=True)
    low, high = prepare(
        options.work / "cases",
        range(*recipe.low_seeds),
        range(*recipe.high_seeds),
        options.workers,
        console.print,
    )
    training = Training(recipe)
    state = options.work / "state.pt"
    if state.exists():
        training.load(state)
    sampler = Sampler(low, high, recipe.size, training.random)
    means: dict[str, float] = {}
    while training.step < recipe.steps:
        for name, value in training.advance(sampler).items():
            means[name] = means.get(name, value) * 0.99 + value * 0.01
        if training.step % 100 == 0:
            shown = "  ".join(f"{name} {value:.4f}" for name, value in means.items())
            pace = training.seconds / training.step
            console.print(f"step {training.step} of {recipe.steps}  {pace:.2f} s/step  {shown}")
        if training.step % 500 == 0:
            training.save(state)
    export(training, options.package)


if __name__ == "__main__":
    main()
