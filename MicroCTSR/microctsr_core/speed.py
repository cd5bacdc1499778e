"""How fast this computer runs a model, measured in a second or two."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from .cost import Speed, default_tile
from .inference import network_on
from .memory import total_memory_bytes
from .model import Model
from .moments import Stopping
from .networks import Generator
from .passes import decoder_for
from .posterior import posterior
from .resources import footprint, layer_bytes
from .tiles import cover

# Large enough for the speed of a real tile, small enough for a slow processor.
_TILE_ON_CPU = 48
# As in a run that decides on its passes itself, but a given number of them: enough for one to be
# free of what else the computer does, and for a graphics card as many as a run's.
_FEW_PASSES = Stopping(tolerance=1e-9, minimum=4, maximum=7)
_PASSES_ON_CARD = Stopping(tolerance=1e-9, minimum=10, maximum=32)


def measured_speed(model: Model, device: torch.device) -> Speed:
    """Time a model on a tile of noise.

    Args:
        model: the model.
        device: from :func:`resources.resolve_device`.
    """
    on_card = device.type == "cuda"
    edge = default_tile(footprint(model), on_card) if on_card else _TILE_ON_CPU
    stack = torch.rand(model.network.in_slices, edge, edge).to(device)
    megapixels = stack[0].numel() / 1e6
    with network_on(device, model) as network, torch.inference_mode():
        encodings: list[float] = []
        for _ in range(3):  # the first also fills caches and chooses algorithms
            start = now(device)
            network.encode(stack[None])
            encodings.append(now(device) - start)
        if on_card:
            _ends_of_passes(network, stack)
        start = now(device)
        ends = _ends_of_passes(network, stack)
    if on_card or len(ends) == 1:  # many end together, or there is one, encoding and all
        seconds = max(0.0, ends[-1] - start - min(encodings)) / len(ends)
    else:
        seconds = min(later - earlier for earlier, later in pairwise(ends))
    return Speed(min(encodings) / megapixels, seconds / megapixels)


def _ends_of_passes(network: Generator, stack: Tensor) -> list[float]:
    """When each pass over a stack had ended."""
    device, (edge, _) = stack.device, stack.shape[1:]
    region = ((0, edge), (0, edge))
    (tile,) = cover(region, edge, 0, (edge, edge), getattr(network, "stride", 1))
    ends: list[float] = []
    posterior(
        network,
        stack,
        "auto",
        read=tile.read,
        blocks=tile.blocks,
        stopping=_PASSES_ON_CARD if device.type == "cuda" else _FEW_PASSES,
        after_pass=lambda _: ends.append(now(device)),
        decoder=decoder_for(network, device, layer_bytes(network) * edge**2),
    )
    return ends


def device_name(device: torch.device) -> str:
    """The processor or graphics card, as its maker calls it where the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor_name() or platform.processor() or platform.machine()


def device_memory_bytes(device: torch.device) -> int:
    """All the memory of the graphics card, or of this computer."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return total_memory_bytes()


def now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _processor_name() -> str:
    try:
        if sys.platform == "win32":
            import winreg

            place = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, place) as key:
                return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(
                command, capture_output=True, text=True, check=True
            ).stdout.strip()
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        return found[1].strip() if found else ""
    except (OSError, subprocess.SubprocessError):
        return ""
