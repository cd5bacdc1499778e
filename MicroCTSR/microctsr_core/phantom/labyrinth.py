"""The inner ear: cochlea, vestibule and semicircular canals."""

from __future__ import annotations

import numpy as np

from .cochlea import Spiral, cochlea_fields
from .shapes import Field, Noise, capsule, ellipsoid, smooth_union, torus, unit
from .tissue import Layer


class Labyrinth:
    """An individual inner ear, its vestibule at the origin of the ear's frame.

    cochlea_centre, axis : where the cochlea is, and where its apex points. canal_centres,
    canal_normals : those of the rings of the lateral, superior and posterior canal.
    """

    def __init__(self, generator: np.random.Generator, noise: Noise) -> None:
        g = generator
        self._noise = noise
        self.spiral = Spiral.draw(g)
        self.axis = unit(np.array([-0.55, -0.8, -0.25]) + g.normal(0, 0.08, 3))
        self.cochlea_centre = np.array([2.2, -4.6, -1.6]) + g.normal(0, 0.25, 3)
        self.septum_mm = g.uniform(0.15, 0.3)
        self.lamina_half_mm = g.uniform(0.04, 0.075)
        self.lumen_mm = g.normal(0.48, 0.06, 3).clip(0.36, 0.62)
        self.ring_mm = np.array([2.6, 3.25, 3.2]) * g.normal(1, 0.05)
        tilt = g.normal(0, 0.06, (3, 3))
        self.canal_normals = [
            unit(np.array(normal) + tilt[n])
            for n, normal in enumerate([(0.05, 0.4, 0.9), (0.72, -0.69, 0.05), (0.69, 0.72, 0.0)])
        ]
        self.canal_centres = np.array(
            [[-2.5, 1.2, 0.9], [-0.6, -0.6, 3.0], [-0.9, 2.7, 0.1]]
        ) + g.normal(0, 0.15, (3, 3))
        self.vestibule_mm = np.array([1.35, 2.3, 1.9]) * g.normal(1, 0.06, 3)

    def layers(self, points: Field, fluid_hu: float) -> list[Layer]:
        """Fluid spaces with the solid parts inside them; the first five entries are fluid."""
        e_z = self.axis
        towards = -self.cochlea_centre - e_z * (-self.cochlea_centre @ e_z)
        e_x = unit(towards)
        frame = np.stack([e_x, np.cross(e_z, e_x), e_z], -1).astype(np.float32)
        local = (points - self.cochlea_centre.astype(np.float32)) @ frame
        cochlea = cochlea_fields(self.spiral, local, self.septum_mm)
        wall_radius, wall_height = self.spiral.wall(0.0)
        start = self.cochlea_centre + frame @ np.array([wall_radius - 1.1, 0.0, wall_height])
        uneven = 1 + 0.12 * self._noise(points, 3.0, 23)
        canals = [
            torus(points, centre, normal, ring, lumen * uneven)
            for centre, normal, ring, lumen in zip(
                self.canal_centres, self.canal_normals, self.ring_mm, self.lumen_mm, strict=True
            )
        ]
        vestibule = smooth_union(
            ellipsoid(points, (0.1, 0.4, 0.3), self.vestibule_mm),
            capsule(points, (0, -0.5, -0.3), start, (0.95, 0.75)),
            0.5,
        )
        for canal, ampulla in zip(
            canals, [(-1.7, -1.2, 1.0), (-1.2, -1.4, 1.6), (0.2, 2.4, -1.7)], strict=True
        ):
            swelling = np.maximum(ellipsoid(points, ampulla, (0.85, 0.85, 0.85)), canal - 0.4)
            np.minimum(vestibule, swelling, out=vestibule)
        duct, level, hu = cochlea.duct, cochlea.level, fluid_hu
        lamina = np.maximum(duct - 0.05, (cochlea.across - cochlea.lamina_end) * 1.0)
        membrane = np.maximum(duct, np.where(cochlea.lamina_end > 0, -1.0, 1.0)).astype(np.float32)
        bony_axis = np.maximum(cochlea.modiolus, -duct + 0.02)
        return [
            Layer("lateral canal", canals[0], hu),
            Layer("superior canal", canals[1], hu),
            Layer("posterior canal", canals[2], hu),
            Layer("vestibule", vestibule, hu),
            Layer("scala vestibuli", duct, hu),
            Layer("scala tympani", np.maximum(duct, level), hu),
            Layer("modiolus", bony_axis, 950, 120),
            Layer("nerve or vessel", np.maximum(cochlea.nerve, -duct + 0.12), 60, 10),
            Layer("basilar membrane", membrane, 90, 0, level, 0.02),
            Layer("osseous spiral lamina", lamina, 1150, 60, level, self.lamina_half_mm),
        ]
