"""Progress with the time left, on stderr: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Report = Callable[[float, str], None]

SECONDS_BETWEEN_LINES = 1.0


@contextmanager
def progress_on_stderr() -> Iterator[Report]:
    """Lend a ``progress(fraction, message)`` to pass to the library, from any thread."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield PlainProgress(sys.stderr)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=None, complete_style="cyan", finished_style="cyan"),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    # Transient: when the work is done, its summary takes the bar's place.
    with Progress(*columns, console=console, transient=True, expand=True) as bar:
        task = bar.add_task("Starting", total=1.0)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=message)


class PlainProgress:
    """Lines such as `` 42 %  Slice 3 of 8, 0:01:10 left`` for logs and for programs that listen.

    Programs rely on the form: three characters of whole percents, `` %  ``, the message, and once
    it can be told ``, H:MM:SS left``. The time left is estimated from when the work proper began,
    that is from the last line of 0 %. What is said at 0 % is always printed; later lines come a
    second apart.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._start = clock()
        self._printed_at = -math.inf
        self._printed = ""

    def __call__(self, fraction: float, message: str) -> None:
        now = self._clock()
        if fraction == 0:
            self._start = now
        elif now - self._printed_at < SECONDS_BETWEEN_LINES and fraction < 1:
            return
        line = f"{100 * fraction:3.0f} %  {message}"
        if line == self._printed:
            return
        self._printed, self._printed_at = line, now
        elapsed = now - self._start
        if 0 < fraction < 1 and elapsed >= SECONDS_BETWEEN_LINES:
            line += f", {timedelta(seconds=round(elapsed * (1 - fraction) / fraction))} left"
        typer.echo(line, file=self._stream)
