"""The report of a comparison: one HTML file that needs no other, and a folder with all of it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...io import atomic_path
from ...superresolution import NOTICE
from .catalogue import M_HUM, MEASURES
from .figures import draw_boxes, draw_effects, draw_uncertainty, method_colours
from .results import Results
from .shown import TRUTH
from .slices import draw_slices
from .tables import case_tables, groups_of, markdown, mean_and_sd, per_case_csv, summary_csv
from .theme import drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEMPLATE = "report.html"
_SCREEN_DPI = 220  # of the slices within the report


def files_of(report: Path) -> Path:
    """The folder beside a report: values, table and figures."""
    return report.with_name(f"{report.stem}_files")


def work_of(report: Path) -> Path:
    """The folder beside a report in which super-resolved cases are kept for a second run."""
    report = report.expanduser()
    return report.with_name(f"{report.stem}_work")


def write_report(results: Results, report: str | os.PathLike[str], readers: str = "") -> list[Path]:
    """Write the report and the folder beside it.

    Args:
        results: of :func:`~.measure`.
        report: HTML file; replaced if it is there.
        readers: HTML of a study by readers, to be a section of the report; see
            :func:`~microctsr_core.study.report.readers_section`.

    Returns:
        the report, and the files in its folder: ``per_case.csv``, ``summary.csv``, ``table.md``,
        ``study.yaml`` (as it was read), and each figure as PNG with 300 dpi and as SVG.

    Raises:
        WriteError: a file cannot be written. The report itself is written last.
    """
    report = Path(report).expanduser()
    folder, embedded, written = files_of(report), {}, []

    def write(name: str, data: bytes) -> None:
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(data)
        written.append(folder / name)

    write("study.yaml", results.study.text.encode())
    write("per_case.csv", per_case_csv(results).encode())
    write("summary.csv", summary_csv(results).encode())
    write("table.md", markdown(results).encode())
    for name, figure in _figures(results).items():
        svg = drawn(figure, "svg")
        write(f"{name}.png", drawn(figure, "png"))
        write(f"{name}.svg", svg)
        if name.startswith("slices"):  # photographs; the others are lines
            embedded[name] = _data_uri("image/webp", drawn(figure, "webp", _SCREEN_DPI))
        else:
            embedded[name] = _data_uri("image/svg+xml", svg)
    text = _rendered(results, embedded, readers)
    with atomic_path(report) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return [report, *written]


def _figures(results: Results) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    for number, shown in enumerate(results.shown, start=1):
        figures[f"slices-{number}"] = draw_slices(shown, results.study.against)
    if results.measures:
        figures["boxes"] = draw_boxes(results)
    drawers: dict[str, Callable[[Results], Figure | None]] = {
        "effects": draw_effects,
        "uncertainty": draw_uncertainty,
    }
    for name, draw in drawers.items():
        figure = draw(results)
        if figure is not None:
            figures[name] = figure
    return figures


def _rendered(results: Results, figures: dict[str, str], readers: str) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    study = results.study
    return environment.get_template(_TEMPLATE).render(
        study=study,
        results=results,
        groups=groups_of(results),
        case_tables=case_tables(results),
        figures=figures,
        slices=list(zip(results.shown, _named(figures, "slices"), strict=True)),
        colours=method_colours(results),
        runs=_runs(results),
        date=f"{results.date.day} {results.date:%B %Y, %H:%M %Z}",
        truth_m_hum=mean_and_sd(results.of(TRUTH, M_HUM), MEASURES[M_HUM]),
        notice=NOTICE,
        readers=Markup(readers),
    )


def _named(figures: dict[str, str], start: str) -> list[str]:
    return [uri for name, uri in figures.items() if name.startswith(start)]


def _runs(results: Results) -> list[dict[str, Any]]:
    """Of each method: what it is, passes and seconds per case."""
    lines = []
    for method in results.study.methods:
        runs = [run for run in results.runs[method.name] if "seconds" in run]
        what = {"cubic": "cubic spline interpolation", "results": "volumes made elsewhere"}
        lines.append(
            {
                "name": method.name,
                "what": what.get(method.kind, ""),
                "model": results.models.get(method.name),
                "passes": f"{np.mean([run['passes_mean'] for run in runs]):.1f}" if runs else "",
                "seconds": f"{np.mean([run['seconds'] for run in runs]):.1f}" if runs else "",
                "device": ", ".join(sorted({run["device"] for run in runs})),
            }
        )
    return lines


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
