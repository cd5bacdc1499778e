"""The figure of slices side by side: input, methods, truth; closer, in error and uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...preview.drawing import UNCERTAINTY_COLOURS
from ...preview.planes import round_length
from .shown import INPUT, TRUTH, Shown
from .theme import MUTED, NORMAL, SMALL, WIDTH, new_figure, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_LEFT, _RIGHT, _GAP = 0.24, 0.53, 0.05  # inches: row names, colour bars, between panels
_TOP, _BOTTOM = 0.26, 0.06
_TINY = 5.5  # points
_ZOOM_COLOUR = "#ffcf40"
_SHOWN_NAMES = {INPUT: "input, cubic", TRUTH: "truth"}


@dataclass(frozen=True, eq=False)
class _Row:
    """Panels beside each other.

    Args:
        name: written at the left.
        planes: by column; a column that is not there stays empty.
        colours: of matplotlib.
        window: HU at the ends of the colours.
        gamma: of the colours; below 1, they tell small values apart.
        bar: whether the colours are explained beside the row.
    """

    name: str
    planes: Mapping[str, NDArray]
    colours: str
    window: tuple[float, float]
    gamma: float = 1.0
    bar: bool = True

    @property
    def aspect(self) -> float:
        """Height over width."""
        rows, columns = next(iter(self.planes.values())).shape
        return rows / columns

    @property
    def norm(self) -> Normalize:
        """From HU to the colours."""
        from matplotlib.colors import PowerNorm

        return PowerNorm(self.gamma, *self.window)


def draw_slices(shown: Shown, against: str) -> Figure:
    """One slice by every method, the same part of each closer, and the maps of those that have one.

    All images share one grey window. Uncertainties and errors share one scale of colours, so that
    the one can be held against the other; it goes by the square root, as those of different methods
    may differ in size by far.

    Args:
        shown: what to draw.
        against: the method whose name is written in bold.
    """
    rows, columns = _rows(shown), list(shown.planes)
    titles = [_SHOWN_NAMES.get(column, column) for column in columns]
    side = (WIDTH - _LEFT - _RIGHT - _GAP * (len(columns) - 1)) / len(columns)
    # A letter is about 0.6 times as wide as high, and an inch has 72 points.
    size = min(NORMAL, 72 * side / (0.6 * max(len(title) for title in titles)))
    total = _TOP + sum(side * row.aspect + _GAP for row in rows) - _GAP + _BOTTOM
    figure = new_figure(total)
    top = total - _TOP
    for row in rows:
        height = side * row.aspect
        bottom = top - height
        figure.text(
            (_LEFT - 0.07) / WIDTH, (bottom + height / 2) / total, row.name,
            **style(SMALL, MUTED, rotation=90, ha="right", va="center"),
        )  # fmt: skip
        right = _LEFT
        for number, column in enumerate(columns):
            if column not in row.planes:
                continue
            left = _LEFT + number * (side + _GAP)
            right = left + side
            place = (left / WIDTH, bottom / total, side / WIDTH, height / total)
            axes = _draw_panel(figure, place, row, column)
            if row.planes is shown.planes:
                _draw_frame(axes, shown)
                weight = "bold" if column == against else "normal"
                axes.set_title(titles[number], pad=3, **style(size, weight=weight))
            if number == 0 and row.colours == "gray":
                width_mm = row.planes[column].shape[1] * shown.pixel_mm
                in_the_way = row.planes is shown.planes and _at_lower_left(shown)
                _draw_scale_bar(axes, width_mm, at_right=in_the_way)
        if row.bar:
            place = ((right + _GAP) / WIDTH, bottom / total, 0.06 / WIDTH, height / total)
            _draw_bar(figure, place, row)
        top = bottom - _GAP
    return figure


def _rows(shown: Shown) -> list[_Row]:
    (j0, j1), (i0, i1) = shown.zoom
    truth = shown.planes.get(TRUTH)
    closer = {name: plane[j0:j1, i0:i1] for name, plane in shown.planes.items()}
    rows = [
        _Row(f"slice {shown.slice} of {shown.slices}", shown.planes, "gray", shown.window),
        _Row("closer", closer, "gray", shown.window, bar=False),
    ]
    maps = {"uncertainty": shown.uncertainty}
    if truth is not None:
        errors = {n: np.abs(plane - truth) for n, plane in shown.planes.items() if n != TRUTH}
        maps["error"] = errors
    limit = _limit([plane for planes in maps.values() for plane in planes.values()])
    rows += [
        _Row(name, planes, UNCERTAINTY_COLOURS, (0, limit), gamma=0.5)
        for name, planes in maps.items()
        if planes
    ]
    return rows


def _limit(maps: Sequence[NDArray]) -> float:
    """HU at the upper end of the colours, which nearly all pixels of every map stay below."""
    greatest = max((float(np.percentile(plane, 98)) for plane in maps), default=1.0)
    return max(1.0, float(np.ceil(greatest / 50) * 50))


def _draw_panel(
    figure: Figure, place: tuple[float, float, float, float], row: _Row, column: str
) -> Axes:
    axes = figure.add_axes(place)
    axes.set_axis_off()
    axes.imshow(
        row.planes[column], aspect="auto", interpolation="lanczos", cmap=row.colours, norm=row.norm
    )
    return axes


def _draw_frame(axes: Axes, shown: Shown) -> None:
    from matplotlib.patches import Rectangle

    (j0, j1), (i0, i1) = shown.zoom
    frame = Rectangle((i0 - 0.5, j0 - 0.5), i1 - i0, j1 - j0, fill=False)
    frame.set(edgecolor=_ZOOM_COLOUR, linewidth=0.7)
    axes.add_patch(frame)


def _at_lower_left(shown: Shown) -> bool:
    """Whether the frame covers the lower left corner, where the scale bar would be."""
    (_, j1), (i0, _) = shown.zoom
    rows, columns = next(iter(shown.planes.values())).shape
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
        **style(_TINY, "white", ha="center", va="bottom"),
    )  # fmt: skip
    text.set_path_effects([withStroke(linewidth=1.6, foreground="black")])


def _draw_bar(figure: Figure, place: tuple[float, float, float, float], row: _Row) -> None:
    """A thin colour bar beside a row, the unit at its greatest number."""
    from matplotlib.ticker import MaxNLocator

    axes = figure.add_axes(place)
    axes.imshow(
        np.linspace(0, 1, 256)[:, None], cmap=row.colours, aspect="auto", origin="lower",
        extent=(0, 1, 0, 1),
    )  # fmt: skip
    axes.set_xticks([])
    axes.yaxis.tick_right()
    low, high = row.window
    located = MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(low, high)
    ticks = [float(tick) for tick in located if low <= tick <= high]
    if row.gamma < 1 and len(ticks) > 1:
        ticks.insert(1, ticks[1] / 5)  # where there is room for one more
    names = [f"{tick:g}".replace("-", "\N{MINUS SIGN}") for tick in ticks]
    axes.set_yticks(row.norm(ticks), [*names[:-1], f"{names[-1]} HU"])
    axes.tick_params(length=0, pad=2, labelsize=_TINY, labelcolor=MUTED)
    for spine in axes.spines.values():
        spine.set_visible(False)
