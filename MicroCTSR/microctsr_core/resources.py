"""What a run needs, compared before it starts with what this computer has."""

from __future__ import annotations

import math
import os
import shutil
from bisect import bisect_right
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from .cost import Footprint, Needs, needs
from .errors import ResourceError
from .memory import free_memory_bytes
from .model import Model
from .networks import Generator
from .posterior import has_dropout
from .preparation import whole_box
from .volume import Box, Volume

# A layer's input, output, and the library's rearranged copies of both.
_LAYER_COPIES = 5
# The library's rearranged copies hold channels in groups, the last of which is filled up.
_CHANNEL_GROUP = 16
_BYTES = 4
_PROBE = 32


def footprint(model: Model) -> Footprint:
    """What of a model decides on the work; its working memory is measured on a small input."""
    network = model.network
    return Footprint(
        scale=model.scale,
        network_scale=network.scale,
        in_slices=network.in_slices,
        radius=network.radius,
        decode_radius=getattr(network, "decode_radius", network.radius),
        stride=getattr(network, "stride", 1),
        dropout=has_dropout(network),
        layer_bytes=layer_bytes(network),
    )


def estimate(
    ct: Volume,
    model: Model,
    box: Box | None = None,
    scale_mode: str = "in-plane",
    tile: int | None = None,
) -> Needs:
    """What super-resolving a box needs, beyond the scan and the model that are already there.

    Args:
        ct: the scan.
        model: the model.
        box: voxels to super-resolve; the whole scan by default.
        scale_mode: ``"in-plane"`` or ``"isotropic"``.
        tile: edge of a tile in pixels of the network's input grid.
    """
    return needs(ct.shape, ct.spacing, box, footprint(model), scale_mode, tile)


def check_memory(
    ct: Volume,
    model: Model,
    box: Box | None = None,
    scale_mode: str = "in-plane",
    tile: int | None = None,
    available_bytes: int | None = None,
) -> Needs:
    """Make sure that a run fits into the memory that is free (or ``available_bytes``).

    Raises:
        GeometryError: the box reaches outside the scan.
        ResourceError: it does not fit; names a box around the same centre that would.
    """
    if available_bytes is None:
        available_bytes = free_memory_bytes()
    return _check(ct, model, box, scale_mode, tile, "memory", available_bytes, "free")


def check_disk(
    ct: Volume,
    model: Model,
    folder: str | os.PathLike[str],
    box: Box | None = None,
    scale_mode: str = "in-plane",
    available_bytes: int | None = None,
) -> Needs:
    """Make sure that the results fit onto the disk of the output folder.

    Args:
        folder: where results are to go; it need not exist yet.
        available_bytes: bytes free there; asked of the system by default.

    Raises:
        GeometryError: the box reaches outside the scan.
        ResourceError: they do not fit; names a box around the same centre whose results would.
    """
    if available_bytes is None:
        available_bytes = _free_disk_bytes(folder)
    return _check(ct, model, box, scale_mode, None, "disk", available_bytes, f"free in {folder}")


def check_streaming(
    told: Needs, folder: str | os.PathLike[str], processes: int = 1, written_bytes: int = 0
) -> None:
    """Make sure that a run that streams fits into free memory, and onto the disk of a folder.

    Args:
        told: what a process of it needs.
        folder: where the results go; it need not exist yet.
        processes: on this computer, each of which needs that memory.
        written_bytes: of the disk that the run has taken already.

    Raises:
        ResourceError: it does not fit; says what would help.
    """
    free = free_memory_bytes()
    if told.memory * processes > free:
        fewer = "fewer workers or " if processes > 1 else ""
        raise ResourceError(
            f"The run needs about {gigabytes(told.memory * processes)} of memory, but only "
            f"{gigabytes(free)} are free; choose {fewer}a smaller tile, such as --tile 32."
        )
    free = _free_disk_bytes(folder) + written_bytes
    if told.disk > free:
        raise ResourceError(
            f"The run needs about {gigabytes(told.disk)} of disk, but only {gigabytes(free)} are "
            f"free in {folder}; choose another folder or a smaller box."
        )


def resolve_device(device: str) -> torch.device:
    """The device of a name: ``"auto"`` takes CUDA where there is one, else the CPU.

    Raises:
        ResourceError: the device is not there, or the name is none.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda") or (number and not number.isdigit()):
        raise ResourceError(f"There is no device {device!r}; choose auto, cpu or cuda.")
    if kind == "cuda" and int(number or 0) >= torch.cuda.device_count():
        raise ResourceError(
            f"The device {device!r} was asked for, but this computer has "
            f"{torch.cuda.device_count()} CUDA devices that PyTorch can use; choose auto or cpu."
        )
    return torch.device(device)


def _check(
    ct: Volume,
    model: Model,
    box: Box | None,
    scale_mode: str,
    tile: int | None,
    kind: str,
    available: int,
    where: str,
) -> Needs:
    plain = footprint(model)
    box = ct.check_box(box or whole_box(ct.shape))
    told = needs(ct.shape, ct.spacing, box, plain, scale_mode, tile)
    if getattr(told, kind) <= available:
        return told

    def need(thousandths: int) -> int:
        smaller = _shrunk(box, thousandths / 1000)
        return int(getattr(needs(ct.shape, ct.spacing, smaller, plain, scale_mode, tile), kind))

    start = (
        f"The result needs about {gigabytes(getattr(told, kind))} of {kind}, but only "
        f"{gigabytes(available)} are {where}"
    )
    # The largest share of the box's edges that fits, to a thousandth.
    share = bisect_right(range(1, 1000), available, key=need)
    if share == 0:
        raise ResourceError(f"{start}, too little for any box; free some {kind} first.")
    fitting = ",".join(f"{first}:{last}" for first, last in _shrunk(box, share / 1000))
    raise ResourceError(f"{start}; the box {fitting} would fit.")


def _free_disk_bytes(folder: str | os.PathLike[str]) -> int:
    existing = Path(folder).expanduser().absolute()
    while not existing.exists():
        existing = existing.parent
    return shutil.disk_usage(existing).free


def layer_bytes(network: Generator) -> float:
    """Working memory per input pixel, measured on a small input.

    That is the largest layer's, and what stays encoded from pass to pass.
    """
    largest = 0

    def note(_module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        nonlocal largest
        for value in (*inputs, output):
            if isinstance(value, Tensor) and value.ndim == 4:
                channels = -(-value.shape[1] // _CHANNEL_GROUP) * _CHANNEL_GROUP
                largest = max(largest, channels * math.prod(value.shape[2:]))

    module = cast(nn.Module, network)
    stride = getattr(network, "stride", 1)
    edge = -(-_PROBE // stride) * stride
    handles = [layer.register_forward_hook(note) for layer in module.modules()]
    try:
        with torch.inference_mode():
            parameter = next(module.parameters())
            x = torch.zeros(1, network.in_slices, edge, edge).to(parameter.device)
            encoded = network.encode(x)
            network.decode(encoded, None)
    finally:
        for handle in handles:
            handle.remove()
    kept = sum(part.numel() for part in encoded)
    return _BYTES * (_LAYER_COPIES * largest + kept) / edge**2


def _shrunk(box: Box, share: float) -> Box:
    """A box around the same centre with edges shorter by a factor, of at least one voxel."""
    ranges = []
    for first, last in box:
        length = max(1, math.floor(share * (last - first)))
        start = first + (last - first - length) // 2
        ranges.append((start, start + length))
    return (ranges[0], ranges[1], ranges[2])


def gigabytes(count: int) -> str:
    """A number of bytes as people say it."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
