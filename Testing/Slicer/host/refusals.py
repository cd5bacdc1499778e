"""What PythonQt refuses and PySide cannot be made to refuse: found in the source before it runs."""

import ast
import importlib.abc
import importlib.machinery
import sys
from pathlib import Path

_watched: set[Path] = set()


class PythonQtRefuses(ValueError):
    """Code that fails in the application."""


def check_file(path: Path) -> None:
    """Raise where a file gives keywords to a Qt constructor or asks isinstance of a Qt class."""
    for node in ast.walk(ast.parse(Path(path).read_text(encoding="utf-8"), str(path))):
        if not isinstance(node, ast.Call):
            continue
        place = f"{path}:{node.lineno}"
        if node.keywords and _is_qt_class(node.func):
            raise PythonQtRefuses(f"{place}: a Qt constructor takes no keyword arguments")
        if isinstance(node.func, ast.Name) and node.func.id == "isinstance":
            kinds = node.args[1].elts if isinstance(node.args[1], ast.Tuple) else [node.args[1]]
            if any(_is_qt_class(kind) for kind in kinds):
                raise PythonQtRefuses(f"{place}: isinstance does not know Qt's classes")


def _is_qt_class(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (
            (node.value.id == "qt" and node.attr.startswith("Q"))
            or (node.value.id == "ctk" and node.attr.startswith("ctk"))
        )
    )


class _Finder(importlib.abc.MetaPathFinder):
    """Checks every file below the watched folders when it is imported."""

    def find_spec(self, fullname, path=None, target=None):
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin and spec.origin.endswith(".py"):
            origin = Path(spec.origin)
            if any(folder in origin.parents for folder in _watched):
                check_file(origin)
        return  # the ordinary finders find it


def watch(folder: Path) -> None:
    """Check what is imported from this folder from now on."""
    _watched.add(Path(folder).resolve())
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
