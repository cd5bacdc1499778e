"""A small sample of the fuzzing, and that its rule is really kept watch over."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "Core"))

from fuzz import SUBJECTS, table
from fuzzing import pool
from fuzzing.worker import CLEAR, OUTSIDE, RIGHT, Outcome
from misbehaving import WAYS, Way

linux = pytest.mark.skipif(sys.platform != "linux", reason="memory is watched as Linux tells")
EACH = 12
# The others need a server, a comparison or CycleGAN's networks, and take longer to begin.
SAMPLED = ("NRRD", "NIfTI", "MetaImage", "DICOM", "TIFF", "OME-Zarr", "weights.safetensors",
           "training YAML")  # fmt: skip


@linux
def test_a_sample_of_mutated_inputs_ends_in_a_clear_error_or_a_right_result() -> None:
    tasks = [(name, number) for name in SAMPLED for number in range(EACH)]
    found = dict(pool.run(tasks, seed=8, subjects=SUBJECTS, processes=1))
    assert len(found) == len(tasks)
    assert {task: out for task, out in found.items() if out.kind == OUTSIDE} == {}
    assert {out.kind for out in found.values()} == {CLEAR, RIGHT}


@linux
def test_whatever_breaks_the_rule_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr(pool, "SECONDS", 8.0)
    monkeypatch.setattr(pool, "MEMORY_BYTES", 1_000_000_000)
    ways = [Way(number) for number in range(len(WAYS))]
    found = dict(pool.run([(way.name, 0) for way in ways], 8, ways, processes=1))
    assert [found[way.name, 0].kind for way in ways] == [RIGHT, CLEAR, *[OUTSIDE] * 6]
    for way, (_, said) in zip(ways, WAYS, strict=True):
        assert said in found[way.name, 0].why


def test_the_table_counts_what_came_of_each_subject() -> None:
    found = {
        ("NRRD", 0): Outcome(CLEAR),
        ("NRRD", 1): Outcome(OUTSIDE),
        ("TIFF", 0): Outcome(RIGHT),
    }
    assert table(found).splitlines()[2:] == [
        "| NRRD | 2 | 1 | 0 | 1 |",
        "| TIFF | 1 | 0 | 1 | 0 |",
        "| **all** | 3 | 1 | 1 | 1 |",
    ]
