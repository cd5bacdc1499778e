"""A stand-in for the Slicer application around real MRML and real Qt.

``start()`` makes it; the functions here use it. One process holds one host.
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
