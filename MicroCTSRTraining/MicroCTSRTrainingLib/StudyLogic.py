"""A study of readers without a widget: make it, serve it, follow it, close it, analyse it.

Example, in Slicer's Python console:
    >>> study = MicroCTSRTrainingLogic().study
    >>> study.folder.attach("/data/ears")
    >>> study.serve()
    >>> study.server.links  # once study.server.isServing
"""

from dataclasses import dataclass

from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError
from MicroCTSRLib.Signal import Signal

from . import StudyVolumes
from .StudyFolder import StudyFolder
from .StudyServer import StudyServer
from .Tasks import AnalyseStudyTask, CreateStudyTask


@dataclass(frozen=True)
class StudySettings:
    """How a study shows what is compared; without an entry it is as the library has it.

    Args:
        slices: of each scan, evenly spread.
        at: numbers of slices, from 0, that are shown instead.
        repeated: share of the pairs that come twice.
        raters: names.
        against: the method that the others are compared with.
        title: what raters see.
        window: HU shown black and white.
        seed: of the orders.
    """

    slices: int = 10
    at: tuple = ()
    repeated: float = 0.1
    raters: tuple = ()
    against: str = ""
    title: str = ""
    window: tuple = (-1000.0, 2400.0)
    seed: int = 0

    def arguments(self):
        """The options of ``microctsr study create``."""
        words = ["--slices", self.slices, "--repeated", self.repeated, "--seed", self.seed]
        words += ["--window", *self.window]
        words += ["--at", ",".join(map(str, self.at))] if self.at else []
        # With a sign of equality, since a name may begin with a hyphen.
        words += [f"--rater={name}" for name in self.raters]
        words += [f"--against={self.against}"] if self.against else []
        return [*words, f"--title={self.title}"] if self.title else words


class StudyLogic:
    """The study in a folder, and the server that this Slicer runs for it.

    ``folder`` follows the study, ``server`` is the last that was started, or ``None``, and
    ``changed()`` tells of both.

    Args:
        installation: of the packages.
        queue: in which studies are made and analysed.
    """

    def __init__(self, installation, queue):
        self.changed = Signal()
        self.folder = StudyFolder(installation)
        self.folder.changed.connect(self._tell)
        self.server = None
        self._installation = installation
        self._queue = queue

    def createFromVolumes(self, study, choices, settings):
        """Make a study of volumes of the scene, in the background.

        Args:
            study: folder to be made.
            choices: of :class:`StudyVolumes.Choice`.
            settings: of :class:`StudySettings`.

        Returns:
            The task, whose ``result`` is the folder.

        Raises:
            MicroCTSRError: the volumes cannot be compared, or packages are missing.
        """
        problem = StudyVolumes.problem(choices)
        if problem:
            raise MicroCTSRError(problem)
        return self._create(study, [], settings, StudyVolumes.handover(choices))

    def createFromFolders(self, study, low, methods, settings):
        """Make a study of a scan or a folder of scans, and the folders of the methods' results.

        Args:
            study, settings: as of :meth:`createFromVolumes`, and so is what comes of it.
            low: path of the scans.
            methods: folder of each method's results, by its name.
        """
        words = [f"--method={name}={folder}" for name, folder in methods.items()]
        return self._create(study, ["--low", low, *words], settings)

    def createFromComparison(self, study, file, settings):
        """Make a study of what a comparison's YAML file names; models are run.

        Args:
            study, settings: as of :meth:`createFromVolumes`, and so is what comes of it.
            file: path of the YAML file.
        """
        return self._create(study, ["--comparison", file], settings)

    def serve(self, host="127.0.0.1", port=8765, address=""):
        """Start the server of the study in :attr:`folder`; returns at once.

        Raises:
            MicroCTSRError: there is no study, a server runs already, or packages are missing.
        """
        self._installation.require()
        if self.isServed:
            raise MicroCTSRError(
                _("The server runs for {folder}; stop it first.").format(folder=self.server.folder)
            )
        if self.folder.study is None:
            raise MicroCTSRError(self.folder.problem or _("Choose the folder of a study."))
        self.server = StudyServer(self.folder.folder, host, port, address)
        self.server.changed.connect(self._tell)
        self.server.start()

    @property
    def isServed(self):
        """Whether a server of this Slicer starts, runs, or is about to end."""
        return self.server is not None and not self.server.isOver

    def stop(self):
        """End the server, which takes less than two seconds; ratings are stored already."""
        if self.isServed:
            self.server.cancel()

    def analyse(self):
        """Unblind the study in :attr:`folder`, in the background.

        Returns:
            The task, whose ``result`` is the folder with report, figures and tables.

        Raises:
            MicroCTSRError: packages are missing.
        """
        self._installation.require()
        return self._queued(AnalyseStudyTask(self.folder.folder))

    def cleanup(self):
        """End the server at once, and follow nothing any more."""
        self.changed = Signal()
        self.folder.detach()
        if self.server is not None:
            self.server.kill()

    def _create(self, study, words, settings, handover=None):
        self._installation.require()
        return self._queued(CreateStudyTask(study, [*words, *settings.arguments()], handover))

    def _queued(self, task):
        self._queue.add(task)
        return task

    def _tell(self):
        self.changed.emit()
