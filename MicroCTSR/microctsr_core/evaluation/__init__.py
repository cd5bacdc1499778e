"""How good a result is, measured against a known truth or against slices of other ears."""

from .alignment import check_same_grid, on_grid_of, part_under
from .fidelity import Fidelity, dice, fidelity, homogeneous, specks, tissue
from .hu_moments import hu_distances, hu_moments
from .m_hum import Nearest, Shapes, joined, m_hum, shapes
from .measures import measures
from .sharpness import Edges, Resolution, edges, resolution
from .structures import Structures, structures
from .surfaces import SurfaceDistance, surface_distance
from .uncertainty import (
    BoneMap,
    Calibration,
    Honesty,
    Sparsification,
    bone_map,
    calibrate,
    fitted_scale,
    gradient_magnitude,
    honesty,
    rank_correlation,
    sparsify,
)

__all__ = [
    "BoneMap",
    "Calibration",
    "Edges",
    "Fidelity",
    "Honesty",
    "Nearest",
    "Resolution",
    "Shapes",
    "Sparsification",
    "Structures",
    "SurfaceDistance",
    "bone_map",
    "calibrate",
    "check_same_grid",
    "dice",
    "edges",
    "fidelity",
    "fitted_scale",
    "gradient_magnitude",
    "homogeneous",
    "honesty",
    "hu_distances",
    "hu_moments",
    "joined",
    "m_hum",
    "measures",
    "on_grid_of",
    "part_under",
    "rank_correlation",
    "resolution",
    "shapes",
    "sparsify",
    "specks",
    "structures",
    "surface_distance",
    "tissue",
]
