"""The panel's run controls: start, preview, queue, cancel, progress and log."""

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import GeometryError, MicroCTSRError

from . import Nodes, Regions, Texts
from .Parameter import PREVIEW_PASSES, Quality
from .Task import CANCELLED, CANCELLING, DONE

PREVIEW_VIEW = "vtkMRMLSliceNodeRed"


class RunSection:
    """Starts runs and tells how they go."""

    def __init__(self, panel):
        self._panel = panel
        self._ui = panel.ui
        self._previews = set()
        self._status = ""
        ui, logic = panel.ui, panel.logic
        ui.applyButton.clicked.connect(self._onApply)
        ui.previewButton.clicked.connect(self._onPreview)
        ui.queueButton.clicked.connect(self._onQueue)
        ui.clearQueueButton.clicked.connect(self._onClearQueue)
        logic.queue.line.connect(self._onLine)
        logic.queue.ended.connect(self._onEnded)
        logic.resultAdded.connect(self._onResultAdded)
        logic.failed.connect(self._onFailed)

    def isPreview(self, job):
        """Whether a run that has just ended was a preview; asked once for each."""
        wasPreview = job in self._previews
        self._previews.discard(job)
        return wasPreview

    def update(self):
        if self._panel.parameters is None:
            return
        ui, queue = self._ui, self._panel.logic.queue
        job = queue.current
        problem = self._panel.input.problem or self._panel.quality.problem()
        isBusy = job is not None
        isCancelling = isBusy and job.state == CANCELLING
        ui.applyButton.text = _("Cancel") if isBusy else _("Super-resolve")
        ui.applyButton.enabled = (isBusy or not problem) and not isCancelling
        ui.applyButton.toolTip = (
            _("Stop the run; the scene stays as it is.")
            if isBusy
            else problem or _("Super-resolve the region in the background; Slicer goes on working.")
        )
        ui.previewButton.enabled = self._panel.input.volume is not None and not isBusy
        ui.queueButton.enabled = isBusy and not problem
        ui.progressBar.visible = isBusy
        ui.progressBar.value = job.percent if isBusy else 0
        ui.statusLabel.text = self._progressOf(job) if isBusy else self._status
        names = ", ".join(waiting.request.name for waiting in queue.waiting)
        ui.queueLabel.text = _("Waiting: {names}").format(names=names) if names else ""
        ui.queueLabel.visible = ui.clearQueueButton.visible = bool(names)

    @staticmethod
    def _progressOf(job):
        if job.timeLeft:
            return _("{message}, {time} left").format(message=job.message, time=job.timeLeft)
        return job.message

    def _onApply(self, _checked=False):
        queue = self._panel.logic.queue
        if queue.current is not None:
            queue.cancel()
        else:
            self._start()

    def _onQueue(self, _checked=False):
        self._start()

    def _onClearQueue(self, _checked=False):
        for job in self._panel.logic.queue.waiting:
            job.cancel()

    def _start(self):
        parameters = self._panel.parameters
        reuse = (parameters.outputMean, parameters.outputUncertainty, parameters.outputConsistency)
        isPaper = parameters.quality == Quality.PAPER and self._panel.model.worksOnFineGrid()
        self._submit(
            roiNode=parameters.region,
            reuse=reuse,
            samples=parameters.samples(),
            preset="paper" if isPaper else "default",
        )

    def _onPreview(self, _checked=False):
        try:
            box = self._previewBox()
        except MicroCTSRError as error:
            self._tell(str(error), isFailure=True)
            return
        node = self._panel.parameters.inputVolume
        job = self._submit(
            box=box, samples=PREVIEW_PASSES, reuse=_earlierPreview(node), title=_("preview")
        )
        if job is not None:
            self._previews.add(job)

    def _previewBox(self):
        """One slice: that of the red view, within the region or 15 mm around the view's middle."""
        parameters = self._panel.parameters
        node, view = parameters.inputVolume, slicer.mrmlScene.GetNodeByID(PREVIEW_VIEW)
        if view is None:
            raise GeometryError(_("There is no red slice view; open a layout that has one."))
        k = Regions.sliceOf(view, node)
        if parameters.region is not None:
            box = Regions.boxOf(parameters.region, node)
        else:
            toRas = view.GetSliceToRAS()
            middle = [toRas.GetElement(row, 3) for row in range(3)]
            box = Regions.boxAround(node, middle)
        return ((k, k + 1), *box[1:])

    def _submit(self, **settings):
        """Start or queue a run of the panel's settings; ``None`` when it cannot be."""
        panel = self._panel
        parameters = panel.parameters
        try:
            panel.logic.installation.ensure()
            return panel.logic.start(
                parameters.inputVolume,
                model=panel.model.entry().key,
                scaleMode=parameters.scaleMode.value,
                device=panel.quality.device(),
                **settings,
            )
        except MicroCTSRError as error:
            self._tell(str(error), isFailure=True)
            return None

    def _onLine(self, text):
        self._ui.logText.appendPlainText(text)

    def _onEnded(self, job):
        if job.state != DONE:
            self._previews.discard(job)
        if job.state == CANCELLED:
            self._tell(_("Cancelled; the scene is as it was."))

    def _onResultAdded(self, _job, nodes):
        self._tell(_("Done: {name}.").format(name=nodes.mean.GetName()))

    def _onFailed(self, _job, why):
        self._tell(_("Failed: {why}").format(why=why), isFailure=True)

    def _tell(self, text, isFailure=False):
        self._ui.logText.appendPlainText(text)
        self._status = Texts.red(text) if isFailure else text
        if isFailure:
            self._ui.logSection.collapsed = False
        self.update()


def _earlierPreview(inputNode):
    """The nodes of the preview shown before, to be filled again."""
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        isPreview = Nodes.isResult(node) and node.GetAttribute(Nodes.PREFIX + "title") is not None
        if isPreview and node.GetNodeReference(Nodes.PREFIX + "input") is inputNode:
            return Nodes.resultNodes(node)
    return None
