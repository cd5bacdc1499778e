"""Inputs that break the rule, each in a way of its own; apart, so that workers start quickly."""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path
from random import Random

from fuzzing.subject import Subject
from microctsr_core.errors import ReadError


def _raise(_: Path) -> None:
    raise KeyError("x")


def _refuse(_: Path) -> None:
    raise ReadError("ct.nrrd is damaged; copy it again.")


# With each way, what is said of it.
WAYS = (
    (lambda _: None, ""),
    (_refuse, "ct.nrrd is damaged"),
    (_raise, "KeyError"),
    (lambda folder: (folder.parent / "elsewhere").write_text("x"), "a write outside"),
    (lambda _: os.system("true"), "code was run"),
    (lambda _: time.sleep(60), "no end within"),
    (lambda _: ctypes.string_at(0), "crashed"),
    (lambda _: (bytearray(1_200_000_000), time.sleep(3)), "of memory"),
)


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
        WAYS[self.number][0](folder)
