"""What a run's folder tells of its run, and how the run is asked to stop.

Whoever watches a run, be it a program that started it or one that came later, reads
``state.json``, which the run writes about once a second. A file asks the run to stop after its
step, since not every system has a signal that does. Nothing but Python is needed to read the
state; only with psutil it is known whether the process of a run still is there.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from ..errors import Cancelled, MicroCTSRError, WriteError
from ..io.atomic import atomic_path

State: TypeAlias = Literal["running", "paused", "stopped", "finished", "failed"]
Wish: TypeAlias = Literal["pause", "stop"]

STATE = "state.json"
REQUEST = "stop-request.txt"
CHECKPOINT = "checkpoint.pt"
LOG = "log.txt"
"""Where a program that starts a run may keep what the run prints."""

_SECONDS_BETWEEN_WRITES = 1.0
_CLOCKS_DIFFER_BY_S = 2.0
# Of a run on another machine only its silence tells that it ended; a validation may take long.
_SILENCE_S = 3600.0
_TAIL_BYTES = 8192
_ERROR = "Error: "


@dataclass(frozen=True)
class RunState:
    """What is known of a run.

    Args:
        state: ``paused`` and ``stopped`` runs go on with ``--resume``, as most failed ones do.
        message: where the run is, or one sentence on why it ended.
        step, steps: steps done, and of the whole run; both 0 where they are not known.
        seconds_left: to the end of the run; None where that cannot be told yet.
        low, high: the folders it learns from.
        method, preset: as ``microctsr train`` calls them.
        begun: when the process took the run up, in seconds since 1970.
        host, pid, process_begun: the process, and when it began.
    """

    state: State
    message: str
    step: int = 0
    steps: int = 0
    seconds_left: float | None = None
    low: str = ""
    high: str = ""
    method: str = ""
    preset: str = ""
    begun: float = 0.0
    host: str = ""
    pid: int = 0
    process_begun: float = 0.0


def read_state(output: Path) -> RunState | None:
    """The state of the run in a folder, or None where there is none.

    Args:
        output: the folder. Where a program kept the run's output in its ``log.txt``, the error of
            a run that failed before it could take the folder is told as well.
    """
    state = _recorded(output)
    if state is None and (output / CHECKPOINT).exists():
        state = RunState("stopped", "The folder holds a run that tells no more; resume it.")
    error = _error_after(output)
    if error is not None:
        return replace(state or RunState("failed", ""), state="failed", message=error)
    if state is not None and state.state == "running" and not _is_at_work(state, output):
        message = (
            "The process of the run ended without a word: it was killed, memory ran out, or the "
            "computer was switched off; resume the run."
        )
        return replace(state, state="failed", message=message, seconds_left=None)
    return state


def ask_to_stop(output: Path, wish: Wish) -> None:
    """Ask the run in a folder to stop after its step, with a checkpoint.

    Args:
        output: the folder.
        wish: ``"pause"`` or ``"stop"``; the state tells it afterwards, and either is resumed alike.

    Raises:
        WriteError: the folder cannot be written.
    """
    with atomic_path(output / REQUEST) as part:
        part.write_text(wish, encoding="utf-8")


def wish_of(output: Path) -> Wish | None:
    """What a run is asked for and has not done yet."""
    try:
        text = (output / REQUEST).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return "pause" if text == "pause" else "stop"


class Record:
    """Keeps ``state.json`` up to date, and looks for a request to stop.

    Args:
        output: the run's folder, which the caller has to itself.
        state: of the run as it begins.
    """

    def __init__(self, output: Path, state: RunState) -> None:
        import psutil

        process = psutil.Process()
        earlier = _recorded(output) if (output / CHECKPOINT).exists() else None
        self._output = output
        self._state = replace(
            state,
            step=earlier.step if earlier is not None else 0,
            begun=time.time(),
            host=platform.node(),
            pid=process.pid,
            process_begun=process.create_time(),
        )
        self._first: tuple[int, float] | None = None
        self._written = 0.0
        self._forget_earlier_request()
        self._write()

    def preparing(self, fraction: float) -> None:
        """Take down how much is prepared before the first step."""
        self._state = replace(self._state, message=f"Preparing the cases, {fraction:.0%}")
        self._write_now_and_then()

    def at(self, step: int, message: str) -> None:
        """Take down where the run is.

        Args:
            step: steps done.
            message: the same in words.
        """
        now = time.monotonic()
        self._first = self._first or (step, now)
        left = self._left(step, now)
        self._state = replace(self._state, step=step, message=message, seconds_left=left)
        self._write_now_and_then()

    def is_asked_to_stop(self) -> bool:
        """Whether the run is to end after its step."""
        return wish_of(self._output) is not None

    def end(self, state: State, message: str) -> None:
        """Take down how the run ended."""
        step = self._state.steps if state == "finished" else self._state.step
        self._state = replace(
            self._state, state=state, message=message, step=step, seconds_left=None
        )
        self._write()
        with suppress(OSError):
            (self._output / REQUEST).unlink(missing_ok=True)

    def _left(self, step: int, now: float) -> float | None:
        """Seconds to the end, by the pace since this process began."""
        assert self._first is not None
        first, begun = self._first
        if step == first:
            return None
        return (now - begun) / (step - first) * (self._state.steps - step)

    def _write_now_and_then(self) -> None:
        if time.monotonic() - self._written >= _SECONDS_BETWEEN_WRITES:
            self._write()

    def _write(self) -> None:
        """Write the state; it is never worth a run."""
        self._written = time.monotonic()
        with suppress(WriteError), atomic_path(self._output / STATE) as part:
            part.write_text(json.dumps(asdict(self._state), indent=1) + "\n", encoding="utf-8")

    def _forget_earlier_request(self) -> None:
        """Remove what was asked of another process; what was asked of this one stays."""
        request = self._output / REQUEST
        with suppress(OSError):
            if request.stat().st_mtime < self._state.process_begun - _CLOCKS_DIFFER_BY_S:
                request.unlink()


@contextmanager
def recorded(output: Path, state: RunState) -> Iterator[Record]:
    """Record a run while the block lasts, and how it ended.

    Args:
        output: the run's folder, which the caller has to itself.
        state: of the run as it begins.
    """
    record = Record(output, state)
    try:
        yield record
    except Cancelled as stop:
        record.end("paused" if wish_of(output) == "pause" else "stopped", str(stop))
        raise
    except MicroCTSRError as error:
        record.end("failed", str(error))
        raise
    except (KeyboardInterrupt, SystemExit):
        record.end("stopped", "The run was interrupted; go on with --resume.")
        raise
    except BaseException as error:
        what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
        record.end("failed", f"Unexpected {what}.")
        raise
    record.end("finished", f"All {state.steps} steps are done.")


def _recorded(output: Path) -> RunState | None:
    """What the last run in a folder wrote down."""
    try:
        entries = json.loads((output / STATE).read_text(encoding="utf-8"))
        known = {field.name for field in fields(RunState)}
        state = RunState(**{key: value for key, value in entries.items() if key in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return state if state.state in get_args(State) else None


def _error_after(output: Path) -> str | None:
    """The error that ends a log newer than the state."""
    log = output / LOG
    try:
        written = log.stat().st_mtime
        with log.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            lines = file.read().decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return None
    with suppress(OSError):
        if written < (output / STATE).stat().st_mtime:
            return None
    if not lines or not lines[-1].startswith(_ERROR):
        return None
    return lines[-1].removeprefix(_ERROR)


def _is_at_work(state: RunState, output: Path) -> bool:
    """Whether the process that wrote a state is still there."""
    if state.host != platform.node():
        try:
            # A clock that was set back would make a silent run look new for as long.
            return abs(time.time() - (output / STATE).stat().st_mtime) < _SILENCE_S
        except OSError:
            return False
    try:
        import psutil
    except ImportError:  # nobody here can tell
        return True
    try:
        process = psutil.Process(state.pid)
        same = abs(process.create_time() - state.process_begun) < _CLOCKS_DIFFER_BY_S
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
