"""What a run needs, told as plain arithmetic to programs that have no PyTorch."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from microctsr_core import Volume, superresolve
from microctsr_core.cost import (
    AUTO_PASSES,
    Footprint,
    Speed,
    default_tile,
    needs,
    result_grid,
    run_pixels,
    seconds,
)
from microctsr_core.resources import estimate, footprint
from toy_models import make_model

SPACING = (0.7, 0.3, 0.3)
PLAIN = Footprint(
    scale=8,
    network_scale=8,
    in_slices=5,
    radius=19,
    decode_radius=9,
    stride=1,
    dropout=True,
    layer_bytes=20_000.0,
)
SPEED = Speed(encode_s_per_megapixel=10.0, pass_s_per_megapixel=2.0)


@pytest.mark.parametrize("mode", ["in-plane", "isotropic"])
def test_the_grid_told_is_that_of_the_result(mode: str) -> None:
    values = np.random.default_rng(0).normal(0, 500, (4, 9, 10)).astype(np.float32)
    box = ((1, 3), (2, 8), (0, 10))
    result = superresolve(
        Volume(values, SPACING), make_model(), box=box, samples=1, device="cpu", scale_mode=mode
    )
    shape, spacing = result_grid((2, 6, 10), SPACING, 8, mode)
    assert shape == result.mean.shape
    assert spacing == pytest.approx(result.mean.spacing)


def test_pixels_are_those_of_every_plane_and_tile_with_its_halo() -> None:
    scan, box = ((9, 200, 200), SPACING), ((3, 7), (64, 112), (64, 128))
    encoded, decoded = (4 * (48 + 2 * n) * (64 + 2 * n) for n in (19, 9))
    assert run_pixels(*scan, box, PLAIN) == (encoded, decoded)
    halves = 4 * ((32 + 38) + (16 + 38)) * 2 * (32 + 38)
    assert run_pixels(*scan, box, PLAIN, tile=32)[0] == halves
    fine_slices = round(0.7 * 8 / 0.3)
    isotropic = run_pixels(*scan, box, PLAIN, "isotropic")
    assert isotropic == (fine_slices * encoded, fine_slices * decoded)
    high = replace(PLAIN, network_scale=1)
    assert run_pixels(*scan, box, high, tile=512)[0] == 4 * (8 * 48 + 38) * (8 * 64 + 38)


def test_a_default_tile_is_13_radii_wide_if_that_fits_into_memory() -> None:
    assert default_tile(PLAIN) == 128  # 13 x 9 = 117, in whole blocks of 32
    assert default_tile(replace(PLAIN, decode_radius=90, layer_bytes=100)) == 1184
    # 3 GB / 20 kB are 150 000 pixels, 387 x 387, of which 38 are halo.
    assert default_tile(replace(PLAIN, decode_radius=90)) == 320
    assert default_tile(replace(PLAIN, layer_bytes=1e9)) == 32


def test_a_tile_is_larger_on_a_graphics_card() -> None:
    assert default_tile(PLAIN, on_card=True) == 544
    assert default_tile(replace(PLAIN, layer_bytes=2e5), on_card=True) == 160


def test_a_halo_ends_where_the_scan_ends() -> None:
    box = ((0, 1), (0, 48), (150, 200))
    told = run_pixels((9, 200, 200), SPACING, box, PLAIN)
    assert told == ((48 + 19) * (50 + 19), (48 + 9) * (50 + 9))


def test_time_grows_with_the_passes_and_not_without_dropout() -> None:
    scan, megapixels = ((1, 100, 100), SPACING), 100 * 100 / 1e6
    assert seconds(*scan, None, PLAIN, SPEED, passes=10) == pytest.approx(megapixels * 30)
    assert seconds(*scan, None, PLAIN, SPEED) == pytest.approx(megapixels * (10 + AUTO_PASSES * 2))
    certain = replace(PLAIN, dropout=False)
    assert seconds(*scan, None, certain, SPEED, passes=10) == pytest.approx(megapixels * 12)


def test_a_model_and_its_footprint_need_the_same() -> None:
    model = make_model()
    told = Footprint(**asdict(footprint(model)))
    scan = Volume(np.zeros((5, 20, 30), np.int16), SPACING)
    box = ((0, 2), (3, 20), (3, 30))
    assert needs(scan.shape, scan.spacing, box, told) == estimate(scan, model, box)
    whole = needs(scan.shape, scan.spacing, None, told, "isotropic")
    assert whole == estimate(scan, model, scale_mode="isotropic")
    assert not footprint(make_model("resnet", dropout="none")).dropout
