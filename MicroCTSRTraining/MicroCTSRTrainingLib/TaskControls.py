"""A task of the queue as the panel shows it: the button that begins it, its bar, its line."""

from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError
from MicroCTSRLib import Texts
from MicroCTSRLib.Panel import offer
from MicroCTSRLib.Task import DONE, FAILED


class TaskControls:
    """Begins a task and cancels it by one button, and tells how it goes and what came of it.

    Args:
        panel: in whose logic's queue the task is.
        button: which begins the task, and cancels it while it is at work.
        begin: queues the task and returns it; may raise MicroCTSRError.
        finish: takes the task's result, and returns what there is to say of it.
        bar, label: show progress and what is said, where there are any.
    """

    def __init__(self, panel, button, begin, finish, bar=None, label=None):
        self._panel, self._button, self._bar, self._label = panel, button, bar, label
        self._begin, self._finish = begin, finish
        self._caption = button.text
        self._task = None
        self.status = ""
        button.clicked.connect(self._onClicked)
        panel.logic.queue.ended.connect(self._onEnded)

    @property
    def isBusy(self):
        return self._task is not None

    @property
    def words(self):
        """What there is to say: how the task goes, or how the last one ended."""
        return self._task.message if self.isBusy else self.status

    def update(self, problem, what):
        """Bring the controls up to date.

        Args:
            problem: why the task cannot be begun, or nothing.
            what: the task does.
        """
        offer(self._button, "" if self.isBusy else problem, what)
        self._button.text = _("Cancel") if self.isBusy else self._caption
        if self._bar is not None:
            self._bar.visible = self.isBusy
            self._bar.value = self._task.percent if self.isBusy else 0
        if self._label is not None:
            self._label.text = self.words
            self._label.visible = bool(self.words)

    def _onClicked(self, _checked=False):
        if self.isBusy:
            self._task.cancel()
            return
        self.status = ""
        try:
            self._panel.logic.installation.ensure()
            self._task = self._begin()
        except MicroCTSRError as error:
            self.status = Texts.red(str(error))
        self._panel.update()

    def _onEnded(self, task):
        if task is not self._task:
            return
        self._task = None
        if task.state == DONE:
            self.status = self._finish(task.result)
        elif task.state == FAILED:
            self.status = Texts.red(_("Failed: {why}").format(why=task.failure))
        else:
            self.status = _("Cancelled; nothing was changed.")
        self._panel.update()
