"""How many threads compute: as many as PyTorch would take, but no more than there are cores for.

PyTorch counts the cores of the machine. A container may be allowed the time of fewer; then threads
take turns, and each waits for the others at the end of every layer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_CONTAINER = Path("/sys/fs/cgroup")


@contextmanager
def fitting_threads() -> Iterator[None]:
    """Compute with as many threads as the container has time for; then with as many as before."""
    before = torch.get_num_threads()
    allowed = min(before, container_cores() or before)
    if allowed == before:
        yield
        return
    torch.set_num_threads(allowed)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def container_cores() -> int | None:
    """Cores whose time the container may use, rounded up; ``None`` without a container or limit."""
    with suppress(OSError, ValueError):  # control groups of version 2; "max" is no limit
        quota, period = (_CONTAINER / "cpu.max").read_text().split()
        return max(1, math.ceil(int(quota) / int(period)))
    with suppress(OSError, ValueError):  # of version 1; -1 is no limit
        quota, period = (
            (_CONTAINER / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
        )
        if int(quota) > 0:
            return max(1, math.ceil(int(quota) / int(period)))
    return None
