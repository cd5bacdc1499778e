"""A stand-in for the Slicer application around real MRML and real Qt.

    import host

    app = host.start()                            # slicer, qt and ctk can be imported from now on
    host.loadModule("MicroCTSR/MicroCTSR.py")     # as at the start of the application
    widget = host.openModule("MicroCTSR")         # as its user opens it: setup, enter
    host.click(widget.ui.applyButton)             # refuses what is disabled or hidden
    host.pump(until=lambda: done, timeout=60)     # runs the event loop
    host.pictures.save(host.pictures.window("MicroCTSR"), "window.png")

Real are the scene and its nodes, the modules' logics, storage nodes, slice logics, displayable
managers and everything of Qt. The rest stands in for the application, and is strict: code sees Qt
as PythonQt shows it (``pythonqt.py``), code that PythonQt would refuse is refused
(``refusals.py``), and errors in slots and observers are kept for the test (``takeErrors``).
``answers`` decides what the user says to questions, and records what is asked and told.
One process holds one host.
"""

import importlib

from .libraries import HostUnavailable, require

__all__ = [
    "HostUnavailable",
    "answers",
    "click",
    "closeScene",
    "loadModule",
    "longestBlock",
    "openModule",
    "pictures",
    "pump",
    "reload",
    "require",
    "setSlider",
    "start",
    "takeErrors",
]

_started = None


def start(testing: bool = True, generation: str = "5.13"):
    """Install ``slicer``, ``qt`` and ``ctk`` and return ``slicer.app``.

    ``generation`` is the Slicer to be: 5.10 has no ``slicer.packaging``. HostUnavailable tells
    which library or package is missing. A second call returns the application that runs.
    """
    global _started
    if _started is None:
        require()
        from . import starting

        _started = starting.start(testing, generation)
    elif _started.key != (testing, generation):
        raise RuntimeError("One process runs one host")
    return _started.application


def __getattr__(name):
    # Qt and MRML are imported only when the host is used.
    if name in ("pump", "click", "setSlider", "longestBlock"):
        from . import event_loop

        return getattr(event_loop, name)
    if _started is not None and name == "pictures":
        return importlib.import_module(".pictures", __name__)
    if _started is not None and name in (
        "loadModule",
        "openModule",
        "reload",
        "closeScene",
        "answers",
        "takeErrors",
    ):
        return getattr(_started, name)
    raise AttributeError(f"module 'host' has no attribute {name!r}, or it is not started")
