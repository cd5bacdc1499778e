"""Running a network over a box of a scan: plane by plane, tile by tile, pass by pass.

Memory grows neither with the number of passes (each tile is encoded once, its passes are decoded
one after the other, and only their running moments are kept) nor with the number of planes: each
is handed on before the next is begun.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .air import air_of
from .cost import AUTO_PASSES, default_tile
from .errors import Cancelled, MicroCTSRError, ResourceError
from .masks import ChannelMasks, ElementMasks, MaskSource
from .model import Model
from .moments import Stopping
from .networks import Generator
from .networks.rewriting import rewrite
from .passes import decoder_for, out_of_memory
from .planes import PlaneStacks, input_refinement
from .posterior import Posterior, Samples, joined, posterior
from .preparation import Intensity, fine_factors
from .reconstruction import PatchAverage, matched_to_input, patches, smoothed
from .resources import footprint, layer_bytes
from .threads import fitting_threads
from .tiles import Region, Tile, area, bounds, cover, halves, part_of, region_of, relative
from .transfer import ahead, sent
from .volume import Box, Volume

ScaleMode: TypeAlias = Literal["in-plane", "isotropic"]
Preset: TypeAlias = Literal["default", "paper"]
Progress: TypeAlias = Callable[[float, str], None]
Cancel: TypeAlias = Callable[[], bool]

PAPER_PASSES = 100
# Passes that differ by less than this agree to a reader of CT, however badly it is known.
_NEGLIGIBLE_HU = 1.0
INFERENCE_SHARE = 0.98
"""Of the progress bar; the rest is for what follows."""


@dataclass(frozen=True)
class Settings:
    """How a box is super-resolved; see :func:`superresolution.superresolve` for the meaning."""

    samples: Samples = "auto"
    seed: int = 0
    scale_mode: ScaleMode = "in-plane"
    tile: int | None = None
    preset: Preset = "default"
    tolerance: float = 0.15

    def check(self, model: Model) -> None:
        """Make sure that the settings make sense, for this model.

        Raises:
            MicroCTSRError: names the setting and its choices.
        """
        if self.samples != "auto" and not _is_whole(self.samples, 1):
            raise MicroCTSRError(
                f"samples is 'auto' or a whole number of passes from 1, not {self.samples!r}."
            )
        if not _is_whole(self.seed, 0):
            raise MicroCTSRError(f"The seed is a whole number from 0, not {self.seed!r}.")
        if self.tile is not None and not _is_whole(self.tile, 1):
            raise MicroCTSRError(f"The tile is a whole number of pixels, not {self.tile!r}.")
        if not self.tolerance > 0:
            raise MicroCTSRError(f"The tolerance is a number above 0, not {self.tolerance!r}.")
        for value, choices in (
            (self.scale_mode, ("in-plane", "isotropic")),
            (self.preset, ("default", "paper")),
        ):
            if value not in choices:
                raise MicroCTSRError(f"{value!r} is none of the choices {', '.join(choices)}.")
        if self.preset == "paper" and (model.network.scale, model.network.in_slices) != (1, 1):
            raise MicroCTSRError(
                f"The paper preset needs a network that maps one slice on the high grid to "
                f"another, such as resnet; the model {model.name!r} is not one."
            )


@dataclass(frozen=True)
class Plan:
    """What is read and written, all of it known before the first pass.

    Args:
        stacks: the network's input for each output plane, read when it is asked for.
        intensity: scaling fitted to the whole scan.
        region: the box in pixels of the network's input grid.
        tiles: the region in pieces, in the order of the work.
        read: what the tiles read together: the region of the stacks.
        factors: fine voxels per voxel along (k, j, i).
        first_plane: number of the box's first fine slice, counted from the scan's first.
    """

    stacks: PlaneStacks
    intensity: Intensity
    region: Region
    tiles: list[Tile]
    read: Region
    factors: tuple[int, int, int]
    first_plane: int


@dataclass(frozen=True)
class Inferred:
    """One output plane of a box.

    Args:
        number: of the plane, counted from the box's first.
        mean: over passes, in HU, (j, i).
        uncertainty: standard deviation over passes, times the model's ``uncertainty_scale``, in HU.
        passes: mean number of passes over the plane.
    """

    number: int
    mean: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    passes: float


def plan_work(
    ct: Volume, model: Model, box: Box, settings: Settings, on_card: bool = False
) -> Plan:
    """Cut a box into planes and tiles, and fit the intensity scaling to the whole scan.

    A run ``on_card`` has larger tiles, unless the settings say how large.
    """
    network = model.network
    region = region_of(box, input_refinement(model))
    if settings.preset == "paper":
        tiles = patches(region)
    else:
        edge = settings.tile or default_tile(footprint(model), on_card)
        stride, refinement = getattr(network, "stride", 1), input_refinement(model)
        shape = refinement * ct.shape[1], refinement * ct.shape[2]
        tiles = cover(region, edge, network.radius, shape, stride)
    read = bounds(tile.read for tile in tiles)
    factors = fine_factors(ct.spacing, model.scale, settings.scale_mode)
    intensity = model.intensity.fitted(ct.array)
    stacks = PlaneStacks(ct, model, intensity, box, factors[0], read)
    return Plan(stacks, intensity, region, tiles, read, factors, box[0][0] * factors[0])


def infer(
    plan: Plan,
    model: Model,
    settings: Settings,
    device: torch.device,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    planes: Sequence[int] | None = None,
) -> Iterator[Inferred]:
    """Run the passes of every tile of one plane after the other.

    A plane's numbers are the same whichever other planes are asked for, bit for bit on the CPU.

    Args:
        planes: numbers of the planes wanted, counted from the box's first; all of them by default.

    Raises:
        Cancelled: ``cancel`` returned true.
        ResourceError: the device ran out of memory.
    """
    planes = range(plan.stacks.count) if planes is None else planes
    reconstruct = _paper_plane if settings.preset == "paper" else _plane
    watch = Watch(plan, settings, progress, cancel, planes)
    with network_on(device, model) as network:
        sampler = TileSampler(network, device, plan, settings, watch)
        stacks = (sent(plan.stacks.stack(number), device) for number in planes)
        made = (
            (number, *reconstruct(sampler, stack, number))
            for number, stack in zip(planes, ahead(stacks, device), strict=True)
        )
        for number, scaled, variance, passes in ahead(made, device):
            mean = plan.intensity.inverse(scaled)
            uncertainty = _deviation(variance, plan.intensity.span * model.uncertainty_scale)
            yield Inferred(number, mean, uncertainty, passes)


class Watch:
    """Tells the caller how far the work is, and asks whether to go on, after every pass."""

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        progress: Progress | None,
        cancel: Cancel | None,
        planes: Sequence[int],
    ) -> None:
        self._progress = progress
        self._cancel = cancel
        self._planes = planes
        self._tiles = len(plan.tiles)
        self._count = plan.stacks.count
        self._done = 0
        self._passes = 0
        # Until the first tile tells better.
        guess = AUTO_PASSES if settings.samples == "auto" else settings.samples
        self._guess = float(guess)

    def after_pass(self, passes: int) -> None:
        """Note that a tile has seen its first ``passes`` passes."""
        if self._cancel is not None and self._cancel():
            raise Cancelled("The run was cancelled; nothing was written.")
        self._passes += 1
        self._tell(min(passes / self._guess, 1.0))

    def after_tile(self) -> None:
        """Note that a tile is done."""
        self._done += 1
        self._guess = max(1.0, self._passes / self._done)
        self._tell(0.0)

    def _tell(self, share_of_tile: float) -> None:
        if self._progress is not None:
            fraction = (self._done + share_of_tile) / (self._tiles * len(self._planes))
            plane = self._planes[min(self._done // self._tiles, len(self._planes) - 1)]
            message = f"Slice {plane + 1} of {self._count}"
            self._progress(INFERENCE_SHARE * min(fraction, 1.0), message)


class TileSampler:
    """Runs the passes of one tile after the other, with masks that belong to the whole volume."""

    def __init__(
        self,
        network: Generator,
        device: torch.device,
        plan: Plan,
        settings: Settings,
        watch: Watch,
    ) -> None:
        self.network = network
        self.plan = plan
        self._device = device
        self._settings = settings
        self._watch = watch
        self._halo, self._stride = network.radius, getattr(network, "stride", 1)
        self._channel_masks = ChannelMasks(network, settings.seed, device)
        self._stopping = Stopping(settings.tolerance, floor=_NEGLIGIBLE_HU / plan.intensity.span)
        pixels = max(area(tile.read) for tile in plan.tiles)
        self._decoder = decoder_for(network, device, layer_bytes(network) * pixels)
        self._air = None
        if settings.preset == "default" and settings.samples == "auto":
            self._air = air_of(
                network, plan.intensity, lambda planes, tile: self._sampled(planes, 0, tile)
            )

    def sample(self, stack: Tensor, number: int, tile: Tile) -> Posterior:
        """Mean and variance of a tile of plane ``number``, whose stack is given whole."""
        planes = stack[(slice(None), *relative(tile.read, self.plan.read))]
        air = self._air.levels(planes, tile) if self._air is not None else {}
        busy = tuple(block for block in tile.blocks if block not in air)
        if self._air is None or not air:
            result = self._sampled(planes, number, tile)
        else:
            parts = [part_of(tile, busy, self._halo, self._stride)] if busy else []
            results = [self._sampled(_of(planes, tile, part), number, part) for part in parts]
            # Blocks of air come last: they may lie in the rectangle around the others.
            results += [self._air.answer(*each, self._device) for each in air.items()]
            owned = [part.blocks for part in parts] + [(block,) for block in air]
            result = joined(results, owned, tile.blocks, self.network.scale)
        self._watch.after_tile()
        return result

    def _sampled(self, planes: Tensor, number: int, tile: Tile) -> Posterior:
        """The passes of a tile, at once or in halves if the graphics card has no memory for that.

        ``planes`` are those that the tile reads.
        """
        try:
            return posterior(
                self.network,
                planes,
                self._samples(),
                masks=self._masks(number, tile.read),
                read=tile.read,
                blocks=tile.blocks,
                stopping=self._stopping,
                after_pass=self._watch.after_pass,
                decoder=self._decoder,
            )
        except RuntimeError as error:
            parts = halves(tile, self._halo, self._stride)
            if len(parts) == 1 or not out_of_memory(error):
                raise
        return joined(
            [self._sampled(_of(planes, tile, part), number, part) for part in parts],
            [part.blocks for part in parts],
            tile.blocks,
            self.network.scale,
        )

    def _samples(self) -> Samples:
        if self._settings.preset == "paper" and self._settings.samples == "auto":
            return PAPER_PASSES
        return self._settings.samples

    def _masks(self, number: int, read: Region) -> MaskSource:
        if getattr(self.network, "dropout", "channel") != "element":
            return self._channel_masks
        sheet: tuple[int, ...] = (self.plan.first_plane + number,)
        if self._settings.preset == "paper":
            # The paper's patches overlap and know nothing of each other.
            sheet += (read[0][0], read[1][0])
        return ElementMasks(self.network, self._settings.seed, sheet, self._device)


def _of(planes: Tensor, tile: Tile, part: Tile) -> Tensor:
    """What a part of a tile reads of the tile's planes."""
    return planes[(slice(None), *relative(part.read, tile.read))]


Plane: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32], float]
"""Mean and variance of a plane in scaled units, and its mean number of passes."""


def _plane(sampler: TileSampler, stack: Tensor, number: int) -> Plane:
    """Tiles with halos, side by side."""
    plan, scale = sampler.plan, sampler.network.scale
    shape = _extent(plan.region, scale)
    mean, variance = np.empty(shape, np.float32), np.empty(shape, np.float32)
    passes = 0.0
    for tile in plan.tiles:
        result = sampler.sample(stack, number, tile)
        place = relative(tile.write, plan.region, scale)
        mean[place], variance[place] = result.mean, result.variance
        areas = (np.prod(_extent(block)) for block in tile.blocks)
        passes += sum(n * int(area) for n, area in zip(result.passes, areas, strict=True))
    return mean, variance, passes / float(np.prod(_extent(plan.region)))


def _paper_plane(sampler: TileSampler, stack: Tensor, number: int) -> Plane:
    """Overlapping patches, each matched to its input; averaged, then median-filtered."""
    plan = sampler.plan
    mean, variance = PatchAverage(plan.region), PatchAverage(plan.region)
    passes: list[int] = []
    for patch in plan.tiles:
        result = sampler.sample(stack, number, patch)
        input_patch = stack[0][relative(patch.read, plan.read)].cpu().numpy()
        mean.add(matched_to_input(result.mean, input_patch), patch.write)
        variance.add(result.variance, patch.write)
        passes += result.passes
    return smoothed(mean.result()), variance.result(), float(np.mean(passes))


@contextmanager
def network_on(device: torch.device, model: Model) -> Iterator[Generator]:
    """A copy of the model's network for inference, on a device and in full single precision."""
    module = copy.deepcopy(cast(nn.Module, model.network))
    rewrite(module, wide=device.type == "cpu")
    # TF32 keeps ten bits of the mantissa, which shows between tiles of different size.
    exact = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    try:
        module.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        with exact, fitting_threads():
            yield cast(Generator, module)
    except RuntimeError as error:
        if not out_of_memory(error):
            raise
        raise ResourceError(
            "The graphics card ran out of memory; choose a smaller box, or the device cpu."
        ) from None


def _deviation(variance: NDArray[np.float32], unit_hu: float) -> NDArray[np.float32]:
    """Standard deviation in HU of a variance in units of so many HU."""
    deviation: NDArray[np.float32] = (np.sqrt(variance) * unit_hu).astype(np.float32)
    return deviation


def _extent(region: Region, scale: int = 1) -> tuple[int, int]:
    (j0, j1), (i0, i1) = region
    return (j1 - j0) * scale, (i1 - i0) * scale


def _is_whole(value: Any, least: int) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and value >= least
