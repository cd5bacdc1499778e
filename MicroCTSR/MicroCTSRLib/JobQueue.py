"""Runs wait for each other: each would slow the other down, and memory is told for one."""

from .Signal import Signal


class JobQueue:
    """Jobs in the order of their coming.

    ``changed()`` tells of every change of state or progress, ``line(str)`` is the log of the job
    at work, ``ended(job)`` comes once for each job.
    """

    def __init__(self):
        self.changed = Signal()
        self.line = Signal()
        self.ended = Signal()
        self._jobs = []

    @property
    def current(self):
        """The job at work, or ``None``."""
        return self._jobs[0] if self._jobs else None

    @property
    def waiting(self):
        """The jobs behind the one at work."""
        return tuple(self._jobs[1:])

    def add(self, job):
        job.changed.connect(lambda: self._onChanged(job))
        job.line.connect(self.line.emit)
        self._jobs.append(job)
        if len(self._jobs) == 1:
            job.start()
        else:
            self.changed.emit()

    def cancel(self, job=None):
        """Cancel one job, by default the one at work."""
        job = job or self.current
        if job is not None:
            job.cancel()

    def cancelAll(self):
        """Cancel the job at work and forget those that wait."""
        for job in reversed(self._jobs.copy()):
            job.cancel()

    def kill(self):
        """End everything at once, for when nobody is left to be told."""
        jobs, self._jobs = self._jobs, []
        for job in jobs:
            job.kill()

    def _onChanged(self, job):
        if job.isOver and job in self._jobs:
            wasCurrent = job is self._jobs[0]
            self._jobs.remove(job)
            try:
                self.ended.emit(job)
            finally:
                if wasCurrent and self._jobs:
                    self._jobs[0].start()
        self.changed.emit()
