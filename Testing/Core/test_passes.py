"""Passes decoded many at once give what they give one by one, and make do with the memory there."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from microctsr_core import Volume, inference
from microctsr_core.errors import ResourceError
from microctsr_core.inference import Settings, plan_work
from microctsr_core.masks import ElementMasks
from microctsr_core.passes import PassDecoder, decoder_for, out_of_memory, passes_at_once
from microctsr_core.posterior import joined, posterior
from microctsr_core.tiles import cover, halves
from microctsr_core.transfer import ahead, fetched, made_ahead, sent
from toy_models import TOYS, inferred, make_model, make_network

CPU = torch.device("cpu")
ONE_BLOCK = ((0, 1), (0, 9), (0, 9))


class SmallMemory:
    """A network for which there is memory for so many passes, of so many pixels together."""

    def __init__(self, network: Any, passes: int = 1000, pixels: int = 10**9) -> None:
        self._network, self._passes, self._pixels = network, passes, pixels
        self.batches: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def decode(self, encoded: Any, masks: Any) -> Tensor:
        passes = len(masks[0]) if masks[0].ndim > 1 else 1
        if passes > self._passes or passes * encoded[0][0, 0].numel() > self._pixels:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        self.batches.append(passes)
        return self._network.decode(encoded, masks)


def stack(planes: int, size: int = 16) -> Tensor:
    return torch.rand((planes, size, size), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", sorted(TOYS))
@pytest.mark.parametrize("samples", [7, "auto"])
def test_many_passes_at_once_are_the_same_passes(name: str, samples: Any) -> None:
    if name == "unet":
        pytest.importorskip("monai")
    network = make_network(name)
    x = stack(network.in_slices)
    one_by_one = posterior(network, x, samples, seed=2)
    at_once = posterior(network, x, samples, seed=2, decoder=PassDecoder(network, 4))
    assert at_once.passes == one_by_one.passes
    np.testing.assert_allclose(at_once.mean, one_by_one.mean, atol=1e-5)
    np.testing.assert_allclose(at_once.variance, one_by_one.variance, atol=1e-5, rtol=1e-3)


def test_masks_of_single_values_can_be_decoded_at_once_too() -> None:
    network = make_network("resnet", dropout="element", dropout_rate=0.5)
    x, masks = stack(1), ElementMasks(network, 0, (3,), CPU)
    one_by_one = posterior(network, x, 5, masks=masks)
    at_once = posterior(network, x, 5, masks=masks, decoder=PassDecoder(network, 4))
    np.testing.assert_allclose(at_once.mean, one_by_one.mean, atol=1e-5)
    np.testing.assert_allclose(at_once.variance, one_by_one.variance, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("name", ["compact", "resnet", "srresnet"])
def test_half_precision_changes_no_more_than_its_rounding(name: str) -> None:
    # Features are rounded by 2⁻¹² of themselves in each of some ten layers; outputs are near 1.
    network = make_network(name)
    x = stack(network.in_slices)
    single = posterior(network, x, 6, seed=2)
    half = posterior(network, x, 6, seed=2, decoder=PassDecoder(network, 4, torch.float16))
    assert half.mean.dtype == np.float32
    assert 0 < np.abs(half.mean - single.mean).max() < 20 * 2**-12
    np.testing.assert_allclose(half.variance**0.5, single.variance**0.5, atol=20 * 2**-12)


def test_a_feature_too_large_for_half_precision_is_computed_in_single_and_said() -> None:
    network = make_network()
    network.doublings[0].weight.mul_(1e5)
    network.last.weight.mul_(1e-5)
    x = stack(5)
    single = posterior(network, x, 6)
    decoder = PassDecoder(network, 4, torch.float16)
    with pytest.warns(RuntimeWarning, match="too large for half precision"):
        half = posterior(network, x, 6, decoder=decoder)
    np.testing.assert_allclose(half.mean, single.mean, atol=1e-5)
    posterior(network, x, 6, decoder=decoder)  # and does not try, or warn, again


def test_fewer_passes_are_decoded_at_once_when_memory_runs_out() -> None:
    network, x = make_network(), stack(5)
    small = SmallMemory(network, passes=3)
    result = posterior(network, x, 9, decoder=PassDecoder(small, 8))
    assert small.batches == [2, 2, 2, 2, 1]
    np.testing.assert_allclose(result.mean, posterior(network, x, 9).mean, atol=1e-6)


@pytest.mark.parametrize(
    "words",
    ["cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "GET was unable to find an engine to execute"],
)
def test_a_full_card_is_known_by_what_its_libraries_say(words: str) -> None:
    assert out_of_memory(RuntimeError(words))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_what_worked_is_remembered() -> None:
    network, x = make_network(), stack(5)
    small = SmallMemory(network, passes=2)
    decoder = PassDecoder(small, 4)
    posterior(network, x, 4, decoder=decoder)
    posterior(network, x, 4, decoder=decoder)
    assert decoder.at_once == 2
    assert small.batches == [2, 2, 2, 2]


def test_no_memory_for_a_single_pass_is_told() -> None:
    network = make_network()
    decoder = PassDecoder(SmallMemory(network, passes=0), 8)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        posterior(network, stack(5), 4, decoder=decoder)


def test_passes_at_once_fill_half_of_the_memory_and_no_more_than_is_of_use() -> None:
    assert passes_at_once(1e9, 10e9) == 5
    assert passes_at_once(1e9, 1e9) == 1
    assert passes_at_once(1e6, 100e9) == 32
    assert passes_at_once(1e9, 100e9) == 8


def test_a_processor_decodes_one_pass_after_the_other() -> None:
    assert decoder_for(make_network(), CPU, 1e6).at_once == 1


def test_halves_of_a_tile_are_made_of_its_blocks_and_read_a_full_halo() -> None:
    (tile,) = cover(((10, 100), (0, 64)), 128, 7, (200, 200), block=32)
    upper, lower = halves(tile, 7)
    assert {*upper.blocks, *lower.blocks} == {*tile.blocks}
    assert upper.write == ((10, 64), (0, 64))
    assert lower.write == ((64, 100), (0, 64))
    assert upper.read == ((3, 71), (0, 71))
    assert lower.read == ((57, 107), (0, 71))


def test_halves_of_a_strided_tile_begin_at_multiples_of_the_stride() -> None:
    (tile,) = cover(((32, 160), (0, 32)), 128, 13, (200, 202), stride=4)
    for half in halves(tile, 13, 4):
        assert all(end % 4 == 0 for ends in half.read for end in ends)


def test_a_block_cannot_be_halved() -> None:
    (tile,) = cover(((0, 20), (0, 20)), 32, 3, (40, 40))
    assert halves(tile, 3) == [tile]


def test_halves_put_together_are_the_tile() -> None:
    network, whole = make_network(), ((0, 64), (0, 96))
    x = torch.rand((5, 64, 96), generator=torch.Generator().manual_seed(1))
    (tile,) = cover(whole, 96, network.radius, (64, 96))
    expected = posterior(network, x, "auto", read=tile.read, blocks=tile.blocks)
    parts = halves(tile, network.radius)
    results = []
    for part in parts:
        (j0, j1), (i0, i1) = part.read
        results.append(
            posterior(network, x[:, j0:j1, i0:i1], "auto", read=part.read, blocks=part.blocks)
        )
    result = joined(results, [part.blocks for part in parts], tile.blocks, network.scale)
    assert result.passes == expected.passes
    np.testing.assert_allclose(result.mean, expected.mean, atol=1e-5)
    np.testing.assert_allclose(result.variance, expected.variance, atol=1e-5, rtol=1e-3)


def test_a_tile_too_large_for_the_card_is_run_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    model, settings = make_model(), Settings(samples=5)
    noise = np.random.default_rng(0).normal(200, 400, (3, 70, 100))
    ct = Volume(noise.astype(np.float32), (0.5, 0.3, 0.3))
    plan = plan_work(ct, model, ((1, 2), (0, 70), (0, 100)), settings)
    expected = inferred(plan, model, settings, CPU)
    tried = []

    def on_a_small_card(network: Any, planes: Tensor, *arguments: Any, **more: Any) -> Any:
        tried.append(planes[0].numel())
        if planes[0].numel() > 50 * 50:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory.")
        return posterior(network, planes, *arguments, **more)

    monkeypatch.setattr(inference, "posterior", on_a_small_card)
    result = inferred(plan, model, settings, CPU)
    assert len(tried) > 4
    np.testing.assert_allclose(result.mean, expected.mean, atol=0.05)  # HU
    np.testing.assert_allclose(result.uncertainty, expected.uncertainty, atol=0.05)
    assert result.passes_mean == expected.passes_mean


def test_a_card_too_small_for_a_block_is_told_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, settings = make_model(), Settings(samples=5)
    plan = plan_work(Volume(np.zeros((1, 9, 9)), (0.5, 0.3, 0.3)), model, ONE_BLOCK, settings)

    def on_no_card(*_: Any, **__: Any) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(inference, "posterior", on_no_card)
    with pytest.raises(ResourceError, match=r"ran out of memory; choose a smaller box.*\.$"):
        inferred(plan, model, settings, CPU)


def test_what_is_made_ahead_comes_in_order_and_one_step_early() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(5):
            made.append(number)
            yield number

    for number in itertools.islice(made_ahead(items()), 4):
        assert made[number] == number
    assert list(made_ahead(items())) == [0, 1, 2, 3, 4]


def test_an_error_while_making_ahead_is_raised_at_its_item() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    source = made_ahead(items())
    assert next(source) == 1
    with pytest.raises(ValueError, match="the second"):
        next(source)


def test_on_a_processor_nothing_is_copied_or_made_ahead() -> None:
    array = np.arange(6, dtype=np.float32)
    assert np.shares_memory(sent(array, CPU).numpy(), array)
    assert np.shares_memory(fetched(torch.from_numpy(array)), array)
    numbers = iter([1, 2])
    assert next(ahead(numbers, CPU)) == 1
    assert next(numbers) == 2
