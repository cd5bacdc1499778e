"""How good a result is, measured against a known truth or against slices of other ears."""

from .fidelity import Fidelity, dice, fidelity, homogeneous, specks, tissue
from .hu_moments import hu_distances, hu_moments
from .m_hum import Nearest, Shapes, joined, m_hum, shapes
from .structures import Structures, structures

__all__ = [
    "Fidelity",
    "Nearest",
    "Shapes",
    "Structures",
    "dice",
    "fidelity",
    "homogeneous",
    "hu_distances",
    "hu_moments",
    "joined",
    "m_hum",
    "shapes",
    "specks",
    "structures",
    "tissue",
]
