"""What only a graphics card can show; skipped where there is none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from microctsr_core import Model, Volume, inference
from microctsr_core.errors import ResourceError
from microctsr_core.inference import Settings, network_on, plan_work
from microctsr_core.masks import ChannelMasks
from microctsr_core.passes import PassDecoder, decoder_for, free_on_card
from microctsr_core.posterior import posterior
from microctsr_core.speed import device_memory_bytes, device_name, measured_speed
from microctsr_core.tiles import halves
from microctsr_core.transfer import ahead, fetched, sent
from toy_models import Inferred, inferred, make_model

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]
CARD, CPU = torch.device("cuda"), torch.device("cpu")
SPAN_HU = 4000
BOX = ((1, 3), (10, 110), (20, 120))


@pytest.fixture(scope="module")
def ct() -> Volume:
    noise = np.random.default_rng(0).normal(200, 400, (4, 120, 130))
    return Volume(noise.astype(np.float32), (0.5, 0.3, 0.3))


@pytest.fixture(autouse=True)
def _card_given_back() -> Iterator[None]:
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    gc.collect()
    torch.cuda.empty_cache()


def run(ct: Volume, model: Model, device: torch.device, **settings: Any) -> Inferred:
    chosen = Settings(**settings)
    return inferred(plan_work(ct, model, BOX, chosen), model, chosen, device)


@pytest.mark.parametrize("name", ["compact", "srresnet", "resnet"])
def test_a_card_gives_the_processors_result_to_the_rounding_of_half_precision(
    ct: Volume, name: str
) -> None:
    model = make_model(name, **({"filters": 8} if name == "resnet" else {"width": 16}))
    box_of_few = {"samples": 8, "seed": 3}
    on_cpu, on_card = (run(ct, model, device, **box_of_few) for device in (CPU, CARD))
    for mine, expected in (
        (on_card.mean, on_cpu.mean),
        (on_card.uncertainty, on_cpu.uncertainty),
    ):
        # 2⁻¹² of features near 1, in some ten layers
        assert np.abs(mine - expected).max() < 40 * 2**-12 * SPAN_HU
        assert np.sqrt(np.mean((mine - expected) ** 2)) < 4 * 2**-12 * SPAN_HU


def test_in_single_precision_a_card_gives_the_processors_result() -> None:
    model = make_model(width=16)
    stack = torch.rand((5, 60, 70), generator=torch.Generator().manual_seed(1))
    expected = posterior(model.network, stack, "auto", seed=1)
    with network_on(CARD, model) as network:
        for decoder in (PassDecoder(network), PassDecoder(network, 8)):
            result = posterior(network, stack.to(CARD), "auto", seed=1, decoder=decoder)
            assert result.passes == expected.passes
            np.testing.assert_allclose(result.mean, expected.mean, atol=2e-5)
            np.testing.assert_allclose(result.variance, expected.variance, atol=2e-5, rtol=1e-3)


def test_a_seed_draws_the_same_masks_on_a_card() -> None:
    network = make_model().network
    for number in (0, 7, 120):
        for mine, expected in zip(
            ChannelMasks(network, 5, CARD)(number),
            ChannelMasks(network, 5, CPU)(number),
            strict=True,
        ):
            np.testing.assert_array_equal(mine.cpu(), expected)


def test_a_card_gives_the_same_numbers_again(ct: Volume) -> None:
    first, second = (run(ct, make_model(width=16), CARD, seed=2) for _ in range(2))
    np.testing.assert_array_equal(first.mean, second.mean)
    np.testing.assert_array_equal(first.uncertainty, second.uncertainty)


def test_tiles_cannot_be_seen_on_a_card(ct: Volume) -> None:
    small, large = (run(ct, make_model(width=16), CARD, samples=8, tile=t) for t in (32, 128))
    assert np.abs(small.mean - large.mean).max() < 20 * 2**-12 * SPAN_HU


def test_a_full_card_takes_fewer_passes_and_smaller_tiles_instead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, settings = make_model(upsampling=[64, 64, 64]), Settings(samples=2, tile=256)
    noise = np.random.default_rng(0).normal(200, 400, (1, 240, 240))
    ct = Volume(noise.astype(np.float32), (0.5, 0.3, 0.3))
    plan = plan_work(ct, model, ((0, 1), (8, 232), (8, 232)), settings)
    torch.cuda.reset_peak_memory_stats()
    expected = inferred(plan, model, settings, CARD)
    peak = torch.cuda.max_memory_allocated()
    halved = []
    monkeypatch.setattr(inference, "halves", lambda *tile: halved.append(tile) or halves(*tile))
    gc.collect()
    torch.cuda.empty_cache()
    # Less than half of what one of the two passes takes over the box; a block is a 49th of it.
    total = torch.cuda.get_device_properties(CARD).total_memory
    torch.cuda.set_per_process_memory_fraction(peak / 5 / total)
    result = inferred(plan, model, settings, CARD)
    assert halved
    assert np.abs(result.mean - expected.mean).max() < 20 * 2**-12 * SPAN_HU


def test_a_card_too_full_for_a_single_block_is_told_in_one_sentence(ct: Volume) -> None:
    model = make_model(width=64)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    with pytest.raises(ResourceError, match=r"ran out of memory; choose .*\.$"):
        run(ct, model, CARD, samples=8)


def test_planes_go_to_a_card_and_back_unchanged() -> None:
    arrays = [np.full((3, 4), n, np.float32) for n in range(5)]
    sending = ahead((sent(array, CARD) for array in arrays), CARD)
    for array, tensor in zip(arrays, sending, strict=True):
        assert tensor.device.type == "cuda"
        np.testing.assert_array_equal(fetched(tensor), array)


def test_free_memory_counts_what_this_process_holds_and_does_not_use() -> None:
    before = free_on_card(CARD)
    block = torch.empty(2**28, dtype=torch.uint8, device=CARD)
    assert before - free_on_card(CARD) >= 2**28 - 2**21
    del block
    assert abs(free_on_card(CARD) - before) < 2**27


def test_the_speed_of_a_card_is_measured() -> None:
    model = make_model(width=16)
    speed = measured_speed(model, CARD)
    assert 0 < speed.encode_s_per_megapixel < 10
    assert 0 < speed.pass_s_per_megapixel < 10
    assert device_memory_bytes(CARD) > free_on_card(CARD) / 2
    assert device_name(CARD)


def test_precision_settings_of_the_program_are_as_before() -> None:
    before = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    with network_on(CARD, make_model()) as network:
        assert not torch.backends.cudnn.allow_tf32
        assert decoder_for(network, CARD, 1e6).at_once > 1
    assert (torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark) == before
