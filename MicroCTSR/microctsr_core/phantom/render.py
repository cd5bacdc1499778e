"""From layers on a coarse grid of fields to noise-free HU and labels on any fine grid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch.nn import functional

from ..volume import Volume
from .anatomy import Ear
from .tissue import LABELS, Layer

# Fields are evaluated about this finely: distances are smooth, so linear interpolation between
# them places a wall of half a millimetre radius within 3 micrometres.
_FIELD_SPACING_MM = 0.1

# Points of the fields evaluated together: few enough to stay in the processor's cache.
_POINTS_AT_ONCE = 200_000

# Where views are centred, in the ear's frame (mm).
REGIONS = {
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
        centre = np.asarray(REGIONS[region]) + generator.normal(0, 0.8, 3)
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
    # A field's cell is a whole number of voxels wide, so that any part of a plane can be
    # interpolated by itself.
    factor = max(1, round(_FIELD_SPACING_MM / spacing_mm))
    fields = _Fields(ear, view, shape, spacing_mm, factor, direction)
    hu = np.empty(shape, np.float32)
    labels = np.empty(shape, np.uint8)
    inside = tuple(
        slice(lead, lead + n) for lead, n in zip(fields.lead[1:], shape[1:], strict=True)
    )
    for k in range(shape[0]):
        painted, label = _paint(*fields.plane(k), spacing_mm, factor)
        hu[k], labels[k] = painted[inside], label[inside]
    origin = direction @ (-(extent[::-1] - spacing_mm) / 2)
    geometry = ((spacing_mm,) * 3, tuple(origin), direction)
    return Volume(hu, *geometry), Volume(labels, *geometry)


class _Fields:
    """The fields of a grid of `shape` at every `factor`-th voxel, evaluated as planes ask.

    The middle of the grid is an edge of field cells, so that a smaller grid around the same middle
    sees the same fields. `lead` is how many voxels the cells begin before the grid, on each axis.
    """

    def __init__(
        self,
        ear: Ear,
        view: View,
        shape: tuple[int, int, int],
        spacing_mm: float,
        factor: int,
        direction: np.ndarray,
    ) -> None:
        self._ear, self._view, self._direction = ear, view, direction
        self._factor = factor
        self.lead = [-(n // 2) % factor for n in shape]
        # Positions in mm from the middle of the grid; one cell more on each side, to
        # interpolate from.
        self._axes = [
            ((np.arange(-1, -(-(n + lead) // factor) + 1) + 0.5) * factor - lead - n / 2)
            * spacing_mm
            for n, lead in zip(shape, self.lead, strict=True)
        ]
        self._layers: list[Layer] = []
        self._planes: dict[int, torch.Tensor] = {}

    def plane(self, k: int) -> tuple[list[Layer], torch.Tensor]:
        """Layers, and their fields (fields, j, i) interpolated to fine plane `k`."""
        position = (k + self.lead[0] + 0.5) / self._factor + 0.5
        below = int(position)
        for number in (below, below + 1):
            if number not in self._planes:
                self._evaluate(number)
        plane = torch.lerp(self._planes[below], self._planes[below + 1], position - below)
        return self._layers, plane

    def _evaluate(self, first: int) -> None:
        """Evaluate planes from `first` on, and keep the one before them."""
        z, y, x = (len(axis) for axis in self._axes)
        last = min(first + max(1, _POINTS_AT_ONCE // (y * x)), z)
        tissue = self._ear.tissue(self._points(self._axes[0][first:last]))
        assert tissue.texture is not None
        fields = [tissue.texture]
        for layer in tissue.layers:
            fields.append(layer.distance)
            if layer.sheet is not None:
                fields.append(layer.sheet)
        stack = torch.from_numpy(np.stack(fields, axis=1).astype(np.float32, copy=False))
        kept = {number: self._planes[number] for number in {first - 1} & self._planes.keys()}
        self._planes = kept | dict(zip(range(first, last), stack, strict=True))
        self._layers = tissue.layers

    def _points(self, planes: np.ndarray) -> np.ndarray:
        """Coordinates (k, j, i, xyz) of planes of the field grid in the ear's frame."""
        z, y, x = np.meshgrid(planes, *self._axes[1:], indexing="ij")
        turn = Rotation.from_rotvec(self._view.tilt).as_matrix() @ np.diag(
            [-1 if self._ear.left else 1, 1, 1]
        )
        turned = np.stack([x, y, z], -1) @ (turn @ self._direction).T
        return (turned + np.asarray(self._view.centre_mm)).astype(np.float32)


def _paint(
    layers: list[Layer],
    fields: torch.Tensor,
    spacing_mm: float,
    factor: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Paint the layers of one plane of fields (fields, j, i) over each other, finely."""
    rows, columns = (n - 2 for n in fields.shape[1:])
    hu = torch.full((rows * factor, columns * factor), -1000.0)
    label = torch.zeros(hu.shape, dtype=torch.uint8)

    def fine(field: torch.Tensor, j: slice, i: slice) -> torch.Tensor:
        """Interpolate cells `j`, `i`, with the cell around them that this needs."""
        around = field[j.start : j.stop + 2, i.start : i.stop + 2]
        resized = functional.interpolate(
            around[None, None], scale_factor=factor, mode="bilinear", align_corners=False
        )
        return resized[0, 0, factor:-factor, factor:-factor]

    texture = fine(fields[0], slice(0, rows), slice(0, columns))
    row = 1
    for layer in layers:
        distance, sheet = fields[row], fields[row + 1] if layer.sheet is not None else None
        row += 1 if sheet is None else 2
        width = max(spacing_mm, layer.fade_mm)
        painted = distance < width / 2
        j, i = (_reach(painted.any(1 - axis)) for axis in (0, 1))
        if j.start >= j.stop or i.start >= i.stop:
            continue
        inside = fine(distance, j, i)
        if sheet is not None:
            inside = torch.maximum(inside, fine(sheet, j, i).abs() - layer.half_mm)
        box = tuple(slice(factor * part.start, factor * part.stop) for part in (j, i))
        coverage = (0.5 - inside / width).clamp_(0, 1)
        level = layer.level_hu + layer.spread_hu * texture[box]
        hu[box] = torch.lerp(hu[box], level, coverage)
        label[box][coverage > 0.5] = LABELS[layer.label]
    return hu.numpy(), label.numpy()


def _reach(touched: torch.Tensor) -> slice:
    """Cells that interpolation between the `touched` values reaches; the outermost lie outside."""
    where = touched.nonzero()
    if len(where) == 0:
        return slice(0, 0)
    last = len(touched) - 2
    return slice(max(int(where[0]) - 2, 0), min(int(where[-1]) + 1, last))
