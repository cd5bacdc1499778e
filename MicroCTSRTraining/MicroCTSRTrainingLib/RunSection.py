"""The panel's section *Train*: method, folder of the run, start, pause, stop, resume, progress."""

from pathlib import Path

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError, ModelError
from MicroCTSRLib import Texts
from MicroCTSRLib.Panel import offer

from .Logic import TrainingRequest
from .Parameter import Method, Preset
from .PathFields import PathFields, forFiles, forFolders
from .TrainingRun import Stage

_SETTING = "MicroCTSRTraining/outputFolder"
_RESUMABLE = (Stage.PAUSED, Stage.STOPPED)


class RunSection:
    """Begins the run in the folder chosen, or follows the one that is there."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        self._run = panel.logic.run
        self._message = ""
        self._entry = None
        self._finishedSeen = None
        self._known = None
        forFolders(ui.outputPath)
        forFiles(ui.configPath)
        fields = {"outputFolder": ui.outputPath, "configFile": ui.configPath}
        self._fields = PathFields(panel, fields)
        ui.startButton.clicked.connect(self._onStart)
        ui.pauseButton.clicked.connect(lambda _checked=False: self._do(self._run.pause))
        ui.stopButton.clicked.connect(lambda _checked=False: self._do(self._run.stop))
        ui.resumeButton.clicked.connect(self._onResume)
        ui.useModelButton.clicked.connect(self._onUseModel)
        self._run.changed.connect(self._onRunChanged)
        self._run.line.connect(ui.logText.appendPlainText)

    @property
    def isLocked(self):
        """Whether the folders and the method are those of a run that is there."""
        return self._run.isAtWork or self._run.holdsRun

    def request(self):
        """What the controls ask for."""
        parameters = self._panel.parameters
        config = parameters.configFile
        return TrainingRequest(
            parameters.lowFolder,
            parameters.highFolder,
            parameters.method.value,
            parameters.preset.value,
            str(Path(config).expanduser()) if config else "",
        )

    def remembered(self):
        """The folder of the last run that was begun or followed, in this Slicer or one before."""
        return slicer.app.userSettings().value(_SETTING, "") or ""

    def remember(self, folder):
        """Let the panel come back to a run, even in another Slicer."""
        slicer.app.userSettings().setValue(_SETTING, str(folder))

    def onParameters(self):
        """Come back to the run, where the scene's parameters name none."""
        self._known = None
        if not self._panel.parameters.outputFolder:
            self._panel.parameters.outputFolder = self.remembered()

    def update(self):
        self._fields.update()
        self._follow()
        self._takeOver()
        ui, run = self._ui, self._run
        for control in (ui.methodSelector, ui.presetSelector, ui.configPath):
            control.enabled = not self.isLocked
        offer(
            ui.startButton,
            self._whyNotStart(),
            _("Begin the run. It goes on when Slicer is closed."),
        )
        offer(
            ui.pauseButton,
            self._whyNotStop(),
            _("Stop after this step, to go on later; nothing is lost."),
        )
        offer(
            ui.stopButton,
            self._whyNotStop(),
            _("End after this step. The best model so far stays, and the run can be resumed."),
        )
        offer(ui.resumeButton, self._whyNotResume(), _("Go on from the last checkpoint."))
        offer(
            ui.useModelButton,
            "" if run.hasModel else _("The run has no model yet; its first epoch makes one."),
            _("Put the best model so far into the list of the module MicroCTSR, and go there."),
        )
        state = run.state
        isKnown = state is not None and state.steps > 0
        ui.progressBar.visible = isKnown
        ui.progressBar.value = round(100 * state.step / state.steps) if isKnown else 0
        ui.statusLabel.text = self._status()

    def _follow(self):
        """Attach to the folder chosen."""
        folder = self._folder()
        if folder == self._run.folder:
            return
        self._message, self._entry, self._finishedSeen, self._known = "", None, None, None
        self._ui.logText.clear()
        self._run.attach(folder)

    def _takeOver(self):
        """Show what a run that was begun elsewhere learns from, once for each time it was begun."""
        state, parameters = self._run.state, self._panel.parameters
        if state is None or not state.low or state.begun == self._known:
            return
        self._known = state.begun
        self.remember(self._run.folder)
        parameters.lowFolder, parameters.highFolder = state.low, state.high
        if state.method in [each.value for each in Method]:
            parameters.method = Method(state.method)
        if state.preset in [each.value for each in Preset]:
            parameters.preset = Preset(state.preset)

    def _folder(self):
        text = self._panel.parameters.outputFolder
        path = Path(text).expanduser() if text else None
        return path if path is not None and path.is_absolute() else None

    def _whyNotStart(self):
        parameters = self._panel.parameters
        if self._run.isAtWork:
            return _("The run is at work.")
        if not parameters.outputFolder:
            return self._panel.folders.problem() or _("Choose a folder for the run.")
        if self._run.folder is None:
            return _("{path} is no whole path; choose a folder for the run.").format(
                path=parameters.outputFolder
            )
        if self._run.folder.is_file():
            return _("{path} is a file; choose a folder for the run.").format(path=self._run.folder)
        if self._run.holdsRun:
            return _("The folder holds a run already; resume it, or choose another folder.")
        config = parameters.configFile
        if config and not Path(config).expanduser().is_file():
            return _("{path} is no file; correct it, or leave it empty.").format(path=config)
        return self._panel.folders.problem()

    def _whyNotStop(self):
        return {
            Stage.RUNNING: "",
            Stage.STARTING: _("The run is starting; wait a moment."),
            Stage.PAUSING: _("The run pauses after this step."),
            Stage.STOPPING: _("The run ends after this step."),
        }.get(self._run.stage, _("No run is at work in the folder."))

    def _whyNotResume(self):
        run = self._run
        if run.isAtWork:
            return _("The run is at work.")
        if run.stage == Stage.FINISHED:
            return _("The run is finished.")
        if run.stage in _RESUMABLE or (run.stage == Stage.FAILED and run.holdsRun):
            return self._panel.folders.problem()
        return _("The folder of the run holds none that could be resumed.")

    def _status(self):
        run, state = self._run, self._run.state
        if self._message:
            return Texts.red(self._message)
        if run.stage == Stage.FAILED:
            return Texts.red(
                _("Failed: {why}").format(why=_inButtons(run.failure or state.message))
            )
        if run.stage == Stage.FINISHED:
            return self._finished(state)
        if run.stage == Stage.RUNNING and state.seconds_left is not None:
            left = Texts.duration(state.seconds_left)
            return _("{place} of {steps}; {left} left").format(
                place=_short(state.message), steps=state.steps, left=left
            )
        return {
            Stage.NOTHING: "",
            Stage.STARTING: _("Starting"),
            Stage.RUNNING: _short(state.message) if state else "",
            Stage.PAUSING: _("Pausing after this step"),
            Stage.STOPPING: _("Stopping after this step"),
            Stage.PAUSED: _("Paused {place}; click Resume to go on.").format(place=_place(state)),
            Stage.STOPPED: _("Stopped {place}; it can be resumed.").format(place=_place(state)),
        }[run.stage]

    def _finished(self, state):
        done = _("Finished: all {steps} steps are done.").format(steps=state.steps)
        if self._entry is None:
            return done
        return _("{done} The model {name} is in the list of the module MicroCTSR.").format(
            done=done, name=self._entry.title
        )

    def _onRunChanged(self):
        isFinished = self._run.stage == Stage.FINISHED
        if isFinished and self._finishedSeen != self._run.folder and self._run.hasModel:
            self._finishedSeen = self._run.folder
            self._listModel()
        self._panel.update()

    def _onStart(self, _checked=False):
        self._begin(self._panel.logic.start)

    def _onResume(self, _checked=False):
        self._begin(self._panel.logic.resume)

    def _begin(self, begin):
        def ensured():
            self._panel.logic.installation.ensure()
            begin(self.request())
            self.remember(self._run.folder)
            self._panel.watch.follow()

        self._finishedSeen = None
        self._do(ensured)

    def _do(self, action):
        """Do what a button says; what hinders it is told."""
        self._message = ""
        try:
            action()
        except MicroCTSRError as error:
            self._message = str(error)
        self._panel.update()

    def _listModel(self):
        """Put the run's model into the list of the module MicroCTSR; whether it is there now."""
        try:
            self._entry = self._panel.logic.models.importRun(self._run.folder)
        except ModelError as error:
            self._entry, self._message = None, str(error)
        return self._entry is not None

    def _onUseModel(self, _checked=False):
        self._message = ""
        if self._listModel():
            slicer.util.selectModule("MicroCTSR")
            panel = slicer.modules.microctsr.widgetRepresentation().self()
            panel.parameters.model = self._entry.key
        self._panel.update()


def _place(state):
    """Where a run was when it ended, as a part of a sentence."""
    if state is None or not state.step:
        return _("before the first step")
    return _("at step {step} of {steps}").format(step=state.step, steps=state.steps)


def _short(message):
    """Where a run is, without the losses, which the curves show."""
    return message.partition(":")[0]


def _inButtons(text):
    """A sentence of the command line in the words of the panel."""
    return text.replace("--resume", _("Resume"))
