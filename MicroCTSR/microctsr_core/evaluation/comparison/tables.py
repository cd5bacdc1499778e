"""The table of methods, as the report shows it, and all values as CSV and Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from .catalogue import MEASURES, Measure
from .results import Results
from .shown import TRUTH
from .spreadsheet import csv_text, number_text
from .statistics import p_text


@dataclass(frozen=True)
class Cell:
    """What the table says of a method by a measure.

    Args:
        value: mean ± SD over the cases; empty where nothing is known.
        test: p and effect of the comparison; empty where there is none.
        best: whether no method's mean is better.
    """

    value: str = ""
    test: str = ""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A measure of all methods, in their order."""

    measure: Measure
    cells: tuple[Cell, ...]
    cases: int


def groups_of(results: Results) -> list[tuple[str, list[Row]]]:
    """The rows of the table, under the headings of their groups."""
    rows = [_row(results, MEASURES[key]) for key in results.measures]
    return [
        (group, list(members))
        for group, members in groupby(rows, key=lambda row: row.measure.group)
    ]


def mean_and_sd(values: np.ndarray, measure: Measure) -> str:
    """Mean ± SD of the values that are finite; the SD of one value is left out."""
    values = values[np.isfinite(values)]
    if not values.size:
        return ""
    mean = measure.shown(float(values.mean()))
    return mean if values.size < 2 else f"{mean} ± {measure.shown(float(values.std(ddof=1)))}"


def case_tables(results: Results) -> list[tuple[Measure, list[tuple[str, list[str]]]]]:
    """Of each measure, the cases with the value of every method."""
    names = results.methods
    tables = []
    for key in results.measures:
        columns, measure = [results.of(name, key) for name in names], MEASURES[key]
        lines = [
            (case.name, [_shown(measure, column[n]) for column in columns])
            for n, case in enumerate(results.study.cases)
        ]
        tables.append((measure, lines))
    return tables


def per_case_csv(results: Results) -> str:
    """Every value: a line for each case and method, a column for each measure."""
    keys = list(dict.fromkeys(key for of in results.values.values() for key in of))
    # Those of the table first; what a measure has beside them follows in its own order.
    keys = [key for key in MEASURES if key in keys] + [key for key in keys if key not in MEASURES]
    lines: list[Iterable[Any]] = [("case", "method", *keys)]
    for n, case in enumerate(results.study.cases):
        for name in (*results.methods, TRUTH):
            if name in results.values:
                row = (results.of(name, key)[n] for key in keys)
                lines.append((case.name, name, *(number_text(value) for value in row)))
    return csv_text(lines)


def summary_csv(results: Results) -> str:
    """A line for each measure and method: mean, SD, quartiles, and the comparison."""
    heading = ("measure", "unit", "best", "method", "cases", "mean", "sd", "median", "quartile_1",
               "quartile_3", "compared_with", "pairs", "better", "worse", "mean_advantage",
               "p", "p_holm", "rank_biserial")  # fmt: skip
    lines: list[Iterable[Any]] = [heading]
    against = results.study.against
    for key in results.measures:
        measure = MEASURES[key]
        compared, corrected = results.compared(key), results.corrected(key)
        for name in (*results.methods, TRUTH):
            values = results.of(name, key)
            values = values[np.isfinite(values)]
            if not values.size:
                continue
            quartiles = np.percentile(values, (50, 25, 75))
            sd = values.std(ddof=1) if values.size > 1 else float("nan")
            line = [key, measure.unit, measure.best, name, values.size]
            line += [number_text(value) for value in (values.mean(), sd, *quartiles)]
            if name in compared:
                each = compared[name]
                line += [against, each.pairs, each.better, each.worse]
                line += [
                    number_text(v) for v in (each.difference, each.p, corrected[name], each.effect)
                ]
            lines.append(line + [""] * (len(heading) - len(line)))
    return csv_text(lines)


def markdown(results: Results) -> str:
    """The table of methods for a page of documentation."""
    names = results.methods
    lines = [f"| | {' | '.join(names)} |", "| --- |" + " ---: |" * len(names)]
    for _, rows in groups_of(results):
        for row in rows:
            cells = (
                (f"**{cell.value}**" if cell.best else cell.value)
                + (f" ({cell.test})" if cell.test else "")
                for cell in row.cells
            )
            lines.append(f"| {row.measure.heading} {row.measure.direction} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _row(results: Results, measure: Measure) -> Row:
    compared, corrected = results.compared(measure.key), results.corrected(measure.key)
    means = {}
    for name in results.methods:
        values = results.of(name, measure.key)
        if np.isfinite(values).any():
            means[name] = measure.goodness(float(values[np.isfinite(values)].mean()))
    cells = []
    for name in results.methods:
        test, p = "", corrected.get(name)
        if p is not None and compared[name].effect is not None:
            effect = f"{compared[name].effect:.2f}".replace("-", "\N{MINUS SIGN}")
            test = f"{p_text(p)}, r = {effect}"
        best = len(means) > 1 and name in means and means[name] == max(means.values())
        cells.append(Cell(mean_and_sd(results.of(name, measure.key), measure), test, best))
    known = np.isfinite([results.of(name, measure.key) for name in means])
    return Row(measure, tuple(cells), int(known.any(axis=0).sum()))


def _shown(measure: Measure, value: float) -> str:
    return measure.shown(value) if math.isfinite(value) else ""
