"""The panel, and the sections that each look after some of its controls."""

from .Costs import Costs
from .InputSection import InputSection
from .Logic import MicroCTSRLogic
from .Models import Models
from .ModelSection import ModelSection
from .Notice import ensureNotice
from .Panel import Panel
from .QualitySection import QualitySection
from .ResultSection import ResultSection
from .RunSection import RunSection
from .SegmentationSection import SegmentationSection


class MicroCTSRWidget(Panel):
    """The module's panel; sections share it as their ``panel``."""

    def __init__(self, parent=None):
        Panel.__init__(self, parent)
        self._isTaking = False

    def makeSections(self):
        self.logic = MicroCTSRLogic()
        self.models = Models()
        self.costs = Costs()
        self.input = InputSection(self)
        self.model = ModelSection(self)
        self.quality = QualitySection(self)
        self.run = RunSection(self)
        self.result = ResultSection(self)
        self.segmentation = SegmentationSection(self)
        ensureNotice()
        self.costs.changed.connect(self.update)
        self.logic.queue.changed.connect(self.run.update)
        self.logic.resultAdded.connect(self._onResult)
        return (
            self.input,
            self.model,
            self.quality,
            self.run,
            self.result,
            self.segmentation,
        )

    def enter(self):
        Panel.enter(self)
        self.model.refresh()
        if self.parameters.inputVolume is None:
            self.parameters.inputVolume = self.input.firstVolume()
        self.update()

    def exit(self):
        """The panel is hidden; runs go on, the sections go on following them."""
        self.segmentation.hidePreview()

    def cleanup(self):
        self.logic.cleanup()
        self.costs.cleanup()
        self.segmentation.hidePreview()
        Panel.cleanup(self)

    def update(self, _caller=None, _event=None):
        """Bring every section up to date, once for all that a result changes."""
        if not self._isTaking:
            Panel.update(self)

    def onParameters(self):
        if self.parameters.inputVolume is None:
            self.parameters.inputVolume = self.input.firstVolume()

    def onSceneStartClose(self):
        self.logic.cancelAll()
        self.segmentation.hidePreview()

    def _onResult(self, job, nodes):
        if self.run.isPreview(job):
            self.result.showPreview(nodes)
            return
        self._isTaking = True
        try:
            self.result.take(nodes)
            self.segmentation.take(nodes)
        finally:
            self._isTaking = False
        self.update()
