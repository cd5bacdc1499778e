"""Which system libraries Qt and VTK need, and which Debian package brings a missing one."""

import os
import re

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


class HostUnavailable(RuntimeError):
    """Something outside the project is missing, and the message says what to install."""


def explain(error: ImportError) -> str:
    """What to install so that the failed import works."""
    found = re.search(r"(lib[\w.+-]+\.so[.\d]*)", str(error))
    if not found:
        package = {"PySide6": "PySide6-Essentials", "slicer": "slicer-core"}.get(
            (error.name or "").split(".")[0], error.name
        )
        return f"The Slicer tests need the Python package {package}: pip install -e .[test]"
    library = found.group(1)
    package = PACKAGES.get(library)
    if package is None:
        return f"The Slicer tests need the system library {library}, which is not installed."
    return f"The Slicer tests need {library}: apt-get install {package}"


def require() -> None:
    """Load Qt and MRML; HostUnavailable with the package's name when one of them cannot load."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    try:
        import slicer
        from PySide6 import QtTest, QtUiTools, QtWidgets  # noqa: F401

        # An installed module can still leave its classes out, when its own imports fail.
        slicer.vtkMRMLScene  # noqa: B018
    except ImportError as error:
        raise HostUnavailable(explain(error)) from error
