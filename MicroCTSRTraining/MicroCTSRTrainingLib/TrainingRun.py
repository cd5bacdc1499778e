"""A training run in its folder: begun apart from Slicer, followed, paused, stopped, resumed.

The run is a process of its own that outlives Slicer. What Slicer knows of it stands in its folder,
so that any later Slicer follows it as well as the one that began it.
"""

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import WriteError
from microctsr_core.training import state as states
from MicroCTSRLib.ChildProcess import PROGRESS, command, environment
from MicroCTSRLib.Signal import Signal
from MicroCTSRLib.Task import causeOf

POLL_MS = 500
HISTORY = "history.jsonl"
_CHUNK = 65536
_PICTURE = re.compile(r"epoch_(\d+)-(\d+)\.png$")


class Stage(Enum):
    """Where a run is; ``NOTHING`` where a folder holds none."""

    NOTHING = "nothing"
    STARTING = "starting"
    RUNNING = "running"
    PAUSING = "pausing"
    STOPPING = "stopping"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    FAILED = "failed"


AT_WORK = (Stage.STARTING, Stage.RUNNING, Stage.PAUSING, Stage.STOPPING)


@dataclass(frozen=True)
class _Begun:
    """A process that this Slicer began: when, and where its part of the log starts."""

    process: subprocess.Popen
    time: float
    logPlace: int


class TrainingRun:
    """The run in a folder, whoever began it.

    ``changed()`` tells of stage, place, curves and pictures, ``line(str)`` of what the run says.
    """

    def __init__(self):
        self.changed = Signal()
        self.line = Signal()
        self.folder = None
        self.stage = Stage.NOTHING
        self.state = None
        self.failure = ""
        self._seen = None
        self._logPlace = 0
        self._timer = None

    def attach(self, folder):
        """Follow the run in a folder, or none."""
        self.folder = Path(folder) if folder else None
        self.failure = ""
        self._seen = None
        self._logPlace = max(0, _size(self._log()) - _CHUNK) if self.folder else 0
        self._look()
        if self._timer is None:
            import qt

            self._timer = qt.QTimer()
            self._timer.timeout.connect(self._look)
        if self.folder is None:
            self._timer.stop()
        else:
            self._timer.start(POLL_MS)

    def detach(self):
        """Follow nothing any more; the run goes on."""
        self.changed, self.line = Signal(), Signal()
        if self._timer is not None:
            self._timer.stop()

    @property
    def isAtWork(self):
        return self.stage in AT_WORK

    @property
    def holdsRun(self):
        """Whether the folder has what only ``--resume`` goes on with."""
        names = (states.CHECKPOINT, "card.json", "config.yaml")
        return self.folder is not None and any((self.folder / name).exists() for name in names)

    @property
    def hasModel(self):
        return self.folder is not None and (self.folder / "card.json").exists()

    def start(self, arguments):
        """Begin a run, or go on with one, in a process that outlives Slicer.

        Args:
            arguments: of ``microctsr train`` beside the output folder.

        Raises:
            WriteError: the folder cannot be written, or Slicer's Python cannot be started.
        """
        if self.folder is None:
            raise WriteError(_("Choose a folder for the run first."))
        self.failure = ""
        now, place = time.time(), _size(self._log())
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._log().open("ab") as log:
                process = subprocess.Popen(
                    command("train", *arguments, "--output", self.folder),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=environment(),
                    **_detached(),
                )
        except OSError as error:
            raise WriteError(
                _("The run could not be started in {folder}: {why}.").format(
                    folder=self.folder, why=error.strerror or error
                )
            ) from None
        _processes()[str(self.folder)] = _Begun(process, now, place)
        self._look()

    def pause(self):
        """Ask for a pause after the step; raises WriteError."""
        self._ask("pause")

    def stop(self):
        """Ask for the end after the step; raises WriteError."""
        self._ask("stop")

    def history(self):
        """What the run wrote of every epoch, oldest first."""
        try:
            lines = (self.folder / HISTORY).read_text(encoding="utf-8").splitlines()
            return [json.loads(line) for line in lines]
        except (OSError, ValueError):
            return []

    def pictures(self):
        """The newest epoch with pictures, and its pictures by the number of the held-out case."""
        found = {}
        for path in (self.folder / "images").glob("epoch_*.png"):
            match = _PICTURE.match(path.name)
            if match:
                found.setdefault(int(match[1]), {})[int(match[2])] = path
        epoch = max(found, default=0)
        return epoch, found.get(epoch, {})

    def _ask(self, wish):
        states.ask_to_stop(self.folder, wish)
        self._look()

    def _look(self):
        """Read what the folder tells, and tell of it when it is news."""
        if self.folder is None:
            self.stage, self.state = Stage.NOTHING, None
        else:
            self._readLog()
            self.state = states.read_state(self.folder)
            self.stage = self._stageNow()
        news = (self.stage, self.state, self.failure, self._stamps())
        if news != self._seen:
            self._seen = news
            self.changed.emit()

    def _stageNow(self):
        state = self.state
        begun = _processes().get(str(self.folder))
        if begun is not None:
            code = begun.process.poll()
            isKnown = state is not None and state.begun >= begun.time
            if code is None:
                return self._whileItIsThere(state) if isKnown else Stage.STARTING
            del _processes()[str(self.folder)]
            if code != 0 and not isKnown:
                advice = _("close other programs and start again")
                self.failure = causeOf(code, self._linesFrom(begun.logPlace), advice)
        if self.failure:
            return Stage.FAILED
        if state is None:
            return Stage.NOTHING
        return self._asked() if state.state == "running" else Stage(state.state)

    def _whileItIsThere(self, state):
        """The stage of a run whose process has not ended, whatever it wrote down already."""
        ending = {"paused": Stage.PAUSING, "stopped": Stage.STOPPING}
        return self._asked() if state.state == "running" else ending.get(state.state, Stage.RUNNING)

    def _asked(self):
        """The stage of a run at work, by what it was asked for."""
        wish = states.wish_of(self.folder)
        return {"pause": Stage.PAUSING, "stop": Stage.STOPPING}.get(wish, Stage.RUNNING)

    def _stamps(self):
        """What changes with the curves and the pictures."""
        if self.folder is None:
            return None
        return _stamp(self.folder / HISTORY), _stamp(self.folder / "images")

    def _log(self):
        return self.folder / states.LOG

    def _readLog(self):
        try:
            with self._log().open("rb") as log:
                log.seek(self._logPlace)
                text = log.read(_CHUNK)
        except OSError:
            return
        whole, end, _rest = text.rpartition(b"\n")
        self._logPlace += len(whole) + len(end)
        for line in whole.decode("utf-8", "replace").splitlines():
            if line.strip() and not PROGRESS.match(line):
                self.line.emit(line.rstrip())

    def _linesFrom(self, place):
        try:
            text = self._log().read_bytes()[place:].decode("utf-8", "replace")
        except OSError:
            return []
        return [line for line in text.splitlines() if line.strip()]


def _processes():
    """The processes that this Slicer began, by their folders; kept through a Reload.

    The system keeps an ended process until whoever began it asks how it ended.
    """
    if not hasattr(slicer.modules, "microctsrTrainingProcesses"):
        slicer.modules.microctsrTrainingProcesses = {}
    return slicer.modules.microctsrTrainingProcesses


def _detached():
    """What keeps a process alive when Slicer, or the terminal it was started in, ends."""
    if os.name == "nt":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"creationflags": flags}
    return {"start_new_session": True}


def _stamp(path):
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size


def _size(path):
    stamp = _stamp(path)
    return stamp[1] if stamp else 0
