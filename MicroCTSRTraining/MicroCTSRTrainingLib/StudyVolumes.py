"""Volumes of the scene for a study of readers: which are results, of which scan, by which method.

The choice is kept by the parameter node, as references that go with the scene.
"""

from dataclasses import dataclass

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import GeometryError
from microctsr_core.study.case import Case
from MicroCTSRLib import Nodes

KIND = "vtkMRMLScalarVolumeNode"
_RESULT, _SCAN, _METHOD = "studyResult", "studyScan", "studyMethod"
_MODEL = Nodes.PREFIX + "model"
SCANS = "scans"  # folder of the scans that are handed over


@dataclass(frozen=True)
class Choice:
    """A result that is compared.

    Args:
        result: volume node.
        scan: volume node that it was made of, or ``None``.
        method: name of the method that made it; may be empty.
    """

    result: slicer.vtkMRMLScalarVolumeNode
    scan: slicer.vtkMRMLScalarVolumeNode
    method: str


@dataclass(frozen=True)
class Handover:
    """Volumes on their way to the library, under names that tell nothing of them.

    Args:
        volumes: of the library, by the files that they go to.
        names: of the volume nodes, by the same files.
        methods: names, each with the folder of its results.
        scans: folder of the scans.
    """

    volumes: dict
    names: dict
    methods: tuple
    scans: str = SCANS


def results():
    """The volumes of the scene that may be results: neither uncertainty nor consistency."""
    return [node for node in _volumes() if not _isSynthetic(node) or Nodes.isResult(node)]


def scans():
    """The volumes of the scene that may be scans."""
    return [node for node in _volumes() if not _isSynthetic(node)]


def suggestion(node):
    """What a volume tells itself: of which scan it is, and by which model."""
    scan = node.GetNodeReference(Nodes.PREFIX + "input")
    return Choice(node, scan, node.GetAttribute(_MODEL) or "")


def read(parameters):
    """The choices kept by the panel's parameters, without volumes that are gone."""
    node, found = parameters.parameterNode, []
    while node.HasParameter(f"{_METHOD}{len(found)}"):
        number = len(found)
        result, scan = (node.GetNodeReference(f"{role}{number}") for role in (_RESULT, _SCAN))
        found.append(Choice(result, scan, node.GetParameter(f"{_METHOD}{number}")))
    return [choice for choice in found if choice.result is not None]


def write(parameters, choices):
    """Keep choices in the place of those before."""
    node = parameters.parameterNode
    wasModifying = node.StartModify()
    for number, choice in enumerate(choices):
        node.SetParameter(f"{_METHOD}{number}", choice.method)
        node.SetNodeReferenceID(f"{_RESULT}{number}", choice.result.GetID())
        node.SetNodeReferenceID(f"{_SCAN}{number}", choice.scan.GetID() if choice.scan else None)
    number = len(choices)
    while node.HasParameter(f"{_METHOD}{number}"):
        node.UnsetParameter(f"{_METHOD}{number}")
        node.SetNodeReferenceID(f"{_RESULT}{number}", None)
        node.SetNodeReferenceID(f"{_SCAN}{number}", None)
        number += 1
    node.EndModify(wasModifying)


def methodsOf(choices):
    """Names of the methods in the order of the choices."""
    return list(dict.fromkeys(choice.method for choice in choices))


def problem(choices):
    """Why no study can be made of these, or nothing."""
    if not choices:
        return _("Tick the results that are compared.")
    for choice in choices:
        name = choice.result.GetName()
        if choice.scan is None:
            return _("Choose the scan that {name} was made of.").format(name=name)
        if choice.scan is choice.result:
            return _("{name} was not made of itself; choose its scan.").format(name=name)
        if not choice.method:
            return _("Write by which method {name} is.").format(name=name)
    methods = methodsOf(choices)
    if len(methods) < 2:
        return _(
            "A study compares at least two methods, but all results are by {method}; tick one of "
            "another method."
        ).format(method=methods[0])
    for scan, of in _byScan(choices).items():
        names = [choice.method for choice in of]
        twice = next((name for name in names if names.count(name) > 1), "")
        if twice:
            return _("Two results of {scan} are by {method}; tick one of them.").format(
                scan=scan.GetName(), method=twice
            )
        missing = next((method for method in methods if method not in names), "")
        if missing:
            return _("{scan} has no result by {method}; tick one, or leave the scan out.").format(
                scan=scan.GetName(), method=missing
            )
    return ""


def handover(choices):
    """The volumes as the library takes them: scans are numbered, and no name of a node goes along.

    Raises:
        GeometryError: a volume cannot be used, or results of a scan do not lie on one grid in it.
    """
    methods = {method: f"method_{n}" for n, method in enumerate(methodsOf(choices), start=1)}
    volumes, names = {}, {}
    for number, (scan, of) in enumerate(_byScan(choices).items(), start=1):
        _checkTransforms([scan, *(choice.result for choice in of)])
        files = {f"{SCANS}/case_{number}.nrrd": scan}
        files |= {f"{methods[each.method]}/case_{number}.nrrd": each.result for each in of}
        taken = {file: Nodes.volumeFromNode(node) for file, node in files.items()}
        original, *made = taken.values()
        by = [choice.method for choice in of]
        Case(scan.GetName(), original, dict(zip(by, made, strict=True))).check()
        volumes |= taken
        names |= {file: node.GetName() for file, node in files.items()}
    return Handover(volumes, names, tuple(methods.items()))


def _byScan(choices):
    found = {}
    for choice in choices:
        found.setdefault(choice.scan, []).append(choice)
    return found


def _checkTransforms(nodes):
    scan = nodes[0]
    for node in nodes[1:]:
        if node.GetTransformNodeID() != scan.GetTransformNodeID():
            raise GeometryError(
                _(
                    "{first} and {second} lie under different transforms; harden these "
                    "(Transforms module), so that the volumes can be compared in place."
                ).format(first=scan.GetName(), second=node.GetName())
            )


def _volumes():
    nodes = slicer.util.getNodesByClass(KIND)
    return [n for n in nodes if n.GetClassName() == KIND and not n.GetHideFromEditors()]


def _isSynthetic(node):
    return bool(node.GetAttribute(Nodes.PREFIX + "notice"))
