"""What an ear is painted of: named tissues, each with a signed distance and an intensity in HU."""

from __future__ import annotations

from dataclasses import dataclass, field

from .shapes import Field

LABELS = {
    "outside air": 0,
    "soft tissue": 1,
    "brain": 2,
    "cortical bone": 3,
    "trabecular bone": 4,
    "marrow": 5,
    "mastoid cell": 6,
    "otic capsule": 7,
    "middle ear": 8,
    "ear canal": 9,
    "ossicle": 10,
    "nerve or vessel": 11,
    "internal auditory canal": 12,
    "vestibule": 13,
    "lateral canal": 14,
    "superior canal": 15,
    "posterior canal": 16,
    "scala tympani": 17,
    "scala vestibuli": 18,
    "modiolus": 19,
    "osseous spiral lamina": 20,
    "basilar membrane": 21,
    "fat": 22,
}


@dataclass(frozen=True)
class Layer:
    """What is painted where `distance` (mm) is negative: label, and HU = level + spread * texture.

    With `sheet`, the layer is only `half_mm` thick on each side of the surface sheet = 0, so that
    lamellae thinner than the grid of the fields stay whole. With `fade_mm`, it fades in over that
    width, as one kind of bone passes into another.
    """

    label: str
    distance: Field
    level_hu: float
    spread_hu: float = 0.0
    sheet: Field | None = None
    half_mm: float = 0.0
    fade_mm: float = 0.0


@dataclass(frozen=True)
class Tissue:
    """Layers in painting order, and the texture (mean 0, SD 1) that varies within each."""

    layers: list[Layer] = field(default_factory=list)
    texture: Field | None = None
