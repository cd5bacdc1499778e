"""One command of the library outside Slicer's process: volumes handed over, run, answer read."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError
from microctsr_core.io.raw_nrrd import raw_nrrd_slabs

from .ChildProcess import INTERRUPTED, ChildProcess
from .Signal import Signal

WAITING, WRITING, RUNNING, CANCELLING = "waiting", "writing", "running", "cancelling"
DONE, FAILED, CANCELLED = "done", "failed", "cancelled"
# A launcher between Slicer and the run tells in one of these ways that a signal ended it.
_KILLED = (9, 128 + 9)
_CRASHED = "exit abnormally"
_FOLDER = re.compile(r"MicroCTSR-(\d+)-")
_AT_WORK = "at-work"


class Task:
    """A command on its way; ``changed()`` tells of state and progress, ``line(str)`` is its log.

    A subclass says which volumes are handed over, what is run, and what is read afterwards.

    Args:
        advice: what to do when memory ran out, as the end of a sentence.
    """

    def __init__(self, advice):
        self.changed = Signal()
        self.line = Signal()
        self.state = WAITING
        self.percent = 0
        self.message = _("Waiting")
        self.timeLeft = ""
        self.failure = ""
        self.result = None
        self.lines = []
        self._advice = advice
        self._folder = None
        self._slabs = None
        self._child = None
        self._timer = None

    def _volumes(self):
        """Volumes of the library by the names of the files they go to."""
        return {}

    def _arguments(self, folder):
        """The arguments of the ``microctsr`` command."""
        raise NotImplementedError

    def _read(self, folder):
        """The answer, from what the command wrote to the folder."""
        raise NotImplementedError

    def _hasAnswer(self, code, folder):
        """Whether a command that ended with this status left an answer."""
        return code == 0

    def _release(self):
        """Let go of the volumes, which whoever keeps the task, be it a Qt connection, need not."""

    @property
    def isOver(self):
        return self.state in (DONE, FAILED, CANCELLED)

    def start(self):
        """Hand the volumes over, a slab at a time so that Slicer goes on responding, then run."""
        import qt

        removeLeftovers()
        try:
            folder = tempfile.mkdtemp(
                prefix=f"MicroCTSR-{os.getpid()}-", dir=slicer.app.temporaryPath
            )
            self._folder = Path(folder)
            (self._folder / _AT_WORK).touch()
        except OSError as error:
            self._fail(_("Slicer's temporary folder cannot be written: {why}").format(why=error))
            return
        self._slabs = self._write()
        self._set(WRITING, _("Handing the volume over"))
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._writeSlab)
        self._timer.start(0)

    def cancel(self):
        """Stop; the task is over within two seconds and leaves nothing."""
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

    def _write(self):
        """Writes the volumes slab by slab."""
        for name, volume in self._volumes().items():
            yield from raw_nrrd_slabs(volume, self._folder / name)

    def _writeSlab(self):
        try:
            next(self._slabs)
        except StopIteration:
            self._timer.stop()
            self._run()
        except (MicroCTSRError, OSError) as error:
            self._fail(_("The volume could not be handed over: {why}").format(why=error))

    def _run(self):
        self._child = ChildProcess(self._arguments(self._folder), self._folder / "log.txt")
        self._child.line.connect(self._onLine)
        self._child.progress.connect(self._onProgress)
        self._child.finished.connect(self._onFinished)
        try:
            self._child.start()
        except OSError as error:
            self._fail(_("Slicer's Python could not be started: {why}").format(why=error))
            return
        self._set(RUNNING, _("Starting"))

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
        elif not self._hasAnswer(code, self._folder):
            self._fail(causeOf(code, self.lines, self._advice))
        else:
            try:
                self.result = self._read(self._folder)
            except (MicroCTSRError, OSError, ValueError) as error:
                self._fail(_("The result could not be read: {why}").format(why=error))
                return
            self.percent = 100
            self._end(DONE, _("Done"))

    def _fail(self, why):
        self.failure = why
        self._end(FAILED, why)

    def _end(self, state, message):
        if self._timer is not None:
            self._timer.stop()
        self._slabs = None  # it may hold a file open
        if self._folder is not None:
            # Mapped files keep their contents when they lose their names. Windows keeps the
            # files as long as they are mapped; the next run removes them.
            shutil.rmtree(self._folder, ignore_errors=True)
        self._release()
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
        # An ended task of this Slicer lost all, but on Windows kept its results while mapped.
        isAtWork = (folder / _AT_WORK).exists() or (folder / "log.txt").exists()
        ended = owner == os.getpid() and not isAtWork
        if ended or not psutil.pid_exists(owner):
            shutil.rmtree(folder, ignore_errors=True)


def causeOf(code, lines, advice):
    """Why a command that printed these lines ended with this status, in a sentence.

    Args:
        code: the status.
        lines: what it printed.
        advice: what to do when memory ran out, as the end of a sentence.
    """
    errors = [line for line in lines if line.startswith("Error: ")]
    if errors:
        return errors[-1].removeprefix("Error: ")
    if code < 0 or code in _KILLED or any(_CRASHED in line for line in lines):
        return _(
            "The system ended the run (status {code}), most likely because memory ran out; "
            "{advice}."
        ).format(code=code, advice=advice)
    last = lines[-1] if lines else _("it printed nothing")
    return _("The run ended unexpectedly (status {code}): {last}").format(code=code, last=last)
