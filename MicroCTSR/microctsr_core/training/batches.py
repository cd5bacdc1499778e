"""Batches of patches, drawn from memory-mapped cases; every patch from its own place in the run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

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
from .config import AcrossLosses, BatchSettings, Config
from .domains import Domains, HighCase, LowCase, Scan

Case = TypeVar("Case", LowCase, HighCase)
Item = TypeVar("Item")
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
        since: of a domain, the first step with patches of it; it is left out before.
    """

    def __init__(
        self,
        draws: Mapping[str, Draw],
        slots: Mapping[str, Sequence[int]],
        since: Mapping[str, int] | None = None,
    ) -> None:
        self._draws, self._slots, self._since = draws, slots, since or {}

    def __getitem__(self, step: int) -> dict[str, dict[str, Tensor]]:
        batch = {}
        for domain, draw in self._draws.items():
            if step < self._since.get(domain, 0):
                continue
            patches = [draw(step, slot) for slot in self._slots[domain]]
            batch[domain] = {
                name: torch.from_numpy(np.stack([patch[name] for patch in patches]))
                for name in (patches[0] if patches else ())
            }
        return batch


def draws_of(config: Config, domains: Domains) -> dict[str, Draw]:
    """How patches are drawn for a method, of cases that are :func:`large_enough`."""
    augmentation = Augmentation(config.augmentation)
    if config.method != "cyclegan":
        return {"high": HighImages(config, domains.high, augmentation)}
    if isinstance(config.losses, AcrossLosses):
        return {
            "low": LowStacks(config, domains.low, augmentation),
            "high": HighPairs(config, domains.high, augmentation),
        }
    return {
        "low": LowImages(config, domains.low, augmentation),
        "high": HighImages(config, domains.high, augmentation),
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
        self._places = patch_places(config, shapes, "high")

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
        scale = config.data.scale
        shapes = [
            (slices, rows * scale, columns * scale)
            for slices, rows, columns in (case.scan.array.shape for case in cases)
        ]
        self._places = patch_places(config, shapes, "low")

    def __call__(self, step: int, slot: int) -> Patch:
        coin = generator(self._config.seed, step, slot, "low patch")
        number, plane, rows, columns = self._places(step, slot, coin)
        image = on_high_grid(
            self._cases[number].scan.array[plane], rows, columns, self._config.data.scale
        )
        return self._augmentation.of_low({"image": image[None]}, coin)


Place: TypeAlias = tuple[int, int, slice, slice]
"""Number of the case, slice, rows, columns."""
Shape: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class Anywhere:
    """Patches lie anywhere in the cases' images (slices, rows, columns)."""

    shapes: Sequence[Shape]
    patch: int

    def __call__(self, _step: int, _slot: int, coin: np.random.Generator) -> Place:
        number = int(coin.integers(len(self.shapes)))
        slices, *plane = self.shapes[number]
        state = np.random.RandomState(coin.integers(2**32, dtype=np.uint64))
        rows, columns = get_random_patch(plane, (self.patch, self.patch), state)
        return number, int(coin.integers(slices)), rows, columns


class OnGrid:
    """Patches lie on the paper's grid; those chosen of it are gone through in rounds.

    Args:
        shapes: of the cases' images (slices, rows, columns).
        batch: edge, stride and number of patches.
        size: patches of this domain in a batch.
        seed: of the run.
        domain: whose patches these are.
    """

    def __init__(
        self, shapes: Sequence[Shape], batch: BatchSettings, size: int, seed: int, domain: str
    ) -> None:
        assert batch.stride is not None
        edges, strides = (batch.patch, batch.patch), (batch.stride, batch.stride)
        self._grids = [dense_patch_slices(plane, edges, strides) for _, *plane in shapes]
        counts = [shape[0] * len(grid) for shape, grid in zip(shapes, self._grids, strict=True)]
        self._ends = np.cumsum(counts)
        every = int(self._ends[-1])
        coin = generator(seed, 0, 0, f"{domain} patches")
        self._chosen = coin.choice(every, min(batch.patches or every, every), replace=False)
        self._size, self._seed, self._domain = size, seed, domain
        self._round = -1

    def __call__(self, step: int, slot: int, _coin: np.random.Generator) -> Place:
        round_, place = divmod(step * self._size + slot, len(self._chosen))
        if round_ != self._round:
            coin = generator(self._seed, round_, 0, f"{self._domain} order")
            self._order, self._round = coin.permutation(self._chosen), round_
        number = int(self._order[place])
        case = int(np.searchsorted(self._ends, number, side="right"))
        before = int(self._ends[case - 1]) if case else 0
        plane, cell = divmod(number - before, len(self._grids[case]))
        rows, columns = self._grids[case][cell]
        return case, plane, rows, columns


def patch_places(config: Config, shapes: Sequence[Shape], domain: str) -> Anywhere | OnGrid:
    """Where the patches of a domain lie in the cases' images, on the high grid."""
    batch = config.batch
    if batch.stride is None:
        return Anywhere(shapes, batch.patch)
    size = batch.size if domain == "high" else batch.low_size or batch.size
    return OnGrid(shapes, batch, size, config.seed, domain)


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

    A cubic spline's weights fall by 0.27 from slice to slice, to 0.005 after four.
    """
    return 4 + math.ceil((planes // 2) * scan.spacing[1] / scan.spacing[0])


def _place(plane: NDArray, size: int, coin: np.random.Generator) -> tuple[slice, slice]:
    """A patch of a plane; of two candidates mostly the one with more to see."""
    state = np.random.RandomState(coin.integers(2**32, dtype=np.uint64))
    candidates = [get_random_patch(plane.shape, (size, size), state) for _ in range(2)]
    contrast = [plane[place].astype(np.float32).std() for place in candidates]
    better = int(np.argmax(contrast))
    rows, columns = candidates[better if coin.random() < 0.8 else 1 - better]
    return rows, columns


def _pick(items: Sequence[Item], coin: np.random.Generator) -> Item:
    return items[int(coin.integers(len(items)))]


def _times(place: slice, scale: int) -> slice:
    return slice(place.start * scale, place.stop * scale)


def _area_sampled(planes: NDArray, scale: int) -> NDArray[np.float32]:
    count, rows, columns = planes.shape
    blocks = planes.astype(np.float32).reshape(count, rows // scale, scale, columns // scale, scale)
    return blocks.mean(axis=(2, 4))


def large_enough(config: Config, domains: Domains) -> Domains:
    """The domains without training cases whose slices are smaller than a patch, which are noted.

    Raises:
        MicroCTSRError: no case of a domain is as large as a patch, or, with ``data.strict``, one
            is not.
    """
    patch, scale = config.batch.patch, config.data.scale
    low, low_notes = _large(domains.low, patch // scale, config.data.strict)
    high, high_notes = _large(domains.high, patch, config.data.strict)
    return replace(domains, low=low, high=high, notes=(*domains.notes, *low_notes, *high_notes))


def _large(cases: Sequence[Case], patch: int, strict: bool) -> tuple[tuple[Case, ...], list[str]]:
    large, notes = [], []
    for case in cases:
        rows, columns = image_of(case).array.shape[1:]
        if min(rows, columns) >= patch:
            large.append(case)
            continue
        notes.append(
            f"Left out: {case.name} has slices of {rows} x {columns} pixels, smaller than a patch "
            f"of {patch} x {patch}; give larger images, or a smaller batch.patch."
        )
    if not large or (strict and notes):
        raise MicroCTSRError(notes[0].removeprefix("Left out: "))
    return tuple(large), notes


def image_of(case: LowCase | HighCase) -> Scan:
    """A case's own image: the clinical scan, or the micro-CT."""
    return case.image if isinstance(case, HighCase) else case.scan
