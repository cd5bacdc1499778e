"""Commands that are over in minutes: checks, evaluations, reports, studies of readers."""

import json

from slicer.i18n import tr as _

from MicroCTSRLib.Task import Task

ANSWER = "answer.json"


class AnswerTask(Task):
    """A command that answers in JSON, which becomes ``result``.

    Args:
        words: of the command and its options.
        inputs: for each option a path, or a volume of the library that is handed over.
    """

    def __init__(self, words, inputs):
        Task.__init__(self, advice=_("close other programs or give less"))
        self._words = [str(word) for word in words]
        self._inputs = inputs

    def _volumes(self):
        inputs = self._inputs.items()
        return {_file(option): each for option, each in inputs if hasattr(each, "array")}

    def _arguments(self, folder):
        words = list(self._words)
        for option, each in self._inputs.items():
            words += [option, folder / _file(option) if hasattr(each, "array") else each]
        return [*words, "--json", folder / ANSWER]

    def _read(self, folder):
        return json.loads((folder / ANSWER).read_text(encoding="utf-8"))

    def _release(self):
        self._inputs = {}


class SurveyTask(AnswerTask):
    """The check of two folders, which answers even where no run can use them."""

    def _hasAnswer(self, code, folder):
        return (folder / ANSWER).exists()


class ReportTask(Task):
    """The comparison of methods that a study file names; ``result`` is the path of the report."""

    def __init__(self, study, report):
        Task.__init__(self, advice=_("close other programs or compare less"))
        self._study, self._report = study, report

    def _arguments(self, folder):
        return ["evaluate", "compare", "--study", self._study, "--report", self._report]

    def _read(self, folder):
        self._report.stat()
        return self._report


class CreateStudyTask(Task):
    """Making a study of readers; ``result`` is its folder.

    Args:
        study: folder to be made.
        words: options of the command.
        handover: of ``StudyVolumes``, where scans and results are volumes of the scene.
    """

    def __init__(self, study, words, handover=None):
        Task.__init__(self, advice=_("close other programs or compare less"))
        self._study, self._words, self._handover = study, words, handover

    def _volumes(self):
        return self._handover.volumes if self._handover else {}

    def _arguments(self, folder):
        words = ["study", "create", self._study, *self._words]
        if self._handover:
            words += ["--low", folder / self._handover.scans]
            words += [f"--method={m}={folder / place}" for m, place in self._handover.methods]
        return words

    def _read(self, folder):
        (self._study / "study.json").stat()
        return self._study

    def _fail(self, why):
        # The user knows the volumes, and not the files by which they were handed over.
        for file, name in self._handover.names.items() if self._handover else ():
            why = why.replace(str(self._folder / file), name)
        Task._fail(self, why)

    def _release(self):
        self._handover = None


class AnalyseStudyTask(Task):
    """The analysis of a study of readers; ``result`` is the folder of what it wrote."""

    def __init__(self, study):
        Task.__init__(self, advice=_("close other programs"))
        self._study = study

    def _arguments(self, folder):
        return ["study", "analyse", self._study]

    def _read(self, folder):
        analysis = self._study / "analysis"
        (analysis / "report.html").stat()
        return analysis


def _file(option):
    return f"{option.strip('-')}.nrrd"
