"""Training of generators on unpaired clinical CT and micro-CT, and of their supervised rivals."""

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
