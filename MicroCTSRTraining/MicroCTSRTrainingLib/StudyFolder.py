"""A study of readers in its folder: what it holds and how far the raters are, whoever serves it."""

import time
from contextlib import contextmanager
from pathlib import Path

from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError, ReadError
from MicroCTSRLib.Signal import Signal

POLL_MS = 1000
STUDY, RATINGS = "study.json", "ratings.sqlite"
# A file that was written a moment ago may be written again within the same tick of its clock.
_SETTLED_S = 5


class StudyFolder:
    """The study in a folder; ``changed()`` tells of ratings, of its end, and of trouble.

    ``study`` is the library's, ``None`` where there is none; ``progress`` is how far each rater
    is, ``closedAt`` when it was closed, and ``problem`` why it cannot be read, in a sentence;
    ``isLacking`` is whether nothing but packages is missing for that.

    Args:
        installation: without whose packages no study can be read.
    """

    def __init__(self, installation):
        self.changed = Signal()
        self.folder = None
        self.study = None
        self.progress = []
        self.closedAt = None
        self.problem = ""
        self.isLacking = False
        self._installation = installation
        self._seen = None
        self._timer = None

    def attach(self, folder):
        """Follow the study in a folder, or none."""
        self.folder = Path(folder) if folder else None
        self._seen = None
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
        """Follow nothing any more."""
        self.changed = Signal()
        if self._timer is not None:
            self._timer.stop()

    @property
    def isFinished(self):
        """Whether every rater has rated every pair."""
        return bool(self.progress) and all(each.done == each.trials for each in self.progress)

    def close(self):
        """Take no more ratings; a study that is closed stays so.

        Raises:
            MicroCTSRError: there is no study, or its folder cannot be written.
        """
        if self.study is None:
            raise ReadError(self.problem or _("Choose the folder of a study."))
        with _itsErrors():
            self.study.ratings.close()
        self._look()

    def refresh(self):
        """Read the folder again, now."""
        self._seen = None
        self._look()

    def _look(self):
        """Read what changed in the folder, and tell of it when it is news."""
        stamps = self._stamps()
        isSettled = all(time.time() - stamp[0] > _SETTLED_S for stamp in stamps if stamp)
        if stamps == self._seen and isSettled:
            return
        isAnother = self._seen is None or self._seen[:1] != stamps[:1] or self.study is None
        self._seen = stamps
        before = self._state()
        self._read(isAnother)
        if self._state() != before:
            self.changed.emit()

    def _state(self):
        return (self.folder, self.study, self.progress, self.closedAt, self.problem)

    def _read(self, isAnother):
        """Read how far the raters are, after the study itself where it is another one."""
        study, self.study = None if isAnother else self.study, None
        self.progress, self.closedAt, self.problem, self.isLacking = [], None, "", False
        if self.folder is None:
            return
        if not (self.folder / STUDY).is_file():
            self.problem = self._whyNone()
            return
        missing = self._installation.missing()
        if missing:
            self.isLacking = True
            self.problem = _(
                "To read the study, Slicer's Python lacks {packages}; start the server and agree "
                "to the installation."
            ).format(packages=", ".join(missing))
            return
        try:
            with _itsErrors():
                from microctsr_core.study import open_study, progress_of

                study = study or open_study(self.folder)
                self.progress, self.closedAt = progress_of(study), study.ratings.closed_at()
            self.study = study
        except MicroCTSRError as error:
            self.problem = str(error)

    def _whyNone(self):
        if not self.folder.exists():
            return _("{folder} does not exist; create the study, or choose its new place.").format(
                folder=self.folder
            )
        return _("{folder} holds no study; choose the folder of one, or a new folder.").format(
            folder=self.folder
        )

    def _stamps(self):
        if self.folder is None:
            return ()
        return tuple(_stamp(self.folder / name) for name in (STUDY, RATINGS))


@contextmanager
def _itsErrors():
    """Raise what the library complains of as an error that this module knows.

    Slicer's Reload of MicroCTSR reads the library again, and with it another class of that name.
    """
    from microctsr_core import errors

    try:
        yield
    except errors.MicroCTSRError as error:
        raise MicroCTSRError(str(error)) from error


def _stamp(path):
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime, stat.st_size
