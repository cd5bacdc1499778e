"""The picture of uncertainty_quality.py: an example above, questions to the uncertainty below."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from microctsr_core.evaluation.uncertainty import NORMAL_COVERAGE
from microctsr_core.io import atomic_path
from microctsr_core.preview.drawing import (
    BACKGROUND,
    DOTS_PER_INCH,
    FONT,
    MUTED,
    TEXT,
    UNCERTAINTY_COLOURS,
    WIDTH,
)

FAINT = "#2a2f36"
OURS, GRADIENT, BEFORE = "#fb9b06", "#5aa9e6", "#7d858d"
DASHES = ("-", (0, (4, 1.6)))
"""Of the lines of each voxel size, in order."""

HEIGHT = 10.3  # inches
SIDE, GAP, MARGIN = 4.75, 0.16, 0.3
LARGEST_HU = 1500.0

Curves = Mapping[str, Mapping[str, np.ndarray]]
"""By voxel size: what `uncertainty_quality.curves` gives."""


def draw(path: Path, curves: Curves, example: tuple[np.ndarray, ...], scale: float) -> None:
    """Draw the curves of each voxel size, and a result with its error and its uncertainty."""
    figure = Figure((WIDTH, HEIGHT), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    bottom = HEIGHT - SIDE - 0.5
    titles = (
        ("Super-resolved", "a held-out phantom"),
        ("Error", "distance from the truth"),
        ("Uncertainty", f"SD of passes × {scale:.3g}"),
    )
    for n, (title, plane) in enumerate(zip(titles, example, strict=True)):
        axes = _panel(figure, (MARGIN + n * (SIDE + GAP), bottom, SIDE, SIDE), *title)
        axes.set_axis_off()
        window = {"cmap": "gray", "vmin": -1000, "vmax": 2400, "interpolation": "lanczos"}
        if n:
            window = {"cmap": UNCERTAINTY_COLOURS, "vmin": 0, "vmax": LARGEST_HU}
        axes.imshow(plane, **window)
    _colour_bar(figure, (MARGIN + 3 * SIDE + 2 * GAP + 0.12, bottom, 0.09, SIDE))
    width, height, foot = 4.2, 3.5, 0.75
    lefts = [MARGIN + 0.55 + n * (width + 1.15) for n in range(3)]
    places = [(left, foot, width, height) for left in lefts]
    _draw_ranking(_panel(figure, places[0], "Does it rank the errors?", ""), curves)
    _draw_calibration(_panel(figure, places[1], "Is it as large as they are?", ""), curves, scale)
    _draw_coverage(_panel(figure, places[2], "Does it cover them?", ""), curves, scale)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, facecolor=BACKGROUND)


def _draw_ranking(axes: Axes, curves: Curves) -> None:
    for dashes, of in zip(DASHES, curves.values(), strict=False):
        for name, colour in (("oracle", BEFORE), ("gradient", GRADIENT), ("left", OURS)):
            # Of the last fraction, a single voxel is left.
            removed, left = 100 * of["removed"][:-1], 100 * of[name][:-1]
            axes.plot(removed, left, color=colour, linestyle=dashes, linewidth=2)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 103)
    axes.set_xlabel("voxels left out, %")
    axes.set_ylabel("mean error of the rest, %")
    colours = {
        "the scan's steepest first": GRADIENT,
        "the most uncertain first": OURS,
        "the most wrong first": BEFORE,
    }
    lines = [Line2D([], [], color=colour, linewidth=2) for colour in colours.values()]
    sizes = [Line2D([], [], color=TEXT, linestyle=dashes) for dashes in DASHES[: len(curves)]]
    _legend(axes, lines + sizes, [*colours, *curves], loc="upper right", bbox_to_anchor=(1, 1.02))


def _draw_calibration(axes: Axes, curves: Curves, scale: float) -> None:
    limits = 1.0, 3000.0
    axes.plot(limits, limits, color=MUTED, linewidth=1, linestyle=(0, (1, 2)))
    for dashes, of in zip(DASHES, curves.values(), strict=False):
        for name, colour in (("before", BEFORE), ("after", OURS)):
            axes.plot(
                of[name], of["actual"], color=colour, linestyle=dashes, linewidth=2,
                marker="o", markersize=3.5,
            )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlim(*limits)
    axes.set_ylim(*limits)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("uncertainty, HU")
    axes.set_ylabel("error (RMS), HU")
    lines = [Line2D([], [], color=colour, marker="o", markersize=3.5) for colour in (BEFORE, OURS)]
    _legend(axes, lines, ["SD of passes", f"times {scale:.3g}"], loc="lower right")


def _draw_coverage(axes: Axes, curves: Curves, scale: float) -> None:
    width = 0.3
    where = np.arange(len(NORMAL_COVERAGE))
    for side, name, colour in ((-1, "coverage before", BEFORE), (1, "coverage after", OURS)):
        share = 100 * np.mean([of[name] for of in curves.values()], 0)
        places = where + side * width / 2
        axes.bar(places, share, 0.92 * width, color=colour)
        for place, value in zip(places, share, strict=True):
            outside = value < 30
            axes.text(
                place, value + 1.5 if outside else 2.5, f"{value:.0f}", ha="center",
                color=TEXT if outside else BACKGROUND, fontsize=11, fontfamily=FONT,
            )  # fmt: skip
    normal = 100 * np.array(list(NORMAL_COVERAGE.values()))
    axes.hlines(normal, where - 1.15 * width, where + 1.15 * width, TEXT, linewidth=1.5)
    axes.set_xticks(where, [f"± {k} SD" for k in NORMAL_COVERAGE])
    axes.set_xlim(-0.55, 2.55)
    axes.set_ylim(0, 122)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("voxels, %")
    axes.xaxis.grid(visible=False)
    lines = [
        *(Line2D([], [], color=colour, linewidth=7) for colour in (BEFORE, OURS)),
        Line2D([], [], color=TEXT, linewidth=1.5),
    ]
    names = ["SD of passes", f"times {scale:.3g}", "normal"]
    _legend(axes, lines, names, loc="upper left", ncols=3, bbox_to_anchor=(0, 1.02))


def _panel(
    figure: Figure, inches: tuple[float, float, float, float], title: str, subtitle: str
) -> Axes:
    left, bottom, width, height = inches
    axes = figure.add_axes(
        (left / WIDTH, bottom / HEIGHT, width / WIDTH, height / HEIGHT), facecolor=BACKGROUND
    )
    top = (bottom + height + 0.13) / HEIGHT
    figure.text(left / WIDTH, top, title, color=TEXT, fontsize=14, fontfamily=FONT)
    figure.text(
        (left + width) / WIDTH, top, subtitle, color=MUTED, fontsize=11, fontfamily=FONT, ha="right"
    )
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(FAINT)
    axes.grid(color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", length=0, labelsize=10.5, labelcolor=MUTED, pad=5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=MUTED, fontsize=11, fontfamily=FONT)
    return axes


def _colour_bar(figure: Figure, inches: tuple[float, float, float, float]) -> None:
    axes = _panel(figure, inches, "", "")
    colours = np.linspace(0, 1, 256)[:, np.newaxis]
    extent = (0, 1, 0, LARGEST_HU)
    axes.imshow(colours, cmap=UNCERTAINTY_COLOURS, aspect="auto", origin="lower", extent=extent)
    axes.grid(visible=False)
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks(range(250, 1500, 250))
    for spine in axes.spines.values():
        spine.set_visible(False)
    left, bottom, _, height = inches
    figure.text(
        left / WIDTH, (bottom + height + 0.13) / HEIGHT, "HU", color=MUTED, fontsize=10.5,
        fontfamily=FONT,
    )  # fmt: skip


def _legend(axes: Axes, lines: list[Line2D], names: list[str], **place: object) -> None:
    style = {"family": FONT, "size": 10.5}
    axes.legend(lines, names, prop=style, labelcolor=TEXT, frameon=False, handlelength=1.8, **place)
