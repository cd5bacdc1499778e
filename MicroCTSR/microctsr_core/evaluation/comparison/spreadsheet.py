"""Tables as CSV, for spreadsheets and other programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from typing import Any


def number_text(value: float | None) -> str:
    """Enough digits to compute with; empty where nothing is known."""
    return "" if value is None or not math.isfinite(value) else f"{value:.8g}"


def csv_text(lines: Iterable[Iterable[Any]]) -> str:
    """Lines of cells as CSV.

    Words that a spreadsheet would take for a formula, such as a reader's remark that begins with
    ``=``, get an apostrophe in front, as a spreadsheet's own users write it.
    """
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(map(_harmless, line) for line in lines)
    return file.getvalue()


def _harmless(cell: Any) -> Any:
    if not isinstance(cell, str) or not cell.startswith(("=", "+", "-", "@", "\t", "\r")):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell
