"""The box plots of the stars, by criterion and method: the paper's Fig. 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..evaluation.comparison.statistics import p_text
from ..evaluation.comparison.theme import (
    MUTED,
    NORMAL,
    SMALL,
    WIDTH,
    colours,
    dress,
    new_figure,
    style,
)
from .analysis import Analysis
from .folder import ReaderStudy
from .protocol import STARS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CUBIC = "cubic"
_PANEL, _COLUMNS = 2.5, 2  # inches high; so many beside each other
_BRACKET = 0.42  # stars of height that a bracket takes
_MOST_BRACKETS = 4
_LARGEST_DISC = 170.0  # points squared, for all ratings of a method


def method_colours(study: ReaderStudy) -> dict[str, str]:
    """The colour of each method, as in the report of a comparison."""
    return colours(study.methods, study.against, _CUBIC if _CUBIC in study.methods else None)


def draw_stars(analysis: Analysis) -> Figure:
    """A panel for each criterion with a box for each method."""
    palette = method_colours(analysis.study)
    columns = min(_COLUMNS, len(analysis.criteria))
    rows = -(-len(analysis.criteria) // columns)
    bottom = _label_height(analysis.study.methods, columns)
    height = rows * (_PANEL + bottom + 0.25) + 0.05
    figure = new_figure(height)
    panels = np.ravel(figure.subplots(rows, columns, squeeze=False))
    for number, (axes, criterion) in enumerate(zip(panels, analysis.criteria, strict=False)):
        letter = chr(ord("a") + number)
        _draw_panel(axes, analysis, criterion, f"({letter}) {criterion}", palette)
    for axes in panels[len(analysis.criteria) :]:
        axes.set_axis_off()
    figure.subplots_adjust(
        0.055, bottom / height, 0.995, 1 - 0.25 / height, 0.16, (bottom + 0.25) / _PANEL
    )
    return figure


def _label_height(methods: list[str], columns: int) -> float:
    """Inches below a panel for the names of the methods."""
    return 0.75 if _crowded(methods, columns) else 0.28


def _crowded(methods: list[str], columns: int) -> bool:
    """Whether the names do not fit beside each other."""
    # A letter is about 0.6 times as wide as high, and an inch has 72 points.
    letters = 72 * WIDTH / columns / len(methods) / (0.6 * NORMAL)
    return max(len(name) for name in methods) > letters


def _draw_panel(
    axes: Axes, analysis: Analysis, criterion: str, title: str, palette: dict[str, str]
) -> None:
    methods = analysis.study.methods
    for place, method in enumerate(methods):
        values, colour = analysis.of(criterion, method), palette[method]
        if not values.size:
            continue
        stars, counts = np.unique(values, return_counts=True)
        axes.scatter(
            np.full(len(stars), place), stars, s=_LARGEST_DISC * counts / values.size,
            color=colour, alpha=0.30, linewidth=0, zorder=2,
        )  # fmt: skip
        axes.boxplot(
            values, positions=[place], widths=0.56, showfliers=False, showmeans=True,
            patch_artist=True, zorder=3,
            boxprops={"facecolor": "none", "edgecolor": colour, "linewidth": 0.9},
            medianprops={"color": colour, "linewidth": 2.2, "solid_capstyle": "butt"},
            whiskerprops={"color": colour, "linewidth": 0.9},
            capprops={"color": colour, "linewidth": 0.9},
            meanprops={"marker": "D", "markersize": 3.4, "markerfacecolor": "white",
                       "markeredgecolor": colour, "markeredgewidth": 0.9},
        )  # fmt: skip
    dress(axes)
    top = STARS + 0.45 + _draw_brackets(axes, analysis, criterion)
    axes.set_xlim(-0.6, len(methods) - 0.4)
    axes.set_ylim(0.55, top)
    axes.set_yticks(range(1, STARS + 1))
    axes.spines["left"].set_bounds(1, STARS)
    turned = _crowded(methods, min(_COLUMNS, len(analysis.criteria)))
    axes.set_xticks(
        range(len(methods)), methods, rotation=25 if turned else 0,
        ha="right" if turned else "center", rotation_mode="anchor" if turned else "default",
    )  # fmt: skip
    axes.tick_params(axis="x", length=0, labelsize=NORMAL, pad=4)
    for label, method in zip(axes.get_xticklabels(), methods, strict=True):
        label.set_fontweight("bold" if method == analysis.study.against else "normal")
    axes.set_title(title, loc="left", pad=5, **style(NORMAL, weight="bold"))
    axes.set_ylabel("stars", labelpad=2, **style(SMALL, MUTED))


def _draw_brackets(axes: Axes, analysis: Analysis, criterion: str) -> float:
    """Join the method that matters with each other one by its p; the height that this takes."""
    methods = analysis.study.methods
    tests = [
        (methods.index(each.rival), each.signed_rank_p_holm)
        for each in analysis.comparisons
        if each.criterion == criterion and each.signed_rank_p_holm is not None
    ]
    if not tests or len(tests) > _MOST_BRACKETS:
        return 0.0
    here = methods.index(analysis.study.against)
    tests.sort(key=lambda test: abs(test[0] - here))
    for level, (there, p) in enumerate(tests):
        y = STARS + 0.45 + _BRACKET * (level + 0.35)
        ends, drop = sorted((here, there)), 0.09
        axes.plot(
            [ends[0], ends[0], ends[1], ends[1]], [y - drop, y, y, y - drop],
            color=MUTED, linewidth=0.7, clip_on=False,
        )  # fmt: skip
        text = "p < 0.0001" if p < 0.0001 else p_text(p)
        axes.text(sum(ends) / 2, y + 0.02, text, **style(SMALL, MUTED, ha="center", va="bottom"))
    return _BRACKET * (len(tests) + 0.5)
