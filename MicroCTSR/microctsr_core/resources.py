"""What a run needs, told before it starts: memory, disk, and the device.

Estimates are upper bounds from the sizes of the arrays that a run really holds; they do not grow
with the number of passes.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from bisect import bisect_right
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import psutil
import torch
from torch import Tensor, nn

from .errors import ResourceError
from .model import Model
from .networks import Generator
from .planes import input_refinement, input_region
from .preparation import SPLINE_REACH, fine_factors, whole_box
from .tiles import bounds, cover
from .volume import Box, Volume

# Mean and uncertainty, and the copy that a file format makes of one while it is written.
_HELD_VOLUMES = 3
_WRITTEN_VOLUMES = 2
_BYTES = 4
# The plane at work: its mean and variance, put together and turned into HU in double precision.
_PLANE_BYTES = 5 * 8
# Double-precision moments of a tile, with the pass that is being added.
_MOMENTS_BYTES = 6 * 8
# A layer's input, output, and the library's rearranged copies of both.
_LAYER_COPIES = 5
_PROBE = 32
# Where Linux tells a container its limit and its use, in which files read lately count as used:
# control groups of version 2 and 1.
_CONTAINER_MEMORY = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current", "inactive_file"),
    (
        Path("/sys/fs/cgroup/memory"),
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
)


@dataclass(frozen=True)
class Needs:
    """Bytes of memory during a run, and bytes on disk for its results (uncompressed)."""

    memory: int
    disk: int


def default_tile(model: Model) -> int:
    """Tile edge in pixels of the network's input grid: large tiles waste little on their halo."""
    return 128 if model.network.scale > 1 else 512


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
    return _needs(ct, model, box or whole_box(ct), scale_mode, tile, _layer_bytes(model.network))


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
        existing = Path(folder).expanduser().absolute()
        while not existing.exists():
            existing = existing.parent
        available_bytes = shutil.disk_usage(existing).free
    return _check(ct, model, box, scale_mode, None, "disk", available_bytes, f"free in {folder}")


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


def free_memory_bytes() -> int:
    """Memory that this process may still take: the computer's, or what its container has left."""
    free = int(psutil.virtual_memory().available)
    for folder, limit, usage, cache in _CONTAINER_MEMORY:
        try:
            ceiling, used = (int((folder / name).read_text()) for name in (limit, usage))
            lines = (folder / "memory.stat").read_text().splitlines()
            reclaimable = int(dict(line.split() for line in lines)[cache])
        except (OSError, ValueError, KeyError):
            continue  # no container, or one without a limit
        free = min(free, max(0, ceiling - used + reclaimable))
    return free


def peak_memory_bytes() -> int:
    """The most memory this process has held so far, in bytes."""
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # exists on Unix only

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak  # kilobytes on Linux


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
    layer_bytes = _layer_bytes(model.network)
    box = ct.check_box(box or whole_box(ct))
    needs = _needs(ct, model, box, scale_mode, tile, layer_bytes)
    if getattr(needs, kind) <= available:
        return needs

    def need(thousandths: int) -> int:
        smaller = _shrunk(box, thousandths / 1000)
        return int(getattr(_needs(ct, model, smaller, scale_mode, tile, layer_bytes), kind))

    start = (
        f"The result needs about {_gigabytes(getattr(needs, kind))} of {kind}, but only "
        f"{_gigabytes(available)} are {where}"
    )
    # The largest share of the box's edges that fits, to a thousandth.
    share = bisect_right(range(1, 1000), available, key=need)
    if share == 0:
        raise ResourceError(f"{start}, too little for any box; free some {kind} first.")
    fitting = ",".join(f"{first}:{last}" for first, last in _shrunk(box, share / 1000))
    raise ResourceError(f"{start}; the box {fitting} would fit.")


def _needs(
    ct: Volume, model: Model, box: Box, scale_mode: str, tile: int | None, layer_bytes: float
) -> Needs:
    network = model.network
    factors = fine_factors(ct.spacing, model.scale, scale_mode)
    extents = [last - first for first, last in box]
    fine_voxels = math.prod(extents) * math.prod(factors)
    refinement = input_refinement(model)
    stride = getattr(network, "stride", 1)
    region = input_region(model, box)
    tiles = cover(region, tile or default_tile(model), network.radius, stride)
    read = max(_area(piece.read) for piece in tiles)
    written = max(_area(piece.write) for piece in tiles) * network.scale**2
    margin = 2 * (network.radius // refinement + SPLINE_REACH)
    slab = math.prod(n + margin for n in extents)
    stack = network.in_slices * _area(bounds(tiles))
    memory = (
        _HELD_VOLUMES * _BYTES * fine_voxels
        + _PLANE_BYTES * fine_voxels // (extents[0] * factors[0])
        + 3 * _BYTES * slab  # in single precision, and in double while it is scaled
        + 3 * _BYTES * stack  # interpolated, padded, and on its way to the device
        + int(layer_bytes * read)
        + _MOMENTS_BYTES * written
    )
    return Needs(memory, _WRITTEN_VOLUMES * _BYTES * fine_voxels + _BYTES * math.prod(extents))


def _layer_bytes(network: Generator) -> float:
    """Working memory per input pixel: that of the largest layer, measured on a small input."""
    largest = 0

    def note(_module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal largest
        if isinstance(output, Tensor):
            largest = max(largest, output.numel())

    module = cast(nn.Module, network)
    handles = [layer.register_forward_hook(note) for layer in module.modules()]
    try:
        with torch.inference_mode():
            parameter = next(module.parameters())
            network(torch.zeros(1, network.in_slices, _PROBE, _PROBE).to(parameter.device))
    finally:
        for handle in handles:
            handle.remove()
    return _LAYER_COPIES * _BYTES * largest / _PROBE**2


def _shrunk(box: Box, share: float) -> Box:
    """A box around the same centre with edges shorter by a factor, of at least one voxel."""
    ranges = []
    for first, last in box:
        length = max(1, math.floor(share * (last - first)))
        start = first + (last - first - length) // 2
        ranges.append((start, start + length))
    return (ranges[0], ranges[1], ranges[2])


def _area(region: tuple[tuple[int, int], tuple[int, int]]) -> int:
    (j0, j1), (i0, i1) = region
    return (j1 - j0) * (i1 - i0)


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
