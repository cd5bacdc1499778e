"""Seconds of a slice by this library, and by the plain pipeline from a part of the slice."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..inference import Inferred, Plan, Progress, Settings, infer, plan_work
from ..masks import channel_masks
from ..memory import free_memory_bytes
from ..model import Model
from ..networks.rewriting import rewrite
from ..posterior import Samples
from ..reconstruction import PATCH, matched_to_input, patches, smoothed
from ..resources import layer_bytes
from ..speed import now
from ..tiles import relative
from ..volume import Box, Volume
from .memory import watched_memory
from .plain import BATCH, PlainResNet, as_batch, plain_passes, region_of_plane
from .subjects import middle_of

_GEMM_EDGE = 4096
_REPEATS = 3
_PROBE = 64
_TIMED_PASSES = 2  # of the plain pipeline


def gemm_rate(device: torch.device) -> float:
    """Floating-point operations per second of a large single-precision matrix product, at best."""
    one, other = (torch.randn(_GEMM_EDGE, _GEMM_EDGE, device=device) for _ in range(2))
    torch.mm(one, other)
    times = []
    for _ in range(_REPEATS):
        start = now(device)
        torch.mm(one, other)
        times.append(now(device) - start)
    return 2 * _GEMM_EDGE**3 / min(times)


@dataclass(frozen=True)
class Timed:
    """Planes of a scan, how long they took, and what else there is to know about it.

    Args:
        planes: the results.
        plan: of the work.
        seconds: from the scan to the planes.
        peak_bytes: the most memory held meanwhile.
    """

    planes: list[Inferred]
    plan: Plan
    seconds: float
    peak_bytes: int

    @property
    def passes(self) -> float:
        """Mean over the planes."""
        return float(np.mean([plane.passes for plane in self.planes]))


def timed(
    scan: Volume,
    model: Model,
    samples: Samples,
    device: torch.device,
    box: Box | None = None,
    progress: Progress | None = None,
) -> Timed:
    """Super-resolve a box of a scan, by default its middle slice."""
    settings = Settings(samples=samples, tile=whole_tile(scan, model))
    with watched_memory(device) as peak:
        start = now(device)
        plan = plan_of(scan, model, settings, box)
        planes = list(infer(plan, model, settings, device, progress))
        seconds = now(device) - start
    return Timed(planes, plan, seconds, peak.bytes)


def convolution_operations(model: Model, pixels: int, passes: int) -> float:
    """Floating-point operations of the convolutions that so many passes over a slice want.

    Dropped channels are left out, and what no mask changes is counted once. Every convolution
    counts by its definition, however it is computed.

    Args:
        model: with a network on the high grid, its normalisations fixed.
        pixels: of the slice.
        passes: over it.
    """
    network: Any = deepcopy(model.network)
    rewrite(network, wide=False)
    x = torch.zeros(1, network.in_slices, _PROBE, _PROBE)
    with FlopCounterMode(display=False) as counter:  # with gradients, nothing is rearranged
        encoded = network.encode(x)
        for number in range(passes):
            network.decode(
                encoded, [torch.from_numpy(m) for m in channel_masks(network, 0, number)]
            )
    return float(counter.get_total_flops() * pixels / _PROBE**2)


def plan_of(
    scan: Volume, model: Model, settings: Settings | None = None, box: Box | None = None
) -> Plan:
    """The work for a box of a scan, by default its middle slice."""
    return plan_work(scan, model, box or middle_of(scan), settings or Settings())


def whole_tile(scan: Volume, model: Model) -> int | None:
    """A tile as large as the slice for a network on the high grid, whose halos are wide.

    ``None`` for others, and where there is not memory enough.
    """
    if model.network.scale > 1:
        return None
    edge = model.scale * max(scan.shape[1:])
    return edge if layer_bytes(model.network) * edge**2 < free_memory_bytes() / 2 else None


@dataclass(frozen=True)
class Plain:
    """What the plain pipeline costs, from a few patches and passes.

    Args:
        windows: patches of the slice.
        per_pass: seconds of one pass over one patch.
        per_patch: seconds of what else is done with a patch.
        per_slice: seconds of what is done once.
        peak_bytes: the most memory held while it was timed.
    """

    windows: int
    per_pass: float
    per_patch: float
    per_slice: float
    peak_bytes: int

    def seconds(self, passes: int) -> float:
        """Of a whole slice."""
        return self.windows * (passes * self.per_pass + self.per_patch) + self.per_slice

    def averaged(self, other: Plain) -> Plain:
        """The mean of this and another measurement of the same slice."""
        return Plain(
            self.windows,
            (self.per_pass + other.per_pass) / 2,
            (self.per_patch + other.per_patch) / 2,
            (self.per_slice + other.per_slice) / 2,
            max(self.peak_bytes, other.peak_bytes),
        )

    def told(self) -> dict[str, Any]:
        """For the answer: what was measured, and how the rest follows."""
        return {
            "patches": self.windows,
            "seconds_per_patch_and_pass": self.per_pass,
            "peak_memory_bytes": self.peak_bytes,
            "measured": f"{_TIMED_PASSES} passes over {BATCH} patches of {PATCH} x {PATCH}, before "
            f"and after ours; a slice is scaled from that by its patches and passes",
        }


def plain_seconds(model: Model, plane: NDArray[np.float32], device: torch.device) -> Plain:
    """Time the plain pipeline on a few patches of an interpolated slice."""
    resnet: Any = model.network
    network: nn.Module = PlainResNet(resnet).to(device)
    region = region_of_plane(plane)
    tiles = patches(region)
    few = [plane[relative(tile.read, region)] for tile in tiles[:BATCH]]
    batch = as_batch(few, device)
    plain_passes(network, batch, 1)
    with watched_memory(device) as peak:
        start = now(device)
        mean, _ = plain_passes(network, batch, _TIMED_PASSES)
        between = now(device)
        for generated, patch in zip(mean[:, 0].cpu().numpy(), few, strict=True):
            matched_to_input(generated, patch)
        matched = now(device)
        smoothed(plane)
        ended = now(device)
    return Plain(
        len(tiles),
        (between - start) / (_TIMED_PASSES * len(few)),
        (matched - between) / len(few),
        ended - matched,
        peak.bytes,
    )
