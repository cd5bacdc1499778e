"""Draws the icons of the extension and its modules: a cochlea that turns from voxels into a curve.

On the left it is as a clinical CT sees it, in coarse voxels that mix what lies in them; to the
right the voxels become finer, until the turns are as smooth as they are: `make pictures`. The icon
of the training module has a falling curve of losses on it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.image import imsave
from scipy.spatial import cKDTree

REPOSITORY = Path(__file__).resolve().parents[1]
SIZE = 128
FINE = 6 * SIZE  # what the picture is drawn at before it is averaged to its size
TURNS = 2.35
TURN_RATIO = 0.46  # of the radii one turn apart
STOPS = [(0, "#1c6fa8"), (0.36, "#17a2ab"), (0.66, "#8ccf8e"), (0.86, "#ffc13b"), (1, "#ffb01f")]
COLOURS = LinearSegmentedColormap.from_list("ear", STOPS)
ZONES = ((0, 6, 12), (6, 10, 24))  # in 24ths of the width: from, to, and voxels across the icon
GAP = 0.09  # between voxels, of their width
BADGE = (0.54, 0.54, 0.44)  # left, top and width, in widths of the icon
ROUND = 0.2  # radius of the badge's corners, in its widths
MIX = 0.35  # a voxel with less of the cochlea in it is left out


def cochlea() -> np.ndarray:
    """Colour and opacity, (rows, columns, 4) in 0..1, of a spiral tube seen from its tip."""
    turn = np.linspace(0.0, TURNS, 4000)
    radius = TURN_RATIO**turn
    angle = 2 * np.pi * (turn - 0.02)
    centre = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    width = 0.215 * radius + 0.033
    low = (centre - width[:, None]).min(axis=0)
    high = (centre + width[:, None]).max(axis=0)

    pixel = (np.arange(FINE) + 0.5) / FINE - 0.5
    pixel = np.stack(np.meshgrid(pixel, pixel), axis=-1) * (high - low).max() / 0.97
    pixel += (low + high) / 2
    distance, nearest = cKDTree(centre).query(pixel)
    across = distance / width[nearest]

    outwards = (pixel - centre[nearest]) / width[nearest][..., None]
    height = np.sqrt(np.clip(1 - across**2, 0, 1))
    facing = np.dstack([outwards, height]) @ np.array([-0.45, -0.6, 0.66])
    colour = COLOURS(turn[nearest] / TURNS)[..., :3] * (0.72 + 0.36 * facing[..., None])
    colour += 0.5 * np.clip(facing, 0, 1)[..., None] ** 9
    return np.dstack([np.clip(colour, 0, 1), across < 1])


def averaged(picture: np.ndarray, size: int) -> np.ndarray:
    """The picture on (size, size) voxels: mean opacity, and mean colour of what is opaque."""
    blocks = picture.reshape(size, len(picture) // size, size, -1, 4)
    opacity = blocks[..., 3:].mean(axis=(1, 3))
    colour = (blocks[..., :3] * blocks[..., 3:]).mean(axis=(1, 3)) / np.maximum(opacity, 1e-9)
    return np.dstack([colour, opacity])


def icon() -> np.ndarray:
    """The icon, (SIZE, SIZE, 4) in 0..1."""
    smooth = cochlea()
    picture = smooth.copy()
    for start, end, voxels in ZONES:
        columns = slice(start * FINE // 24, end * FINE // 24)
        width = FINE // voxels
        coarse = averaged(smooth, voxels)
        coarse[..., 3] *= coarse[..., 3] > MIX
        coarse = coarse.repeat(width, axis=0).repeat(width, axis=1)
        gap = np.arange(FINE) % width < GAP * width
        coarse[gap, :, 3] = 0
        coarse[:, gap, 3] = 0
        picture[:, columns] = coarse[:, columns]
    return averaged(picture, SIZE)


def training_icon() -> np.ndarray:
    """The icon with a badge, (SIZE, SIZE, 4) in 0..1."""
    row, column = np.mgrid[:FINE, :FINE] / FINE
    x, y = (column - BADGE[0]) / BADGE[2], (row - BADGE[1]) / BADGE[2]
    beyond = np.maximum(np.abs(np.stack([x, y]) - 0.5) - 0.5 + ROUND, 0)
    edge = ROUND - np.hypot(*beyond)  # how far within the badge, in its widths
    place = np.linspace(0.16, 0.84, 500)
    curve = np.stack([place, 0.8 - 0.6 * np.exp(-4.5 * (place - 0.16))], axis=1)
    points = curve[[0, 130, 499]]
    here = np.stack([x, y], axis=-1)
    line = cKDTree(curve).query(here, distance_upper_bound=0.2)[0] < 0.045
    dots = cKDTree(points).query(here, distance_upper_bound=0.2)[0] < 0.085

    picture = icon().repeat(FINE // SIZE, axis=0).repeat(FINE // SIZE, axis=1)
    picture[edge > -0.06] = 0  # a gap, so that the badge stands apart
    picture[edge > 0] = (*to_rgb("#14507c"), 1)
    picture[line & (edge > 0)] = (*to_rgb("#8ccf8e"), 1)
    picture[dots & (edge > 0)] = (*to_rgb("#ffc13b"), 1)
    return averaged(picture, SIZE).clip(0, 1)


if __name__ == "__main__":
    icons = Path("Resources") / "Icons"
    for path, draw in (
        (Path("MicroCTSR.png"), icon),
        (Path("MicroCTSR") / icons / "MicroCTSR.png", icon),
        (Path("MicroCTSRTraining") / icons / "MicroCTSRTraining.png", training_icon),
    ):
        (REPOSITORY / path).parent.mkdir(parents=True, exist_ok=True)
        imsave(REPOSITORY / path, draw(), metadata={"Software": None})
