"""What a programmer relies on when importing the package."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import numpy as np
import pytest
import tomllib

import microctsr_core
import microctsr_core.io
import microctsr_core.study
from command_line import command_environment
from toy_models import make_model

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
    "microctsr_core.study.case",
    "microctsr_core.study.progress",
    "microctsr_core.training.state",
    "microctsr_core.trust",
    "microctsr_core.trust.card_check",
    "microctsr_core.trust.seeds",
    "microctsr_core.volume",
)
HEAVY = (
    *("torch", "SimpleITK", "skimage", "psutil", "jsonschema", "typer", "rich", "cv2", "tifffile"),
    *("safetensors", "matplotlib", "slicer", "vtk", "qt", "ctk"),
)
REPOSITORY = Path(__file__).resolve().parents[2]
PYPROJECT = REPOSITORY / "pyproject.toml"
SLICERS_REQUIREMENTS = REPOSITORY / "MicroCTSR" / "Resources" / "requirements-microctsr.txt"
TRAININGS_REQUIREMENTS = (
    REPOSITORY / "MicroCTSRTraining" / "Resources" / "requirements-microctsrtraining.txt"
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


def requirements(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Names and least versions of lines such as ``numpy>=1.26``."""
    for line in lines:
        if line.strip() and not line.startswith("#"):
            name, _, version = line.strip().partition(">=")
            yield name.lower(), version


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


def test_the_pipeline_loads_neither_the_command_line_nor_what_draws() -> None:
    code = (
        "import sys, microctsr_core.superresolution\n"
        "assert {'typer', 'rich', 'matplotlib', 'cv2', 'tifffile'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=command_environment(), check=True)


def test_super_resolution_needs_no_more_than_slicer_is_asked_to_install(tmp_path) -> None:
    path = tmp_path / "ct.nrrd"
    array = np.random.default_rng(0).integers(-1000, 2000, (2, 8, 8), dtype=np.int16)
    microctsr_core.write_volume(microctsr_core.Volume(array, (0.6, 0.3, 0.3)), path)
    model = make_model().save(tmp_path / "toy").path
    code = (
        "import sys, microctsr_core.cli as cli\n"
        "try: cli.main()\n"
        "except SystemExit as end: assert not end.code\n"
        "print(*{name.partition('.')[0] for name in sys.modules}, sep='\\n')"
    )
    files = (path, tmp_path / "sr.nrrd", "--report", tmp_path / "report.json")
    command = ["superresolve", *files, "--model", model, "--samples", "1"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, command)],
        env=command_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    declared = dict(requirements(tomllib.loads(PYPROJECT.read_text())["project"]["dependencies"]))
    modules = packages_distributions()
    used = {name.lower() for module in loaded for name in modules.get(module, ())}
    asked = dict(requirements(SLICERS_REQUIREMENTS.read_text().splitlines()))
    assert asked.keys() == (used & declared.keys()) - {"torch"}
    assert asked == {name: declared[name] for name in asked}
    assert SLICERS_REQUIREMENTS.read_text().startswith("# ")


def test_slicer_is_asked_to_install_all_that_its_training_module_needs_and_nothing_twice() -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    extras = project["optional-dependencies"]
    parts = (extras[name] for name in ("training", "evaluation", "study"))
    lines = [line for part in parts for line in part if not line.startswith("microctsr[")]
    declared = dict(requirements([*project["dependencies"], *lines]))
    first = dict(requirements(SLICERS_REQUIREMENTS.read_text().splitlines()))
    second = dict(requirements(TRAININGS_REQUIREMENTS.read_text().splitlines()))
    assert first.keys().isdisjoint(second)
    assert first | second == {
        name: version for name, version in declared.items() if name != "torch"
    }


def test_every_announced_name_is_there() -> None:
    for package in (microctsr_core, microctsr_core.io, microctsr_core.study):
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
