"""One super-resolution outside Slicer's process, from the volume handed over to the result."""

import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError
from microctsr_core.io.raw_nrrd import map_raw_nrrd, raw_nrrd_slabs
from microctsr_core.volume import Volume

from .ChildProcess import INTERRUPTED, ChildProcess
from .Signal import Signal

WAITING, WRITING, RUNNING, CANCELLING = "waiting", "writing", "running", "cancelling"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
# A launcher between Slicer and the run tells in one of these ways that a signal ended it.
_KILLED = (9, 128 + 9)
_CRASHED = "exit abnormally"
_FOLDER = re.compile(r"MicroCTSR-(\d+)-")


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


class Job:
    """A request on its way; ``changed()`` tells of state and progress, ``line(str)`` is its log."""

    def __init__(self, request):
        self.request = request
        self.changed = Signal()
        self.line = Signal()
        self.state = WAITING
        self.percent = 0
        self.message = _("Waiting")
        self.timeLeft = ""
        self.failure = ""
        self.result = None
        self.lines = []
        self._folder = None
        self._slabs = None
        self._child = None
        self._timer = None

    @property
    def isOver(self):
        return self.state in (DONE, FAILED, CANCELLED)

    def start(self):
        """Hand the volume over, a slab at a time so that Slicer goes on responding, then run."""
        import qt

        removeLeftovers()
        try:
            folder = tempfile.mkdtemp(
                prefix=f"MicroCTSR-{os.getpid()}-", dir=slicer.app.temporaryPath
            )
        except OSError as error:
            self._fail(_("Slicer's temporary folder cannot be written: {why}").format(why=error))
            return
        self._folder = Path(folder)
        self._slabs = raw_nrrd_slabs(self.request.volume, self._folder / "input.nrrd")
        self._set(WRITING, _("Handing the volume over"))
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._writeSlab)
        self._timer.start(0)

    def cancel(self):
        """Stop; the job is over within two seconds and leaves nothing."""
        if self.state == RUNNING:
            self._set(CANCELLING, _("Cancelling"))
            self._child.cancel()
        elif self.state in (WAITING, WRITING):
            self._end(CANCELLED, _("Cancelled"))

    def kill(self):
        """Stop at once, as when Slicer ends; nothing is told any more."""
        self.changed, self.line = Signal(), Signal()
        if self._child is not None:
            self._child.kill()
        if not self.isOver:
            self._end(CANCELLED, _("Cancelled"))

    def _writeSlab(self):
        try:
            next(self._slabs)
        except StopIteration:
            self._timer.stop()
            self._run()
        except (MicroCTSRError, OSError) as error:
            self._fail(_("The volume could not be handed over: {why}").format(why=error))

    def _run(self):
        self._child = ChildProcess(self._arguments(), self._folder / "log.txt")
        self._child.line.connect(self._onLine)
        self._child.progress.connect(self._onProgress)
        self._child.finished.connect(self._onFinished)
        try:
            self._child.start()
        except OSError as error:
            self._fail(_("Slicer's Python could not be started: {why}").format(why=error))
            return
        self._set(RUNNING, _("Starting"))

    def _arguments(self):
        request = self.request
        return [
            "superresolve",
            self._folder / "input.nrrd",
            self._folder / "mean.nrrd",
            *("--uncertainty", self._folder / "uncertainty.nrrd"),
            *("--consistency", self._folder / "consistency.nrrd"),
            *("--report", self._folder / "report.json"),
            *("--model", request.model),
            *("--box", ",".join(f"{start}:{stop}" for start, stop in request.box)),
            *("--scale-mode", request.scaleMode),
            *("--samples", request.samples),
            *("--device", request.device),
            *("--seed", request.seed),
            *("--preset", request.preset),
            "--no-compress",
        ]

    def _onLine(self, text):
        # The temporary files mean nothing to the user.
        if self._folder is None or not text.startswith(str(self._folder)):
            self.lines.append(text)
            self.line.emit(text)

    def _onProgress(self, percent, message, timeLeft):
        if self.state == RUNNING:
            self.percent, self.timeLeft = percent, timeLeft
            self._set(RUNNING, message)

    def _onFinished(self, code):
        if code == INTERRUPTED or self.state == CANCELLING:
            self._end(CANCELLED, _("Cancelled"))
        elif code != 0:
            self._fail(_causeOf(code, self.lines))
        else:
            try:
                self.result = self._mapResult()
            except (MicroCTSRError, OSError, ValueError) as error:
                self._fail(_("The result could not be read: {why}").format(why=error))
                return
            self.percent = 100
            self._end(DONE, _("Done"))

    def _mapResult(self):
        names = ("mean", "uncertainty", "consistency")
        volumes = [map_raw_nrrd(self._folder / f"{name}.nrrd") for name in names]
        report = json.loads((self._folder / "report.json").read_text(encoding="utf-8"))
        return MappedResult(*volumes, report)

    def _fail(self, why):
        self.failure = why
        self._end(FAILED, why)

    def _end(self, state, message):
        if self._timer is not None:
            self._timer.stop()
        if self._folder is not None:
            # Mapped files keep their contents when they lose their names. Windows keeps the
            # files as long as they are mapped; the next run removes them.
            shutil.rmtree(self._folder, ignore_errors=True)
        # Whoever keeps the job, be it a Qt connection, does not keep the scan.
        self.request = replace(self.request, volume=None)
        self._slabs = None
        self.timeLeft = ""
        self._set(state, message)

    def _set(self, state, message):
        self.state, self.message = state, message
        self.changed.emit()


def removeLeftovers():
    """Remove what runs of a Slicer that is gone left in the temporary folder."""
    import psutil

    for folder in Path(slicer.app.temporaryPath).glob("MicroCTSR-*"):
        match = _FOLDER.match(folder.name)
        if match is None:
            continue
        owner = int(match[1])
        # An ended job of this Slicer lost all, but on Windows kept its results while mapped.
        isAtWork = (folder / "input.nrrd").exists() or (folder / "log.txt").exists()
        ended = owner == os.getpid() and not isAtWork
        if ended or not psutil.pid_exists(owner):
            shutil.rmtree(folder, ignore_errors=True)


def _causeOf(code, lines):
    errors = [line for line in lines if line.startswith("Error: ")]
    if errors:
        return errors[-1].removeprefix("Error: ")
    if code < 0 or code in _KILLED or any(_CRASHED in line for line in lines):
        return _(
            "The system ended the run (status {code}), most likely because memory ran out; "
            "choose a smaller region."
        ).format(code=code)
    last = lines[-1] if lines else _("it printed nothing")
    return _("The run ended unexpectedly (status {code}): {last}").format(code=code, last=last)
