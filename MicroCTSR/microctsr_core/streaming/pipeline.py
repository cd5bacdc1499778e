"""From a scan on disk to volumes on disk, in named steps; the numbers are ``superresolve``'s."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from ..inference import INFERENCE_SHARE, Cancel, Preset, Progress, ScaleMode, Settings
from ..io.reading import open_volume
from ..model import Model
from ..posterior import Samples
from ..superresolution import prepare, timed
from ..volume import Box, Volume
from .folder import Folder
from .run import Run, Targets
from .stages import appear, begin, kept_when_stopped, told, write_consistency
from .stores import check_streamed


class Maker(Protocol):
    """Makes slabs, in this process or elsewhere.

    Args:
        processes: on this computer that make a slab each; 0 where they are on others.
    """

    processes: int

    def __call__(
        self, run: Run, numbers: Sequence[int], progress: Progress | None, cancel: Cancel | None
    ) -> Iterator[int]:
        """Make the slabs of these numbers, and give each number when its slab is done."""


class Here:
    """This process, one slab after the other."""

    processes = 1

    def __call__(
        self, run: Run, numbers: Sequence[int], progress: Progress | None, cancel: Cancel | None
    ) -> Iterator[int]:
        return run.make(numbers, progress, cancel)


Finished: TypeAlias = Callable[[dict[str, Any], Mapping[str, Volume]], None]
"""Called with the report and the volumes, before they get their names; only slices may be taken."""


def stream(
    ct: Volume | str | os.PathLike[str],
    model: Model | None = None,
    output: str | os.PathLike[str] = "sr.zarr",
    uncertainty: str | os.PathLike[str] | None = None,
    consistency: str | os.PathLike[str] | None = None,
    box: Box | None = None,
    samples: Samples = "auto",
    device: str = "auto",
    seed: int = 0,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    *,
    scale_mode: ScaleMode = "in-plane",
    tile: int | None = None,
    preset: Preset = "default",
    tolerance: float = 0.15,
    slab: int | None = None,
    overwrite: bool = False,
    tell: Callable[[str], None] | None = None,
    maker: Maker | None = None,
    keep_all: bool = False,
    finished: Finished | None = None,
) -> dict[str, Any]:
    """Super-resolve a box of a scan to files, slab by slab.

    The numbers are those of :func:`~microctsr_core.superresolve`, bit for bit. Memory is that of a
    few slabs, whatever the number of slices. While the run goes on, everything lies under working
    names beside the outputs (``sr.zarr.part``, ``sr.zarr.run``). A run that was stopped or killed
    goes on when it is called again with the same arguments, and gives the same bits.

    Args:
        ct: the scan; as a path, an uncompressed NRRD file or an OME-Zarr image is not loaded
            whole.
        model: the bundled default when ``None``.
        output, uncertainty, consistency: where volumes go: .zarr for OME-Zarr, .nrrd for
            uncompressed NRRD; what is ``None`` is not written.
        box, samples, device, seed, progress, cancel, scale_mode, tile, preset, tolerance: as for
            :func:`~microctsr_core.superresolve`.
        slab: output planes made and kept together; changes no value.
        overwrite: whether outputs that exist may be replaced; of folders, only OME-Zarr images.
        tell: called with what the user should know before the work starts.
        maker: makes the slabs; by default this process, see :mod:`microctsr_core.cluster`.
        finished: called with the report and the volumes that are made, before they get their
            names; only slices may be taken of them.
        keep_all: whether all three volumes are there for ``finished``, wanted or not.

    Returns:
        The report, as of :func:`~microctsr_core.superresolve`, with ``slabs``: ``count``, and
        ``kept`` from an earlier run.

    Raises:
        MicroCTSRError: as :func:`~microctsr_core.superresolve`; ``WriteError`` where an output
            cannot be written; ``Cancelled`` when ``cancel`` returned true.

    Example:
        >>> report = stream("ct.nrrd", output="sr.zarr", uncertainty="uncertainty.zarr")
    """
    settings = Settings(samples, seed, scale_mode, tile, preset, tolerance)
    targets = Targets(
        _absolute(output),
        None if uncertainty is None else _absolute(uncertainty),
        None if consistency is None else _absolute(consistency),
        keep_all=keep_all,
    )
    for path in targets.finals().values():
        check_streamed(path, overwrite or going_on(targets.mean))
    seconds: dict[str, float] = {}
    if progress is not None:
        progress(0.0, "Checking the scan")
    start = time.perf_counter()
    with ExitStack() as until_done:
        with timed(seconds, "checks"):
            scan = ct if isinstance(ct, Volume) else open_volume(ct)
            work = prepare(scan, model, box, settings, device)
            run = Run(work, targets, Folder.beside(targets.mean), slab)
            until_done.enter_context(run.folder.held())
            until_done.enter_context(kept_when_stopped(run))
            maker = maker or Here()
            source = None if isinstance(ct, Volume) or scan.in_memory else _absolute(ct)
            kept = begin(run, source, maker.processes, overwrite, tell or (lambda _: None))
        if report := run.folder.report():
            appear(run)
            return report
        with timed(seconds, "inference"):
            missing = [number for number in range(len(run.slabs)) if number not in kept]
            for _ in maker(run, missing, progress, cancel):
                pass
        if progress is not None:
            progress(INFERENCE_SHARE, "Putting the result together")
        with timed(seconds, "consistency"):
            rms_hu = write_consistency(run)
        with timed(seconds, "levels"):
            for store in run.stores.values():
                store.finish()
        seconds["total"] = time.perf_counter() - start
        report = told(run, seconds, rms_hu, len(kept))
        if finished is not None:
            finished(report, {content: store.volume() for content, store in run.stores.items()})
        run.folder.finish(report)
        appear(run)
    if progress is not None:
        progress(1.0, "Done")
    return report


def going_on(output: str | os.PathLike[str]) -> bool:
    """Whether a run to this output was ended while its finished volumes got their names."""
    return bool(Folder.beside(_absolute(output)).report())


def _absolute(path: str | os.PathLike[str]) -> Path:
    return Path(path).expanduser().absolute()
