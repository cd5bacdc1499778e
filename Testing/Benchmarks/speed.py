"""Runs `microctsr benchmark` for slices of several sizes and draws the figure of the documentation.

1824 is the paper's slice of 1828 pixels, rounded to voxels of the scan.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from microctsr_core.benchmark import lines_of, measure, table_of

PICTURE = Path(__file__).resolve().parents[2] / "Docs/pictures/speed.png"
ROWS = {
    "exact": "the same network, the same passes",
    "adaptive": "dropout in the last three blocks, auto",
    "default": "the bundled model, auto",
}
PLAIN, OURS = "#8a94a6", "#2f6fde"


def draw(answers: list[dict[str, Any]], path: Path) -> None:
    """Seconds a slice, the paper's pipeline above MicroCTSR, on a logarithmic axis."""
    figure = Figure((5.2 * len(answers) + 2.4, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, answer in zip(
        figure.subplots(1, len(answers), squeeze=False)[0], answers, strict=True
    ):
        for row, name in enumerate(reversed(ROWS)):
            seconds, passes = answer[name]["seconds_per_slice"], answer[name]["passes"]
            for who, shift, colour in (("plain", 0.19, PLAIN), ("ours", -0.19, OURS)):
                axis.barh(row + shift, seconds[who], 0.36, color=colour)
                text = f" {seconds[who]:.3g} s, {passes[who]:.3g} passes"
                if who == "ours":
                    text += f"   {answer[name]['ratio']:.3g} times faster"
                axis.text(seconds[who], row + shift, text, va="center", fontsize=8)
        axis.set_xscale("log")
        left = min(answer[name]["seconds_per_slice"]["ours"] for name in ROWS)
        right = max(answer[name]["seconds_per_slice"]["plain"] for name in ROWS)
        axis.set_xlim(left / 3, right * 60)
        axis.set_yticks(range(len(ROWS)), list(reversed(ROWS.values())), fontsize=9)
        edge = " × ".join(map(str, answer["slice"]))
        axis.set_title(f"one slice of {edge}, {answer['device']}", fontsize=10)
        axis.set_xlabel(
            "seconds (logarithmic); grey: the paper's pipeline, blue: MicroCTSR", fontsize=8
        )
        axis.spines[["top", "right"]].set_visible(False)
        axis.tick_params(labelsize=8)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, nargs="+", default=[1024])
    parser.add_argument("--passes", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=Path("output/speed.json"))
    parser.add_argument("--picture", type=Path, default=PICTURE)
    options = parser.parse_args()
    console, answers = Console(width=120), []
    for edge in options.slices:
        first = edge == options.slices[0]
        answer = measure(
            edge,
            options.passes,
            options.device,
            progress=lambda share, message: console.print(f"{share:4.0%} {message}", style="dim"),
            memory=first,
        )
        console.print(table_of(answer), *lines_of(answer), sep="\n")
        answers.append(answer)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(answers, indent=2) + "\n")
    draw(answers, options.picture)


if __name__ == "__main__":
    main()
