"""The Python packages that a module needs, and asking before they are installed.

PyTorch comes through the PyTorch extension alone. The others come through ``slicer.packaging``,
or, before Slicer 5.12, through ``slicer.util.pip_install``.
"""

import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from microctsr_core.errors import MicroCTSRError

REQUIREMENTS = Path(__file__).parents[1] / "Resources" / "requirements-microctsr.txt"
TORCH = "torch>=2.4"


class NotInstalled(MicroCTSRError):
    """Packages are missing, and were not or could not be installed."""


class Installation:
    """What is missing in Slicer's Python, and how to get it.

    Args:
        files: of requirements, one ``name>=version`` a line.
        module: that needs them.
        button: of its panel that asks for the installation.
    """

    def __init__(self, files=(REQUIREMENTS,), module="MicroCTSR", button=None):
        self._files = files
        self._module = module
        self._button = button or _("Super-resolve")
        self._isComplete = False

    def missing(self):
        """Requirements that Slicer's Python does not fulfil, PyTorch first."""
        if self._isComplete:  # the panel asks often, and packages do not go while Slicer runs
            return []
        missing = [line for line in (TORCH, *self.requirements()) if not _isFulfilled(line)]
        self._isComplete = not missing
        return missing

    def requirements(self):
        """What is needed beside PyTorch, one ``name>=version`` each."""
        texts = [file.read_text(encoding="utf-8") for file in self._files]
        lines = "\n".join(texts).splitlines()
        return [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def ensure(self):
        """Install what is missing, with the user's consent.

        Raises:
            NotInstalled: the user declined, or something is still missing afterwards.
        """
        missing = self.missing()
        if not missing:
            return
        if TORCH in missing:
            self._installTorch()
        others = [line for line in missing if line != TORCH]
        if others:
            self._installOthers(others)
        importlib.invalidate_caches()
        self.require()

    def require(self):
        """Make sure that nothing is missing, without installing anything.

        Raises:
            NotInstalled: names what is missing.
        """
        missing = self.missing()
        if missing:
            raise NotInstalled(
                _(
                    "Slicer's Python lacks {packages}; open the module {module}, click "
                    "{button} and agree to the installation."
                ).format(packages=", ".join(missing), module=self._module, button=self._button)
            )

    def _installTorch(self):
        try:
            import PyTorchUtils
        except ImportError:
            raise NotInstalled(
                _(
                    "PyTorch is missing; install the extension PyTorch in the Extensions Manager, "
                    "restart Slicer, then click again."
                )
            ) from None
        bound = TORCH.removeprefix("torch")
        try:
            torch = PyTorchUtils.PyTorchUtilsLogic().installTorch(
                askConfirmation=True, torchVersionRequirement=bound
            )
        except (RuntimeError, ValueError, subprocess.CalledProcessError) as error:
            raise NotInstalled(_declined(TORCH, why=error)) from None
        if torch is None:
            raise NotInstalled(_declined(TORCH, why=_("The installation was declined")))

    def _installOthers(self, missing):
        try:
            from slicer import packaging
        except ImportError:  # before Slicer 5.12
            packaging = None
        if packaging is not None:
            requirements = [
                requirement
                for file in self._files
                for requirement in packaging.load_requirements(str(file))
            ]
            try:
                packaging.pip_ensure(requirements, requester=self._module, prompt_restart=False)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                raise NotInstalled(_declined(*missing, why=error)) from None
            return
        question = _(
            "{module} needs these Python packages:\n\n{packages}\n\nInstall them now? This is "
            "needed once and takes a minute or two; Slicer does not respond meanwhile."
        ).format(module=self._module, packages="\n".join(missing))
        if not slicer.util.confirmOkCancelDisplay(question, windowTitle=self._module):
            raise NotInstalled(_declined(*missing, why=_("The installation was declined")))
        try:
            slicer.util.pip_install(" ".join(missing))
        except (RuntimeError, subprocess.CalledProcessError) as error:
            raise NotInstalled(_declined(*missing, why=error)) from None


def pythonExecutable():
    """Slicer's Python interpreter, in which the library's command runs."""
    return shutil.which("PythonSlicer") or sys.executable


def _isFulfilled(requirement):
    try:
        from packaging.requirements import Requirement
    except ImportError:  # Slicer's Python need not have it, but pip brings its own
        from pip._vendor.packaging.requirements import Requirement
    wanted = Requirement(requirement)
    try:
        version = importlib.metadata.version(wanted.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return wanted.specifier.contains(version, prereleases=True)


def _declined(*packages, why):
    return _("Not installed: {packages}. {why}; nothing was changed.").format(
        packages=", ".join(packages), why=str(why).rstrip(".")
    )
