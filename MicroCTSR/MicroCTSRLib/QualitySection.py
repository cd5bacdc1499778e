"""The panel's section *Quality*: passes, grid and device, and the measurement of the device."""

from slicer.i18n import tr as _

from . import Texts
from .Costs import Cost
from .Parameter import Quality


class QualitySection:
    """Names the device that will be used, and knows what the model costs on it."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = panel.ui

    def update(self):
        parameters = self._panel.parameters
        self._ui.passesSpinBox.enabled = parameters.quality == Quality.FIXED
        key = self._key()
        isIdle = self._panel.logic.queue.current is None
        if isIdle and self._panel.input.box is not None and not self._missing():
            # A measurement beside a run would slow the run and be wrong itself.
            self._panel.costs.measure(*key)
        known = self._panel.costs.of(*key)
        if isinstance(known, Cost):
            self._ui.deviceLabel.text = _("Will run on {name}.").format(name=known.deviceName)
        elif known is not None:
            self._ui.deviceLabel.text = Texts.red(known)
        else:
            self._ui.deviceLabel.text = self.whyUnknown()

    def cost(self):
        """What the chosen model costs on the chosen device, or ``None`` while it is unknown."""
        known = self._panel.costs.of(*self._key())
        return known if isinstance(known, Cost) else None

    def problem(self):
        """Why the chosen device cannot be used, or nothing."""
        known = self._panel.costs.of(*self._key())
        return known if isinstance(known, str) else ""

    def whyUnknown(self):
        """Why time and memory are not known yet."""
        if self.problem():
            return "-"
        if self._missing():
            return _("known once the Python packages are installed, which the first run asks for")
        if self._panel.logic.queue.current is not None:
            return _("measured when the run is done")
        return _("measuring this computer") if self._panel.input.box is not None else "-"

    def device(self):
        """The device to run on, named, so that nothing is replaced silently."""
        known = self.cost()
        return known.device if known else self._panel.parameters.device.value

    def _key(self):
        return (self._panel.model.entry().key, self._panel.parameters.device.value)

    def _missing(self):
        return bool(self._panel.logic.installation.missing())
