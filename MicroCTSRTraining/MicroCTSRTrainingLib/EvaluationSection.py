"""The panel's section *Evaluate*: what is measured, against what, and what came of it."""

from pathlib import Path

from slicer.i18n import tr as _

from . import Layouts, Measures
from .Parameter import Measure
from .PathFields import PathFields, forFiles
from .TaskControls import TaskControls


class EvaluationSection:
    """Runs an evaluation, and shows its table and its plot."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = ui = panel.ui
        self._title = ""
        lines = {
            "generatedPath": ui.generatedPath,
            "referencePath": ui.referencePath,
            "uncertaintyPath": ui.uncertaintyPath,
        }
        forFiles(*lines.values())
        self._fields = PathFields(panel, lines)
        self._evaluation = TaskControls(
            panel,
            ui.evaluateButton,
            self._begin,
            self._show,
            ui.evaluateProgressBar,
            ui.evaluateLabel,
        )
        panel.logic.queue.changed.connect(self.update)

    def update(self):
        parameters = self._panel.parameters
        if parameters is None:
            return
        self._fields.update()
        ui = self._ui
        isFidelity = parameters.measure == Measure.FIDELITY
        ui.formSelector.enabled = ui.distanceSelector.enabled = not isFidelity
        ui.referenceCaption.text = _("Truth:") if isFidelity else _("Reference:")
        for control in (ui.uncertaintyCaption, ui.uncertaintySelector, ui.uncertaintyPath):
            control.visible = isFidelity
        for node, line in (
            (parameters.generatedVolume, ui.generatedPath),
            (parameters.referenceVolume, ui.referencePath),
            (parameters.uncertaintyVolume, ui.uncertaintyPath),
        ):
            line.enabled = node is None
        self._evaluation.update(
            self.problem(),
            _(
                "Measure in the background; the measures become a table in the scene, and those of "
                "every slice a plot."
            ),
        )

    def problem(self):
        """Why nothing can be measured, or nothing."""
        parameters = self._panel.parameters
        for what, node, text, isNeeded in self._chosen():
            if node is not None:
                continue
            if not text and isNeeded:
                return _("Choose {what}: a volume, a file or a folder.").format(what=what)
            if text and not Path(text).expanduser().exists():
                return _("{path} does not exist; choose {what}.").format(path=text, what=what)
        generated, reference = parameters.generatedVolume, parameters.referenceVolume
        if generated is not None and generated is reference:
            return _("A volume cannot be measured against itself; choose another reference.")
        return ""

    def _chosen(self):
        """Of each input its name for people, its node, its path, and whether it is needed."""
        parameters = self._panel.parameters
        isFidelity = parameters.measure == Measure.FIDELITY
        reference = _("the truth") if isFidelity else _("the reference")
        chosen = [
            (_("what is measured"), parameters.generatedVolume, parameters.generatedPath, True),
            (reference, parameters.referenceVolume, parameters.referencePath, True),
        ]
        if isFidelity:
            uncertainty = (parameters.uncertaintyVolume, parameters.uncertaintyPath)
            chosen.append((_("the uncertainty"), *uncertainty, False))
        return chosen

    def _begin(self):
        parameters = self._panel.parameters
        second = "--truth" if parameters.measure == Measure.FIDELITY else "--reference"
        inputs = {}
        for option, (_what, node, text, _needed) in zip(
            ("--generated", second, "--uncertainty"), self._chosen(), strict=False
        ):
            if node is not None or text:
                inputs[option] = node if node is not None else Path(text).expanduser()
        kind = _("fidelity") if parameters.measure == Measure.FIDELITY else _("m-HuM")
        self._title = f"{_name(inputs['--generated'])} {kind}"
        return self._panel.logic.evaluate(
            parameters.measure.value, inputs, parameters.form.value, parameters.distance.value
        )

    def _show(self, answer):
        table, chart = Measures.show(answer, self._title)
        Layouts.showEvaluation(table, chart)
        return ", ".join(
            f"{Measures.label(name)} {value:.4g}" for name, value in Measures.rows(answer)
        )


def _name(each):
    """What a node or a path is called."""
    return each.GetName() if hasattr(each, "GetName") else each.name
