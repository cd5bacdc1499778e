"""Drawing the picture with matplotlib's object interface: no window, no global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..io.atomic import atomic_path
from .planes import Planes, Scales, View, most_structured_slice, round_length

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from ..superresolution import Result
    from ..volume import Volume

# One style for every figure of the project: a dark reading room, one typeface, two greys of text.
BACKGROUND = "#0d0f12"
TEXT = "#e6e8ea"
MUTED = "#a0a7ae"
FONT = "DejaVu Sans"  # comes with matplotlib, so the picture is the same on every machine
UNCERTAINTY_COLOURS = "inferno"
CONSISTENCY_COLOURS = "berlin"  # diverging with a dark centre: agreement stays in the background

DOTS_PER_INCH = 100
WIDTH = 16.0  # inches; 1600 pixels, sharp at a README's width
MARGIN = 0.3
GAP = 0.22  # between the input and the result
TITLE = 0.4  # strip above a panel
BAR = 0.9  # strip to the right of a panel for its colour bar and numbers
FOOTER = 0.5
SEPARATOR = "   ·   "
_SHADE: dict[str, Any] = {"alpha": 0.6, "linewidth": 0}  # behind text that lies on an image


def write_preview(
    path: str | Path,
    ct: Volume,
    result: Result,
    slice_index: int | Sequence[int] | None = None,
    noise_sd_hu: float | None = None,
) -> None:
    """Draw a result and write it as PNG, about 1600 pixels wide.

    Every row shows one slice: the input cubically interpolated to the result's grid, the result,
    its uncertainty laid over it in colour, and its consistency with the input.

    Args:
        path: file to write; replaced atomically.
        ct: the scan that was super-resolved, or any part of it that contains the result.
        result: what ``superresolve`` returned.
        slice_index: slice (k) of ``result.mean``, or several, one row each; by default the slice
            with the most structure.
        noise_sd_hu: noise of the scanner in HU; the consistency map spans three of it to either
            side. By default it is estimated from the map itself.
    """
    figure = draw_preview(ct, result, slice_index, noise_sd_hu)
    with atomic_path(Path(path)) as temporary:
        figure.savefig(temporary, format="png", dpi=DOTS_PER_INCH, facecolor=BACKGROUND)


def draw_preview(
    ct: Volume,
    result: Result,
    slice_index: int | Sequence[int] | None = None,
    noise_sd_hu: float | None = None,
) -> Figure:
    """The figure of ``write_preview``, for notebooks and for saving in another format."""
    if slice_index is None:
        slice_index = most_structured_slice(result.mean)
    indices = [slice_index] if isinstance(slice_index, int | np.integer) else list(slice_index)
    view = View.of(result.mean)
    planes = [Planes.cut(ct, result, int(k), view) for k in indices]
    scales = Scales.of(planes, result, noise_sd_hu)

    layout = Layout(view.height_mm / view.width_mm, len(planes))
    figure = layout.figure()
    for row, plane in enumerate(planes):
        _draw_row(figure, layout, row, plane, view, scales, result)
    _write_footer(figure, layout, ct, result)
    return figure


class Layout:
    """Where things stand on the page, in inches from its lower left corner.

    Each row: input and result large, uncertainty above consistency at their right.
    """

    def __init__(self, aspect: float, rows: int) -> None:
        # Very wide or very tall slices are fitted into a moderate frame.
        self.aspect = min(max(aspect, 0.45), 1.35)
        # Two small panels and a title between them are as high as a large one.
        free = WIDTH - 2 * MARGIN - GAP - 2 * BAR
        self.large = (free + TITLE / (2 * self.aspect)) / 2.5
        self.small = (self.large * self.aspect - TITLE) / (2 * self.aspect)
        self.rows = rows
        self.row_height = TITLE + self.large * self.aspect + 0.12
        self.height = 0.14 + rows * self.row_height + FOOTER

    def figure(self) -> Figure:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(WIDTH, self.height), facecolor=BACKGROUND)
        FigureCanvasAgg(figure)
        return figure

    def panel(self, row: int, name: str) -> tuple[float, float, float, float]:
        """(left, bottom, width, height) of a panel."""
        bottom = FOOTER + (self.rows - 1 - row) * self.row_height + 0.12
        large, small = (
            (self.large, self.large * self.aspect),
            (self.small, self.small * self.aspect),
        )
        right_column = MARGIN + 2 * self.large + GAP + BAR
        if name == "cubic":
            return (MARGIN, bottom, *large)
        if name == "mean":
            return (MARGIN + self.large + GAP, bottom, *large)
        if name == "uncertainty":
            return (right_column, bottom + small[1] + TITLE, *small)
        return (right_column, bottom, *small)

    def place(self, inches: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        left, bottom, width, height = inches
        return (left / WIDTH, bottom / self.height, width / WIDTH, height / self.height)


def _draw_row(
    figure: Figure,
    layout: Layout,
    row: int,
    planes: Planes,
    view: View,
    scales: Scales,
    result: Result,
) -> None:
    grey: dict[str, Any] = {"cmap": "gray", "vmin": scales.low_hu, "vmax": scales.high_hu}
    smooth: dict[str, Any] = {"interpolation": "lanczos"}
    extent = (0.0, view.width_mm, view.height_mm, 0.0)

    number = f"slice {planes.number + 1} of {len(result.mean.array)}"
    axes = _add_panel(figure, layout, row, "cubic", f"Input, {number}", "cubic interpolation")
    axes.imshow(planes.cubic, extent=extent, **grey, **smooth)
    _write_letters(axes, view)
    _draw_scale_bar(axes, view)

    passes = _passes(result)
    axes = _add_panel(figure, layout, row, "mean", "Super-resolved", f"mean of {passes}")
    image = axes.imshow(planes.mean, extent=extent, **grey, **smooth)
    _add_bar(figure, layout, layout.panel(row, "mean"), image, "HU")

    axes = _add_panel(figure, layout, row, "uncertainty", "Uncertainty", _uncertainty(result))
    axes.imshow(planes.mean, extent=extent, **grey, **smooth)
    # The slice recedes to a shadow, which leaves the brightness to the uncertainty.
    axes.imshow(np.zeros((1, 1)), extent=extent, cmap="gray", vmin=0, vmax=1, alpha=0.55)
    strength = np.clip(planes.uncertainty / scales.uncertainty_hu, 0, 1)
    image = axes.imshow(
        planes.uncertainty,
        extent=extent,
        cmap=UNCERTAINTY_COLOURS,
        vmin=0,
        vmax=scales.uncertainty_hu,
        alpha=np.sqrt(strength),
    )
    _add_bar(figure, layout, layout.panel(row, "uncertainty"), image, "HU")

    axes = _add_panel(figure, layout, row, "consistency", "Consistency", "with input")
    limit = scales.consistency_hu
    image = axes.imshow(
        planes.consistency,
        extent=extent,
        cmap=CONSISTENCY_COLOURS,
        vmin=-limit,
        vmax=limit,
        interpolation="nearest",
    )
    _add_bar(figure, layout, layout.panel(row, "consistency"), image, "HU")


def _add_panel(
    figure: Figure, layout: Layout, row: int, name: str, title: str, subtitle: str
) -> Axes:
    left, bottom, width, height = place = layout.panel(row, name)
    axes = figure.add_axes(layout.place(place))
    axes.set_axis_off()
    top = (bottom + height + 0.11) / layout.height
    figure.text(left / WIDTH, top, title, color=TEXT, fontsize=14, fontfamily=FONT)
    figure.text(
        (left + width) / WIDTH,
        top,
        subtitle,
        color=MUTED,
        fontsize=11,
        fontfamily=FONT,
        horizontalalignment="right",
    )
    return axes


def _add_bar(
    figure: Figure,
    layout: Layout,
    panel: tuple[float, float, float, float],
    image: AxesImage,
    unit: str,
) -> None:
    """A thin colour bar to the right of a panel, its unit above the numbers."""
    left, bottom, width, height = panel
    axes = figure.add_axes(layout.place((left + width + 0.12, bottom, 0.09, height)))
    low, high = image.get_clim()
    colours = np.linspace(0, 1, 256)[:, np.newaxis]
    axes.imshow(
        colours, cmap=image.get_cmap(), aspect="auto", origin="lower", extent=(0, 1, low, high)
    )
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.set_yticks(_round_ticks(low, high), minor=False)
    axes.tick_params(axis="y", length=0, pad=4, labelsize=10.5, labelcolor=MUTED)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}".replace("-", "\N{MINUS SIGN}"))
    for label in axes.get_yticklabels():
        label.set_fontfamily(FONT)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.text(
        (left + width + 0.12) / WIDTH,
        (bottom + height + 0.11) / layout.height,
        unit,
        color=MUTED,
        fontsize=10.5,
        fontfamily=FONT,
    )


def _round_ticks(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    # Numbers at the very ends would stick out of the bar's strip.
    inset = 0.02 * (high - low)
    ticks = MaxNLocator(nbins=6, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return [float(tick) for tick in ticks if low + inset <= tick <= high - inset]


def _write_letters(axes: Axes, view: View) -> None:
    places = (
        (view.left, 0.022, 0.5),
        (view.right, 0.978, 0.5),
        (view.top, 0.5, 0.978),
        (view.bottom, 0.5, 0.022),
    )
    for letters, x, y in places:
        axes.text(
            x,
            y,
            letters,
            transform=axes.transAxes,
            horizontalalignment="center",
            verticalalignment="center",
            color=TEXT,
            fontsize=12,
            fontfamily=FONT,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": BACKGROUND, **_SHADE},
        )


def _draw_scale_bar(axes: Axes, view: View) -> None:
    from matplotlib.patches import FancyBboxPatch, Rectangle

    length = round_length(view.width_mm / 4)
    step = view.width_mm / 100  # the bar's measures follow the panel, whatever it shows
    left, top = view.width_mm - 3.2 * step - length, view.height_mm - 3.2 * step
    shade = FancyBboxPatch(
        (left - 0.6 * step, top - 4.6 * step),
        length + 1.2 * step,
        6 * step,
        boxstyle=f"round,pad=0,rounding_size={step}",
        facecolor=BACKGROUND,
        **_SHADE,
    )
    axes.add_patch(shade)
    axes.add_patch(Rectangle((left, top), length, 0.55 * step, facecolor=TEXT, linewidth=0))
    axes.text(
        left + length / 2,
        top - 0.7 * step,
        f"{length:g} mm",
        horizontalalignment="center",
        verticalalignment="bottom",
        color=TEXT,
        fontsize=12,
        fontfamily=FONT,
    )


def _passes(result: Result) -> str:
    count = float(result.report.get("passes_mean", 0))
    return f"{count:.0f} pass" if round(count) == 1 else f"{count:.0f} passes"


def _uncertainty(result: Result) -> str:
    scale = float(result.report.get("model", {}).get("uncertainty_scale", 1))
    return "SD of passes" if scale == 1 else f"SD × {scale:.3g}"  # the panel is narrow


def _write_footer(figure: Figure, layout: Layout, ct: Volume, result: Result) -> None:
    model = result.report.get("model", {})
    left = ["synthetic, not for diagnosis", " ".join(_texts(model, "name", "version"))]
    right = [
        f"{_millimetres(ct.spacing)}  to  {_millimetres(result.mean.spacing)}",
        "consistency spans ±3 SD of the noise",
    ]
    baseline = 0.2 / layout.height
    style: dict[str, Any] = {"color": MUTED, "fontsize": 11, "fontfamily": FONT}
    figure.text(MARGIN / WIDTH, baseline, SEPARATOR.join(filter(None, left)), **style)
    figure.text(1 - MARGIN / WIDTH, baseline, SEPARATOR.join(right), ha="right", **style)


def _texts(facts: Mapping[str, Any], *keys: str) -> list[str]:
    return [str(facts[key]) for key in keys if key in facts]


def _millimetres(spacing: Sequence[float]) -> str:
    """Spacing as people say it, x first: 0.31 by 0.31 by 0.7 mm."""
    return " × ".join(f"{value:.2g}" for value in reversed(spacing)) + " mm"
