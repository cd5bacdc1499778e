"""Times m-HuM of thousands of slices beside cv2.matchShapes over all pairs, in one run.

The brute force is timed on a part of the pairs and scaled; all of its pairs cost the same.
"""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np
from scipy import ndimage

from microctsr_core.evaluation import hu_distances, hu_moments, m_hum, shapes


def slices(count: int, edge: int, seed: int) -> np.ndarray:
    """Slices (count, edge, edge), uint8: smooth blobs, shifted and turned about."""
    g = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(g.random((edge + 64, edge + 64)), edge / 32)
    blobs = (255 * (blobs - blobs.min()) / np.ptp(blobs)).astype(np.uint8)
    result = np.empty((count, edge, edge), np.uint8)
    for plane in result:
        row, column = g.integers(0, 64, 2)
        plane[:] = np.rot90(blobs[row : row + edge, column : column + edge], g.integers(4))
        plane[:] = cv2.multiply(plane, float(g.uniform(0.6, 1)))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=2000)
    parser.add_argument("--edge", type=int, default=512)
    parser.add_argument("--part", type=int, default=15, help="slices of each set in brute force")
    options = parser.parse_args()
    images, references = (slices(options.slices, options.edge, seed) for seed in (0, 1))
    start = time.perf_counter()
    found = m_hum(shapes(images), shapes(references))
    ours = time.perf_counter() - start
    few = [(part[: options.part] / 255).astype(np.float32) for part in (images, references)]
    start = time.perf_counter()
    brute = [[cv2.matchShapes(a, b, cv2.CONTOURS_MATCH_I1, 0) for b in few[1]] for a in few[0]]
    each = (time.perf_counter() - start) / options.part**2
    error = np.abs(hu_distances(hu_moments(few[0]), hu_moments(few[1])) / brute - 1).max()
    pairs = options.slices**2
    print(f"{options.slices} x {options.slices} slices of {options.edge} x {options.edge}:")
    print(f"ours {ours:.1f} s, preparation included (m-HuM {found.score:.4g})")
    print(
        f"cv2.matchShapes over all pairs {each * pairs:.0f} s ({1e3 * each:.2f} ms a pair, from "
        f"{options.part**2} pairs): {each * pairs / ours:.0f} times as long"
    )
    print(f"largest relative difference of those pairs' distances: {error:.1e}")


if __name__ == "__main__":
    main()
