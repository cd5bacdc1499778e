"""What a study of readers found, as tables and a picture of the scene."""

import csv

from slicer.i18n import tr as _

from . import Pictures, Tables

_TEXTS = ("criterion", "method", "rival", "kind", "rater")


def show(folder):
    """Put an analysis into the scene, in the place of one of the same study before it.

    Args:
        folder: that the analysis wrote, in the study's own.

    Returns:
        The table node of the stars, and the picture of the box plots.
    """
    study = folder.parent
    tables = {
        "summary.csv": _("stars"),
        "comparisons.csv": _("tests"),
        "agreement.csv": _("agreement"),
    }
    nodes = []
    for file, what in tables.items():
        name = f"{study.name} {what}"
        node = Tables.nodeOf("vtkMRMLTableNode", f"{study} {what}", name)
        Tables.fillTable(node, columns(folder / file))
        nodes.append(node)
    return nodes[0], Pictures.show(study, folder / "stars.png")


def columns(path):
    """The columns of a CSV file by their titles: numbers, NaN where there is none, or texts."""
    with path.open(encoding="utf-8", newline="") as file:
        titles, *rows = csv.reader(file)
    found = {}
    for number, title in enumerate(titles):
        texts = [row[number] for row in rows]
        isText = title in _TEXTS
        found[title.replace("_", " ")] = texts if isText else [_number(text) for text in texts]
    return found


def _number(text):
    """A number with the digits that a reader of a table wants."""
    return float(f"{float(text or 'nan'):.4g}")
