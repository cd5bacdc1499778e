"""What the module does, without a widget: begin and follow runs, check folders, evaluate.

Example, in Slicer's Python console:
    >>> logic = MicroCTSRTrainingLogic()
    >>> logic.run.attach("/data/runs/first")
    >>> logic.start(TrainingRequest("/data/clinical", "/data/micro"))
    >>> logic.run.pause()
"""

from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _
from slicer.ScriptedLoadableModule import ScriptedLoadableModuleLogic

from microctsr_core.errors import GeometryError
from MicroCTSRLib import Nodes
from MicroCTSRLib.Installation import REQUIREMENTS, Installation
from MicroCTSRLib.JobQueue import JobQueue
from MicroCTSRLib.Models import Models

from .Parameter import MicroCTSRTrainingParameterNode
from .StudyLogic import StudyLogic
from .Tasks import AnswerTask, ReportTask, SurveyTask
from .TrainingRun import TrainingRun

TRAINING_REQUIREMENTS = (
    Path(__file__).parents[1] / "Resources" / "requirements-microctsrtraining.txt"
)
CONFIG = "config.yaml"


@dataclass(frozen=True)
class TrainingRequest:
    """What to train on, and how; the words are the library's.

    Args:
        low, high: folders of clinical CT and of micro-CT.
        method: ``cyclegan``, ``unet`` or ``srgan``.
        preset: ``compact`` or ``paper``.
        config: YAML file with entries that change the preset; empty for none.
    """

    low: str
    high: str
    method: str = "cyclegan"
    preset: str = "compact"
    config: str = ""

    def arguments(self):
        """The options of ``microctsr train``."""
        words = ["--low", self.low, "--high", self.high]
        words += ["--method", self.method, "--preset", self.preset]
        return [*words, *(("--config", self.config) if self.config else ())]


class MicroCTSRTrainingLogic(ScriptedLoadableModuleLogic):
    """One run that is followed, and a queue of commands that are over in minutes.

    ``run`` is the run in a folder; ``queue`` holds checks and evaluations, whose ``result`` is
    there when ``queue.ended(task)`` tells; ``models`` are those of the module MicroCTSR;
    ``study`` is the study of readers.
    """

    def __init__(self, installation=None):
        ScriptedLoadableModuleLogic.__init__(self)
        self.installation = installation or Installation(
            (REQUIREMENTS, TRAINING_REQUIREMENTS), _("MicroCTSR Training"), _("Check folders")
        )
        self.run = TrainingRun()
        self.queue = JobQueue()
        self.models = Models()
        self.study = StudyLogic(self.installation, self.queue)

    def getParameterNode(self):
        return MicroCTSRTrainingParameterNode(super().getParameterNode())

    def start(self, request):
        """Begin a run in the folder that :attr:`run` is attached to; returns at once.

        Raises:
            MicroCTSRError: packages are missing, or the process cannot be started.
        """
        self.installation.require()
        self.run.start(request.arguments())

    def resume(self, request):
        """Go on with the run in the folder, by the configuration that it keeps there.

        Raises:
            MicroCTSRError: as :meth:`start`.
        """
        self.installation.require()
        kept = self.run.folder / CONFIG
        config = str(kept) if kept.exists() else request.config
        whole = TrainingRequest(request.low, request.high, request.method, request.preset, config)
        self.run.start([*whole.arguments(), "--resume"])

    def survey(self, request):
        """List the cases of both folders, in the background.

        Returns:
            The task, whose ``result`` is what ``microctsr train --check --json`` writes.

        Raises:
            MicroCTSRError: packages are missing.
        """
        self.installation.require()
        return self._queued(SurveyTask(["train", "--check", *request.arguments()], {}))

    def evaluate(self, measure, inputs, form="paper", distance="I1"):
        """Measure results, in the background.

        Args:
            measure: ``m-hum`` or ``fidelity``.
            inputs: for each of the command's options, such as ``--generated``, a path or a volume
                node.
            form, distance: of m-HuM, as the command calls them.

        Returns:
            The task, whose ``result`` is what ``microctsr evaluate … --json`` writes.

        Raises:
            MicroCTSRError: a node cannot be used, or packages are missing.
        """
        self.installation.require()
        nodes = [each for each in inputs.values() if hasattr(each, "GetTransformNodeID")]
        if measure == "fidelity" and len({node.GetTransformNodeID() for node in nodes}) > 1:
            raise GeometryError(
                _(
                    "{names} lie under different transforms; harden these (Transforms module), so "
                    "that the volumes can be compared in place."
                ).format(names=_(" and ").join(node.GetName() for node in nodes))
            )
        handed = {
            option: Nodes.volumeFromNode(each) if each in nodes else each
            for option, each in inputs.items()
        }
        words = ["evaluate", measure]
        if measure == "m-hum":
            words += ["--form", form, "--distance", distance]
        return self._queued(AnswerTask(words, handed))

    def report(self, study):
        """Compare the methods of a study, in the background.

        Args:
            study: YAML file, beside which the report will lie under the same name.

        Returns:
            The task, whose ``result`` is the path of the report.

        Raises:
            MicroCTSRError: packages are missing.
        """
        self.installation.require()
        return self._queued(ReportTask(study, Path(study).with_suffix(".html")))

    def cleanup(self):
        """End checks and evaluations and the server of the study; the run goes on."""
        self.queue.kill()
        self.run.detach()
        self.study.cleanup()

    def _queued(self, task):
        self.queue.add(task)
        return task
