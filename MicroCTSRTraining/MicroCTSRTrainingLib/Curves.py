"""The curves of a run: a table of every epoch's losses and measures, and a chart of some."""

import math

from slicer.i18n import tr as _

from . import Tables
from .Measures import label

GENERATORS, DISCRIMINATORS = "generators", "discriminators"
STEP = "step"


def choices(history):
    """What a chart can show of a run, by name: losses, or a measure."""
    found = {GENERATORS: _("Losses of the generators")}
    if any(_isJudges(name) for name in _keys(history, "losses")):
        found[DISCRIMINATORS] = _("Losses of the discriminators")
    for row in history:
        for name in row["validation"]:
            found.setdefault(name, label(name))
    return found


def show(run, history, choice):
    """Bring the table and the chart of a run up to date.

    Args:
        run: folder of the run.
        history: its epochs.
        choice: of :func:`choices`.

    Returns:
        The table node and the plot chart node.
    """
    losses = _keys(history, "losses")
    measures = _keys(history, "validation")
    columns = {
        _("epoch"): [row["epoch"] for row in history],
        STEP: [row["step"] for row in history],
        **{f"loss {name}": _values(history, "losses", name) for name in losses},
        **{name: _values(history, "validation", name) for name in measures},
    }
    table = Tables.nodeOf("vtkMRMLTableNode", f"{run} history", _("{0} history").format(run.name))
    Tables.fillTable(table, columns)
    chart = Tables.nodeOf("vtkMRMLPlotChartNode", f"{run} curves", _("{0} curves").format(run.name))
    upwards = choices(history).get(choice, choice)
    if choice in (GENERATORS, DISCRIMINATORS):
        wanted = [name for name in losses if _isJudges(name) == (choice == DISCRIMINATORS)]
        drawn = {f"loss {name}": name for name in wanted}
    else:
        drawn = {choice: upwards} if choice in measures else {}
    Tables.fillChart(chart, table, STEP, drawn, (run.name, _("Step"), upwards))
    return table, chart


def _isJudges(name):
    """Whether a loss is a discriminator's, of real images or of made ones."""
    return name.startswith(("real", "made"))


def _keys(history, part):
    return list(dict.fromkeys(name for row in history for name in row[part]))


def _values(history, part, name):
    """An epoch before a loss began to count has none of it, and no point in the curve."""
    return [row[part].get(name, math.nan) for row in history]
