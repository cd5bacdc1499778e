"""Freezing instance normalisation, so that a network's tiles agree.

A network with instance normalisation divides every tile by the tile's own mean and spread, so
neighbouring tiles differ in brightness and a result depends on how the work was cut. Here the
statistics of every layer are taken from whole slices once, and kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .errors import Cancelled, MicroCTSRError, ModelError, ResourceError
from .importing import UNCALIBRATED
from .inference import Cancel, Progress, network_on
from .io.checks import check_image
from .masks import ChannelMasks, ElementMasks, MaskSource
from .memory import free_memory_bytes
from .model import Model
from .networks import Generator, build
from .planes import PlaneStacks, input_refinement
from .posterior import has_dropout
from .preparation import Intensity, whole_box
from .resources import footprint, resolve_device
from .tiles import BLOCK, cover, region_of
from .volume import Box, Volume

# Dropout changes the statistics of the layers after it, so they are taken as passes have them.
_PASSES = 4
# Pixels of the network's input along an edge, below which a slice says little.
_LEAST_EDGE = 32


def calibrate(
    model: Model,
    scans: Sequence[Volume],
    name: str,
    *,
    box: Box | None = None,
    slices: int = 8,
    device: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
) -> Model:
    """Freeze the instance normalisation of a model on slices like those it is to super-resolve.

    Every slice is run whole, and each layer's mean and variance are averaged over the slices.
    From one slice, the calibrated network computes on it what the network did before.

    Args:
        model: with a network whose ``norm`` is ``"instance"``.
        scans: clinical CT, in the units the model takes.
        name: of the calibrated model.
        box: part of each scan to look at, such as the ear; the whole scan when ``None``.
        slices: how many of each scan, evenly spread.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        seed: of the dropout masks.
        progress: called with the fraction done and a message.
        cancel: asked after every slice; returning true ends the work.

    Returns:
        A model that is not saved yet, with ``norm`` ``"frozen"``.

    Raises:
        ModelError: the network has no instance normalisation.
        MicroCTSRError: a scan or the box does not serve; ``Cancelled`` when asked to.
        ResourceError: a slice needs more memory than is free.
    """
    arguments = model.card["network"]["arguments"]
    if arguments.get("norm") != "instance":
        raise ModelError(
            f"The model {model.name!r} has no instance normalisation to freeze; its tiles agree "
            f"as it is."
        )
    if not scans or slices < 1:
        raise MicroCTSRError("Calibrating needs at least one scan and one slice; give more.")
    target = resolve_device(device)
    layer_bytes = footprint(model).layer_bytes
    chosen = [_planes(scan, box, slices) for scan in scans]
    for planes in chosen:
        _check_slice(model, planes[0], layer_bytes)
    total, done = sum(len(planes) for planes in chosen), 0
    with network_on(target, model) as network, _watched(network) as statistics:
        for scan, planes in zip(scans, chosen, strict=True):
            intensity = model.intensity.fitted(scan.array)
            for plane in planes:
                if progress is not None:
                    progress(done / total, f"Slice {done + 1} of {total}")
                if cancel is not None and cancel():
                    raise Cancelled("The calibration was cancelled; nothing was written.")
                stack = _stack(model, scan, intensity, plane)
                _run(network, torch.from_numpy(stack).to(target), seed, done)
                done += 1
    return _frozen(model, statistics, name, {"scans": len(scans), "whole_slices": total})


class _Statistics:
    """Running average of a layer's mean and variance per channel."""

    def __init__(self) -> None:
        self.count = 0
        self.mean = self.variance = torch.zeros(())

    def add(self, x: Tensor) -> None:
        """Add one whole slice's, (1, C, H, W); each slice counts the same."""
        x = x[0].double().flatten(1)
        self.count += 1
        mean, variance = x.mean(dim=1).cpu(), x.var(dim=1, correction=0).cpu()
        self.mean = self.mean + (mean - self.mean) / self.count
        self.variance = self.variance + (variance - self.variance) / self.count


@contextmanager
def _watched(network: Generator) -> Iterator[dict[str, _Statistics]]:
    """Statistics of what goes into each instance normalisation, by the layer's name."""
    module = cast(nn.Module, network)
    layers = {n: m for n, m in module.named_modules() if isinstance(m, nn.InstanceNorm2d)}
    statistics = {name: _Statistics() for name in layers}
    handles = [
        layer.register_forward_pre_hook(
            lambda _layer, inputs, name=name: statistics[name].add(inputs[0])
        )
        for name, layer in layers.items()
    ]
    try:
        yield statistics
    finally:
        for handle in handles:
            handle.remove()


def _planes(scan: Volume, box: Box | None, slices: int) -> list[Box]:
    """Boxes of one slice each, evenly spread over the box."""
    check_image(scan)
    (k0, k1), rows, columns = scan.check_box(box or whole_box(scan.shape))
    count = min(slices, k1 - k0)
    chosen = [k0 + (2 * n + 1) * (k1 - k0) // (2 * count) for n in range(count)]
    return [((k, k + 1), rows, columns) for k in chosen]


def _check_slice(model: Model, plane: Box, layer_bytes: float) -> None:
    """Make sure that a slice is neither too small to say much nor too large for the memory."""
    refinement = input_refinement(model)
    extents = [stop - start for start, stop in plane[1:]]
    if min(extents) * refinement < _LEAST_EDGE:
        least = -(-_LEAST_EDGE // refinement)
        raise MicroCTSRError(
            f"Slices of {extents[0]} x {extents[1]} voxels are too small to calibrate on; give a "
            f"scan or a box of at least {least} x {least}."
        )
    needed, free = layer_bytes * refinement**2 * math.prod(extents), free_memory_bytes()
    if needed > free:
        raise ResourceError(
            f"A slice of {extents[0]} x {extents[1]} voxels needs about {needed / 1e9:.1f} GB of "
            f"memory, but only {free / 1e9:.1f} GB are free; choose a smaller box."
        )


def _stack(model: Model, scan: Volume, intensity: Intensity, plane: Box) -> NDArray[np.float32]:
    """What the network reads of one slice: (1, in_slices, rows, columns)."""
    region = region_of(plane, input_refinement(model))
    edge = max(stop - start for start, stop in region) + BLOCK  # one tile, wherever it begins
    stride, refinement = getattr(model.network, "stride", 1), input_refinement(model)
    shape = refinement * scan.shape[1], refinement * scan.shape[2]
    (tile,) = cover(region, edge, 0, shape, stride)
    stack = PlaneStacks(scan, model, intensity, plane, 1, tile.read).stack(0)
    if stack.min() == stack.max():
        raise MicroCTSRError(
            f"Slice {plane[0][0]} is constant there, so it has no spread to calibrate on; choose "
            f"another box."
        )
    return stack[None]


def _run(network: Generator, x: Tensor, seed: int, number: int) -> None:
    """Run slice ``number`` as inference does, with its own masks."""
    with torch.inference_mode():
        encoded = network.encode(x)
        if not has_dropout(network):
            network.decode(encoded, None)
            return
        masks = _masks(network, seed, number, x)
        region = ((0, x.shape[-2]), (0, x.shape[-1]))
        for pass_number in range(_PASSES):
            network.decode(encoded, masks(number * _PASSES + pass_number, region))


def _masks(network: Generator, seed: int, number: int, x: Tensor) -> MaskSource:
    if getattr(network, "dropout", "channel") != "element":
        return ChannelMasks(network, seed, x.device)
    return ElementMasks(network, seed, (number,), x.device)


def _frozen(
    model: Model, statistics: dict[str, _Statistics], name: str, seen: dict[str, int]
) -> Model:
    """The same weights with the statistics in place, and a card that says so."""
    old = model.card
    arguments = {**old["network"]["arguments"], "norm": "frozen"}
    network = build(old["network"]["name"], **arguments)
    module = cast(nn.Module, network)
    weights = {**module.state_dict(), **cast(nn.Module, model.network).state_dict()}
    for layer, found in statistics.items():
        weights[f"{layer}.running_mean"] = found.mean.float()
        weights[f"{layer}.running_var"] = found.variance.float()
    module.load_state_dict(weights)
    limits = [old["limits"]] if isinstance(old["limits"], str) else old["limits"]
    card = {
        **old,
        "name": name,
        "network": {"name": old["network"]["name"], "arguments": arguments},
        "training": {**old["training"], "instance_norm_frozen_on": seen},
        # What was measured before does not hold for it.
        "quality": {},
        "limits": [limit for limit in limits if limit != UNCALIBRATED]
        or ["Its quality has not been measured since it was calibrated."],
    }
    return Model(network, card)
