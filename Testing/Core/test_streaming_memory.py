"""Runs that write slab by slab take no more memory for more passes or more slices."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import command_environment
from toy_scans import make_scan

MEASURE = """
import sys
sys.path[:0] = sys.argv[1:2]
import torch
from toy_models import make_model
from microctsr_core import Volume, stream
from microctsr_core.memory import peak_memory_bytes, resident_memory_bytes
torch.set_num_threads(1)
told = []
scan, output, samples = sys.argv[2:5]
report = stream(scan, make_model(), output, output.replace("sr", "u"), samples=int(samples),
                tell=told.append)
print(peak_memory_bytes(), told[0])
"""


def peak_of(scan: Path, output: Path, samples: int) -> tuple[int, str]:
    """Peak memory of a run in a process of its own, and what it promised."""
    finished = subprocess.run(
        [sys.executable, "-c", MEASURE, str(Path(__file__).parent), scan, output, str(samples)],
        env={**command_environment(), "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
        check=True,
    )
    peak, _, told = finished.stdout.partition(" ")
    return int(peak), told


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are measured on Linux")
@pytest.mark.parametrize("suffix", [".nrrd", ".zarr"])
def test_memory_grows_neither_with_passes_nor_with_slices_and_is_as_promised(
    tmp_path: Path, suffix: str
) -> None:
    short = make_scan(tmp_path / "short.nrrd", slices=20, edge=24)
    long = make_scan(tmp_path / "long.nrrd", slices=200, edge=24)
    few, told = peak_of(short, tmp_path / f"sr1{suffix}", 8)
    many, _ = peak_of(short, tmp_path / f"sr2{suffix}", 64)
    tall, promise = peak_of(long, tmp_path / f"sr3{suffix}", 1)
    assert abs(many / few - 1) < 0.05
    assert abs(tall / few - 1) < 0.10
    for peak, sentence in ((few, told), (tall, promise)):
        number, unit = re.search(r"about ([\d.]+) ([GM])B of memory", sentence).groups()
        assert peak < 1.05 * float(number) * {"G": 1e9, "M": 1e6}[unit]
