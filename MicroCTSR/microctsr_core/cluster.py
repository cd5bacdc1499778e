"""The slabs of one run on a Dask cluster: workers of this computer, or of many.

Dask schedules, and gives the slabs of a worker that was lost to others. What workers share is the
disk: each reads the run's working folder, writes its slab into the working outputs, and notes it
there. The numbers are those of a single process, bit for bit.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from .errors import Cancelled, MicroCTSRError, ResourceError, WriteError
from .inference import INFERENCE_SHARE, Cancel, Progress
from .streaming import Run, ZarrStore, joined, shared
from .superresolution import MEAN, UNCERTAINTY

_RETRIES = 3
_SECONDS_BETWEEN_QUESTIONS = 0.5
# Variables by which numerical libraries are told how many threads to use.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class OnCluster:
    """Makes slabs on the workers of a Dask cluster (a ``streaming.Maker``).

    Args:
        client: ``distributed.Client`` of the cluster.
        processes: workers on this computer; 0 where they are on others.
    """

    def __init__(self, client: Any, processes: int = 0) -> None:
        self._client = client
        self.processes = processes

    def __call__(
        self,
        run: Run,
        numbers: Sequence[int],
        progress: Progress | None = None,
        cancel: Cancel | None = None,
    ) -> Iterator[int]:
        """Make the slabs of these numbers, and give each number when its slab is done.

        Raises:
            Cancelled: ``cancel`` returned true.
            ResourceError: workers were lost again and again.
            WriteError: many computers would have to write one file.
        """
        from distributed import KilledWorker, wait

        if self.processes == 0:
            _refuse_one_file(run)
        shared(run)
        folder, mark = str(run.folder.path), run.folder.run()["fingerprint"]
        number_of = {
            self._client.submit(make_slab, folder, mark, number, retries=_RETRIES, pure=False): (
                number
            )
            for number in numbers
        }
        waiting = set(number_of)
        try:
            while waiting:
                if cancel is not None and cancel():
                    raise Cancelled("The run was cancelled.")
                try:
                    done, waiting = wait(waiting, _SECONDS_BETWEEN_QUESTIONS, "FIRST_COMPLETED")
                except TimeoutError:
                    continue
                for future in done:
                    future.result()
                    yield number_of[future]
                if progress is not None:
                    count = len(numbers) - len(waiting)
                    share = INFERENCE_SHARE * count / len(numbers)
                    progress(share, f"Slab {count} of {len(numbers)}")
        except KilledWorker:
            raise ResourceError(
                "Workers were lost while they made the same slab, most likely because memory ran "
                "out; give them more memory or choose a smaller tile, such as --tile 32."
            ) from None
        finally:
            self._client.cancel(list(waiting))


@contextmanager
def local_workers(count: int) -> Iterator[OnCluster]:
    """Worker processes on this computer, which share its cores.

    Example:
        >>> with local_workers(2) as workers:
        ...     stream("ct.nrrd", output="sr.zarr", maker=workers)

    Raises:
        MicroCTSRError: dask and distributed are not installed.
    """
    dask, distributed = _libraries()
    threads = str(max(1, (os.cpu_count() or 1) // count))
    settings = {
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(_THREADS, threads),
        # Memory was checked before the start; workers that are lost are replaced.
        "distributed.worker.memory.terminate": False,
        "distributed.worker.memory.pause": False,
    }
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            dashboard_address=None,
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield OnCluster(client, count)


@contextmanager
def workers_at(address: str) -> Iterator[OnCluster]:
    """The workers of a cluster that runs already.

    They need the same version of this library and of PyTorch, and the same disk: the scan and the
    outputs are opened there under the same names.

    Args:
        address: of Dask's scheduler, such as ``tcp://10.0.0.1:8786``.

    Raises:
        MicroCTSRError: dask and distributed are not installed; ResourceError: no scheduler
            answers.
    """
    _, distributed = _libraries()
    try:
        client = distributed.Client(address, timeout="10s")
    except (OSError, ValueError, TimeoutError) as error:
        raise ResourceError(
            f"No Dask scheduler answers at {address!r}; start one with: dask scheduler"
        ) from error
    with client:
        yield OnCluster(client)


def make_slab(folder: str, fingerprint: str, number: int) -> int:
    """Make one slab of the run in a working folder: what a worker does."""
    run = _joined(folder, fingerprint)
    if number not in run.folder.done():
        for _ in run.make([number]):
            pass
    return number


@lru_cache(maxsize=1)
def _joined(folder: str, fingerprint: str) -> Run:  # noqa: ARG001 - tells runs in a folder apart
    return joined(Path(folder))


def _refuse_one_file(run: Run) -> None:
    for content in (MEAN, UNCERTAINTY):
        if not isinstance(run.stores.get(content), ZarrStore | None):
            raise WriteError(
                f"The {content} would be one file that many computers write; give it a name that "
                f"ends in .zarr."
            )


def _libraries() -> tuple[Any, Any]:
    try:
        import dask
        import distributed
    except ModuleNotFoundError:
        raise MicroCTSRError(
            "Workers need the packages dask and distributed; install them with: "
            "pip install 'microctsr[cluster]'"
        ) from None
    return dask, distributed
