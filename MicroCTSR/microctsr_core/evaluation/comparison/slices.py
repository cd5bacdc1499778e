"""The figure of slices side by side: input, methods, truth; closer, in error and uncertainty."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ...preview.drawing import UNCERTAINTY_COLOURS
from ...preview.planes import round_length
from .shown import INPUT, TRUTH, Shown
from .theme import MUTED, NORMAL, SMALL, WIDTH, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_LEFT, _RIGHT, _GAP = 0.24, 0.53, 0.05  # inches: row names, colour bars, between panels
_TOP, _BOTTOM = 0.26, 0.06
_ZOOM_COLOUR = "#ffcf40"
_SHOWN_NAMES = {INPUT: "input, cubic", TRUTH: "truth"}


def draw_slices(shown: Shown, against: str) -> Figure:
    """One slice by every method, the same part of each closer, and the maps of those that have one.

    Args:
        shown: what to draw.
        against: the method whose name is written in bold.

    All images share one grey window, all uncertainties one scale of colours, and so do all errors.
    """
    (j0, j1), (i0, i1) = shown.zoom
    truth = shown.planes.get(TRUTH)
    errors = {
        name: np.abs(plane - truth)
        for name, plane in shown.planes.items()
        if truth is not None and name != TRUTH
    }
    whole, closer = shown.planes, {n: p[j0:j1, i0:i1] for n, p in shown.planes.items()}
    rows: list[tuple[str, dict[str, NDArray], float | None]] = [
        (f"slice {shown.slice} of {shown.slices}", whole, None),
        ("closer", closer, None),
    ]
    if shown.uncertainty:
        rows.append(("uncertainty", shown.uncertainty, _limit(shown.uncertainty.values(), 99.5)))
    if errors:
        rows.append(("error", errors, _limit(errors.values(), 95)))

    columns = list(shown.planes)
    titles = [_SHOWN_NAMES.get(column, column) for column in columns]
    side = (WIDTH - _LEFT - _RIGHT - _GAP * (len(columns) - 1)) / len(columns)
    # A letter is about 0.6 times as wide as high, and an inch has 72 points.
    size = min(NORMAL, 72 * side / (0.6 * max(len(title) for title in titles)))
    heights = [side * plane.shape[0] / plane.shape[1] for plane in _first_of(rows)]
    total = _TOP + sum(heights) + _GAP * (len(rows) - 1) + _BOTTOM
    figure = new_figure(total)
    top = total - _TOP
    for (name, planes, limit), height in zip(rows, heights, strict=True):
        bottom = top - height
        figure.text(
            (_LEFT - 0.07) / WIDTH, (bottom + height / 2) / total, name,
            **style(SMALL, MUTED, rotation=90, ha="right", va="center"),
        )  # fmt: skip
        image = None
        for number, column in enumerate(columns):
            if column not in planes:
                continue
            left = _LEFT + number * (side + _GAP)
            place = (left / WIDTH, bottom / total, side / WIDTH, height / total)
            axes = figure.add_axes(place)
            axes.set_axis_off()
            colour: dict[str, Any] = (
                {"cmap": "gray", "vmin": shown.window[0], "vmax": shown.window[1]}
                if limit is None
                else {"cmap": UNCERTAINTY_COLOURS, "vmin": 0, "vmax": limit}
            )
            image = axes.imshow(planes[column], aspect="auto", interpolation="lanczos", **colour)
            if number == 0 and limit is None:
                width_mm = planes[column].shape[1] * shown.pixel_mm
                _draw_scale_bar(axes, width_mm, planes is whole and _in_the_way(shown))
            if planes is whole:
                _draw_frame(axes, shown)
                weight = "bold" if column == against else "normal"
                axes.set_title(titles[number], pad=3, **style(size, weight=weight))
        if image is not None and name != "closer":
            last = max(columns.index(column) for column in planes)
            left = _LEFT + (last + 1) * (side + _GAP)
            _draw_bar(figure, image, (left, bottom, height), total)
        top = bottom - _GAP
    return figure


def _first_of(rows: list[tuple[str, dict[str, NDArray], float | None]]) -> list[NDArray]:
    return [next(iter(planes.values())) for _, planes, _ in rows]


def _limit(maps: Iterable[NDArray], percent: float) -> float:
    """HU at the upper end of the colours, which so many per cent of the pixels stay below."""
    greatest = max(float(np.percentile(plane, percent)) for plane in maps)
    return max(1.0, float(np.ceil(greatest / 50) * 50))


def _draw_frame(axes: Axes, shown: Shown) -> None:
    from matplotlib.patches import Rectangle

    (j0, j1), (i0, i1) = shown.zoom
    axes.add_patch(
        Rectangle(
            (i0 - 0.5, j0 - 0.5),
            i1 - i0,
            j1 - j0,
            fill=False,
            edgecolor=_ZOOM_COLOUR,
            linewidth=0.7,
        )
    )


def _in_the_way(shown: Shown) -> bool:
    """Whether the frame covers the lower left corner, where the scale bar would be."""
    (_, j1), (i0, _) = shown.zoom
    rows, columns = shown.planes[next(iter(shown.planes))].shape
    return j1 > 0.8 * rows and i0 < 0.4 * columns


def _draw_scale_bar(axes: Axes, width_mm: float, at_right: bool) -> None:
    from matplotlib.patheffects import withStroke

    length_mm = round_length(width_mm / 3)
    start = 0.94 - length_mm / width_mm if at_right else 0.06
    end = start + length_mm / width_mm
    (line,) = axes.plot(
        [start, end], [0.07, 0.07], transform=axes.transAxes, color="white", linewidth=1.4,
        solid_capstyle="butt",
    )  # fmt: skip
    line.set_path_effects([withStroke(linewidth=2.6, foreground="black")])
    text = axes.text(
        (start + end) / 2, 0.1, f"{length_mm:g} mm", transform=axes.transAxes,
        **style(5.5, "white", ha="center", va="bottom"),
    )  # fmt: skip
    text.set_path_effects([withStroke(linewidth=1.6, foreground="black")])


def _draw_bar(figure: Figure, image: Any, place: tuple[float, float, float], total: float) -> None:
    """A thin colour bar beside a row, the unit at its greatest number."""
    left, bottom, height = place
    axes = figure.add_axes((left / WIDTH, bottom / total, 0.06 / WIDTH, height / total))
    low, high = image.get_clim()
    axes.imshow(
        np.linspace(0, 1, 256)[:, None], cmap=image.get_cmap(), aspect="auto", origin="lower",
        extent=(0, 1, low, high),
    )  # fmt: skip
    axes.set_xticks([])
    axes.yaxis.tick_right()
    inset = 0.02 * (high - low)
    ticks = [tick for tick in axes.get_yticks() if low - inset <= tick <= high - inset]
    names = [f"{tick:g}".replace("-", "\N{MINUS SIGN}") for tick in ticks]
    axes.set_yticks(ticks, [*names[:-1], f"{names[-1]} HU"])
    axes.tick_params(length=0, pad=2, labelsize=5.5, labelcolor=MUTED)
    for spine in axes.spines.values():
        spine.set_visible(False)
