"""What each part of the method is worth: trains it whole and with one part off, and compares.

A small network learns for a thousand steps from the phantoms of `make model`; all are judged on
the same held-out pairs from unseen scanners, and compared with the whole method. Training that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import held_out
from rich.console import Console

from microctsr_core.training import changed, load_config, train

SMALL = {
    "epochs": 2,
    "steps_per_epoch": 500,
    "batch": {"size": 4, "low_size": 2, "patch": 192},
    "network": {"arguments": {"width": 40, "blocks": 5, "upsampling": [24, 12]}},
    "losses": {"alone": 0.6},
    "optimiser": {"rise": 50, "average_decay": 0.99},
    "validation": {"cases": 1, "slices": 1, "edge": 24, "samples": 1},
}
WHOLE = "the whole method"
PARTS = {
    "no scanner in G_H": {"losses": {"scanner": False}},
    "low cycle voxel by voxel": {"losses": {"regional": False}},
    "low cycle in one plane": {"losses": {"through_plane": False}},
    "no low cycle, no judges": {"losses": {"alone": 1.0}},
    "both cycles from the start": {"losses": {"alone": 0.0}},
    "adversarial weight 0": {"losses": {"adversarial": 0.0}},
    "adversarial weight 1": {"losses": {"adversarial": 1.0}},
    "no cubic skip": {"network": {"arguments": {"skip": False}}},
    "one plane instead of seven": {"network": {"arguments": {"in_slices": 1}}},
    "no moving average": {"optimiser": {"average_decay": 0.0}},
    "no late noise": {"augmentation": {"scan_noise": 1.0}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--low", type=Path, default=Path("output/model/low"))
    parser.add_argument("--high", type=Path, default=Path("output/model/high"))
    parser.add_argument("--work", type=Path, default=Path("output/ablation"))
    parser.add_argument("--pairs", type=int, default=6)
    options = parser.parse_args()
    console, models = Console(), []
    small = changed(load_config(), **SMALL)
    for name, off in {**PARTS, WHOLE: {}}.items():
        folder = options.work / name.replace(" ", "-")
        console.print(name, style="bold")
        train(options.low, options.high, folder, changed(small, **off), resume=True)
        models.append(f"{name}={folder / 'last'}")
    pairs = options.work / "held_out"
    held_out.compare(pairs, held_out.HELD_OUT_SEED, options.pairs, [0.15, 0.3], models, 8)


if __name__ == "__main__":
    main()
