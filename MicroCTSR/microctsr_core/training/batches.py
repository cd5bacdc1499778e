"""Batches of patches, drawn from memory-mapped cases; every patch from its own place in the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from monai.data.utils import dense_patch_slices, get_random_patch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import MicroCTSRError
from ..phantom import ClinicalScanner
from ..preparation import SPLINE_REACH, HUWindow, apply_weights, cubic_weights
from .augmentation import Augmentation
from .chance import generator
from .config import AcrossLosses, Config
from .domains import Domains, HighCase, LowCase, Scan

Patch: TypeAlias = dict[str, NDArray[np.float32]]
Draw: TypeAlias = Callable[[int, int], Patch]
"""One patch of a domain for (step, slot)."""

NODE_WEIGHTS = (1 / 6, 2 / 3, 1 / 6)
"""Of the three planes whose weighted sum is what a clinical slice averages through its depth."""

# Noise is drawn in HU; scans scaled by their own z-score are taken for such a window.
_NOMINAL = HUWindow()


class Batches(Dataset[dict[str, dict[str, Tensor]]]):
    """Batch number n of a run, as {domain: {name: (slots, ...)}}; every entry of float32.

    Args:
        draws: how a patch of each domain is drawn.
        slots: of each domain, the places in the whole batch that this process fills.
    """

    def __init__(self, draws: Mapping[str, Draw], slots: Mapping[str, Sequence[int]]) -> None:
        self._draws, self._slots = draws, slots

    def __getitem__(self, step: int) -> dict[str, dict[str, Tensor]]:
        batch = {}
        for domain, draw in self._draws.items():
            patches = [draw(step, slot) for slot in self._slots[domain]]
            batch[domain] = {
                name: torch.from_numpy(np.stack([patch[name] for patch in patches]))
                for name in (patches[0] if patches else ())
            }
        return batch


def draws_of(config: Config, domains: Domains) -> dict[str, Draw]:
    """How patches are drawn for a method.

    Raises:
        MicroCTSRError: no case of a domain is as large as a patch.
    """
    scale, batch = config.data.scale, config.batch
    augmentation = Augmentation(config.augmentation)
    if config.method != "cyclegan":
        return {"high": HighImages(config, _large(domains.high, batch.patch), augmentation)}
    if isinstance(config.losses, AcrossLosses):
        if batch.patch % scale:
            raise MicroCTSRError(
                f"batch.patch is {batch.patch}, which is no multiple of the scale {scale}; "
                f"give {batch.patch // scale * scale or scale}."
            )
        return {
            "low": LowStacks(config, _large(domains.low, batch.patch // scale), augmentation),
            "high": HighPairs(config, _large(domains.high, batch.patch), augmentation),
        }
    return {
        "low": LowImages(config, _large(domains.low, batch.patch // scale), augmentation),
        "high": HighImages(config, _large(domains.high, batch.patch), augmentation),
    }


@dataclass(frozen=True)
class LowStacks:
    """Clinical patches as three stacks of planes around three output planes.

    The output planes lie at the nodes of a three-point Gauss-Hermite rule for the scanner's blur
    through the plane, so that `NODE_WEIGHTS` times what is generated on them is what the slice in
    the middle averages. ``stacks`` (3, planes, H, W); ``sigma`` () point spread in high pixels.
    """

    config: Config
    cases: Sequence[LowCase]
    augmentation: Augmentation

    def __call__(self, step: int, slot: int) -> Patch:
        coin = generator(self.config.seed, step, slot, "low patch")
        scan = _pick(self.cases, coin).scan
        planes = self.config.network.arguments.get("in_slices", 5)
        array, depth = scan.array, scan.array.shape[0] * scan.spacing[0]
        size = self.config.batch.patch // self.config.data.scale
        spread = np.sqrt(3 * (scan.psf_sigma_mm**2 + scan.spacing[0] ** 2 / 12))
        middle = int(coin.integers(len(array)))
        centre = (middle + 0.5) * scan.spacing[0]
        rows, columns = _place(array[middle], size, coin)
        window = array[:, rows, columns]
        nodes = [np.clip(centre + shift, 0, depth) for shift in (-spread, 0.0, spread)]
        stacks = np.concatenate([through_plane(window, scan, node, planes) for node in nodes])
        stacks = self.augmentation.of_low({"stacks": stacks}, coin)["stacks"]
        stacks = stacks.reshape(3, planes, size, size)
        if coin.random() < 0.5:
            stacks = stacks[::-1, ::-1]
        sigma = scan.psf_sigma_mm / (scan.spacing[1] / self.config.data.scale)
        return {"stacks": np.ascontiguousarray(stacks), "sigma": np.asarray(sigma, np.float32)}


@dataclass(frozen=True)
class HighPairs:
    """Micro-CT patches with a clinical scan simulated from the same place.

    ``image`` (1, H, W); ``stack`` (planes, H/scale, W/scale): with ``losses.scanner`` a noisy scan,
    without it the micro-CT area-sampled in the plane.
    """

    config: Config
    cases: Sequence[HighCase]
    augmentation: Augmentation

    def __call__(self, step: int, slot: int) -> Patch:
        config = self.config
        coin = generator(config.seed, step, slot, "high patch")
        scale, planes = config.data.scale, config.network.arguments.get("in_slices", 5)
        case = _pick(self.cases, coin)
        scan = _pick(case.scans, coin)
        volume, low = case.image.array, scan.array
        plane = int(coin.integers(len(volume)))
        position = (plane + 0.5) * case.image.spacing[0]
        nearest = min(int(position / scan.spacing[0]), len(low) - 1)
        rows, columns = _place(low[nearest], config.batch.patch // scale, coin)
        image = volume[plane, _times(rows, scale), _times(columns, scale)][None]
        losses = config.losses
        if isinstance(losses, AcrossLosses) and not losses.scanner:
            wanted = plane + scale * np.arange(-(planes // 2), planes // 2 + 1)
            around = volume[:, _times(rows, scale), _times(columns, scale)]
            stack = _area_sampled(around[wanted.clip(0, len(volume) - 1)], scale)
        else:
            slab = slice(max(nearest - _reach(scan, planes), 0), nearest + _reach(scan, planes) + 1)
            noisy = self._noisy(low[slab, rows, columns].astype(np.float32), scan, step, coin)
            stack = through_plane(noisy, scan, position - slab.start * scan.spacing[0], planes)
        pair = {"image": image.astype(np.float32), "stack": stack}
        pair = self.augmentation.of_pair(pair, coin)
        if coin.random() < 0.5:
            pair["stack"] = np.ascontiguousarray(pair["stack"][::-1])
        return pair

    def _noisy(
        self, clean: NDArray[np.float32], scan: Scan, step: int, coin: np.random.Generator
    ) -> NDArray[np.float32]:
        """A patch (k, j, i) with the noise of a scanner drawn for it."""
        settings, config = self.config.augmentation, self.config
        late = step >= settings.noisy_from * config.steps
        gain = settings.scan_noise if late else min(settings.scan_noise, 1.0)
        scaling = scan.intensity if isinstance(scan.intensity, HUWindow) else _NOMINAL
        noise = ClinicalScanner.draw(coin, scan.spacing[1]).noise(scaling.inverse(clean), coin)
        return np.asarray(clean + gain / scaling.span * noise, np.float32)


class HighImages:
    """Micro-CT patches ``image`` (1, H, W), on the paper's grid or anywhere."""

    def __init__(
        self, config: Config, cases: Sequence[HighCase], augmentation: Augmentation
    ) -> None:
        self._config, self._cases, self._augmentation = config, cases, augmentation
        shapes = [case.image.array.shape for case in cases]
        self._places = patch_places(config, shapes, config.batch.patch, config.batch.stride, "high")

    def __call__(self, step: int, slot: int) -> Patch:
        coin = generator(self._config.seed, step, slot, "high patch")
        number, plane, rows, columns = self._places(step, slot, coin)
        image = self._cases[number].image.array[plane, rows, columns][None].astype(np.float32)
        return self._augmentation.of_pair({"image": image}, coin)


class LowImages:
    """Clinical patches ``image`` (1, H, W), interpolated to the high grid by cubic splines."""

    def __init__(
        self, config: Config, cases: Sequence[LowCase], augmentation: Augmentation
    ) -> None:
        self._config, self._cases, self._augmentation = config, cases, augmentation
        scale, stride = config.data.scale, config.batch.stride
        shapes = [
            (slices, rows * scale, columns * scale)
            for slices, rows, columns in (case.scan.array.shape for case in cases)
        ]
        self._places = patch_places(config, shapes, config.batch.patch, stride, "low")

    def __call__(self, step: int, slot: int) -> Patch:
        coin = generator(self._config.seed, step, slot, "low patch")
        number, plane, rows, columns = self._places(step, slot, coin)
        image = on_high_grid(
            self._cases[number].scan.array[plane], rows, columns, self._config.data.scale
        )
        return self._augmentation.of_low({"image": image[None]}, coin)


Place: TypeAlias = tuple[int, int, slice, slice]
"""Number of the case, slice, rows, columns."""


def patch_places(
    config: Config,
    shapes: Sequence[tuple[int, int, int]],
    patch: int,
    stride: int | None,
    domain: str,
) -> Callable[[int, int, np.random.Generator], Place]:
    """Where a patch lies: anywhere, or on the paper's grid, gone through once an epoch."""
    if stride is None:

        def anywhere(_step: int, _slot: int, coin: np.random.Generator) -> Place:
            number = int(coin.integers(len(shapes)))
            slices, *plane = shapes[number]
            state = np.random.RandomState(coin.integers(2**32, dtype=np.uint64))
            rows, columns = get_random_patch(plane, (patch, patch), state)
            return number, int(coin.integers(slices)), rows, columns

        return anywhere
    grids = [dense_patch_slices(plane, (patch, patch), (stride, stride)) for _, *plane in shapes]
    counts = np.array([shape[0] * len(grid) for shape, grid in zip(shapes, grids, strict=True)])
    ends = np.cumsum(counts)
    coin = generator(config.seed, 0, 0, f"{domain} patches")
    wanted = min(config.batch.patches or int(ends[-1]), int(ends[-1]))
    chosen = coin.choice(int(ends[-1]), wanted, replace=False)
    size = config.batch.size if domain == "high" else config.batch.low_size or config.batch.size

    def on_grid(step: int, slot: int, _coin: np.random.Generator) -> Place:
        round_, place = divmod(step * size + slot, wanted)
        order = np.random.default_rng([config.seed, round_]).permutation(wanted)
        number = int(chosen[order[place]])
        case = int(np.searchsorted(ends, number, side="right"))
        plane, cell = divmod(number - int(ends[case] - counts[case]), len(grids[case]))
        rows, columns = grids[case][cell]
        return case, plane, rows, columns

    return on_grid


def through_plane(
    window: NDArray, scan: Scan, position_mm: float, planes: int
) -> NDArray[np.float32]:
    """Planes one in-plane voxel apart around a position (mm from the scan's first face)."""
    half = planes // 2
    wanted = position_mm + np.arange(-half, half + 1.0) * scan.spacing[1]
    weights, (start, stop) = cubic_weights(wanted / scan.spacing[0] - 0.5, len(window))
    return np.tensordot(weights.astype(np.float32), window[start:stop].astype(np.float32), 1)


def on_high_grid(plane: NDArray, rows: slice, columns: slice, scale: int) -> NDArray[np.float32]:
    """A window of a plane on the high grid; only what its splines reach is read."""
    weights, spans = [], []
    for wanted, length in ((rows, plane.shape[0]), (columns, plane.shape[1])):
        positions = (np.arange(wanted.start, wanted.stop) + 0.5) / scale - 0.5
        first = max(int(positions[0]) - SPLINE_REACH, 0)
        last = min(int(positions[-1]) + SPLINE_REACH + 2, length)
        matrix, (start, stop) = cubic_weights(positions - first, last - first)
        weights.append(matrix)
        spans.append(slice(first + start, first + stop))
    window = plane[spans[0], spans[1]].astype(np.float32)
    return apply_weights(apply_weights(window, weights[0], axis=0), weights[1], axis=1)


def _reach(scan: Scan, planes: int) -> int:
    """Slices that a stack around a slice needs, to either side: its planes, and then some more.

    A cubic spline's weights fall by 0.27 from slice to slice, to 0.0004 after six.
    """
    return 6 + math.ceil((planes // 2) * scan.spacing[1] / scan.spacing[0])


def _place(plane: NDArray, size: int, coin: np.random.Generator) -> tuple[slice, slice]:
    """A patch of a plane; of two candidates mostly the one with more to see."""
    state = np.random.RandomState(coin.integers(2**32, dtype=np.uint64))
    candidates = [get_random_patch(plane.shape, (size, size), state) for _ in range(2)]
    contrast = [plane[place].astype(np.float32).std() for place in candidates]
    better = int(np.argmax(contrast))
    rows, columns = candidates[better if coin.random() < 0.8 else 1 - better]
    return rows, columns


def _pick(items: Sequence, coin: np.random.Generator):  # type: ignore[no-untyped-def]
    return items[int(coin.integers(len(items)))]


def _times(place: slice, scale: int) -> slice:
    return slice(place.start * scale, place.stop * scale)


def _area_sampled(planes: NDArray, scale: int) -> NDArray[np.float32]:
    count, rows, columns = planes.shape
    blocks = planes.astype(np.float32).reshape(count, rows // scale, scale, columns // scale, scale)
    return blocks.mean(axis=(2, 4))


def _large(cases: Sequence, patch: int) -> Sequence:
    """Cases whose slices hold a patch (edge in the case's own pixels)."""
    images = [case.image if isinstance(case, HighCase) else case.scan for case in cases]
    large = [
        case
        for case, image in zip(cases, images, strict=True)
        if min(image.array.shape[1:]) >= patch
    ]
    if not large:
        biggest = max((image.array.shape[1:] for image in images), key=min)
        raise MicroCTSRError(
            f"Patches of {patch} x {patch} pixels are larger than every slice of {cases[0].name} "
            f"and its domain (the largest has {biggest[0]} x {biggest[1]}); "
            f"give larger images, or a smaller batch.patch."
        )
    return large
