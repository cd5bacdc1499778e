"""The cochlear duct: a spiral with individual variation, its lamina and its modiolus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.polynomial import polynomial

from .shapes import Field

# Statistical model of the lateral wall (form and parameters those of Pietsch et al. 2017, Sci Rep
# 7:7500): the coefficients of radius and height over the angle are linear in p = (1, A1, B1, A2,
# B2).
_MEANS = np.array([5.97, 3.95, 3.26, 2.85])
_SDS = np.array([0.36, 0.35, 0.28, 0.33])
_CORRELATION = np.array(
    [
        [1.0, 0.535, -0.124, -0.073],
        [0.535, 1.0, 0.117, -0.437],
        [-0.124, 0.117, 1.0, 0.578],
        [-0.073, -0.437, 0.578, 1.0],
    ]
)
_RADIUS = np.array(
    [
        [-0.0972007477, 0.0652777719, 0.00579010296, -0.000410053336],
        [0.745407586, -0.297795951, 0.0353079061, -0.00125774661],
        [0.349940654, -0.0488173881, 0.0023571333, -3.38189251e-05],
        [0.0567728211, 0.115930984, -0.0170603835, 0.000605305012],
        [-0.0613995455, 0.170502985, -0.0267552502, 0.00111572947],
    ]
)
_HEIGHT = np.array(
    [
        [-2.02556226, 0.308684775, -0.0245970612, 0.000937435476, -6.49142945e-06],
        [-0.483933702, 0.150263587, -0.0249700765, 0.00184112837, -4.68696577e-05],
        [0.0936906994, 0.0485929242, -0.0111388827, 0.000852542615, -2.39666478e-05],
        [0.437215616, -0.609467319, 0.14701913, -0.0123454722, 0.000341806093],
        [0.198843864, 0.0706538847, -0.049026977, 0.00553612473, -0.000178036146],
    ]
)
_END_ANGLE_DEGREES = np.array([963.1663, 6.37773, -26.95855, -36.39536, 66.94165])

# Width of the duct and its height (both scalae) at 0, 1, 2 turns and at the tip, mm. Widths:
# Fröhlich 2024, PLOS ONE; the heights leave the bony septum that the spacing of the turns allows.
_WIDTHS = (2.3, 1.8, 1.4, 0.7)
_HEIGHTS = (1.9, 1.35, 1.05, 0.7)


@dataclass(frozen=True)
class Spiral:
    """One individual's lateral wall: polynomials of the angle (radians), lengths in mm."""

    radius: np.ndarray
    height: np.ndarray
    end_angle: float

    @classmethod
    def mean(cls) -> Spiral:
        """The spiral of the mean parameters."""
        return cls._from_parameters(_MEANS)

    @classmethod
    def draw(cls, generator: np.random.Generator) -> Spiral:
        """An individual from the published distribution, within 2 SD of its mean."""
        factor = np.linalg.cholesky(_CORRELATION)
        deviation = factor @ np.clip(generator.standard_normal(4), -1.5, 1.5)
        return cls._from_parameters(_MEANS + _SDS * np.clip(deviation, -2, 2))

    @classmethod
    def _from_parameters(cls, parameters: np.ndarray) -> Spiral:
        p = np.concatenate([[1.0], parameters])
        return cls(p @ _RADIUS, p @ _HEIGHT, float(np.deg2rad(p @ _END_ANGLE_DEGREES)))

    def wall(self, angle: np.ndarray | float) -> tuple[np.ndarray, np.ndarray]:
        """Radius and height of the lateral wall at an angle."""
        return polynomial.polyval(angle, self.radius), polynomial.polyval(angle, self.height)


@dataclass(frozen=True)
class CochleaFields:
    """Fields of one cochlea at given points; lengths in mm, negative inside.

    duct : distance to the fluid duct. level : height above the lamina, positive in the scala
    vestibuli.
    across : 0 at the duct's inner wall, 1 at its lateral wall. lamina_end : where the lamina stops
    (0 beyond the helicotrema). modiolus : distance to the bony axis with the nerve at its core
    (`nerve`).
    """

    duct: Field
    level: Field
    across: Field
    lamina_end: Field
    modiolus: Field
    nerve: Field


def cochlea_fields(spiral: Spiral, local: Field, septum_mm: float) -> CochleaFields:
    """Evaluate the cochlea at points in its own frame: z along the modiolus towards the apex."""
    x, y, z = local[..., 0], local[..., 1], local[..., 2]
    radius = np.hypot(x, y)
    angle = np.mod(np.arctan2(y, x), 2 * np.pi).astype(np.float32)
    best = np.full(radius.shape, np.inf, np.float32)
    second = best.copy()
    level, across, lamina_end = (np.zeros_like(best) for _ in range(3))
    ends = np.array([0, 2 * np.pi, 4 * np.pi, spiral.end_angle])
    for turn in range(int(np.ceil(spiral.end_angle / (2 * np.pi)))):
        phi = np.clip(angle + 2 * np.pi * turn, 0, spiral.end_angle)
        beyond = (angle + 2 * np.pi * turn - phi) * radius
        wall_radius, wall_height = spiral.wall(phi)
        width = np.interp(phi, ends, _WIDTHS)
        height = np.interp(phi, ends, _HEIGHTS)
        u = (radius - (wall_radius - width / 2)) / (width / 2)
        v = (z - wall_height) / (height / 2)
        # A superellipse between oval and box: scalae are flatter against the lamina than an oval.
        normal = (u**4 + v**4 + 2 * (u * v) ** 2 + 1e-6) ** 0.25
        distance = np.hypot((normal - 1) * np.minimum(width, height) / 2, beyond) * np.where(
            (normal < 1) & (beyond == 0), -1, 1
        )
        nearer = distance < best
        second = np.where(nearer, best, np.minimum(second, distance)).astype(np.float32)
        best = np.where(nearer, distance, best).astype(np.float32)
        level = np.where(nearer, z - wall_height, level).astype(np.float32)
        across = np.where(nearer, (u + 1) / 2, across).astype(np.float32)
        reach = np.where(
            spiral.end_angle - phi > 0.6, np.interp(phi, ends, (0.62, 0.5, 0.4, 0.3)), 0
        )
        lamina_end = np.where(nearer, reach, lamina_end).astype(np.float32)
    duct = np.maximum(best, best - second + septum_mm).astype(np.float32)
    base_height, tip_height = spiral.wall(0.5)[1] - 1.2, spiral.wall(spiral.end_angle)[1]
    level_in_core = np.clip((z - base_height) / (tip_height - base_height), 0, 1)
    outside = np.maximum(z - tip_height, base_height - z)
    modiolus = np.maximum(radius - (1.7 - 1.35 * level_in_core), outside)
    nerve = np.maximum(radius - (1.0 - 1.3 * level_in_core), outside)
    return CochleaFields(
        duct, level, across, lamina_end, modiolus.astype(np.float32), nerve.astype(np.float32)
    )
