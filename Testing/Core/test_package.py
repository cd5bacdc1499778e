"""What a programmer relies on when importing the package."""

from __future__ import annotations

import subprocess
import sys

import pytest

import microctsr_core
import microctsr_core.io
from command_line import command_environment

# What a program that has installed nothing yet, such as Slicer's own process, may use.
LIGHT = (
    "microctsr_core",
    "microctsr_core.card",
    "microctsr_core.cost",
    "microctsr_core.errors",
    "microctsr_core.io",
    "microctsr_core.io.raw_nrrd",
    "microctsr_core.memory",
    "microctsr_core.sample",
    "microctsr_core.trust",
    "microctsr_core.trust.card_check",
    "microctsr_core.trust.seeds",
    "microctsr_core.volume",
)
HEAVY = (
    *("torch", "SimpleITK", "skimage", "psutil", "jsonschema", "typer", "rich", "cv2", "tifffile"),
    *("safetensors", "matplotlib", "slicer", "vtk", "qt", "ctk"),
)
REFUSE = """
import importlib, sys

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {heavy!r}:
            raise ModuleNotFoundError(name + " is not there", name=name)

sys.meta_path.insert(0, Refusal())
importlib.import_module({module!r})
print(*sys.modules, sep="\\n")
"""


@pytest.mark.parametrize("module", LIGHT)
def test_importing_needs_nothing_but_numpy_and_scipy(module: str) -> None:
    code = REFUSE.format(heavy=set(HEAVY), module=module)
    done = subprocess.run(
        [sys.executable, "-c", code], env=command_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()).isdisjoint(HEAVY)


def test_names_that_need_more_are_loaded_when_they_are_used() -> None:
    code = (
        "import sys, microctsr_core as sr, microctsr_core.io as io; sr.Volume; sr.__version__;"
        "assert 'SimpleITK' not in sys.modules; sr.read_volume;"
        "assert io.write_volume is sr.write_volume; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env=command_environment(), check=True)


def test_every_announced_name_is_there() -> None:
    for package in (microctsr_core, microctsr_core.io):
        for name in package.__all__:
            assert getattr(package, name) is not None
            assert name in dir(package)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = microctsr_core.nonsense
    with pytest.raises(AttributeError, match="nonsense"):
        _ = microctsr_core.io.nonsense


def test_every_user_error_has_one_base() -> None:
    for name in ("ReadError", "WriteError", "ModelError", "ResourceError", "Cancelled"):
        assert issubclass(getattr(microctsr_core, name), microctsr_core.MicroCTSRError)
