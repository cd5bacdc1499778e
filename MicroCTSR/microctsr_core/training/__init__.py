"""Training of generators on unpaired clinical CT and micro-CT, and of their supervised rivals.

The names are loaded when they are first used, so that :mod:`.folders`, which finds the scans in a
folder, can be had without the packages that training needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..on_first_use import loaded_on_first_use

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

__getattr__, __dir__ = loaded_on_first_use(
    __name__,
    {
        "PRESETS": "presets",
        "Config": "config",
        "Domains": "domains",
        "Machine": "trainer",
        "Trainer": "trainer",
        "changed": "presets",
        "load_config": "presets",
        "prepare": "domains",
        "train": "run",
    },
)
