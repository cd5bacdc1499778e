"""The measurements of ``microctsr benchmark``, one after the other in one run.

What would take hours is timed on a part and scaled, and the answer says so: the plain pipeline on
a few patches and passes, since all of its patches and passes cost the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import MicroCTSRError
from ..inference import PAPER_PASSES, Progress
from ..masks import channel_masks
from ..model import Model, load_model
from ..reconstruction import PATCH
from ..resources import resolve_device
from ..speed import device_name
from ..volume import Volume
from .growth import growth
from .memory import memory_growth
from .others import other_ways
from .plain import PlainResNet
from .stages import Stages
from .subjects import paper_model, slab_of
from .timing import (
    Plain,
    Timed,
    convolution_operations,
    gemm_rate,
    plain_seconds,
    plan_of,
    timed,
)

_FEW_PASSES = 4  # of the comparison with a whole slice
_SCALE = 8
_GEMM = "Matrix products"
_NETWORKS = "The paper's network, calibrated"
_PLAIN = "The paper's pipeline, patch by patch"
_EXACT = "The same network, as many passes"
_WHOLE = "The same network on the whole slice at once, to compare"
_ADAPTIVE = "Dropout in three blocks, as many passes as needed"
_DEFAULT = "The bundled model"
_OTHERS = "The paper's pipeline in other hands"
_GROWTH = "More passes, more slices, more cores"
_MEMORY = "Memory of longer runs"


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
        memory: whether the growth of peak memory is measured too, in processes of its own.

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
    target, scan = resolve_device(device), slab_of(edge // _SCALE)
    stages = Stages(_costs(edge, passes, memory), progress)
    stages.begin(_GEMM)
    rate = gemm_rate(target)
    stages.begin(_NETWORKS)
    every, last, bundled = paper_model(), paper_model(dropout_blocks=3), load_model()
    stages.begin(_PLAIN)
    plane = plan_of(scan, every).stacks.stack(0)[0]
    plain = plain_seconds(every, plane, target)
    _warm_up(scan, every, target)
    many = timed(scan, every, passes, target, progress=stages.begin(_EXACT))
    # Before and after, since a computer is not as fast at all times.
    plain = plain.averaged(plain_seconds(every, plane, target))
    rate = max(rate, gemm_rate(target))
    stages.begin(_WHOLE)
    exact = {
        **_compared(many, plain, passes),
        "gemm_fraction": convolution_operations(every, edge**2, passes) / many.seconds / rate,
        **_errors(scan, every, target),
    }
    told = stages.begin(_ADAPTIVE)
    _warm_up(scan, last, target)
    adaptive = _compared(timed(scan, last, "auto", target, progress=told), plain, PAPER_PASSES)
    stages.begin(_DEFAULT)
    timed(scan, bundled, "auto", target)  # the first run also fills caches
    default = _compared(timed(scan, bundled, "auto", target), plain, PAPER_PASSES)
    stages.begin(_OTHERS)
    network: Any = every.network
    others = other_ways(PlainResNet(network).to(target), plane, target, plain.windows)
    answer = {
        "device": device_name(target),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "slice": [edge, edge],
        "gemm_gflops": rate / 1e9,
        "gemm_fraction": exact["gemm_fraction"],
        "exact": exact,
        "adaptive": adaptive,
        "default": default,
        "others": others,
        "plain": plain.told(),
        "growth": growth(scan, bundled, target, stages.begin(_GROWTH)),
    }
    if memory:
        answer["memory"] = memory_growth(target, stages.begin(_MEMORY))
    stages.end()
    return answer


def whole_slice(
    model: Model, plane: NDArray[np.float32], passes: int, device: torch.device
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance by the network as it is, on the whole slice, with the same masks."""
    network: Any = model.network
    network.to(device)
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


def _errors(scan: Volume, model: Model, device: torch.device) -> dict[str, float]:
    """How far mean and variance of a few passes are from those of the whole slice at once."""
    few = timed(scan, model, _FEW_PASSES, device)
    expected = whole_slice(model, few.plan.stacks.stack(0)[0], _FEW_PASSES, device)
    (plane,), intensity = few.planes, few.plan.intensity
    deviation = plane.uncertainty / (intensity.span * model.uncertainty_scale)
    found = intensity.forward(plane.mean), deviation**2
    mean, variance = (
        float(np.abs(ours - theirs).max() / np.ptp(theirs))
        for ours, theirs in zip(found, expected, strict=True)
    )
    return {"mean_error_of_range": mean, "variance_error_of_range": variance}


def _compared(ours: Timed, plain: Plain, passes: int) -> dict[str, Any]:
    seconds = plain.seconds(passes)
    return {
        "ratio": seconds / ours.seconds,
        "seconds_per_slice": {"plain": seconds, "ours": ours.seconds},
        "passes": {"plain": passes, "ours": ours.passes},
        "peak_memory_bytes": ours.peak_bytes,
    }


def _warm_up(scan: Volume, model: Model, device: torch.device) -> None:
    """On a graphics card, the first run also loads and chooses its programs."""
    if device.type == "cuda":
        timed(scan, model, "auto", device)


def _costs(edge: int, passes: int, memory: bool) -> dict[str, float]:
    """About how long each stage takes, in seconds of two processor cores."""
    area = (edge / 1024) ** 2
    return {
        _GEMM: 4.0,
        _NETWORKS: 6.0,
        _PLAIN: 9.0,
        _EXACT: 4.2 * area * (passes + 1) + 12.0,
        _WHOLE: 55.0 * area,
        _ADAPTIVE: 50.0 * area,
        _DEFAULT: 9.0 * area,
        _OTHERS: 10.0,
        _GROWTH: 30.0 * area,
        **({_MEMORY: 200.0} if memory else {}),
    }
