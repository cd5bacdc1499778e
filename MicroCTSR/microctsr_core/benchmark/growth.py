"""How the time of the bundled model grows with passes, with slices, and with cores."""

from __future__ import annotations

from typing import Any

import torch

from ..inference import Progress
from ..model import Model
from ..volume import Box, Volume
from .subjects import middle_of
from .timing import timed

_PASSES = (8, 16, 32, 64)
_SLICES = (1, 2, 4, 8)
_FEW = 8  # passes where slices or cores are what grows


def growth(
    scan: Volume, model: Model, device: torch.device, progress: Progress
) -> dict[str, dict[str, float]]:
    """Seconds by number of passes over a slice, of slices, and on a processor of threads.

    Args:
        scan: of at least 8 slices.
        model: that is timed.
        device: where.
        progress: called with the fraction done and a message.
    """
    answer: dict[str, Any] = {}
    answer["passes"] = {str(n): timed(scan, model, n, device).seconds for n in _PASSES}
    progress(0.5, "")
    answer["slices"] = {
        str(n): timed(scan, model, _FEW, device, _slices(scan, n)).seconds for n in _SLICES
    }
    progress(0.8, "")
    if device.type == "cpu":
        answer["cores"] = _by_threads(scan, model, device)
    return answer


def _slices(scan: Volume, count: int) -> Box:
    _, rows, columns = middle_of(scan)
    return (0, count), rows, columns


def _by_threads(scan: Volume, model: Model, device: torch.device) -> dict[str, float]:
    """With one thread, twice as many each time, and all there are."""
    most = torch.get_num_threads()
    counts = [*(2**n for n in range(most.bit_length()) if 2**n < most), most]
    seconds = {}
    try:
        for count in counts:
            torch.set_num_threads(count)
            seconds[str(count)] = timed(scan, model, _FEW, device).seconds
    finally:
        torch.set_num_threads(most)
    return seconds
