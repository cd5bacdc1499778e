"""Peak memory: of a part of this process, and how it grows from one process to another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import MicroCTSRError
from ..inference import Progress
from ..io.raw_nrrd import write_raw_nrrd
from ..memory import resident_memory_bytes
from ..volume import Volume
from .subjects import slab_of

PASSES = (8, 64)
SLICES = (20, 200)
_EDGE = 64
_PASSES_PER_SLICE = 2
_RUNS = 3  # of each; the same run's peak differs by some percent from one process to the next
_SECONDS_BETWEEN_LOOKS = 0.005


class Peak:
    """The most memory held while a block ran, in bytes: of the process, or of a graphics card."""

    bytes = 0


@contextmanager
def watched_memory(device: torch.device) -> Iterator[Peak]:
    """Watch memory while a block runs; the answer is there when it has ended.

    Of the processor's memory, that is what the process holds in all, PyTorch with it.
    """
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device)
        return
    ended = threading.Event()

    def look() -> None:
        while True:
            peak.bytes = max(peak.bytes, resident_memory_bytes())
            if ended.wait(_SECONDS_BETWEEN_LOOKS):
                return

    watch = threading.Thread(target=look, daemon=True)
    watch.start()
    try:
        yield peak
    finally:
        ended.set()
        watch.join()


def memory_growth(device: torch.device, progress: Progress | None = None) -> dict[str, Any]:
    """Relative growth of peak memory from 8 to 64 passes, and from 20 to 200 slices streamed."""
    tell = progress or (lambda _fraction, _message: None)
    slab = slab_of(_EDGE)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for count in SLICES:
            array = np.resize(slab.array, (count, _EDGE, _EDGE))
            write_raw_nrrd(Volume(array, slab.spacing), work / f"{count}.nrrd")
        by_passes = {n: _peak(work, device, min(SLICES), n) for n in PASSES}
        tell(0.5, "")
        by_slices = {n: _peak(work, device, n, _PASSES_PER_SLICE) for n in SLICES}
    return {
        "growth_passes": by_passes[PASSES[1]] / by_passes[PASSES[0]] - 1,
        "growth_slices": by_slices[SLICES[1]] / by_slices[SLICES[0]] - 1,
        "peak_bytes": {"passes": by_passes, "slices": by_slices},
    }


def _peak(work: Path, device: torch.device, slices: int, passes: int) -> int:
    """Peak memory of a process that super-resolves so many slices: the median of some."""
    return sorted(_peak_of_one(work, device, slices, passes) for _ in range(_RUNS))[_RUNS // 2]


def _peak_of_one(work: Path, device: torch.device, slices: int, passes: int) -> int:
    report = work / "report.json"
    arguments = [str(work / f"{slices}.nrrd"), str(work / "sr.nrrd"), "--no-compress"]
    arguments += ["--uncertainty", str(work / "uncertainty.nrrd"), "--samples", str(passes)]
    arguments += ["--device", device.type, "--report", str(report), "--overwrite"]
    package = str(Path(__file__).parents[2])
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "microctsr_core", "superresolve", *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise MicroCTSRError(f"A run whose memory was to be measured failed: {last[0]}")
    return int(json.loads(report.read_text(encoding="utf-8"))["peak_memory_bytes"])
