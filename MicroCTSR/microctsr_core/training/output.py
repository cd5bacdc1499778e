"""A run's folder, which one run at a time has to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import MicroCTSRError, WriteError
from ..io.atomic import check_output
from .journal import LAST
from .state import CHECKPOINT


@contextmanager
def opened(output: Path, resume: bool, tell: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder that is new, or whose run goes on; nothing of another run is written over.

    Args:
        output: the folder.
        resume: whether its run goes on. What it left half written when it was killed is removed.
        tell: called with what the user should know.

    Raises:
        MicroCTSRError: the folder holds something else, or another process trains in it;
            WriteError: it cannot be written.
    """
    checkpoint, card, config = (output / name for name in (CHECKPOINT, "card.json", "config.yaml"))
    if card.exists() and not config.exists():
        raise MicroCTSRError(
            f"{output} holds a model that no run here made; choose another folder."
        )
    check_output(checkpoint)
    with _locked(output):
        if not resume and any(path.exists() for path in (checkpoint, card, config)):
            raise MicroCTSRError(
                f"{output} holds a run or a model already; go on with --resume, or choose another "
                f"folder."
            )
        if resume:
            _remove_leftovers(output)
            if not checkpoint.exists():
                tell(f"There is no checkpoint in {output}; the run begins anew.")
        yield


@contextmanager
def _locked(output: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the system lets them in when the process is killed."""
    output.mkdir(parents=True, exist_ok=True)
    lock = FileLock(output / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise MicroCTSRError(
            f"{output} is being trained in by another process; wait for it or choose another "
            f"folder."
        ) from None
    except OSError as error:
        raise WriteError(
            f"{output} cannot be kept for this run ({error.strerror or error}); choose another "
            f"folder."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _remove_leftovers(output: Path) -> None:
    for folder in (output, output / LAST, output / "images"):
        for suffix in ("pt", "yaml", "jsonl", "json", "safetensors", "png"):
            for leftover in folder.glob(f".*-????????.{suffix}"):
                leftover.unlink(missing_ok=True)
