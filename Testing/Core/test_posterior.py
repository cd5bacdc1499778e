"""Monte-Carlo dropout: masks, running moments and the stopping rule, against numpy."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from microctsr_core.masks import ChannelMasks, ElementMasks, channel_masks
from microctsr_core.moments import Moments, Stopping, settled
from microctsr_core.posterior import posterior
from toy_models import make_network

CPU = torch.device("cpu")


def stack(size: int = 12) -> Tensor:
    return torch.rand((5, size, size), generator=torch.Generator().manual_seed(1))


def explicit_passes(network: nn.Module, x: Tensor, passes: int, seed: int = 0) -> np.ndarray:
    """Every pass computed from scratch and kept, shape (passes, rows, columns)."""
    planes = []
    for number in range(passes):
        masks = [torch.from_numpy(mask) for mask in channel_masks(network, seed, number)]
        planes.append(network(x[None], masks)[0, 0].numpy())
    return np.stack(planes).astype(np.float64)


def test_masks_keep_the_mean_and_drop_at_the_rate() -> None:
    network = make_network("resnet", filters=64, dropout_rate=0.3)
    masks = [mask for number in range(40) for mask in channel_masks(network, 0, number)]
    values = np.concatenate(masks)
    assert set(np.unique(values)) == {np.float32(0), np.float32(1 / 0.7)}
    # 20480 draws: the mean scatters by 0.65 / sqrt(20480) = 0.005
    assert values.mean() == pytest.approx(1, abs=0.02)


def test_seed_and_pass_alone_fix_the_masks() -> None:
    network = make_network("resnet", filters=8)
    first = channel_masks(network, 3, 5)
    # Other passes drawn in between change nothing.
    channel_masks(network, 3, 6)
    for again, mask in zip(channel_masks(network, 3, 5), first, strict=True):
        np.testing.assert_array_equal(again, mask)
    drawn = {
        np.concatenate(channel_masks(network, s, p)).tobytes() for s in range(5) for p in range(5)
    }
    assert len(drawn) == 25


def test_masks_never_change_between_versions() -> None:
    """Results of an older version can be had again: these draws are part of the format."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence((7, 2))))
    expected = (rng.random(8) < 0.8) / np.float32(0.8)
    np.testing.assert_array_equal(channel_masks(make_network(), 7, 2)[0], expected)


def test_mean_and_variance_are_numpys_over_explicit_passes() -> None:
    network, x = make_network(), stack()
    result = posterior(network, x, 12, seed=4)
    planes = explicit_passes(network, x, 12, seed=4)
    np.testing.assert_allclose(result.mean, planes.mean(axis=0), atol=2e-6)
    np.testing.assert_allclose(result.variance, planes.var(axis=0), atol=1e-6, rtol=1e-4)
    assert result.passes == (12,)
    assert result.variance.max() > 1e-4


def test_the_encoder_runs_once_however_many_passes() -> None:
    network = make_network()
    calls = []
    network.stem.register_forward_hook(lambda *_: calls.append(1))
    posterior(network, stack(), 9, seed=0)
    assert len(calls) == 1


def test_running_moments_are_those_of_scipy() -> None:
    values = np.random.default_rng(0).gamma(2, size=(30, 50))
    moments = Moments(powers=4)
    for row in values:
        moments.add(torch.from_numpy(row))
    np.testing.assert_allclose(moments.mean, values.mean(axis=0))
    np.testing.assert_allclose(moments.variance, values.var(axis=0))
    for power in (3, 4):
        expected = stats.moment(values, power, axis=0)
        np.testing.assert_allclose(moments.central(power), expected, atol=1e-12)


def test_single_precision_is_enough_for_a_small_spread_around_a_large_mean() -> None:
    # Bone at 1500 HU with an uncertainty of 4 HU, in scaled units, and a first pass far off.
    values = 0.625 + 0.001 * np.random.default_rng(0).standard_normal((100, 400))
    values[0] += 0.01
    single = values.astype(np.float32)
    moments = Moments(powers=2)
    for row in single:
        moments.add(torch.from_numpy(row))
    np.testing.assert_allclose(moments.mean, single.astype(float).mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(moments.variance, single.astype(float).var(axis=0), rtol=1e-3)


def test_the_error_of_the_variance_is_scipys_k_statistic() -> None:
    values = np.random.default_rng(1).exponential(size=(25, 1, 1))
    moments = Moments(powers=4)
    for row in values:
        moments.add(torch.from_numpy(row))
    error, k2 = stats.kstatvar(values.ravel(), 2), stats.kstat(values.ravel(), 2)
    expected = 0.5 * np.sqrt(error / (k2**2 - error))
    assert moments.relative_errors([(slice(0, 1), slice(0, 1))], 0.0) == [pytest.approx(expected)]


@pytest.mark.parametrize("kind", ["normal", "exponential", "two values"])
def test_the_error_told_is_the_scatter_between_repeated_runs(kind: str) -> None:
    """The meaning of the tolerance: run again with other seeds, and see how far s scatters."""
    rng = np.random.default_rng(2)
    draw = {
        "normal": lambda size: rng.normal(size=size),
        "exponential": lambda size: rng.exponential(size=size),
        "two values": lambda size: rng.integers(0, 2, size=size).astype(float),
    }[kind]
    values = draw((24, 100, 150))
    moments = Moments(powers=4)
    for row in values:
        moments.add(torch.from_numpy(row))
    variances = values.var(axis=0, ddof=1)
    scatter = 0.5 * variances.std() / variances.mean()
    whole = (slice(0, 100), slice(0, 150))
    assert moments.relative_errors([whole], 0.0) == [pytest.approx(scatter, rel=0.1)]


def test_normal_samples_stop_after_the_passes_of_the_textbook_formula() -> None:
    # 1 / sqrt(2 (n - 1)) <= 0.15 from n = 24 on
    rng = np.random.default_rng(3)
    moments, stopping = Moments(powers=4), Stopping(tolerance=0.15)
    whole = (slice(0, 100), slice(0, 200))
    while settled(moments, [whole], stopping) == [False]:
        moments.add(torch.from_numpy(rng.normal(size=(100, 200))))
    assert 23 <= moments.count <= 25


def test_auto_takes_at_least_10_and_at_most_100_passes() -> None:
    network, x = make_network(), stack(6)
    assert posterior(network, x, "auto", stopping=Stopping(tolerance=10)).passes == (10,)
    assert posterior(network, x, "auto", stopping=Stopping(tolerance=1e-6)).passes == (100,)


def test_a_smaller_tolerance_takes_more_passes() -> None:
    network, x = make_network(dropout_blocks=2), stack(6)
    counts = [
        posterior(network, x, "auto", stopping=Stopping(tolerance=t)).passes[0]
        for t in (0.3, 0.15, 0.1)
    ]
    assert counts == sorted(counts)
    assert counts[0] < counts[2]


def test_auto_is_as_near_to_100_passes_as_its_tolerance_says() -> None:
    """What the tolerance promises, over many seeds: the same masks, and masks of another seed."""
    network, x, tolerance = make_network(width=16, dropout_blocks=2), stack(6), 0.15
    squares = {0: [], 50: []}
    for seed in range(30):
        auto = posterior(network, x, "auto", seed, stopping=Stopping(tolerance))
        assert auto.passes[0] < 60
        for further, found in squares.items():
            whole = posterior(network, x, 100, seed + further)
            error, size = auto.variance - whole.variance, np.mean(whole.variance**2)
            found.append(np.mean(error**2) / size / 4)
    same, other = (np.sqrt(np.mean(found)) for found in squares.values())
    assert same < tolerance
    # Two runs that know nothing of each other: 100 normal passes have an error of 0.071 themselves.
    assert other < 1.2 * np.hypot(tolerance, 1 / np.sqrt(2 * 99))


def test_uncertainty_below_the_floor_needs_no_further_pass() -> None:
    network, x = make_network(), stack(6)
    assert posterior(network, x, "auto", stopping=Stopping(floor=1e3)).passes == (10,)


def test_blocks_stop_on_their_own_and_keep_what_they_had() -> None:
    network, x = make_network(), stack(24)
    read, blocks = ((0, 24), (0, 24)), [((4, 12), (4, 20)), ((12, 20), (4, 20))]
    stopping = Stopping(tolerance=0.08)
    both = posterior(network, x, "auto", seed=1, read=read, blocks=blocks, stopping=stopping)
    assert len(set(both.passes)) == 2, "choose a tolerance at which the two differ"
    for number, block in enumerate(blocks):
        alone = posterior(network, x, "auto", seed=1, read=read, blocks=[block], stopping=stopping)
        assert alone.passes == (both.passes[number],)
        part = slice(number * 64, number * 64 + 64)
        np.testing.assert_allclose(alone.mean, both.mean[part], atol=1e-6)
        np.testing.assert_allclose(alone.variance, both.variance[part], atol=1e-6)


def test_a_network_without_dropout_is_run_once_and_has_no_variance() -> None:
    network = make_network("resnet", dropout="none")
    x = stack()[:1]
    result = posterior(network, x, 50)
    assert result.passes == (1,)
    assert result.variance.max() == 0
    np.testing.assert_allclose(result.mean, network(x[None])[0, 0], atol=1e-7)


def test_element_masks_are_the_same_again_and_differ_between_passes_and_sheets() -> None:
    network = make_network("resnet", filters=8, dropout="element", dropout_rate=0.5)
    region = ((-8, 24), (0, 48))
    sheet, other = (ElementMasks(network, 0, (n,), CPU) for n in (3, 4))
    first, again, second = (sheet(n, region) for n in (0, 0, 1))
    assert [mask.shape for mask in first] == [(1, 32, 8, 12)] * 2
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], second[0])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other(0, region)[0])
    assert first[0].mean().item() == pytest.approx(1, abs=0.1)


def test_element_masks_belong_to_places_whatever_tile_covers_them() -> None:
    network = make_network("resnet", filters=8, dropout="element", dropout_rate=0.5)
    masks = ElementMasks(network, 0, (3,), CPU)
    whole = masks(5, ((-200, 200), (-40, 300)))
    part = masks(5, ((-8, 144), (100, 240)))
    for mine, theirs in zip(part, whole, strict=True):
        # Sites lie on a grid four times coarser.
        assert torch.equal(mine, theirs[:, :, 48:86, 35:70])
    assert not torch.equal(whole[0][:, :, :32, :32], whole[0][:, :, 32:64, 32:64])


def test_memory_for_masks_does_not_grow_with_the_passes() -> None:
    network = make_network()
    masks = ChannelMasks(network, 7, CPU)
    assert masks(3)[0] is masks(3)[0]  # drawn once, for every tile that the volume has
    tracemalloc.start()
    for pass_number in range(100, 5_000):
        masks(pass_number)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 20_000
    for mine, fixed in zip(masks(4_321), channel_masks(network, 7, 4_321), strict=True):
        np.testing.assert_array_equal(mine, fixed)


def test_stopping_bounds_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="4 <= minimum <= maximum"):
        Stopping(minimum=20, maximum=10)
