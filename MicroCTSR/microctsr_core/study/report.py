"""The results of a study as a report, figures and CSV, and as a section of another report."""

from __future__ import annotations

import base64
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..evaluation.comparison.spreadsheet import csv_text, number_text
from ..evaluation.comparison.statistics import p_text
from ..evaluation.comparison.theme import drawn
from ..io.atomic import atomic_path
from .analysis import Analysis, Comparison
from .figure import draw_stars, method_colours

_NOTICE = "synthetic, not for diagnosis"
_MINUS = "\N{MINUS SIGN}"


def write_analysis(analysis: Analysis, folder: str | os.PathLike[str]) -> list[Path]:
    """Write what a study found.

    Args:
        analysis: of :func:`~.analysis.analyse`.
        folder: made if it is not there; files in it are replaced.

    Returns:
        ``report.html``, which needs no other file; ``ratings.csv`` (every rating with its method),
        ``summary.csv``, ``comparisons.csv``, ``agreement.csv``, and ``stars.png`` with 300 dpi and
        ``stars.svg``.

    Raises:
        WriteError: a file cannot be written.
    """
    folder, written = Path(folder).expanduser(), []
    figure = draw_stars(analysis)
    svg = drawn(figure, "svg")
    files = {
        "ratings.csv": _ratings_csv(analysis).encode(),
        "summary.csv": csv_text(_summary_lines(analysis)).encode(),
        "comparisons.csv": csv_text(_comparison_lines(analysis)).encode(),
        "agreement.csv": csv_text(_agreement_lines(analysis)).encode(),
        "stars.png": drawn(figure, "png"),
        "stars.svg": svg,
        "report.html": _rendered("report.html", analysis, svg).encode(),
    }
    for name, data in files.items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(data)
        written.append(folder / name)
    return [written[-1], *written[:-1]]


def report_html(analysis: Analysis) -> str:
    """The page that tells what a study found, which needs no other file."""
    return _rendered("report.html", analysis, drawn(draw_stars(analysis), "svg"))


def readers_section(analysis: Analysis) -> str:
    """The section of a report that tells what the readers said, as HTML."""
    return _rendered("readers.html", analysis, drawn(draw_stars(analysis), "svg"))


def _rendered(template: str, analysis: Analysis, svg: bytes) -> str:
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader([here, here.parent / "evaluation" / "comparison"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(
        analysis=analysis,
        colours=method_colours(analysis.study),
        boxes=f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}",
        brackets=any(each.signed_rank_p_holm is not None for each in analysis.comparisons),
        table=_table(analysis),
        agreement=_agreement(analysis),
        notice=_NOTICE,
    )


def _table(analysis: Analysis) -> list[tuple[str, list[dict[str, Any]]]]:
    compared = {(each.criterion, each.rival): each for each in analysis.comparisons}
    known = {(each.criterion, each.method): each for each in analysis.summaries}
    table = []
    for criterion in analysis.criteria:
        best = max((s.mean for s in analysis.summaries if s.criterion == criterion), default=0.0)
        cells = []
        for method in analysis.study.methods:
            each = known.get((criterion, method))
            sd = "" if each is None or math.isnan(each.sd) else f" ± {each.sd:.2f}"
            cells.append(
                {
                    "value": "" if each is None else f"{each.mean:.2f}{sd}",
                    "tests": _tests(compared.get((criterion, method))),
                    "best": each is not None and each.mean == best,
                    "main": method == analysis.study.against,
                }
            )
        table.append((criterion, cells))
    return table


def _tests(each: Comparison | None) -> list[str]:
    lines = []
    if each is not None and each.rank_sum_p is not None and each.delta is not None:
        lines.append(f"rank-sum {_p(each.rank_sum_p)}, δ = {_signed(each.delta)}")
    if each is not None and each.signed_rank_p_holm is not None:
        effect = each.signed_rank.effect
        assert effect is not None
        lines.append(f"signed-rank {_p(each.signed_rank_p_holm)}, r = {_signed(effect)}")
    return lines


def _agreement(analysis: Analysis) -> dict[str, Any]:
    within: dict[str, list[dict[str, str]]] = {}
    for each in analysis.within:
        shares = f"{each.same:.0%} the same, {each.within_one:.0%} within a star"
        within.setdefault(each.rater, []).append(
            {"value": _alpha_text(each.alpha), "detail": f"{each.pairs} pairs, {shares}"}
        )
    between = [
        {"value": _alpha_text(each.alpha), "detail": f"{each.pairs} pairs"}
        for each in analysis.between
    ]
    return {"between": between, "within": list(within.items())}


def _ratings_csv(analysis: Analysis) -> str:
    heading = ["rater", "position", "case", "slice", "method", "showing", *analysis.criteria,
               "remark", "revision", "given_at"]  # fmt: skip
    return csv_text(
        [
            heading,
            *(
                [row.rater, row.position, row.case, row.index, row.method, row.showing]
                + ["" if given is None else given for given in row.stars]
                + [row.remark, row.revision, row.given_at]
                for row in analysis.rows
            ),
        ]
    )


def _summary_lines(analysis: Analysis) -> Iterable[Iterable[Any]]:
    yield ("criterion", "method", "ratings", "mean", "sd", "median", "quartile_1", "quartile_3")
    for s in analysis.summaries:
        numbers = (s.mean, s.sd, s.median, s.quartile_1, s.quartile_3)
        yield (s.criterion, s.method, s.count, *(number_text(value) for value in numbers))


def _comparison_lines(analysis: Analysis) -> Iterable[Iterable[Any]]:
    yield ("criterion", "method", "rival", "rank_sum_p", "cliffs_delta", "slices", "better",
           "worse", "mean_advantage", "signed_rank_p", "signed_rank_p_holm",
           "rank_biserial")  # fmt: skip
    for c in analysis.comparisons:
        test = c.signed_rank
        numbers = (test.difference, test.p, c.signed_rank_p_holm, test.effect)
        yield (
            *(c.criterion, c.method, c.rival, number_text(c.rank_sum_p), number_text(c.delta)),
            *(test.pairs, test.better, test.worse, *(number_text(value) for value in numbers)),
        )


def _agreement_lines(analysis: Analysis) -> Iterable[Iterable[Any]]:
    yield ("kind", "rater", "criterion", "pairs", "krippendorff_alpha", "same", "within_one",
           "mean_change")  # fmt: skip
    for b in analysis.between:
        yield ("between", "", b.criterion, b.pairs, number_text(b.alpha), "", "", "")
    for w in analysis.within:
        shares = (number_text(value) for value in (w.alpha, w.same, w.within_one, w.mean_change))
        yield ("within", w.rater, w.criterion, w.pairs, *shares)


def _p(p: float) -> str:
    return "p < 0.0001" if p < 0.0001 else p_text(p)


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", _MINUS)


def _alpha_text(alpha: float | None) -> str:
    return "" if alpha is None else f"α = {_signed(alpha)}"
