"""The library's command in a process of its own, which Slicer's event loop looks after.

Python threads hardly run while Slicer's event loop idles, so a timer polls. The child's output
goes to a file, which is read as it grows. The child runs while its standard input is open: closing
it cancels, and so does the end of Slicer. Where a launcher stands between Slicer and its Python
and keeps that input to itself, a signal to both does the same.
"""

import contextlib
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from .Installation import pythonExecutable
from .Signal import Signal

MODULES_FOLDER = Path(__file__).parents[1]
POLL_MS = 50
# The child is asked first; whatever keeps it busy, it is gone well within two seconds.
GRACE_S = 1.2
INTERRUPTED = 130
PROGRESS = re.compile(r"^\s*(\d+) %  (.*?)(?:, (\d[\d:]*) left)?$")


class ChildProcess:
    """One command; ``line(str)``, ``progress(percent, text, timeLeft)`` and ``finished(code)``.

    Args:
        arguments: of the ``microctsr`` command.
        logPath: file for the child's output, in an existing folder.
    """

    def __init__(self, arguments, logPath):
        self.line = Signal()
        self.progress = Signal()
        self.finished = Signal()
        self._arguments = arguments
        self._logPath = Path(logPath)
        self._process = None
        self._timer = None
        self._log = None
        self._rest = b""
        self._killAt = None

    def start(self):
        import qt

        with self._logPath.open("wb") as output:
            self._process = subprocess.Popen(
                command("--while-stdin-open", *self._arguments),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment(),
                **_apart(),
            )
        self._log = self._logPath.open("rb")
        self._timer = qt.QTimer()
        self._timer.timeout.connect(self._poll)
        self._timer.start(POLL_MS)

    @property
    def isRunning(self):
        return self._process is not None and self._process.returncode is None

    def cancel(self):
        """Ask the child to stop; it is ended by force if it has not after a moment."""
        if self.isRunning and self._killAt is None:
            self._killAt = time.monotonic() + GRACE_S
            self._process.stdin.close()
            if os.name != "nt":
                _signalGroup(self._process, signal.SIGTERM)

    def kill(self):
        """End the child at once and wait for it; nothing is emitted any more."""
        if self._timer is not None:
            self._timer.stop()
        if self.isRunning:
            _killTree(self._process)
            self._process.wait()
        self._close()

    def _poll(self):
        code = self._process.poll()
        self._read()
        overdue = self._killAt is not None and time.monotonic() > self._killAt
        if code is None:
            if overdue:
                _killTree(self._process)
            return
        if self._killAt is not None and not overdue and _outlived(self._process):
            return
        self._timer.stop()
        self._read()
        if self._rest:
            self._tell(self._rest)
        self._close()
        self.finished.emit(INTERRUPTED if self._killAt is not None else code)

    def _read(self):
        *lines, self._rest = (self._rest + self._log.read()).split(b"\n")
        for line in lines:
            self._tell(line)

    def _tell(self, line):
        text = line.decode("utf-8", "replace").rstrip()
        match = PROGRESS.match(text)
        if match:
            self.progress.emit(int(match[1]), match[2], match[3] or "")
        elif text:
            self.line.emit(text)

    def _close(self):
        for stream in (self._process and self._process.stdin, self._log):
            if stream is not None:
                stream.close()


def command(*arguments):
    """The library's command, as a list of words to start a process with."""
    words = [str(argument) for argument in arguments]
    return [pythonExecutable(), "-m", "microctsr_core", *words]


def environment():
    """Slicer's own environment, in which its Python runs, with the library to be found."""
    paths = [str(MODULES_FOLDER), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in paths if path),
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
        "NO_COLOR": "1",
    }


def _apart():
    """A process group of the child's own, so that all of it can be ended; no console window."""
    if os.name == "nt":
        return {"creationflags": subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


def _killTree(process):
    if os.name == "nt":
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        subprocess.run(command, capture_output=True, check=False, **_apart())
        return
    _signalGroup(process, signal.SIGKILL)


def _outlived(process):
    """End what a launcher left behind when it was cancelled; whether any of it is still there.

    A signal is not the end of a process: until it is gone it may write to the job's folder.
    """
    return os.name != "nt" and _signalGroup(process, signal.SIGKILL)


def _signalGroup(process, number):
    """Whether there was still a process in the group to take the signal."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: only zombies are left
        os.killpg(process.pid, number)
        return True
    return False
