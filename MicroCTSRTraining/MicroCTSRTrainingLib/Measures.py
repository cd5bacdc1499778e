"""What an evaluation found, as a table of measures, and slice by slice as a table with a chart."""

import math

from slicer.i18n import tr as _

from . import Tables

SLICE, NEAREST = "index", "nearest"


def rows(answer):
    """Every number in an answer with its name, those of inner objects and lists behind the outer.

    >>> rows({"psnr": 19.5, "dice": {"air": 0.8}, "distance": "I1", "slices": [{"index": 0}]})
    [('psnr', 19.5), ('dice air', 0.8)]
    """
    found = []
    for name, value in answer.items():
        if isinstance(value, dict):
            found += [(f"{name} {inner}", number) for inner, number in rows(value)]
        elif isinstance(value, list):
            numbered = {str(place): each for place, each in enumerate(value) if _isNumber(each)}
            found += [(f"{name} {place}", number) for place, number in numbered.items()]
        elif _isNumber(value):
            found.append((name, float(value)))
    return found


def bySlice(answer):
    """The numbers found of every slice, by their names; NaN where a slice has none."""
    slices = answer.get("slices") or []
    names = dict.fromkeys(name for each in slices for name in each if _isNumber(each[name]))
    return {name: [_number(each.get(name)) for each in slices] for name in names}


def show(answer, title):
    """Put an answer into the scene.

    Args:
        answer: what the command wrote as JSON.
        title: what was measured, of what; a later answer of the same title takes its place.

    Returns:
        The table node of the measures, and the plot chart node of the slices or ``None``.
    """
    table = Tables.nodeOf("vtkMRMLTableNode", title, title)
    found = rows(answer)
    names, values = [label(name) for name, _value in found], [value for _name, value in found]
    Tables.fillTable(table, {_("Measure"): names, _("Value"): values})
    for name, text in answer.items():
        if isinstance(text, str):
            table.SetAttribute(f"MicroCTSR.{name}", text)
    columns = bySlice(answer)
    if SLICE not in columns or not set(columns) - {SLICE, NEAREST}:
        return table, None
    name = _("{0} by slice").format(title)
    slices = Tables.nodeOf("vtkMRMLTableNode", name, name)
    Tables.fillTable(slices, columns)
    measure = next(column for column in columns if column not in (SLICE, NEAREST))
    chart = Tables.nodeOf("vtkMRMLPlotChartNode", name, name)
    Tables.fillChart(chart, slices, SLICE, {measure: measure}, (title, _("Slice"), label(measure)))
    return table, chart


def label(name):
    """What a measure of the library is called in the panel."""
    known = {
        "m_hum": _("m-HuM"),
        "consistency_rms_hu": _("Consistency, RMS in HU"),
        "psnr": _("PSNR, dB"),
        "ssim": _("SSIM"),
        "ause": _("AUSE"),
    }
    return known.get(name, name.replace("_", " ").capitalize())


def _number(value):
    return value if _isNumber(value) else math.nan


def _isNumber(value):
    return isinstance(value, int | float) and not isinstance(value, bool)
