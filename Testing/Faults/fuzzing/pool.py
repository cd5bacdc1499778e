"""Processes that use inputs, watched from outside: they may crash, hang or take too much memory."""

from __future__ import annotations

import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path

import psutil

from .subject import Subject
from .worker import MEMORY_BYTES, OUTSIDE, Outcome, work

SECONDS = 20.0
"""For one input; it takes milliseconds, and machines may do much else at once."""

_PREPARING_SECONDS = 300.0
_POLL_SECONDS = 0.02

Task = tuple[str, int]


class _Worker:
    """One process, and the input that it has in hand."""

    def __init__(self, seed: int, subjects: Sequence[Subject]) -> None:
        self.home = tempfile.TemporaryDirectory(
            prefix="microctsr-faults-", ignore_cleanup_errors=True
        )
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(
            target=work, args=(theirs, seed, list(subjects), Path(self.home.name))
        )
        self.process.start()
        theirs.close()
        self.watched = psutil.Process(self.process.pid)
        self.task: Task | None = None
        self.deadline = 0.0

    def begin(self, task: Task) -> None:
        self.task, self.deadline = task, time.monotonic() + _PREPARING_SECONDS
        self.pipe.send(task)
        self.prepared = False

    def memory_bytes(self) -> int:
        with suppress(psutil.Error):
            return int(self.watched.memory_info().rss)
        return 0

    def kill(self) -> None:
        """End it and what it started."""
        with suppress(psutil.Error):
            for child in self.watched.children(recursive=True):
                with suppress(psutil.Error):
                    child.kill()
        self.process.kill()
        self.process.join()
        self.pipe.close()
        self.home.cleanup()


def run(
    tasks: Sequence[Task], seed: int, subjects: Sequence[Subject], processes: int
) -> Iterator[tuple[Task, Outcome]]:
    """Use every input, each in a process that the next one does not depend on.

    Yields:
        Each task with what came of it, in the order in which they end.
    """
    waiting = list(reversed(tasks))
    workers = [_Worker(seed, subjects) for _ in range(min(processes, len(tasks)))]
    for worker in workers:
        worker.begin(waiting.pop())
    try:
        while workers:
            wait([worker.pipe for worker in workers], timeout=_POLL_SECONDS)
            for place, worker in enumerate(workers):
                outcome = _outcome(worker)
                if outcome is None:
                    continue
                assert worker.task is not None
                yield worker.task, outcome
                if not worker.process.is_alive() and waiting:
                    worker = workers[place] = _Worker(seed, subjects)
                worker.task = None
                if waiting:
                    worker.begin(waiting.pop())
            for worker in [worker for worker in workers if worker.task is None]:
                _end(worker)
                workers.remove(worker)
    finally:
        for worker in workers:
            worker.kill()


def _outcome(worker: _Worker) -> Outcome | None:
    """What came of the input in hand; ``None`` while it is in use."""
    try:
        while worker.pipe.poll():
            outcome: Outcome | None = worker.pipe.recv()
            if outcome is not None:
                return outcome
            worker.deadline = time.monotonic() + SECONDS
    except (EOFError, OSError):
        worker.process.join()
        code = worker.process.exitcode
        worker.kill()
        return Outcome(OUTSIDE, f"the process crashed (exit code {code})")
    if worker.memory_bytes() > MEMORY_BYTES:
        worker.kill()
        return Outcome(OUTSIDE, f"more than {MEMORY_BYTES / 1e9:.0f} GB of memory")
    if time.monotonic() > worker.deadline:
        worker.kill()
        return Outcome(OUTSIDE, f"no end within {SECONDS:.0f} seconds")
    return None


def _end(worker: _Worker) -> None:
    with suppress(OSError):
        worker.pipe.send(None)
    worker.process.join(20)
    worker.kill()
