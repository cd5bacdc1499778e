"""Figures of the values: box plots, effect sizes, and the curves of uncertainty."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ...preview.drawing import FONT
from ..uncertainty import NORMAL_COVERAGE
from .catalogue import MEASURES
from .results import Results
from .theme import (
    LINE,
    MUTED,
    NORMAL,
    SMALL,
    TEXT,
    colours,
    dress,
    new_figure,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cases: TypeAlias = Sequence[Mapping[str, Any]]
"""What :func:`~microctsr_core.evaluation.measures` tells of each case of a method."""

_HU = (1, 3000)  # from a negligible uncertainty to the contrast of bone in air
_HU_TICKS = (1, 10, 100, 1000)
_COLUMNS = 4
_NAMES = 6  # of methods, beside each other
_ROW = 1.62  # inches, as the next
_EFFECT_ROW = 0.27


def method_colours(results: Results) -> dict[str, str]:
    """The colour of each method of a study, in every figure."""
    cubic = next((m.name for m in results.study.methods if m.kind == "cubic"), None)
    return colours(results.methods, results.study.against, cubic)


def draw_boxes(results: Results) -> Figure:
    """A panel for each measure: boxes over the cases by method, every case as a dot.

    Boxes reach from quartile to quartile about the median, whiskers to the farthest case within
    1.5 times that range; a line joins what the methods make of one case.
    """
    keys, palette = results.measures, method_colours(results)
    rows = -(-len(keys) // _COLUMNS)
    bottom = _legend_height(palette)
    height = rows * _ROW + bottom
    figure = new_figure(height)
    axes = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for place, key in zip(axes, keys, strict=False):
        _draw_panel(place, results, key, palette)
    for place in axes[len(keys) :]:
        place.set_axis_off()
    _draw_legend(figure, palette)
    figure.subplots_adjust(0.065, (bottom + 0.1) / height, 0.995, 1 - 0.22 / height, 0.38, 0.34)
    return figure


def _draw_panel(axes: Axes, results: Results, key: str, palette: dict[str, str]) -> None:
    names = [name for name in results.methods if results.known(name, key)]
    where = np.array([results.methods.index(name) for name in names])
    table = np.array([results.of(name, key) for name in names])
    # Small steps to the sides tell dots of like values apart, the same ones every time.
    steps = ((np.arange(table.shape[1]) * 0.618034) % 1 - 0.5) * 0.3
    for step, case in zip(steps, table.T, strict=True):
        axes.plot(where + step, case, color=LINE, linewidth=0.5, zorder=1)
    for n, name, values in zip(where, names, table, strict=True):
        axes.boxplot(
            values[np.isfinite(values)], positions=[n], widths=0.52, showfliers=False,
            patch_artist=True, zorder=2,
            boxprops={"facecolor": palette[name], "alpha": 0.32, "linewidth": 0},
            medianprops={"color": palette[name], "linewidth": 1.6},
            whiskerprops={"color": palette[name], "linewidth": 0.8},
            capprops={"linewidth": 0},
        )  # fmt: skip
        axes.scatter(
            n + steps, values, s=5, color=palette[name], edgecolor="white", linewidth=0.25,
            zorder=3,
        )  # fmt: skip
    measure = MEASURES[key]
    if not isinstance(measure.best, str):
        axes.axhline(measure.best, color=MUTED, linewidth=0.7, linestyle=(0, (4, 3)), zorder=0)
    dress(axes)
    axes.set_xlim(-0.6, len(results.methods) - 0.4)
    axes.set_xticks([])
    axes.margins(y=0.08)
    axes.set_title(f"{measure.label} {measure.direction}", loc="left", pad=4, **style(NORMAL))
    axes.set_ylabel(measure.unit, labelpad=1.5, **style(SMALL, MUTED))


def _legend_height(names: Collection[str]) -> float:
    """Inches that the names of the methods take."""
    return 0.14 + 0.16 * -(-len(names) // _NAMES)


def _draw_legend(figure: Figure, palette: Mapping[str, str]) -> None:
    """The methods and their colours, along the lower edge."""
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=colour, alpha=0.75, label=n) for n, colour in palette.items()]
    figure.legend(
        handles=handles, loc="lower center", ncols=min(_NAMES, len(handles)), frameon=False,
        prop={"family": FONT, "size": NORMAL}, labelcolor=TEXT, handlelength=0.9,
        handleheight=0.9, columnspacing=1.6, borderaxespad=0.1,
    )  # fmt: skip


def draw_effects(results: Results) -> Figure | None:
    """Rank-biserial correlation of each measure and rival; ``None`` where no test was possible."""
    palette, against = method_colours(results), results.study.against
    rows = []
    for key in results.measures:
        compared = results.compared(key)
        found = {name: c.effect for name, c in compared.items() if c.effect is not None}
        if found:
            rows.append((key, found))
    if not rows:
        return None
    names = list(dict.fromkeys(name for _, found in rows for name in found))
    plot, bottom = _EFFECT_ROW * len(rows), _legend_height(names) + 0.4
    height = plot + bottom + 0.06
    figure = new_figure(height)
    axes = figure.add_axes((0.22, bottom / height, 0.76, plot / height))
    for n, (key, found) in enumerate(rows):
        y = len(rows) - 1 - n
        if n % 2 == 0:
            axes.axhspan(y - 0.5, y + 0.5, color="#f5f6f8", zorder=0, linewidth=0)
        corrected = results.corrected(key)
        for name, effect in found.items():
            offset = (0.5 * (len(names) - 1) - names.index(name)) * min(0.27, 0.8 / len(names))
            p = corrected[name]
            sure = p is not None and p < 0.05
            axes.plot(
                effect, y + offset, "o", markersize=4.2, zorder=3, clip_on=False,
                markerfacecolor=palette[name] if sure else "white",
                markeredgecolor=palette[name], markeredgewidth=0.9,
            )  # fmt: skip
    dress(axes)
    axes.grid(visible=False)
    axes.grid(axis="x", color=LINE, linewidth=0.5)
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    axes.set_xlim(-1.03, 1.03)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    labels = [MEASURES[key].label for key, _ in rows]
    axes.set_yticks(range(len(rows))[::-1], labels)
    axes.tick_params(axis="y", length=0, labelsize=NORMAL)
    ticks = (-1, -0.5, 0, 0.5, 1)
    axes.set_xticks(ticks, [f"{tick:g}".replace("-", "\N{MINUS SIGN}") for tick in ticks])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel("rank-biserial correlation", labelpad=3, **style(SMALL, MUTED))
    for x, side, text in (
        (-1, "left", f"\N{LEFTWARDS ARROW} {against} worse"),
        (1, "right", f"{against} better \N{RIGHTWARDS ARROW}"),
    ):
        axes.text(
            x, -0.245 / plot, text, transform=axes.get_xaxis_transform(),
            **style(SMALL, MUTED, ha=side, va="center"),
        )  # fmt: skip
    _draw_legend(figure, {f"against {name}": palette[name] for name in names})
    return figure


def draw_uncertainty(results: Results) -> Figure | None:
    """Sparsification, calibration and coverage; ``None`` where no method has an uncertainty."""
    if not results.curves:
        return None
    palette = method_colours(results)
    height = 2.3 + _legend_height(results.curves)
    figure = new_figure(height)
    left, middle, right = figure.subplots(1, 3)
    for name, cases in results.curves.items():
        _draw_sparsification(left, cases, palette[name])
        _draw_calibration(middle, cases, palette[name])
        _draw_coverage(right, cases, palette[name])
    multiples, shares = list(NORMAL_COVERAGE), list(NORMAL_COVERAGE.values())
    wanted: dict[str, Any] = {"color": MUTED, "linewidth": 0.8, "linestyle": (0, (4, 3))}
    left.plot([0, 100], [1, 1], **wanted | {"linestyle": (0, (1, 2))})
    middle.plot(_HU, _HU, **wanted)
    right.plot(multiples, shares, **wanted)
    for axes, title, x, y in (
        (left, "Sparsification", "most uncertain voxels removed, %", "mean error left"),
        (middle, "Calibration", "uncertainty, HU", "RMS error, HU"),
        (right, "Coverage", "uncertainties", "share of errors within"),
    ):
        dress(axes)
        axes.set_title(title, loc="left", pad=4, **style(NORMAL, weight="bold"))
        axes.set_xlabel(x, labelpad=2, **style(SMALL, MUTED))
        axes.set_ylabel(y, labelpad=2, **style(SMALL, MUTED))
    left.set(xlim=(0, 100), ylim=(0, 1.05))
    middle.set(xscale="log", yscale="log", xlim=_HU, ylim=_HU)
    middle.minorticks_off()
    middle.set_xticks(_HU_TICKS, [f"{tick:g}" for tick in _HU_TICKS])
    middle.set_yticks(_HU_TICKS, [f"{tick:g}" for tick in _HU_TICKS])
    right.set(ylim=(0, 1.02))
    right.set_xticks(multiples, [f"{k} SD" for k in multiples])
    bottom = _legend_height(results.curves)
    _draw_legend(figure, {name: palette[name] for name in results.curves})
    figure.subplots_adjust(0.06, (bottom + 0.28) / height, 0.99, 1 - 0.23 / height, 0.3)
    return figure


def _draw_sparsification(axes: Axes, cases: Cases, colour: str) -> None:
    # Of the last voxels, few are left to tell anything.
    removed = 100 * np.array(cases[0]["sparsification"]["removed"])[:-1]
    for curve, line, width in (("left", "-", 1.4), ("oracle", (0, (3, 2)), 0.9)):
        mean = np.mean([case["sparsification"][curve] for case in cases], axis=0)[:-1]
        axes.plot(removed, mean, color=colour, linewidth=width, linestyle=line)


def _draw_calibration(axes: Axes, cases: Cases, colour: str) -> None:
    predicted, actual = (
        np.sqrt(np.mean(np.square([case["calibration"][part] for case in cases]), axis=0))
        for part in ("predicted", "actual")
    )
    axes.plot(predicted, actual, color=colour, linewidth=1.2, marker="o", markersize=2.4)


def _draw_coverage(axes: Axes, cases: Cases, colour: str) -> None:
    multiples = list(NORMAL_COVERAGE)
    shares = np.array([[case["coverage"][str(k)] for k in multiples] for case in cases])
    axes.plot(multiples, shares.T, color=colour, linewidth=0.4, alpha=0.35)
    axes.plot(multiples, shares.mean(0), color=colour, linewidth=1.4, marker="o", markersize=2.8)
