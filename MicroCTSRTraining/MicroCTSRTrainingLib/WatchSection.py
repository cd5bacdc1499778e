"""The panel's section *Curves and pictures*: how the run learns, in Slicer's own views."""

from slicer.i18n import tr as _

from . import Curves, Layouts, Pictures
from .Measures import label


class WatchSection:
    """Keeps the nodes of the run up to date from when they are asked for."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        self._run = panel.logic.run
        self._isFollowing = False
        self._choices = {}
        self._shown = None
        self._picture = None
        self._folder = None
        ui.curvesSelector.currentIndexChanged.connect(self._onChosen)
        ui.showCurvesButton.clicked.connect(lambda _checked=False: self.show())

    def follow(self):
        """Show the curves and the pictures as soon as the run has some."""
        self._isFollowing = True
        self.show()

    def show(self):
        """Show curves and pictures in a layout of their own."""
        self._isFollowing, self._shown = True, None
        chart = self._refresh()
        if chart is not None:
            Layouts.showTraining(chart, self._picture)

    def forget(self):
        """The nodes are about to go with their scene; those of a run at work come again."""
        self._isFollowing, self._shown, self._picture = False, None, None

    def update(self):
        if self._run.folder != self._folder:
            self._folder, self._isFollowing, self._shown = self._run.folder, False, None
            self._picture = None
        ui = self._ui
        history = self._run.history() if self._folder is not None else []
        self._fill(Curves.choices(history))
        has = bool(history)
        ui.curvesSelector.enabled = ui.heldOutCaseSpinBox.enabled = has
        ui.showCurvesButton.enabled = has
        ui.showCurvesButton.toolTip = (
            _("Show the curves in a plot view, above the newest picture of a held-out case.")
            if has
            else _("The run has no curves yet; its first epoch makes some.")
        )
        ui.epochLabel.text = self._words(history)
        if has and (self._isFollowing or self._run.isAtWork):
            isFirst = self._isFollowing and self._shown is None
            chart = self._refresh()
            if isFirst:
                Layouts.showTraining(chart, self._picture)

    def _refresh(self):
        """Bring the nodes up to date; what did not change is left alone. Returns the chart."""
        history = self._run.history() if self._folder is not None else []
        if not history:
            return None
        epoch, pictures = self._run.pictures()
        case = min(self._panel.parameters.heldOutCase - 1, max(pictures, default=0))
        choice = self._choice()
        wanted = (self._folder, len(history), str(history[-1]), choice, epoch, case)
        if wanted != self._shown:
            self._shown = wanted
            _table, self._chart = Curves.show(self._folder, history, choice)
            if case in pictures:
                self._picture = Pictures.show(self._folder, pictures[case])
        return self._chart

    def _words(self, history):
        if not history:
            return "-"
        last = history[-1]
        measures = ", ".join(
            f"{label(name)} {value:.4g}" for name, value in last["validation"].items()
        )
        best = _(" (the best so far)") if last["best"] else ""
        return _("Epoch {epoch}: {measures}{best}").format(
            epoch=last["epoch"], measures=measures, best=best
        )

    def _choice(self):
        index = self._ui.curvesSelector.currentIndex
        keys = list(self._choices)
        return keys[index] if 0 <= index < len(keys) else Curves.GENERATORS

    def _fill(self, choices):
        if choices == self._choices:
            return
        selector, chosen = self._ui.curvesSelector, self._choice()
        self._choices = choices
        wasBlocked = selector.blockSignals(True)
        selector.clear()
        for name in choices.values():
            selector.addItem(name)
        selector.currentIndex = list(choices).index(chosen) if chosen in choices else 0
        selector.blockSignals(wasBlocked)

    def _onChosen(self, _index=None):
        self._panel.update()
