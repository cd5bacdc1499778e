"""How all figures of a comparison look: on white, for print, each method in one colour."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...preview.drawing import FONT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.2
"""Inches: the two columns of a journal's page."""

PRINT_DPI = 300
TEXT, MUTED, LINE = "#1c2126", "#6b737b", "#d9dde1"
PLAIN = "#8b939b"
"""Of cubic interpolation, which is no method."""

MAIN = "#0072b2"
"""Of the method that the others are compared with."""

# The first five are told apart by colour-blind readers too (Okabe & Ito 2008).
_OTHERS = ("#e69f00", "#cc79a7", "#009e73", "#d55e00", "#56b4e9", "#7a5195",
           "#a6761d", "#b3a100", "#3b3b98", "#e7298a", "#66a61e", "#4d4d4d")  # fmt: skip

SMALL, NORMAL = 6.5, 7.5  # points


def colours(methods: Sequence[str], against: str, cubic: str | None) -> dict[str, str]:
    """The colour of each method."""
    fixed = {cubic: PLAIN, against: MAIN}
    free = [name for name in methods if name not in fixed]
    others = {name: _OTHERS[n % len(_OTHERS)] for n, name in enumerate(free)}
    return {name: fixed.get(name) or others[name] for name in methods}


def new_figure(height: float) -> Figure:
    """An empty figure of the common width; height in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def dress(axes: Axes) -> None:
    """A plot's axes: thin lines below and at the left, a faint grid, small numbers."""
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(MUTED)
        spine.set_linewidth(0.6)
    axes.tick_params(length=2.5, width=0.6, color=MUTED, labelcolor=TEXT, labelsize=SMALL, pad=2)
    axes.grid(axis="y", color=LINE, linewidth=0.5)
    axes.set_axisbelow(True)
    for label in (*axes.get_xticklabels(), *axes.get_yticklabels()):
        label.set_fontfamily(FONT)


def style(size: float = NORMAL, colour: str = TEXT, **more: Any) -> dict[str, Any]:
    """Of a text."""
    return {"fontsize": size, "color": colour, "fontfamily": FONT, **more}


def drawn(figure: Figure, kind: str, dpi: int = PRINT_DPI) -> bytes:
    """The figure as a file of a kind: ``"png"``, ``"svg"`` or ``"webp"``; the same every time."""
    import matplotlib

    if kind == "svg":
        options: dict[str, Any] = {"metadata": {"Date": None}}
    elif kind == "webp":
        options = {"pil_kwargs": {"quality": 90, "method": 6}}
    else:
        options = {}
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "MicroCTSR", "svg.fonttype": "path"}):
        figure.savefig(file, format=kind, dpi=dpi, facecolor="white", **options)
    return file.getvalue()
