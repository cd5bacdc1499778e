"""How good a result is, measured against a known truth."""

from .fidelity import Fidelity, dice, fidelity, homogeneous, specks, tissue

__all__ = ["Fidelity", "dice", "fidelity", "homogeneous", "specks", "tissue"]
