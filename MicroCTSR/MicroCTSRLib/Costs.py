"""What a run needs on this computer: memory and time, from a measurement of the model chosen."""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import slicer

from microctsr_core import cost

from .ChildProcess import ChildProcess
from .Signal import Signal


@dataclass(frozen=True)
class Cost:
    """A model on this computer: where it runs, how fast, and what it holds in memory."""

    device: str
    deviceName: str
    footprint: cost.Footprint
    speed: cost.Speed

    def memory(self, shape, spacing, box, scaleMode):
        """Bytes a run takes."""
        return cost.needs(shape, spacing, box, self.footprint, scaleMode).memory

    def seconds(self, shape, spacing, box, scaleMode, samples):
        """Seconds a run takes, start of the process not counted."""
        passes = cost.AUTO_PASSES if samples == "auto" else samples
        return cost.seconds(shape, spacing, box, self.footprint, self.speed, passes, scaleMode)


class Costs:
    """Measures each model once for each device, in a child process; ``changed()`` tells."""

    def __init__(self):
        self.changed = Signal()
        self._known = {}
        self._child = None

    def of(self, model, device):
        """The cost of a model, why it cannot be told (a sentence), or ``None`` while unknown."""
        return self._known.get((model, device))

    def measure(self, model, device):
        """Find out, unless it is known or another measurement is at work."""
        if self._child is not None or (model, device) in self._known:
            return
        try:
            folder = Path(
                tempfile.mkdtemp(prefix=f"MicroCTSR-{os.getpid()}-", dir=slicer.app.temporaryPath)
            )
        except OSError as error:
            self._known[model, device] = f"Slicer's temporary folder cannot be written: {error}"
            return
        answer = folder / "cost.json"
        lines = []
        self._child = ChildProcess(
            ["model", "cost", model, "--device", device, "--json", answer], folder / "log.txt"
        )
        self._child.line.connect(lines.append)

        def finished(code):
            self._child = None
            self._known[model, device] = _read(answer) if code == 0 else _causeIn(lines)
            shutil.rmtree(folder, ignore_errors=True)
            self.changed.emit()

        self._child.finished.connect(finished)
        try:
            self._child.start()
        except OSError as error:
            lines.append(f"Error: Slicer's Python could not be started: {error}")
            finished(-1)

    def forget(self, model):
        """A package was replaced or deleted."""
        for key in [key for key in self._known if key[0] == model]:
            del self._known[key]

    def cleanup(self):
        if self._child is not None:
            self._child.kill()
            self._child = None


def _read(path):
    facts = json.loads(path.read_text(encoding="utf-8"))
    return Cost(
        facts["device"],
        facts["device_name"],
        cost.Footprint(**facts["footprint"]),
        cost.Speed(**facts["speed"]),
    )


def _causeIn(lines):
    errors = [line.removeprefix("Error: ") for line in lines if line.startswith("Error: ")]
    return (errors or lines or ["The model could not be measured."])[-1]
