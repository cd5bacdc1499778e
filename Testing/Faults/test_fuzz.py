"""A small sample of the fuzzing, and that its rule is really kept watch over."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from pathlib import Path
from random import Random

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "Core"))

from fuzz import SUBJECTS, table
from fuzzing import pool
from fuzzing.subject import Subject
from fuzzing.worker import CLEAR, OUTSIDE, RIGHT, Outcome
from microctsr_core.errors import ReadError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is watched as Linux tells")
EACH = 25
# The others need a server, MONAI or a comparison, and take longer to begin.
SAMPLED = ("NRRD", "NIfTI", "MetaImage", "DICOM", "TIFF", "OME-Zarr", "weights.safetensors",
           "checkpoint .pth", "training YAML")  # fmt: skip


def test_a_sample_of_mutated_inputs_ends_in_a_clear_error_or_a_right_result() -> None:
    tasks = [(name, number) for name in SAMPLED for number in range(EACH)]
    found = dict(pool.run(tasks, seed=8, subjects=SUBJECTS, processes=1))
    assert len(found) == len(tasks)
    assert {task: out for task, out in found.items() if out.kind == OUTSIDE} == {}
    assert {out.kind for out in found.values()} == {CLEAR, RIGHT}


def _raise(_: Path) -> None:
    raise KeyError("x")


def _refuse(_: Path) -> None:
    raise ReadError("ct.nrrd is damaged; copy it again.")


WAYS = (
    lambda _: None,
    _refuse,
    _raise,
    lambda _: time.sleep(60),
    lambda _: ctypes.string_at(0),
    lambda _: bytearray(2_500_000_000),
    lambda folder: (folder.parent / "elsewhere").write_text("x"),
    lambda _: os.system("true"),
)
EXPECTED = ("", "ct.nrrd is damaged", "KeyError", "no end within", "crashed", "of memory",
            "a write outside", "code was run")  # fmt: skip


class Way(Subject):
    """An input that is used in one of the ways."""

    inputs = 1

    def __init__(self, number: int) -> None:
        self.name, self.number = f"way {number}", number

    def make(self, random: Random, folder: Path) -> str:  # noqa: ARG002 - nothing is left to chance
        (folder / "input").write_text("x")
        return "an input"

    def use(self, folder: Path, output: Path) -> None:
        (output / "result").write_text("fine")
        WAYS[self.number](folder)


def test_whatever_breaks_the_rule_is_noticed(monkeypatch) -> None:
    monkeypatch.setattr(pool, "SECONDS", 5.0)
    ways = [Way(number) for number in range(len(WAYS))]
    found = dict(pool.run([(way.name, 0) for way in ways], 8, ways, processes=1))
    kinds = [found[way.name, 0].kind for way in ways]
    assert kinds == [RIGHT, CLEAR, *[OUTSIDE] * 6]
    for way, word in zip(ways, EXPECTED, strict=True):
        assert word in found[way.name, 0].why


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
