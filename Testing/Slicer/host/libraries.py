"""Which system libraries Qt and VTK need, and which Debian package brings a missing one."""

import ctypes
import importlib
import os
import re
import sys

PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libGLX.so.0": "libglx0",
    "libOpenGL.so.0": "libopengl0",
    "libGLdispatch.so.0": "libglvnd0",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
    "libXt.so.6": "libxt6",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libzstd.so.1": "libzstd1",
}


WHEELS = {"PySide6": "PySide6-Essentials", "slicer": "slicer-core", "vtkmodules": "vtk"}
MODULES = (
    "PySide6.QtGui",
    "PySide6.QtWidgets",
    "PySide6.QtUiTools",
    "PySide6.QtTest",
    "vtkmodules.all",
    "slicer",
)


class HostUnavailable(RuntimeError):
    """Something outside the project is missing, and the message says what to install."""


def explain(error: ImportError) -> str:
    """What to install so that the failed import works."""
    found = re.search(r"(lib[\w.+-]+\.so[.\d]*)", str(error))
    if not found and isinstance(error, ModuleNotFoundError):
        package = WHEELS.get((error.name or "").split(".")[0], error.name)
        return f"The Slicer tests need the Python package {package}: pip install -e .[test]"
    if not found:
        return f"The Slicer tests cannot load Qt or MRML: {error}"
    library = found.group(1)
    package = PACKAGES.get(library)
    if package is None:
        return f"The Slicer tests need the system library {library}, which is not installed."
    return f"The Slicer tests need {library}: apt-get install {package}"


def _make_constants_immortal() -> None:
    """Give None, True and False more references than a process can lose.

    PySide 6.12 is built for Python 3.12 and later, where they are not counted. On an older Python
    it drops a reference to one with every call that returns it, until Python dies of it.
    """
    if sys.version_info < (3, 12):
        for constant in (None, True, False):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40


def require() -> None:
    """Load Qt and MRML; HostUnavailable with the package's name when one of them cannot load."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    _make_constants_immortal()
    try:
        # One by one: a module that fails because of another does not name the library.
        for module in MODULES:
            importlib.import_module(module)
    except ImportError as error:
        raise HostUnavailable(explain(error)) from error
