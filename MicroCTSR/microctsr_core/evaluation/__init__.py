"""How good a result is, measured against a known truth or against slices of other ears."""

from .fidelity import Fidelity, dice, fidelity, homogeneous, specks, tissue
from .hu_moments import hu_distances, hu_moments, m_hum
from .structures import Structures, structures

__all__ = [
    "Fidelity",
    "Structures",
    "dice",
    "fidelity",
    "homogeneous",
    "hu_distances",
    "hu_moments",
    "m_hum",
    "specks",
    "structures",
    "tissue",
]
