"""What several tests start from: the shared data, and scans that lie oblique in the patient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from microctsr_core import Volume

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared test data is not there ({folder})")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder for outputs, apart from the inputs."""
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.fixture
def oblique_volume() -> Callable[..., Volume]:
    """A function (seed, shape, dtype) that makes a volume of noise at a random place and angle."""
    return make_oblique_volume


def make_oblique_volume(
    seed: int = 0, shape: tuple[int, int, int] = (4, 5, 6), dtype: type = np.int16
) -> Volume:
    random = np.random.default_rng(seed)
    direction, _ = np.linalg.qr(random.normal(size=(3, 3)))
    return Volume(
        array=random.integers(-1000, 3000, shape).astype(dtype),
        spacing=tuple(random.uniform(0.1, 0.8, 3)),
        origin=tuple(random.uniform(-200, 200, 3)),
        direction=direction,
        metadata={"modality": "CT"},
    )
