"""A run that writes slab by slab: what it makes, where, and the making of a slab."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import __version__
from ..cost import slab_planes
from ..errors import MicroCTSRError
from ..inference import Cancel, Inferred, Plan, Progress, Settings, infer
from ..io.raw_nrrd import write_raw_nrrd
from ..io.reading import open_volume
from ..memory import peak_memory_bytes
from ..model import load_model
from ..pieces import SAMPLES, pieces
from ..superresolution import CONSISTENCY, MEAN, UNCERTAINTY, Work
from ..trust import bring_back_plane
from ..volume import Volume
from .folder import Folder, Slab
from .stores import Store, store_at

_VERSIONS = [__version__, str(torch.__version__)]
_SCAN, _MODEL = "scan.nrrd", "model"


@dataclass(frozen=True)
class Targets:
    """Where volumes go, by absolute path; what is ``None`` is not written.

    Args:
        mean, uncertainty, consistency: final names.
        keep_all: whether those not wanted are needed until the end all the same.
    """

    mean: Path
    uncertainty: Path | None
    consistency: Path | None
    keep_all: bool = False

    def finals(self) -> dict[str, Path]:
        """The volumes wanted, by what they hold."""
        return {content: path for content, path in vars(self).items() if isinstance(path, Path)}

    def working(self, folder: Folder) -> dict[str, Path]:
        """Where volumes lie until they are whole."""
        paths = {
            content: path.with_name(f"{path.name}.part") for content, path in self.finals().items()
        }
        if self.keep_all:
            for content in (UNCERTAINTY, CONSISTENCY):
                paths.setdefault(content, folder.path / f"{content}{self.mean.suffix}")
        return paths


@dataclass(frozen=True, eq=False)
class Run:
    """A run that writes slab by slab.

    Args:
        work: what is super-resolved, and how.
        targets: where its volumes go.
        folder: where it keeps its records.
        slab_planes: per slab; by default as ``cost.slab_planes``.
    """

    work: Work
    targets: Targets
    folder: Folder
    slab_planes: int | None = None

    @cached_property
    def plan(self) -> Plan:
        """The box in planes and tiles."""
        return self.work.plan()

    @property
    def slab(self) -> int:
        """Planes per slab, the last one's apart."""
        planes = self.slab_planes or slab_planes(self.grid.shape)
        return min(planes, self.grid.shape[0])

    @cached_property
    def slabs(self) -> list[range]:
        """Planes of each slab, counted from the box's first."""
        count = self.plan.stacks.count
        return [range(first, min(first + self.slab, count)) for first in range(0, count, self.slab)]

    @cached_property
    def low(self) -> Volume:
        """The box's own grid, without values."""
        ct = self.work.ct
        return replace(ct, array=np.broadcast_to(np.float32(0), ct.shape)).crop(self.work.box)

    @cached_property
    def grid(self) -> Volume:
        """The finer grid, without values."""
        shape = [n * f for n, f in zip(self.low.shape, self.plan.factors, strict=True)]
        nothing = np.broadcast_to(np.float32(0), shape)
        return self.low.on_refined_grid(nothing, self.plan.factors)

    @cached_property
    def stores(self) -> dict[str, Store]:
        """The volumes that are written, by what they hold."""
        grids = {MEAN: self.grid, UNCERTAINTY: self.grid, CONSISTENCY: self.low}
        finals = self.targets.finals()
        return {
            content: store_at(
                path,
                grids[content].with_array(grids[content].array, self.work.header(content)),
                self.slab,
                finals.get(content, path),
            )
            for content, path in self.targets.working(self.folder).items()
        }

    @property
    def sigmas(self) -> list[float]:
        """Of the scanner's point spread, in voxels of the finer grid, (k, j, i)."""
        return [self.work.scanner["psf_sigma_mm"] / step for step in self.grid.spacing]

    def make(
        self,
        numbers: Sequence[int],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[int]:
        """Make and write slabs, one after the other; each number is given when its slab is done."""
        work = self.work
        wanted = [plane for number in numbers for plane in self.slabs[number]]
        planes = infer(self.plan, work.model, work.settings, work.device, progress, cancel, wanted)
        for number in numbers:
            self._write(number, [next(planes) for _ in self.slabs[number]])
            yield number

    def _write(self, number: int, planes: list[Inferred]) -> None:
        values = {
            MEAN: np.stack([plane.mean for plane in planes]),
            UNCERTAINTY: np.stack([plane.uncertainty for plane in planes]),
        }
        first = self.slabs[number].start
        for content, array in values.items():
            if content in self.stores:
                self.stores[content].write(first, array)
        factors, sigmas = self.plan.factors[1:], self.sigmas[1:]
        slab = Slab(
            np.stack([bring_back_plane(plane, factors, sigmas) for plane in values[MEAN]]),
            np.array([plane.passes for plane in planes]),
            self._sample(first, values[MEAN]),
            self._sample(first, values[UNCERTAINTY]),
            peak_memory_bytes(),
        )
        self.folder.note(number, slab)

    def _sample(self, first: int, planes: NDArray[np.float32]) -> NDArray[np.float32]:
        """A slab's part of what ``pieces.sampled`` gives for the whole volume."""
        every = max(1, -(-int(np.prod(self.grid.shape)) // SAMPLES))
        return planes.ravel()[-first * planes[0].size % every :: every].copy()


def described(run: Run, scan: Path | None = None) -> dict[str, Any]:
    """What another process needs to take part in a run, in values that JSON can hold.

    Args:
        scan: where it can be read in parts; by default in the working folder (see ``shared``).
    """
    work, targets = run.work, run.targets
    return {
        "versions": _VERSIONS,
        "scan": scan and str(scan),
        "box": work.box,
        "settings": asdict(work.settings),
        "device": str(work.device),
        "slab": run.slab,
        "outputs": {content: str(path) for content, path in targets.finals().items()},
        "keep_all": targets.keep_all,
    }


def shared(run: Run) -> None:
    """Put what workers cannot find elsewhere into the working folder: the model, and the scan."""
    folder = run.folder.path
    if not (folder / _MODEL).is_dir():
        run.work.model.save(folder / _MODEL)
    if not run.folder.run()["scan"] and not (folder / _SCAN).is_file():
        write_raw_nrrd(run.work.ct, folder / _SCAN)


def joined(folder: Path) -> Run:
    """The run of a working folder, to take part in.

    Raises:
        MicroCTSRError: the folder's record, the scan or the model cannot be read from here.
    """
    record = Folder(folder).run()
    if not record:
        raise MicroCTSRError(
            f"{folder} cannot be read by a worker; it must lie on a disk that all workers share."
        )
    if record["versions"] != _VERSIONS:
        raise MicroCTSRError(
            f"A worker has microctsr and torch {' and '.join(_VERSIONS)}, but the run began with "
            f"{' and '.join(record['versions'])}; give all workers the same."
        )
    ct, model = open_volume(record["scan"] or folder / _SCAN), load_model(folder / _MODEL)
    paths = {content: Path(path) for content, path in record["outputs"].items()}
    uncertainty, consistency = paths.get(UNCERTAINTY), paths.get(CONSISTENCY)
    targets = Targets(paths[MEAN], uncertainty, consistency, record["keep_all"])
    box = ct.check_box(record["box"])
    settings, device = Settings(**record["settings"]), torch.device(record["device"])
    work = Work(ct, model, box, settings, device, warnings=[])
    return Run(work, targets, Folder(folder), record["slab"])


def fingerprint(run: Run) -> str:
    """What two runs have in common that give the same numbers to the same files."""
    work = run.work
    ct, model = work.ct, work.model
    scan = hashlib.sha256()
    for piece in pieces(ct.array):
        scan.update(np.ascontiguousarray(piece).data)
    facts = {
        "scan": [scan.hexdigest(), str(ct.dtype), ct.shape, ct.spacing, ct.origin],
        "direction": ct.direction.tolist(),
        "modality": ct.metadata.get("modality"),
        "model": [model.sha256, model.card],
        "run": described(run),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
