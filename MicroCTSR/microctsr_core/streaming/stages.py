"""What comes before and after the slabs of a run are made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..cost import streaming_needs
from ..errors import Cancelled, WriteError
from ..memory import peak_memory_bytes, resident_memory_bytes
from ..resources import check_streaming, footprint, gigabytes
from ..superresolution import CONSISTENCY, MEAN, UNCERTAINTY
from ..trust import bring_back_slices, otsu_thresholds, rms
from .folder import BroughtBack
from .run import Run, described, fingerprint
from .stores import bytes_on_disk, check_streamed, discard, is_zarr_name, put_in_place


def begin(
    run: Run, source: Path | None, processes: int, overwrite: bool, tell: Callable[[str], None]
) -> list[int]:
    """Go on with the run that lies in the working folder, or begin one there.

    Args:
        source: where the scan can be read in parts, if anywhere.
        processes: on this computer that make slabs.
        overwrite: whether outputs that exist may be replaced.
        tell: called with what the user should know.

    Returns:
        Numbers of the slabs that are done already.

    Raises:
        ResourceError: memory or disk is too small; WriteError: an output cannot be written.
    """
    record, mark = run.folder.run(), fingerprint(run)
    if record.get("fingerprint") == mark and _all_there(run):
        kept = run.folder.done()
    else:
        for path in run.targets.finals().values():
            check_streamed(path, overwrite)
        if record:
            tell(f"An unfinished run of other settings in {run.folder.path} is discarded.")
            _discard(run)
        kept = []
    _tell_needs(run, processes, tell)
    if kept:
        tell(f"Going on: {len(kept)} of {len(run.slabs)} slabs are done.")
        return kept
    _refuse_strangers(run)
    run.folder.begin({"fingerprint": mark, **described(run, source)})
    for content, store in run.stores.items():
        if content != CONSISTENCY:
            discard(store.path)
            store.create()
    return kept


@contextmanager
def kept_when_stopped(run: Run) -> Iterator[None]:
    """Say what is kept of a run that is stopped; where no slab is done, leave nothing."""
    try:
        yield
    except BaseException as error:
        count = len(run.folder.done())
        left = "nothing is left half written."
        if count:
            left = f"{count} of {len(run.slabs)} slabs are kept, and the same command goes on."
        elif run.folder.run().get("fingerprint"):
            _discard(run)
        if isinstance(error, Cancelled):
            raise Cancelled(f"The run was cancelled; {left}") from None
        if isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"Stopped; {left}") from None
        raise


def write_consistency(run: Run) -> float:
    """Bring the result back through the plane, compare it with the scan, and write that.

    Returns:
        Root mean square of the difference, in HU.
    """
    store = run.stores.get(CONSISTENCY)
    if store is not None:
        discard(store.path)
        store.create()
    planes = BroughtBack(run.folder, run.slabs)
    factor, sigma = run.plan.factors[0], run.sigmas[0]
    (k0, k1), rows, columns = run.work.box

    def departures() -> Iterator[NDArray[np.float32]]:
        for first in range(k0, k1, run.slab):
            last = min(first + run.slab, k1)
            scan = run.work.ct.array[first:last, slice(*rows), slice(*columns)]
            back = bring_back_slices(planes, factor, sigma, range(first - k0, last - k0))
            departure = back - scan.astype(np.float32)
            if store is not None:
                store.write(first - k0, departure)
            yield from departure

    return rms(departures())


def told(run: Run, seconds: dict[str, float], rms_hu: float, kept: int) -> dict[str, Any]:
    """The report of a run whose slabs are all done."""
    slabs = [run.folder.slab(number) for number in range(len(run.slabs))]
    thresholds = otsu_thresholds(
        np.concatenate([slab.mean for slab in slabs]),
        np.concatenate([slab.uncertainty for slab in slabs]),
    )
    passes = np.concatenate([slab.passes for slab in slabs])
    peak = max(peak_memory_bytes(), *(slab.peak_bytes for slab in slabs))
    report = run.work.report(seconds, passes.tolist(), rms_hu, thresholds, peak, run.grid)
    return {**report, "slabs": {"count": len(slabs), "kept": kept}}


def appear(run: Run) -> None:
    """Give every volume its name, and remove what the run kept for itself."""
    working = run.targets.working(run.folder)
    for content, final in run.targets.finals().items():
        if os.path.lexists(working[content]):  # unless it got its name before the run was killed
            put_in_place(working[content], final)
    run.folder.clear()


def _all_there(run: Run) -> bool:
    if run.folder.report():
        return True
    made = [store.path for content, store in run.stores.items() if content != CONSISTENCY]
    return all(os.path.lexists(path) for path in made)


def _discard(run: Run) -> None:
    """Remove what the run of the working folder, this or another, has written."""
    for path in run.folder.run().get("outputs", {}).values():
        discard(Path(f"{path}.part"))
    run.folder.clear()


def _refuse_strangers(run: Run) -> None:
    for store in run.stores.values():
        if os.path.lexists(store.path) and not run.folder.run():
            raise WriteError(
                f"{store.path} is in the way, and belongs to no run that lies beside it; move it "
                f"away or give the output another name."
            )


def _tell_needs(run: Run, processes: int, tell: Callable[[str], None]) -> None:
    work, working = run.work, run.targets.working(run.folder)
    told = streaming_needs(
        work.ct.shape,
        work.ct.spacing,
        work.box,
        footprint(work.model),
        work.settings.scale_mode,
        work.settings.tile,
        slab=run.slab,
        volumes=len({MEAN, UNCERTAINTY} & working.keys()),
        zarr=any(is_zarr_name(path) for path in run.targets.finals().values()),
    )
    written = run.folder.bytes() + sum(map(bytes_on_disk, working.values()))
    for folder in {path.parent for path in run.targets.finals().values()}:
        check_streaming(told, folder, processes, written)
    memory = gigabytes(resident_memory_bytes() + told.memory)
    each = "" if processes == 1 else " per worker"
    tell(f"Needs about {memory} of memory{each} and {gigabytes(told.disk)} of disk.")
