"""Blocks of nothing but air take no passes, and nobody can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from microctsr_core import Model, Volume
from microctsr_core.air import air_of
from microctsr_core.inference import Settings, plan_work
from microctsr_core.preparation import HUWindow, ZScoreUnit
from toy_models import Inferred, inferred, make_model, make_network

CPU = torch.device("cpu")
BOX = ((1, 2), (0, 100), (0, 160))
# Columns of blocks that lie a receptive field (6 pixels) away from the bone of `ct`.
FIRST_AIR = 96


@pytest.fixture(scope="module")
def model() -> Model:
    return make_model()


@pytest.fixture(scope="module")
def ct() -> Volume:
    """Bone up to column 80, and air with noise beyond it."""
    rng = np.random.default_rng(0)
    hu = rng.normal(-995, 30, (3, 100, 160)).clip(-1024)
    hu[:, :, :80] = rng.normal(900, 300, (3, 100, 80))
    return Volume(hu.astype(np.float32), (0.3, 0.3, 0.3))


def run(ct: Volume, model: Model, **settings: Any) -> Inferred:
    # Every block is known well enough after the ten passes that each gets at least.
    chosen = Settings(**{"samples": "auto", "tolerance": 1e9, **settings})
    return inferred(plan_work(ct, model, BOX, chosen), model, chosen, CPU)


def run_everywhere(ct: Volume, model: Model, monkeypatch: pytest.MonkeyPatch) -> Inferred:
    """The same without looking for air."""
    with monkeypatch.context() as patch:
        patch.setattr("microctsr_core.air.AIR_HU", -1e6)
        return run(ct, model)


def test_blocks_that_see_only_air_take_no_passes(ct: Volume, model: Model) -> None:
    # Two of five columns of blocks are air; one pass counts for as much as its share of the area.
    assert model.network.radius < FIRST_AIR - 80
    assert run(ct, model).passes_mean == pytest.approx(10 * 3 / 5)


def test_a_number_of_passes_asked_for_is_run_in_air_too(ct: Volume, model: Model) -> None:
    assert run(ct, model, samples=2).passes_mean == 2


def test_outside_of_air_not_a_number_changes(
    ct: Volume, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, everywhere = run(ct, model), run_everywhere(ct, model, monkeypatch)
    assert everywhere.passes_mean == 10
    tissue = np.s_[..., : 8 * FIRST_AIR]
    np.testing.assert_allclose(found.mean[tissue], everywhere.mean[tissue], atol=0.05)
    np.testing.assert_allclose(found.uncertainty[tissue], everywhere.uncertainty[tissue], atol=0.05)


def test_air_is_what_the_network_makes_of_it_without_the_noise(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = Volume(np.full((3, 100, 160), -1000, np.float32), (0.3, 0.3, 0.3))
    found, everywhere = run(flat, model), run_everywhere(flat, model, monkeypatch)
    assert found.passes_mean == 0
    inside = np.s_[..., 100:-100, 100:-100]  # where the network does not see the edge of the scan
    np.testing.assert_allclose(found.mean[inside], everywhere.mean[inside], atol=0.05)
    np.testing.assert_allclose(found.uncertainty[inside], everywhere.uncertainty[inside], atol=0.05)


@pytest.mark.parametrize("place", [(0, 50, 112), (1, 50, 112 + 20), (2, 30, 96)])
def test_one_voxel_that_is_not_air_brings_back_the_passes_of_all_that_see_it(
    ct: Volume, model: Model, place: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    hu = ct.array.copy()
    hu[place] = -700
    scan = ct.with_array(hu)
    found, everywhere = run(scan, model), run_everywhere(scan, model, monkeypatch)
    reach = model.network.radius
    rows, columns = (slice(8 * (n - reach), 8 * (n + reach + 1)) for n in place[1:])
    np.testing.assert_allclose(
        found.mean[0, rows, columns], everywhere.mean[0, rows, columns], atol=0.05
    )
    assert found.passes_mean > run(ct, model).passes_mean


def test_tiles_cannot_be_seen_in_air(ct: Volume, model: Model) -> None:
    small, large = (run(ct, model, tile=tile) for tile in (32, 256))
    assert small.passes_mean == large.passes_mean
    np.testing.assert_allclose(small.mean, large.mean, atol=0.05)
    np.testing.assert_allclose(small.uncertainty, large.uncertainty, atol=0.05)


def test_air_is_not_known_where_intensities_are_no_hu_or_places_not_alike() -> None:
    def sample(*_: Any) -> Any:
        raise AssertionError

    assert air_of(make_network(), HUWindow(), sample) is not None
    assert air_of(make_network(), ZScoreUnit().fitted(np.arange(9.0)), sample) is None
    assert air_of(make_network("resnet", norm="instance"), HUWindow(), sample) is None
    assert air_of(make_network("resnet", dropout="element"), HUWindow(), sample) is None
