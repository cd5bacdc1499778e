"""What the module does, without a widget: super-resolve a volume node, here or in the background.

Example, in Slicer's Python console:
    >>> logic = MicroCTSRLogic()
    >>> mean, uncertainty, consistency = logic.superResolve(getNode("CT"), getNode("R"))
"""

import slicer
from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from microctsr_core.errors import WriteError

from . import Display, Nodes, Regions
from .Installation import Installation
from .Job import Job, Request
from .JobQueue import JobQueue
from .Parameter import MicroCTSRParameterNode
from .Signal import Signal
from .Task import DONE, FAILED


class MicroCTSRLogic(ScriptedLoadableModuleLogic):
    """Runs and their results.

    ``queue`` holds the runs in the background; ``resultAdded(job, nodes)`` tells of results in
    the scene, ``failed(job, why)`` of runs that ended otherwise.
    """

    def __init__(self, installation=None):
        ScriptedLoadableModuleLogic.__init__(self)
        self.installation = installation or Installation()
        self.queue = JobQueue()
        self.resultAdded = Signal()
        self.failed = Signal()
        self.queue.ended.connect(self._onEnded)
        self._targets = {}

    def getParameterNode(self):
        return MicroCTSRParameterNode(super().getParameterNode())

    def superResolve(
        self,
        volumeNode,
        roiNode=None,
        model=None,
        samples="auto",
        *,
        scaleMode="in-plane",
        device="auto",
        seed=0,
        progress=None,
        cancel=None,
    ):
        """Super-resolve a volume in this process, and wait for it.

        Args:
            volumeNode: a CT in HU; it may lie oblique and under a linear transform.
            roiNode: Markups ROI; the whole volume without one.
            model: a bundled model's name, a model package's folder, or a loaded
                ``microctsr_core.Model``; the bundled default without one.
            samples: passes with dropout, or ``"auto"``.
            scaleMode: ``"in-plane"`` or ``"isotropic"``.
            device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
            seed: the same seed gives the same numbers.
            progress: called with the fraction done and a message.
            cancel: returning true ends the run with ``microctsr_core.Cancelled``.

        Returns:
            ResultNodes (mean, uncertainty, consistency), new nodes beside the input.

        Raises:
            MicroCTSRError: a subclass that says what is wrong; the scene is as it was.
        """
        self.installation.require()
        import microctsr_core as core

        volume = Nodes.volumeFromNode(volumeNode)
        box = Regions.boxOf(roiNode, volumeNode)
        if model is None or isinstance(model, str):
            model = core.load_model(*([model] if model else []))
        result = core.superresolve(
            volume, model, box, samples, device, seed, progress, cancel, scale_mode=scaleMode
        )
        transformId = volumeNode.GetTransformNodeID()
        nodes = Nodes.addResult(result, volumeNode.GetName(), volumeNode, transformId)
        Display.showResult(nodes, volumeNode)
        return nodes

    def start(self, volumeNode, roiNode=None, reuse=None, box=None, title="", **settings):
        """Super-resolve a volume in the background; returns at once.

        Args:
            volumeNode, roiNode: as in :meth:`superResolve`.
            reuse: for each of mean, uncertainty and consistency a node to fill, or ``None``.
            box: voxels to super-resolve, instead of those in the region.
            title: a word for the names of the new nodes, such as ``"preview"``.
            settings: of :class:`Job.Request`: model, samples, scaleMode, device, seed, preset.

        Returns:
            Job, which waits while another is at work; ``resultAdded`` or ``failed`` follows.

        Raises:
            MicroCTSRError: the volume or the region cannot be used, or packages are missing.
        """
        self.installation.require()
        volume = Nodes.volumeFromNode(volumeNode)
        box = box or Regions.boxOf(roiNode, volumeNode)
        _checkOutputs(volumeNode, reuse or ())
        job = Job(Request(volume=volume, box=box, name=volumeNode.GetName(), **settings))
        ids = [node and node.GetID() for node in reuse or ()]
        self._targets[job] = (volumeNode.GetID(), volumeNode.GetTransformNodeID(), ids, title)
        self.queue.add(job)
        return job

    def cancelAll(self):
        """Cancel every run, as when the scene closes: its nodes are gone."""
        self.queue.cancelAll()

    def cleanup(self):
        """End every run at once; nothing is told."""
        self.queue.kill()

    def _onEnded(self, job):
        target = self._targets.pop(job)
        if job.state == DONE:
            try:
                nodes = self._addResult(job, *target)
            except Exception as error:  # whatever goes wrong here, the user is told
                why = f"{type(error).__name__}: {error}"
                self.failed.emit(job, _("The result could not be shown: {why}").format(why=why))
                return
            finally:
                job.result = None  # the nodes hold its memory now
            self.resultAdded.emit(job, nodes)
        elif job.state == FAILED:
            self.failed.emit(job, job.failure)

    @staticmethod
    def _addResult(job, inputId, transformId, reuseIds, title):
        """The nodes as they are now: some may have gone while the run was at work."""

        def node(id_):
            return slicer.mrmlScene.GetNodeByID(id_) if id_ else None

        inputNode, transform = node(inputId), node(transformId)
        nodes = Nodes.addResult(
            job.result,
            job.request.name,
            inputNode,
            transform.GetID() if transform else None,
            [node(id_) for id_ in reuseIds] or None,
            title,
        )
        Display.showResult(nodes, inputNode)
        return nodes


def _checkOutputs(volumeNode, outputs):
    """Make sure that no output would replace the input or another output."""
    taken = {volumeNode}
    for node in outputs:
        if node is None:
            continue
        if node in taken:
            what = _("the input") if node is volumeNode else _("another output")
            raise WriteError(
                _("The output {name} is {what}, too; choose another volume for it.").format(
                    name=node.GetName(), what=what
                )
            )
        taken.add(node)
