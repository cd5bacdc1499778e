"""Scans small enough for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from microctsr_core import Volume, write_volume


def make_scan(path: Path, slices: int = 9, edge: int = 20, compress: bool = False) -> Path:
    """An oblique CT of noise."""
    rng = np.random.default_rng(0)
    direction, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    array = rng.integers(-1000, 2000, (slices, edge, edge + 4), dtype=np.int16)
    ct = Volume(array, (0.6, 0.3, 0.3), (1.5, -20.0, 7.25), direction, {"modality": "CT"})
    write_volume(ct, path, compress=compress)
    return path
