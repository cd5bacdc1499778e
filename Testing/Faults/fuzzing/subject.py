"""What is mutated: one kind of file, folder or request, and how the library reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from random import Random


class Subject(ABC):
    """A kind of input.

    Attributes:
        name: row of the table, and what ``--subject`` is given.
        inputs: how many a whole run makes.
        may_write_input: whether reading it may change the input's own folder.
    """

    name: str
    inputs: int
    may_write_input = False

    def prepare(self, folder: Path) -> None:  # noqa: B027 - most have nothing to prepare
        """Make, once in each worker, the valid originals that mutations start from."""

    @abstractmethod
    def make(self, random: Random, folder: Path) -> str:
        """Write one mutated input into an empty folder, and say in words what was done to it."""

    @abstractmethod
    def use(self, folder: Path, output: Path) -> None:
        """Read the input as the library does.

        Raises:
            MicroCTSRError: the input is refused; a clear error.
            AssertionError: it was read, but what came of it is not right.
        """

    def finish(self) -> None:  # noqa: B027 - most have nothing to finish
        """End what :meth:`prepare` started."""
