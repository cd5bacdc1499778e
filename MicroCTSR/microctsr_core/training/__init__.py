"""Training of generators on unpaired clinical CT and micro-CT, and of their supervised rivals."""

from .config import PRESETS, Config, changed, load_config
from .domains import Domains, prepare
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
