"""Who may import what: Slicer opens the module before anything is installed, torch included."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LIBRARY = REPOSITORY / "MicroCTSR" / "microctsr_core"
MODULES = sorted(file.parent for file in REPOSITORY.glob("*/CMakeLists.txt"))
OWN = {LIBRARY.name} | {
    path.stem for module in MODULES for path in module.iterdir() if path.is_dir() or path.suffix
}
AT_FILE_SCOPE = set(sys.stdlib_module_names) | {"slicer", "vtk", "numpy"} | OWN

Import = ast.Import | ast.ImportFrom

# Imported once the installation has been looked at; see StudyFolder.
AFTER_INSTALLATION = {"from microctsr_core.study import open_study, progress_of"}

NOTHING_INSTALLED = """
import sys
there = sys.stdlib_module_names | {"numpy", "scipy", "microctsr_core"}
class Refusal:
    def find_spec(self, name, path=None, target=None):
        # Python keeps what it was built with in a module whose name tells of the platform.
        if name.partition(".")[0] not in there and not name.startswith("_sysconfigdata_"):
            raise ModuleNotFoundError(f"{name} is not installed")
sys.meta_path.insert(0, Refusal())
"""


def python_files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py"))


def slicer_side() -> list[Path]:
    files = [file for module in MODULES for file in python_files(module)]
    return [file for file in files if LIBRARY not in file.parents]


def imports(file: Path, functions: bool = True) -> Iterator[Import]:
    """The imports in a file; those inside functions only if wanted, those for types never."""

    def skipped(node: ast.AST) -> bool:
        if isinstance(node, ast.If):
            return ast.unparse(node.test).endswith("TYPE_CHECKING")
        return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not functions

    def walk(node: ast.AST) -> Iterator[Import]:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        for child in ast.iter_child_nodes(node):
            if not skipped(child):
                yield from walk(child)

    return walk(ast.parse(file.read_text(encoding="utf-8")))


def packages(file: Path, functions: bool = True) -> set[str]:
    """The top-level packages that a file imports; its own by a relative import not counted."""
    found = set()
    for node in imports(file, functions):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif node.level == 0 and node.module:
            found.add(node.module.partition(".")[0])
    return found


def test_imports_are_told_apart_by_their_place(tmp_path: Path) -> None:
    file = tmp_path / "file.py"
    file.write_text(
        "import numpy.linalg as a\nfrom . import b\nclass C:\n    from vtk import d\n"
        "def f():\n    import torch\nif TYPE_CHECKING:\n    import qt\n"
    )
    assert packages(file, functions=False) == {"numpy", "vtk"}
    assert packages(file) == {"numpy", "vtk", "torch"}


@pytest.mark.parametrize("file", slicer_side(), ids=lambda file: file.stem)
def test_slicers_side_imports_at_file_scope_only_what_every_slicer_has(file: Path) -> None:
    assert packages(file, functions=False) <= AT_FILE_SCOPE


def test_no_file_of_slicers_side_imports_torch() -> None:
    assert [file for file in slicer_side() if "torch" in packages(file)] == []


def test_the_library_imports_nothing_of_slicer() -> None:
    slicer = {"slicer", "vtk", "qt", "ctk"} | (OWN - {LIBRARY.name})
    assert [file for file in python_files(LIBRARY) if packages(file) & slicer] == []


def test_what_slicers_side_imports_of_the_library_needs_nothing_installed() -> None:
    wanted = {
        ast.unparse(node)
        for file in slicer_side()
        for node in imports(file)
        if ast.unparse(node).split()[1].partition(".")[0] == LIBRARY.name
    }
    assert wanted >= AFTER_INSTALLATION
    code = "\n".join([NOTHING_INSTALLED, *sorted(wanted - AFTER_INSTALLATION)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


LAZY = [file.parent for file in LIBRARY.rglob("__init__.py") if "first_use(" in file.read_text()]


@pytest.mark.parametrize("folder", LAZY, ids=lambda folder: folder.name)
def test_every_name_that_is_loaded_on_first_use_is_there(folder: Path) -> None:
    package = importlib.import_module(".".join(folder.relative_to(LIBRARY.parent).parts))
    assert [name for name in package.__all__ if getattr(package, name) is None] == []
