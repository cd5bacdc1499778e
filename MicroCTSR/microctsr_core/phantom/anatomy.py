"""One ear as layers painted in order, each a signed distance with an intensity in HU."""

from __future__ import annotations

import numpy as np

from .air_cells import ANTRUM_MM, AirCells
from .labyrinth import Labyrinth
from .shapes import Field, Noise, capsule, disc, ellipsoid, smooth_union, tube, unit
from .tissue import Layer, Tissue


class Ear:
    """An individual ear drawn from the distributions of human anatomy.

    Frame (mm): vestibule at the origin, x medial, y posterior, z superior; a left ear is the mirror
    image, made by the caller's frame. All randomness comes from `seed`.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        g = np.random.default_rng([seed, 0])
        self.noise = Noise(g)
        self.left = bool(g.random() < 0.5)
        self.labyrinth = Labyrinth(g, self.noise)
        self.iac_radius_mm = g.uniform(1.9, 2.8)
        self.otic_mm = g.uniform(1.0, 1.7)
        self.otic_hu = g.uniform(1750, 2200)
        self.cortex_hu = g.normal(1488, 136)
        self.cortex_mm = g.uniform(0.7, 1.6)
        self.marrow_hu = g.uniform(-120, 80)
        self.trabecular_mm = g.uniform(0.7, 1.2)
        self.trabecular_threshold = g.uniform(-0.4, 1.4)
        self.dense_mm = self.otic_mm + g.uniform(0, 5)
        self.pneumatised_mm = g.uniform(-6, 3)
        cell_wall_mm = g.uniform(0.07, 0.2)
        self.fluid_hu = g.uniform(0, 20)
        self.ossicle_hu = g.normal(1350, 200)
        self.wobble = g.normal(0, 0.8, 6)
        self.canal_bend_mm = g.uniform((-0.3, -0.2), (1.8, 1.4))
        self.canal_radius_mm = g.uniform(2.9, 3.7)
        self.channel_mm = g.uniform(0.05, 0.2)
        # A quarter of the ears hold fluid or swollen mucosa; most only low in the cavity.
        self.effusion_mm = g.uniform(-4.5, 3.0) if g.random() < 0.25 else None
        opaque_share = g.uniform(0, 0.5) if self.effusion_mm is not None else 0.0
        self.cells = AirCells(g, self.noise, self.pneumatised_mm, cell_wall_mm, opaque_share)

    def tissue(self, points: Field) -> Tissue:
        """All layers at points (..., 3) of the ear's frame, in painting order."""
        noise = self.noise
        warped = points + 0.07 * np.stack([noise(points, 1.6, c) for c in (0, 1, 2)], -1)
        texture = 0.75 * noise(points, 3.5, 3) + 0.5 * noise(points, 0.8, 4)
        labyrinth = self.labyrinth.layers(warped, self.fluid_hu)
        fluid = labyrinth[0].distance
        for layer in labyrinth[1:5]:
            fluid = np.minimum(fluid, layer.distance)
        layers = self._surroundings(points)
        bone = layers.pop().distance
        canal = self._ear_canal(points)
        layers += self._bone(points, bone, fluid, canal)
        layers += self._middle_ear(points, fluid, canal)
        layers += self._ossicles(points, warped)
        layers += self._vessels(warped)
        layers += labyrinth
        return Tissue(layers, texture)

    def _surroundings(self, points: Field) -> list[Layer]:
        """Head, brain and fat; the last entry carries the distance to the temporal bone."""
        n, w = self.noise, self.wobble
        x, y, z = points[..., 0], points[..., 1], points[..., 2]
        rough = 0.5 * n(points, 9.0, 5) + 0.1 * n(points, 2.5, 6)
        tegmen = z - (8.6 + w[0]) + rough
        posterior = 0.62 * x + 0.78 * y - (8.8 + w[1]) + rough
        lateral = -x - 17.5 + w[2] + rough
        bone = np.max(
            [tegmen, posterior, lateral, -z - 12.5 + rough, -y - 14 + w[3] + 2 * rough, x - 19],
            axis=0,
        )
        skin = -x - 24 + w[4] + 1.2 * n(points, 14.0, 7)
        brain = np.maximum(lateral + 2, -np.maximum(tegmen, posterior) + 0.4)
        fat = np.maximum(skin + 2.0, 0.3 * (0.4 - n(points, 4.0, 8)))
        return [
            Layer("soft tissue", skin, 40, 12),
            Layer("fat", fat, -90, 10),
            Layer("brain", brain, 32, 5),
            Layer("cortical bone", bone.astype(np.float32), 0),
        ]

    def _bone(self, points: Field, bone: Field, fluid: Field, canal: Field) -> list[Layer]:
        """Cortex, trabecular bone with marrow, mastoid cells, and the dense otic capsule."""
        n = self.noise
        x, y = points[..., 0], points[..., 1]
        inner = bone + self.cortex_mm
        clear_of_capsule = self.otic_mm + 0.3 - fluid
        wavelength = self.trabecular_mm
        # The apex, medial and in front, is spongy; the bone behind the labyrinth is compact.
        behind = (0.45 * (y - 0.5 * x)).clip(0, 4)
        compact = fluid - self.dense_mm * (1 + 0.3 * n(points, 6.0, 9)) - behind
        sclerosis = 0.6 * n(points, 7.0, 18) + 0.8 - (0.1 * x - 0.08 * y)
        marrow = (n(points, wavelength, 10) + self.trabecular_threshold + sclerosis) * (
            wavelength / (2 * np.pi)
        )
        marrow = np.max([marrow, inner, -compact], axis=0)
        trabecular = np.max([inner + 0.3, -compact], axis=0)
        pneumatised = x - self.pneumatised_mm - 0.25 * (y - 3) + 2.5 * n(points, 9.0, 11)
        capsule_distance = np.maximum(
            fluid - self.otic_mm * (1 + 0.25 * n(points, 4.0, 16)), bone + 0.25
        )
        # Vessels run where two random surfaces meet; a third one leaves parts without.
        channel = np.hypot(n(points, 6.0, 19), n(points, 6.0, 20))
        channel = np.max(
            [
                channel * (6.0 / (2 * np.pi)) - self.channel_mm,
                0.5 * (0.2 - n(points, 9.0, 21)),
                inner,
                0.6 - fluid,
            ],
            axis=0,
        )
        walled = np.max([inner, clear_of_capsule, 1.0 - canal], axis=0)
        cells, opaque = self.cells.distances(points, walled)
        dense = self.cortex_hu
        compact_hu = 0.5 * (dense + self.otic_hu)
        return [
            Layer("cortical bone", bone, dense, 70),
            Layer("trabecular bone", trabecular.astype(np.float32), dense - 150, 110, fade_mm=0.6),
            Layer("marrow", marrow.astype(np.float32), self.marrow_hu, 15),
            Layer("cortical bone", np.maximum(compact, inner), compact_hu, 70, fade_mm=1.2),
            Layer(
                "cortical bone", np.maximum(pneumatised - 1, inner), dense - 100, 90, fade_mm=1.2
            ),
            Layer(
                "otic capsule", capsule_distance.astype(np.float32), self.otic_hu, 80, fade_mm=0.4
            ),
            Layer("nerve or vessel", channel.astype(np.float32), 40, 10),
            Layer("mastoid cell", cells, -990),
            Layer("soft tissue", opaque, 25, 10),
        ]

    def _ear_canal(self, points: Field) -> Field:
        """Distance to the ear canal, a lying S with its isthmus within the bony part."""
        outwards = (-9.0 - points[..., 0]) / 17
        bend, rise = self.canal_bend_mm
        bent = points.copy()
        bent[..., 1] += bend * np.sin(4.2 * outwards)
        bent[..., 2] -= rise * np.sin(3.0 * outwards)
        bent[..., 1] *= 1.15  # higher than wide
        isthmus = 0.6 * np.exp(-(((outwards - 0.35) / 0.22) ** 2))
        rough = 0.1 * self.noise(points, 2.2, 17)
        r = self.canal_radius_mm
        return (
            capsule(bent, (-9.0, -4.6, -2.4), (-26, -5.3, -2.4), (r, 1.15 * r)) + isthmus + rough
        ).astype(np.float32)

    def _middle_ear(self, points: Field, fluid: Field, canal: Field) -> list[Layer]:
        """Cavity with antrum, tendons and mucosa, drum, and the niche of the oval window."""
        rough = 0.35 * self.noise(points, 2.2, 17)
        cavity = smooth_union(
            ellipsoid(points, (-4.6, -3.4, -0.6), (2.3, 3.6, 4.4)),
            ellipsoid(points, (-6.0, -0.4, 4.2), (2.4, 3.4, 2.6)),
            1.0,
        )
        antrum = ellipsoid(points, ANTRUM_MM, (2.2, 3.2, 2.2))
        cavity = np.maximum(smooth_union(cavity, antrum, 1.0) + rough, 0.75 - fluid)
        niche = capsule(points, (-3.6, -1.4, 0.1), (-1.35, -0.4, 0.0), (1.3, 0.95))
        drum = np.maximum(
            disc(points, (-7.2, -3.8, -2.0), (0.85, -0.3, -0.35), 4.6, 3.0), -canal - 4.4
        )
        drum_normal = unit((0.85, -0.3, -0.35)).astype(np.float32)
        drum_height = (points - np.array([-7.2, -3.8, -2.0], np.float32)) @ drum_normal
        tensor = tube(
            points, np.array([[0.5, -9.5, -1.0], [-3.4, -4.6, 1.2], [-5.9, -3.3, 0.6]]), 0.32
        )
        stapedius = tube(
            points, np.array([[-4.6, 3.5, -3.0], [-4.2, 1.8, -0.4], [-4.1, -1.0, -0.4]]), 0.24
        )
        layers = [
            Layer("ear canal", canal, -995),
            Layer("middle ear", cavity.astype(np.float32), -990),
            Layer("middle ear", np.maximum(niche, 0.05 - fluid), -990),
        ]
        if self.effusion_mm is not None:
            level = points[..., 2] - self.effusion_mm + 0.8 * self.noise(points, 4.0, 22)
            effusion = np.max([cavity, level, 0.05 - fluid, -drum_height], axis=0)
            layers.append(Layer("soft tissue", effusion.astype(np.float32), 25, 10))
        layers += [
            Layer("nerve or vessel", np.maximum(np.minimum(tensor, stapedius), 0.2 - fluid), 50),
            Layer("soft tissue", drum, 40, 0, drum_height, 0.06),
        ]
        return layers

    def _ossicles(self, points: Field, warped: Field) -> list[Layer]:
        """Malleus, incus, and stapes with its footplate."""
        offset = points - np.array([-4.5, -0.8, 0.8], np.float32)
        near = np.einsum("...c,...c", offset, offset) < 5.5**2
        points, warped = points[near], warped[near]

        def whole(distance: Field) -> Field:
            everywhere = np.ones(near.shape, np.float32)
            everywhere[near] = distance
            return everywhere

        head = ellipsoid(warped, (-6.4, -2.6, 3.2), (1.15, 1.25, 1.35))
        malleus = smooth_union(
            head, capsule(warped, (-6.3, -2.8, 2.4), (-6.0, -3.5, -2.2), (0.75, 0.4)), 0.5
        )
        body = ellipsoid(warped, (-6.2, -0.9, 3.1), (1.05, 1.45, 1.35))
        incus = smooth_union(
            body, capsule(warped, (-6.1, -0.5, 2.6), (-4.4, -1.1, -0.5), (0.75, 0.38)), 0.5
        )
        incus = smooth_union(
            incus, capsule(warped, (-6.2, -0.2, 3.2), (-6.4, 2.0, 3.3), (0.8, 0.4)), 0.4
        )
        plate, tip = np.array([-1.75, -0.5, 0.0]), np.array([-4.1, -1.25, -0.4])
        side = unit((0.3, -0.9, 0.2)) * 1.05
        crura = np.minimum(
            tube(warped, np.array([tip, (tip + plate) / 2 + side, plate + side]), 0.17),
            tube(warped, np.array([tip, (tip + plate) / 2 - side, plate - side]), 0.17),
        )
        stapes = np.minimum(crura, capsule(warped, tip, tip, 0.42))
        footplate = ellipsoid(points, plate, (1.2, 1.5, 0.85))
        normal = unit(tip - plate)
        plate_height = (points - plate.astype(np.float32)) @ normal.astype(np.float32)
        hu = self.ossicle_hu
        return [
            Layer("ossicle", whole(malleus), hu, 90),
            Layer("ossicle", whole(incus), hu - 150, 110),
            Layer("ossicle", whole(stapes), hu - 200, 60),
            Layer("ossicle", whole(footplate), hu - 200, 40, whole(plate_height), 0.13),
        ]

    def _vessels(self, warped: Field) -> list[Layer]:
        """Carotid, jugular bulb, facial nerve, and the internal auditory canal with its nerves."""
        inner = self.labyrinth
        fundus = inner.cochlea_centre - 2.9 * inner.axis + np.array([0.5, 0.4, 0.4])
        porus = fundus + np.array([11.5, 3.2, 0.6])
        r = self.iac_radius_mm
        iac = capsule(warped, fundus + 0.6 * r * np.array([0.9, 0.3, 0]), porus, (0.7 * r, 1.3 * r))
        nerve = capsule(warped, fundus, porus + np.array([4.0, 1, 0]), (0.5, 0.9))
        carotid = tube(
            warped, np.array([[-1, -8.5, -14], [-0.5, -9.5, -7.5], [8, -12.5, -5.5]]), 2.7
        )
        jugular = ellipsoid(warped, (1.0, 3.5, -11.0), (3.6, 4.0, 4.2))
        facial = tube(
            warped,
            np.array([[3.2, -2.6, 2.6], [-0.6, -4.4, 2.6], [-4.3, 1.9, 1.5], [-5.5, 4.0, -13]]),
            0.62,
        )
        # The subarcuate canal passes through the arc of the superior canal; the vestibular
        # aqueduct is a slit from the vestibule to the posterior face.
        arc, through = inner.canal_centres[1], inner.canal_normals[1]
        subarcuate = tube(warped, np.array([arc + 5 * through, arc, arc - 2.5 * through]), 0.3)
        aqueduct = tube(warped, np.array([[0.8, 2.2, 1.4], [1.6, 4.2, 1.6], [3.4, 9.0, -1.5]]), 0.3)
        return [
            Layer("nerve or vessel", np.minimum(subarcuate, aqueduct), 30, 4),
            Layer("nerve or vessel", carotid, 45, 4),
            Layer("nerve or vessel", jugular, 48, 4),
            Layer("nerve or vessel", facial, 40, 4),
            Layer("internal auditory canal", iac, 12, 3),
            Layer("nerve or vessel", nerve, 34, 3),
        ]
