"""From layers on a coarse grid of fields to noise-free HU and labels on any fine grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch.nn import functional

from ..volume import Volume
from .anatomy import LABELS, Ear, Layer

# Fields are evaluated this finely: distances are smooth, so linear interpolation between them
# places a wall of half a millimetre radius within 3 micrometres.
_FIELD_SPACING_MM = 0.09


# Where views are centred, in the ear's frame (mm).
_REGIONS = {
    "inner ear": (-1.0, -1.8, 0.0),
    "cochlea": (1.5, -4.0, -1.2),
    "canals": (-2.0, 1.5, 2.0),
    "middle ear": (-5.5, -2.0, 1.0),
    "mastoid": (-9.0, 4.0, 1.0),
    "apex": (9.0, -3.0, 1.0),
}


@dataclass(frozen=True)
class View:
    """Where and how an ear is looked at: the centre of the field of view and the tilt of its axes.

    centre_mm : in the ear's frame. tilt : rotation vector (radians) from scan axes to the ear's
    axes.
    """

    centre_mm: tuple[float, float, float]
    tilt: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @classmethod
    def draw(cls, generator: np.random.Generator, region: str = "inner ear") -> View:
        """A view as patients lie: centred near the region, tilted by about ten degrees."""
        centre = np.asarray(_REGIONS[region]) + generator.normal(0, 0.8, 3)
        tilt = generator.normal(0, np.deg2rad(9), 3)
        return cls(tuple(centre.tolist()), tuple(tilt.tolist()))


def render(
    ear: Ear,
    view: View,
    shape: tuple[int, int, int],
    spacing_mm: float,
    direction: np.ndarray | None = None,
) -> tuple[Volume, Volume]:
    """Noise-free HU (float32) and labels (uint8) on an isotropic grid around the view's centre.

    `shape` is (k, j, i). Walls are anti-aliased over one voxel. The frame of reference (LPS) has
    its origin at the centre of the view, so every grid of one ear and view shares it; `direction`
    (3×3, columns are the LPS axes of i, j, k) turns the grid in that frame, as a specimen lies
    turned in a micro-CT.
    """
    direction = np.eye(3) if direction is None else np.asarray(direction, float)
    extent = np.array(shape) * spacing_mm
    coarse = np.maximum(np.ceil(extent / max(_FIELD_SPACING_MM, spacing_mm)).astype(int), 2)
    tissue = ear.tissue(_points(ear, view, coarse, extent, direction))
    assert tissue.texture is not None
    fields = [tissue.texture]
    for layer in tissue.layers:
        fields.append(layer.distance)
        if layer.sheet is not None:
            fields.append(layer.sheet)
    stack = torch.from_numpy(np.stack([np.asarray(f, np.float32) for f in fields], axis=1))
    hu = np.empty(shape, np.float32)
    labels = np.empty(shape, np.uint8)
    positions = np.clip((np.arange(shape[0]) + 0.5) * coarse[0] / shape[0] - 0.5, 0, coarse[0] - 1)
    for k, position in enumerate(positions):
        below = min(int(position), coarse[0] - 2)
        plane = torch.lerp(stack[below], stack[below + 1], float(position - below))
        hu[k], labels[k] = _paint(tissue.layers, plane, shape[1:], spacing_mm)
    origin = direction @ (-(extent[::-1] - spacing_mm) / 2)
    geometry = ((spacing_mm,) * 3, tuple(origin), direction)
    return Volume(hu, *geometry), Volume(labels, *geometry)


def _points(
    ear: Ear, view: View, coarse: np.ndarray, extent: np.ndarray, direction: np.ndarray
) -> np.ndarray:
    """Coordinates (k, j, i, xyz) of the field grid in the ear's frame."""
    axes = [
        ((np.arange(n) + 0.5) / n - 0.5) * length for n, length in zip(coarse, extent, strict=True)
    ]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    lps = np.stack([x, y, z], -1) @ direction.T
    if ear.left:
        lps[..., 0] *= -1
    tilted = lps @ Rotation.from_rotvec(view.tilt).as_matrix().T
    return (tilted + np.asarray(view.centre_mm)).astype(np.float32)


def _paint(
    layers: list[Layer], fields: torch.Tensor, shape: tuple[int, int], spacing_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Paint the layers of one coarse plane (fields, j, i) over each other, finely."""

    def fine(field: torch.Tensor) -> np.ndarray:
        resized = functional.interpolate(
            field[None, None], size=shape, mode="bilinear", align_corners=False
        )
        return resized.numpy().ravel()

    texture = fine(fields[0])
    hu = np.full(texture.shape, -1000.0, np.float32)
    label = np.zeros(texture.shape, np.uint8)
    row = 1
    for layer in layers:
        distance, sheet = fields[row], fields[row + 1] if layer.sheet is not None else None
        row += 1 if sheet is None else 2
        if float(distance.min()) > spacing_mm / 2:
            continue
        inside = fine(distance)
        if sheet is not None:
            inside = np.maximum(inside, np.abs(fine(sheet)) - layer.half_mm)
        touched = np.flatnonzero(inside < spacing_mm / 2)
        coverage = np.minimum(0.5 - inside[touched] / spacing_mm, 1)
        painted = layer.level_hu + layer.spread_hu * texture[touched]
        hu[touched] += coverage * (painted - hu[touched])
        label[touched[coverage > 0.5]] = LABELS[layer.label]
    return hu.reshape(shape), label.reshape(shape)
