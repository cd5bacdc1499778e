"""A small study: scans of ears with their truth, a model, and volumes that were made elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from microctsr_core import Volume, write_volume
from toy_ears import ear
from toy_models import make_model

SCALE = 8
LOW_MM = 0.3
SHAPE = (3, 12, 12)
ERROR_HU = 90.0


def truth(number: int) -> Volume:
    """On the grid in which results are compared: three slices of 96 x 96 pixels."""
    k, j, i = SHAPE
    array = ear(number, (k, SCALE * j, SCALE * i), 6).astype(np.float32)
    return Volume(array, (LOW_MM, LOW_MM / SCALE, LOW_MM / SCALE), (5.0, -3.0, 2.0))


def low(number: int, metadata: dict[str, str] | None = None) -> Volume:
    """The scan of which it is the truth: means over 8 x 8 pixels, with the same outer corners."""
    true = truth(number)
    k, j, i = SHAPE
    array = true.array.reshape(k, j, SCALE, i, SCALE).mean((2, 4))
    shift = LOW_MM * (1 - 1 / SCALE) / 2
    x, y, z = true.origin
    return Volume(array, (LOW_MM,) * 3, (x + shift, y + shift, z), metadata=metadata or {})


def write_phantoms(folder: Path, cases: int) -> None:
    """Cases as ``microctsr phantom`` lays them down."""
    for number in range(cases):
        case = folder / f"case_{number:03d}"
        write_volume(low(number, {"patient": "Jane Doe"}), case / "low.nrrd")
        write_volume(truth(number), case / "truth.nrrd")
        (case / "case.json").write_text("{}")


def write_results(folder: Path, cases: int, error_hu: float = ERROR_HU) -> None:
    """Volumes that miss the truth by so much everywhere; the uncertainty is a little more."""
    for number in range(cases):
        true = truth(number)
        sign = np.where(np.indices(true.shape).sum(0) % 2, 1, -1)
        wrong = true.with_array(true.array + np.float32(error_hu) * sign)
        write_volume(wrong, folder / f"case_{number:03d}.nrrd")
        sure = true.with_array(np.full(true.shape, 1.01 * error_hu, np.float32))
        write_volume(sure, folder / f"case_{number:03d}_uncertainty.nrrd")


def write_study(folder: Path, cases: int = 2, **changes: Any) -> Path:
    """Cubic interpolation, a toy model and results made elsewhere; `changes` replace entries."""
    write_phantoms(folder / "phantoms", cases)
    write_results(folder / "elsewhere", cases)
    make_model().save(folder / "toy")
    entries: dict[str, Any] = {
        "title": "A <small> study",
        "methods": {
            "cubic": "cubic",
            "elsewhere": {"results": "elsewhere"},
            "Toy & co": {"model": "toy"},
        },
        "cases": "phantoms",
        "samples": 2,
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump({**entries, **changes}, sort_keys=False), encoding="utf-8")
    return path
