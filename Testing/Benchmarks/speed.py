"""Runs `microctsr benchmark` for slices of several sizes and draws the figure of the documentation.

1824 is the paper's slice of 1828 pixels, rounded to voxels of the scan.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from microctsr_core.benchmark import lines_of, measure, table_of
from microctsr_core.preview.drawing import BACKGROUND, FONT, MUTED, TEXT

PICTURE = Path(__file__).resolve().parents[2] / "Docs/pictures/speed.png"
ROWS = {
    "exact": "same network,\nsame passes",
    "adaptive": "dropout in\nthree blocks, auto",
    "default": "bundled\nmodel, auto",
}
GROWTH = {"passes": "passes over a slice", "slices": "slices, 8 passes", "cores": "cores, 8 passes"}
PLAIN, OURS = "#6b7480", "#ffb01f"
STYLE = {
    "font.family": FONT,
    "font.size": 10,
    "text.color": TEXT,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": MUTED,
    "axes.facecolor": BACKGROUND,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": BACKGROUND,
    "xtick.color": MUTED,
    "ytick.color": TEXT,
}


def draw(answers: list[dict[str, Any]], path: Path) -> None:
    """A panel of bars for each slice, and below how the first one's time grows."""
    with matplotlib.rc_context(STYLE):
        figure = Figure((11, 2.7 * len(answers) + 2.6), layout="constrained")
        FigureCanvasAgg(figure)
        *upper, lower = figure.subfigures(
            len(answers) + 1, 1, height_ratios=[*[2.7] * len(answers), 2.6]
        )
        for part, answer in zip(upper, answers, strict=True):
            draw_bars(part.subplots(), answer)
        growth = answers[0]["growth"]
        for axis, (what, by_count) in zip(
            lower.subplots(1, len(growth), squeeze=False)[0], growth.items(), strict=True
        ):
            draw_growth(axis, what, by_count)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=130)


def draw_bars(axis: Axes, answer: dict[str, Any]) -> None:
    """Seconds a slice, the paper's pipeline above MicroCTSR, on a logarithmic axis."""
    for row, name in enumerate(reversed(ROWS)):
        found = answer[name]
        for who, shift, colour in (("plain", 0.2, PLAIN), ("ours", -0.2, OURS)):
            seconds, passes = found["seconds_per_slice"][who], found["passes"][who]
            axis.barh(row + shift, seconds, 0.36, color=colour)
            digits = ".0f" if seconds >= 100 else ".3g"
            text = f" {seconds:{digits}} s, {passes:.3g} passes"
            if who == "ours":
                ratio = found["ratio"]
                text += f"  ·  {ratio:{'.0f' if ratio >= 100 else '.3g'}} times faster"
            axis.text(seconds, row + shift, text, va="center", color=colour if shift < 0 else MUTED)
    axis.set_xscale("log")
    both = [answer[name]["seconds_per_slice"] for name in ROWS]
    axis.set_xlim(min(each["ours"] for each in both) / 3, 12 * max(each["plain"] for each in both))
    axis.set_yticks(range(len(ROWS)), list(reversed(ROWS.values())))
    axis.tick_params(axis="y", length=0)
    edge = " × ".join(map(str, answer["slice"]))
    axis.set_title(f"One slice of {edge} on {answer['device']}, {answer['threads']} threads")
    axis.set_xlabel("seconds, logarithmic  ·  grey: the paper's pipeline  ·  yellow: MicroCTSR")


def draw_growth(axis: Axes, what: str, by_count: dict[str, float]) -> None:
    """Seconds of the bundled model over a number of passes, slices or cores."""
    counts = [int(count) for count in by_count]
    axis.plot(counts, list(by_count.values()), "o-", color=OURS)
    axis.set_xticks(counts)
    axis.set_xlim(0, 1.05 * max(counts))
    axis.set_ylim(0, 1.15 * max(by_count.values()))
    axis.tick_params(axis="y", colors=MUTED)
    axis.set_xlabel(GROWTH[what])
    axis.set_ylabel("seconds, bundled model")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, nargs="+", default=[1024])
    parser.add_argument("--passes", type=int, default=16)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, default=Path("output/speed.json"))
    parser.add_argument("--picture", type=Path, default=PICTURE)
    parser.add_argument("--drawn", action="store_true", help="only draw what is in the JSON")
    options = parser.parse_args()
    console, answers = Console(width=120), []
    if options.drawn:
        draw(json.loads(options.json.read_text()), options.picture)
        return
    for edge in options.slices:
        first = edge == options.slices[0]
        answer = measure(
            edge,
            options.passes,
            options.device,
            progress=lambda share, message: console.print(
                f"{share:4.0%} {message}", style="dim", end="\r"
            ),
            memory=first,
        )
        console.print(table_of(answer), *lines_of(answer), sep="\n")
        answers.append(answer)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(answers, indent=2) + "\n")
    draw(answers, options.picture)


if __name__ == "__main__":
    main()
