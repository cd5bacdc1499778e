"""Training of generators on unpaired clinical CT and micro-CT, and of their supervised rivals.

The names are loaded when they are first used, so that :mod:`.folders`, which finds the scans in a
folder, can be had without the packages that training needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .config import Config
    from .domains import Domains, prepare
    from .presets import PRESETS, changed, load_config
    from .run import train
    from .trainer import Machine, Trainer

__all__ = [
    "PRESETS",
    "Config",
    "Domains",
    "Machine",
    "Trainer",
    "changed",
    "load_config",
    "prepare",
    "train",
]

_LOADED_ON_FIRST_USE = {
    "PRESETS": "presets",
    "Config": "config",
    "Domains": "domains",
    "Machine": "trainer",
    "Trainer": "trainer",
    "changed": "presets",
    "load_config": "presets",
    "prepare": "domains",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _LOADED_ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_LOADED_ON_FIRST_USE[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
