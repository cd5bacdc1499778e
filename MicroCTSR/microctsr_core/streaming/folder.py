"""The working folder of a run that streams: whose run it is, and which of its slabs are done.

It lies beside the main output, under a name that the same command finds again. A slab is done when
its file is there; the file is written last, and appears whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ..errors import MicroCTSRError, WriteError
from ..io.atomic import atomic_path
from .stores import bytes_on_disk, discard

_RUN, _REPORT, _LOCK = "run.json", "report.json", "lock"


@dataclass(frozen=True)
class Slab:
    """What is known of a slab that is done.

    Args:
        brought_back: its planes on the scan's pixels (see ``trust.bring_back_plane``), (k, j, i).
        passes: mean number of passes of each plane.
        mean, uncertainty: samples of its values, for the thresholds of the whole volume.
        peak_bytes: the most memory held by the process that made it.
    """

    brought_back: NDArray[np.float32]
    passes: NDArray[np.float64]
    mean: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    peak_bytes: int


class Folder:
    """The working folder of a run.

    Args:
        path: the folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def beside(cls, output: Path) -> Folder:
        """The working folder of the run whose main output this is."""
        return cls(output.with_name(f"{output.name}.run"))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other runs out; the system lets them in when this process is killed.

        Raises:
            MicroCTSRError: another process works in it; WriteError: it cannot be written.
        """
        lock = FileLock(self.path / _LOCK)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise MicroCTSRError(
                f"{self.path} is being worked in by another process; wait for it, or give the "
                f"output another name."
            ) from None
        except OSError as error:
            raise WriteError(
                f"{self.path} cannot be written ({error.strerror or error}); choose another folder."
            ) from error
        try:
            yield
        finally:
            lock.release()
            if not self._entries():
                with suppress(OSError):  # of a system that still holds the lock's file
                    (self.path / _LOCK).unlink(missing_ok=True)
                    self.path.rmdir()

    def begin(self, run: dict[str, Any]) -> None:
        """Note whose run it is."""
        self._write(_RUN, run)

    def run(self) -> dict[str, Any]:
        """Whose run it is; empty where nobody's."""
        return self._read(_RUN)

    def done(self) -> list[int]:
        """Numbers of the slabs that are done."""
        return sorted(int(path.stem.split("-")[1]) for path in self.path.glob("slab-*.npz"))

    def note(self, number: int, slab: Slab) -> None:
        """A slab is done, and its values are written."""
        with atomic_path(self._slab(number)) as temporary, temporary.open("wb") as file:
            np.savez(file, **vars(slab))

    def slab(self, number: int) -> Slab:
        """What is known of a slab that is done."""
        with np.load(self._slab(number)) as file:
            values = {name: file[name] for name in file.files}
        return Slab(**{**values, "peak_bytes": int(values["peak_bytes"])})

    def finish(self, report: dict[str, Any]) -> None:
        """All volumes are whole; what remains is to give them their names."""
        self._write(_REPORT, report)

    def report(self) -> dict[str, Any]:
        """The report of a run that is finished but for the names of its volumes, or nothing."""
        return self._read(_REPORT)

    def clear(self) -> None:
        """Remove everything but the lock, the record of the run last."""
        for path in self._entries():
            discard(path)

    def bytes(self) -> int:
        """What it takes of the disk."""
        return bytes_on_disk(self.path)

    def _entries(self) -> list[Path]:
        if not self.path.is_dir():
            return []
        entries = [path for path in self.path.iterdir() if path.name != _LOCK]
        return sorted(entries, key=lambda path: path.name == _RUN)

    def _slab(self, number: int) -> Path:
        return self.path / f"slab-{number:06}.npz"

    def _write(self, name: str, entries: dict[str, Any]) -> None:
        with atomic_path(self.path / name) as temporary:
            temporary.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")

    def _read(self, name: str) -> dict[str, Any]:
        try:
            entries = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}


class BroughtBack:
    """The planes brought back of all slabs, read where they are looked at.

    Args:
        folder: whose slabs are all done.
        slabs: planes of each slab.
    """

    def __init__(self, folder: Folder, slabs: Sequence[range]) -> None:
        self._folder, self._slabs = folder, slabs

    def __len__(self) -> int:
        return self._slabs[-1].stop

    def __getitem__(self, planes: slice) -> NDArray[np.float32]:
        wanted = range(*planes.indices(len(self)))
        parts = []
        for number, slab in enumerate(self._slabs):
            first, last = max(wanted.start, slab.start), min(wanted.stop, slab.stop)
            if first < last:
                values = self._folder.slab(number).brought_back
                parts.append(values[first - slab.start : last - slab.start])
        return np.concatenate(parts)
