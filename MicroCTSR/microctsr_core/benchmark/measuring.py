"""The measurements of ``microctsr benchmark``, one after the other in one run.

What would take hours is timed on a part and scaled, and the answer says so: the plain pipeline on
a few patches and passes, since all of its patches and passes cost the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ..errors import MicroCTSRError
from ..inference import PAPER_PASSES, Inferred, Plan, Settings, infer, plan_work
from ..masks import channel_masks
from ..model import Model, load_model
from ..posterior import Samples
from ..reconstruction import PATCH, matched_to_input, patches, smoothed
from ..resources import resolve_device
from ..speed import device_name, now
from ..tiles import relative
from ..volume import Volume
from .memory import memory_growth
from .others import other_ways
from .plain import BATCH, PlainResNet, as_batch, plain_passes, region_of_plane
from .subjects import middle_of, paper_model, slab_of

Progress: TypeAlias = Callable[[float, str], None]

_GEMM_EDGE = 2048
_REPEATS = 5
_FEW_PASSES = 4  # for the comparison with a whole slice, and for the growth with passes
_TIMED_PASSES = 2  # of the plain pipeline
_SCALE = 8


@dataclass(frozen=True)
class Timed:
    """A slice, how long it took, and the floating-point operations of its convolutions."""

    plane: Inferred
    plan: Plan
    seconds: float
    operations: int


def measure(
    edge: int = 1024,
    passes: int = 16,
    device: str = "auto",
    progress: Progress | None = None,
    memory: bool = True,
) -> dict[str, Any]:
    """Measure the speed of one output slice, beside the paper's pipeline in the same run.

    Args:
        edge: of the output slice in pixels; a multiple of 8, at least 256.
        passes: of the comparison at the same number of passes.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        progress: called with the fraction done and a message.
        memory: whether peak memory is measured too, in processes of its own.

    Returns:
        Plain values that JSON can hold. ``exact``: same weights, same passes, mean and variance
        compared with the network run on the whole slice. ``adaptive``: dropout in the last three
        blocks and ``"auto"``, against 100 plain passes. ``default``: the bundled model and
        ``"auto"``, against 100 plain passes of the paper's network. Each has a ``ratio``.

    Raises:
        MicroCTSRError: the edge or the passes make no sense; ResourceError: no such device.
    """
    if edge < PATCH or edge % _SCALE or passes < 2:
        raise MicroCTSRError(
            f"The benchmark takes a slice of {PATCH} pixels or more, a multiple of {_SCALE}, and "
            f"2 passes or more, not {edge} and {passes}."
        )
    target, tell = resolve_device(device), progress or (lambda _fraction, _message: None)
    scan = slab_of(edge // _SCALE)
    tell(0.0, "Matrix products")
    rate = gemm_rate(target)
    tell(0.02, "The paper's network, calibrated")
    every, last = paper_model(), paper_model(dropout_blocks=3)
    tell(0.06, "The paper's pipeline, patch by patch")
    plane = plan_of(scan, every).stacks.stack(0)[0]
    plain = plain_seconds(every, plane, target)
    tell(0.15, f"The same network, {passes} passes")
    exact = _exact(scan, every, passes, plain, rate, target, tell)
    tell(0.55, "Dropout in three blocks, as many passes as needed")
    adaptive = _against(timed(scan, last, "auto", target), plain_seconds(last, plane, target))
    tell(0.8, "The bundled model")
    timed(scan, load_model(), "auto", target)  # the first run also fills caches
    default = _against(timed(scan, load_model(), "auto", target), plain)
    tell(0.82, "The paper's pipeline in other hands")
    others = other_ways(PlainResNet(_resnet(every)).to(target), plane, target, plain.windows)
    answer = {
        "device": device_name(target),
        "threads": torch.get_num_threads(),
        "slice": [edge, edge],
        "gemm_gflops": rate / 1e9,
        "gemm_fraction": exact["gemm_fraction"],
        "exact": exact,
        "adaptive": adaptive,
        "default": default,
        "others": others,
        "plain": plain.told(),
    }
    if target.type == "cpu":
        tell(0.88, "With one core")
        answer["cores"] = _growth_with_cores(every, target)
    if memory:
        tell(0.92, "Memory")
        answer["memory"] = memory_growth(target)
    tell(1.0, "Done")
    return answer


@dataclass(frozen=True)
class Plain:
    """What the plain pipeline costs, from a few patches and passes.

    Args:
        windows: patches of the slice.
        per_pass: seconds of one pass over one patch.
        per_patch: seconds of what else is done with a patch.
        per_slice: seconds of what is done once.
    """

    windows: int
    per_pass: float
    per_patch: float
    per_slice: float

    def seconds(self, passes: int) -> float:
        """Of a whole slice."""
        return self.windows * (passes * self.per_pass + self.per_patch) + self.per_slice

    def told(self) -> dict[str, Any]:
        """For the answer: what was measured, and how the rest follows."""
        return {
            "patches": self.windows,
            "seconds_per_patch_and_pass": self.per_pass,
            "measured": f"{_TIMED_PASSES} passes over {BATCH} patches of {PATCH} x {PATCH}; a "
            f"slice is scaled from that by its patches and passes",
        }


def gemm_rate(device: torch.device) -> float:
    """Floating-point operations per second of a large single-precision matrix product."""
    one, other = (torch.randn(_GEMM_EDGE, _GEMM_EDGE, device=device) for _ in range(2))
    torch.mm(one, other)
    times = []
    for _ in range(_REPEATS):
        start = now(device)
        torch.mm(one, other)
        times.append(now(device) - start)
    return 2 * _GEMM_EDGE**3 / float(np.median(times))


def plan_of(scan: Volume, model: Model, settings: Settings | None = None) -> Plan:
    """The work for the middle slice of a scan."""
    return plan_work(scan, model, middle_of(scan), settings or Settings())


def timed(scan: Volume, model: Model, samples: Samples, device: torch.device) -> Timed:
    """Super-resolve the middle slice of a scan, counting what its convolutions compute."""
    settings = Settings(samples=samples)
    counter = FlopCounterMode(display=False)
    start = now(device)
    plan = plan_of(scan, model, settings)
    with counter:
        (plane,) = infer(plan, model, settings, device)
    return Timed(plane, plan, now(device) - start, counter.get_total_flops())


def plain_seconds(model: Model, plane: NDArray[np.float32], device: torch.device) -> Plain:
    """Time the plain pipeline on a few patches of an interpolated slice."""
    network: nn.Module = PlainResNet(_resnet(model)).to(device)
    region = region_of_plane(plane)
    tiles = patches(region)
    few = [plane[relative(tile.read, region)] for tile in tiles[:BATCH]]
    batch = as_batch(few, device)
    plain_passes(network, batch, 1)
    start = now(device)
    mean, _ = plain_passes(network, batch, _TIMED_PASSES)
    between = now(device)
    for generated, patch in zip(mean[:, 0].cpu().numpy(), few, strict=True):
        matched_to_input(generated, patch)
    matched = now(device)
    smoothed(plane)
    return Plain(
        len(tiles),
        (between - start) / (_TIMED_PASSES * len(few)),
        (matched - between) / len(few),
        now(device) - matched,
    )


def whole_slice(
    model: Model, plane: NDArray[np.float32], passes: int, device: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance by the network as it is, on the whole slice, with the same masks."""
    network = _resnet(model).to(device)
    x = torch.from_numpy(plane)[None, None].to(device)
    drawn = []
    with torch.inference_mode():
        for number in range(passes):
            masks = channel_masks(network, 0, number)
            # A mask for each sample: nothing is left out of the computation.
            rows = [torch.from_numpy(mask)[None].to(device) for mask in masks]
            drawn.append(network(x, rows)[0, 0].double().cpu().numpy())
    network.cpu()
    return np.mean(drawn, axis=0), np.var(drawn, axis=0)


def _exact(
    scan: Volume,
    model: Model,
    passes: int,
    plain: Plain,
    rate: float,
    device: torch.device,
    tell: Progress,
) -> dict[str, Any]:
    many = timed(scan, model, passes, device)
    tell(0.35, "The same network on the whole slice at once, to compare")
    few = timed(scan, model, _FEW_PASSES, device)
    expected = whole_slice(model, few.plan.stacks.stack(0)[0], _FEW_PASSES, device)
    intensity = few.plan.intensity
    found = intensity.forward(few.plane.mean), (few.plane.uncertainty / intensity.span) ** 2
    errors = [
        float(np.abs(ours - theirs).max() / np.ptp(theirs))
        for ours, theirs in zip(found, expected, strict=True)
    ]
    return {
        **_compared(many, plain.seconds(passes), passes),
        "gemm_fraction": many.operations / many.seconds / rate,
        "mean_error_of_range": errors[0],
        "variance_error_of_range": errors[1],
        "seconds_by_passes": {_FEW_PASSES: few.seconds, passes: many.seconds},
    }


def _against(ours: Timed, plain: Plain) -> dict[str, Any]:
    return _compared(ours, plain.seconds(PAPER_PASSES), PAPER_PASSES)


def _compared(ours: Timed, plain_seconds: float, plain_passes: int) -> dict[str, Any]:
    return {
        "ratio": plain_seconds / ours.seconds,
        "seconds_per_slice": {"plain": plain_seconds, "ours": ours.seconds},
        "passes": {"plain": plain_passes, "ours": ours.plane.passes},
    }


def _growth_with_cores(model: Model, device: torch.device) -> dict[str, float]:
    """Seconds of a small slice with one thread, and with as many as there are."""
    threads, scan = torch.get_num_threads(), slab_of(PATCH // _SCALE)
    seconds = {}
    try:
        for count in sorted({1, threads}):
            torch.set_num_threads(count)
            timed(scan, model, _TIMED_PASSES, device)
            seconds[str(count)] = timed(scan, model, _FEW_PASSES, device).seconds
    finally:
        torch.set_num_threads(threads)
    return seconds


def _resnet(model: Model) -> Any:
    return model.network
