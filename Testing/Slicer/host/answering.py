"""What the user would be asked, installed and told: recorded, and answered as a test says."""

import logging
import sys
import types
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import slicer


@dataclass
class Answers:
    """Set by tests before the code under test asks; what was asked is kept in ``asked``."""

    # The application under --testing answers every confirmation with False.
    confirm: bool = False
    asked: list[str] = field(default_factory=list)
    told: list[tuple[str, str]] = field(default_factory=list)
    # Packages, by name, that pretend to be missing.
    missing: set[str] = field(default_factory=set)
    installed: list[str] = field(default_factory=list)
    install_fails: str = ""
    torch_installed: bool = True
    torch_installations: list[dict] = field(default_factory=list)
    sample_sources: list[dict] = field(default_factory=list)

    def reset(self):
        self.__init__()

    def texts(self, kind: str) -> list[str]:
        """What the user was told, of one kind: info, warning or error."""
        return [text for told, text in self.told if told == kind]


def install_dialogs(answers: Answers) -> None:
    """Let the dialogs of slicer.util ask the test instead of the user."""

    def confirm(text, windowTitle=None, parent=None, **kwargs):
        answers.asked.append(text)
        return answers.confirm

    def teller(kind, level):
        def tell(text, windowTitle=None, parent=None, standardButtons=None, **kwargs):
            answers.told.append((kind, text))
            logging.log(level, text)

        return tell

    util = slicer.util
    for name in ("confirmOkCancelDisplay", "confirmYesNoDisplay", "confirmRetryCloseDisplay"):
        setattr(util, name, confirm)
    util.infoDisplay = teller("info", logging.INFO)
    util.warningDisplay = teller("warning", logging.INFO)
    util.errorDisplay = teller("error", logging.INFO)
    util.messageBox = teller("message", logging.INFO)
    util.showStatusMessage = lambda text, duration=0: answers.told.append(("status", text))


def _check(answers: Answers, requirement) -> bool:
    from packaging.requirements import Requirement

    if not isinstance(requirement, Requirement):
        raise TypeError("pip_check takes packaging.requirements.Requirement objects")
    if requirement.marker and not requirement.marker.evaluate():
        return True
    if requirement.name.lower() in {name.lower() for name in answers.missing}:
        return False
    try:
        return requirement.specifier.contains(metadata.version(requirement.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def _pip_install(answers: Answers, requirements) -> None:
    words = requirements.split() if isinstance(requirements, str) else [*map(str, requirements)]
    if answers.install_fails:
        raise RuntimeError(answers.install_fails)
    answers.installed += words
    names = {word.split(">")[0].split("=")[0].split("<")[0].lower() for word in words}
    answers.missing = {name for name in answers.missing if name.lower() not in names}


def packaging_module(answers: Answers) -> types.ModuleType:
    """``slicer.packaging``, which came with 5.12. Nothing is really installed."""
    module = types.ModuleType("slicer.packaging")

    def load_requirements(path):
        from packaging.requirements import Requirement

        lines = [line.split("#")[0].strip() for line in Path(path).read_text().splitlines()]
        return [Requirement(line) for line in lines if line]

    def pip_check(requirement, _seen=None):
        if isinstance(requirement, list | tuple):
            return all(_check(answers, r) for r in requirement)
        return _check(answers, requirement)

    def pip_install(requirements, **kwargs):
        _pip_install(answers, requirements)

    def pip_ensure(
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        missing = [r for r in requirements if not _check(answers, r)]
        if not missing or (skip_in_testing and slicer.app.testingEnabled()):
            return
        if prompt_install and not slicer.util.confirmOkCancelDisplay(
            f"{requester} needs {', '.join(map(str, missing))}"
        ):
            raise RuntimeError("The user declined the installation of Python packages")
        _pip_install(answers, missing)

    for function in (load_requirements, pip_check, pip_install, pip_ensure):
        setattr(module, function.__name__, function)
    return module


def torch_utils_module(answers: Answers) -> types.ModuleType:
    """``PyTorchUtils``, the PyTorch extension's module."""
    module = types.ModuleType("PyTorchUtils")

    class PyTorchUtilsLogic:
        @staticmethod
        def torchInstalled():
            return answers.torch_installed

        def installTorch(
            self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None
        ):
            asked = {
                "askConfirmation": askConfirmation,
                "forceComputationBackend": forceComputationBackend,
                "torchVersionRequirement": torchVersionRequirement,
            }
            answers.torch_installations.append(asked)
            if askConfirmation and not slicer.util.confirmOkCancelDisplay(
                "PyTorch will be downloaded and installed."
            ):
                return None
            if answers.install_fails:
                raise RuntimeError(answers.install_fails)
            answers.torch_installed = True
            return types.SimpleNamespace(__version__="2.13.0")

        @property
        def torch(self):
            import torch

            return torch

    module.PyTorchUtilsLogic = PyTorchUtilsLogic
    return module


def sample_data_module(answers: Answers) -> types.ModuleType:
    """``SampleData``: keeps what modules register."""
    module = types.ModuleType("SampleData")

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(
            category="Custom",
            sampleName=None,
            uris=None,
            fileNames=None,
            nodeNames=None,
            customDownloader=None,
            thumbnailFileName=None,
            loadFileTypes=None,
            loadFiles=None,
            loadFileProperties=None,
            checksums=None,
            loadFileType=None,
        ):
            answers.sample_sources.append(dict(locals()))

    module.SampleDataLogic = SampleDataLogic
    return module


def install(answers: Answers, generation: str) -> None:
    """Put the recording stand-ins in place."""
    install_dialogs(answers)
    sys.modules["PyTorchUtils"] = torch_utils_module(answers)
    sys.modules["SampleData"] = sample_data_module(answers)
    minor = int(generation.split(".")[1])
    if minor >= 12:
        slicer.packaging = sys.modules["slicer.packaging"] = packaging_module(answers)
    slicer.util.pip_install = lambda requirements, **_: _pip_install(answers, requirements)
    if minor < 11:
        launch = slicer.util.launchConsoleProcess

        def launch_5_10(args, useStartupEnvironment=True, updateEnvironment=None, cwd=None):
            return launch(args, useStartupEnvironment, updateEnvironment, cwd)

        slicer.util.launchConsoleProcess = launch_5_10
