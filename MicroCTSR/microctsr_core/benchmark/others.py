"""The same pipeline put together from libraries, as their users would: MONAI, Torch-Uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..inference import PAPER_PASSES
from ..reconstruction import PATCH
from ..speed import now
from .plain import BATCH, plain_passes

_PASSES = 2
_OVERLAP = 0.5


def other_ways(
    network: nn.Module, plane: NDArray[np.float32], device: torch.device, windows: int
) -> dict[str, Any]:
    """Seconds of a slice at 100 passes by MONAI's sliding windows, scaled from a part of it.

    With the passes by a loop of one's own, and by Torch-Uncertainty's wrapper; of what is not
    installed, or does not import, the answer tells why it was not run.

    Args:
        network: with dropout layers, on the device.
        plane: interpolated slice in [0, 1], (rows, columns).
        device: that the network is on.
        windows: of the whole slice.
    """
    try:
        from monai.inferers import sliding_window_inference
    except ImportError as error:
        return {"MONAI sliding windows": {"not_run": str(error)}}
    edge = min(PATCH * 3 // 2, *plane.shape)
    part = torch.from_numpy(plane[:edge, :edge].copy())[None, None].to(device)
    answer: dict[str, Any] = {}
    for name, make in (
        ("MONAI sliding windows", _own_loop),
        ("MONAI sliding windows, Torch-Uncertainty", passes_by_wrapper),
    ):
        seen = 0
        try:
            passes = make(network)
        except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision of another build
            answer[name] = {"not_run": str(error).splitlines()[0]}
            continue

        def predictor(batch: Tensor, run: Any = passes) -> tuple[Tensor, Tensor]:
            nonlocal seen
            seen += len(batch)
            return run(batch)

        start = now(device)
        with torch.no_grad():
            sliding_window_inference(part, PATCH, BATCH, predictor, overlap=_OVERLAP)
        per_window = (now(device) - start) / seen
        answer[name] = {"seconds_per_slice": windows * per_window * PAPER_PASSES / _PASSES}
    return answer


def _own_loop(network: nn.Module) -> Any:
    return lambda batch: plain_passes(network, batch, _PASSES)


def passes_by_wrapper(network: nn.Module) -> Any:
    """Mean and variance of a batch, from Torch-Uncertainty's wrapper of a network."""
    from torch_uncertainty.methods import mc_dropout

    wrapper = mc_dropout(
        network, _PASSES, on_batch=False, task="pixel_regression", probabilistic=False
    ).eval()

    def passes(batch: Tensor) -> tuple[Tensor, Tensor]:
        samples = wrapper(batch).reshape(_PASSES, *batch.shape)
        return samples.mean(0), samples.var(0, correction=0)

    return passes
