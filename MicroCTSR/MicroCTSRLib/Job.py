"""One super-resolution outside Slicer's process, from the volume handed over to the result."""

import json
from dataclasses import dataclass, field, replace
from typing import Any

from slicer.i18n import tr as _

from microctsr_core.io.raw_nrrd import map_raw_nrrd
from microctsr_core.volume import Volume

from .Task import Task


@dataclass(frozen=True)
class Request:
    """What to super-resolve and how; the words are the library's.

    Args:
        volume: the whole scan, as ``Nodes.volumeFromNode`` gives it.
        box: ((k0, k1), (j0, j1), (i0, i1)) in voxels.
        model: a bundled model's name, or the folder of a package.
        name: of the input, for people.
    """

    volume: Volume
    box: Any
    model: str
    name: str
    samples: Any = "auto"
    scaleMode: str = "in-plane"
    device: str = "auto"
    seed: int = 0
    preset: str = "default"


@dataclass(frozen=True)
class MappedResult:
    """A result whose volumes lie in memory-mapped files; like ``microctsr_core.Result``."""

    mean: Volume
    uncertainty: Volume
    consistency: Volume
    report: dict = field(repr=False)


class Job(Task):
    """A request on its way to a ``MappedResult``."""

    def __init__(self, request):
        Task.__init__(self, advice=_("choose a smaller region"))
        self.request = request

    def _volumes(self):
        return {"input.nrrd": self.request.volume}

    def _arguments(self, folder):
        request = self.request
        return [
            "superresolve",
            folder / "input.nrrd",
            folder / "mean.nrrd",
            *("--uncertainty", folder / "uncertainty.nrrd"),
            *("--consistency", folder / "consistency.nrrd"),
            *("--report", folder / "report.json"),
            *("--model", request.model),
            *("--box", ",".join(f"{start}:{stop}" for start, stop in request.box)),
            *("--scale-mode", request.scaleMode),
            *("--samples", request.samples),
            *("--device", request.device),
            *("--seed", request.seed),
            *("--preset", request.preset),
            "--no-compress",
        ]

    def _read(self, folder):
        names = ("mean", "uncertainty", "consistency")
        volumes = [map_raw_nrrd(folder / f"{name}.nrrd") for name in names]
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return MappedResult(*volumes, report)

    def _release(self):
        self.request = replace(self.request, volume=None)
