"""Prepared cases on disk: one folder each, which appears when it is complete."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from ..errors import ReadError, WriteError
from ..io import check_image
from ..volume import Volume
from .folders import Source

# Goes up when cases are made differently, so that older ones are made anew.
_FORMAT = 2
_RECORD = "case.json"


def cached_case(
    source: Source,
    cache: Path,
    facts: dict[str, Any],
    write: Callable[[Volume, Path], dict[str, Any]],
) -> tuple[Path, dict[str, Any]]:
    """The folder of a case and what was noted of it, made where the cache does not hold it yet.

    Args:
        source: what the case is made of.
        cache: folder of the cases of a domain.
        facts: settings that the case depends on, such as can be written as JSON.
        write: writes the arrays of a case to a folder, and returns what is to be noted.

    Raises:
        MicroCTSRError: the source cannot be read or used; WriteError: the cache cannot be written.
    """
    folder = cache / _key_of(source, facts)
    record = _load_record(folder)
    if record is None:
        volume = source.read()
        check_image(volume, str(source.path))
        with _new_case(folder) as (files, record):
            record["digest"] = _digest_of(source, volume, facts)
            record.update(write(volume, files))
    return folder, record


def _key_of(source: Source, facts: dict[str, Any]) -> str:
    """A name for the case made of a source under these settings, and of nothing else.

    Args:
        source: its files count with their sizes and times, so that changed ones are made anew.
        facts: settings that the case depends on, such as can be written as JSON.

    Raises:
        ReadError: the files are not there, or may not be seen.
    """
    try:
        stats = [(str(file), file.stat()) for file in source.files()]
    except OSError as error:
        raise ReadError(f"{source.path} cannot be read ({error.strerror or error}).") from error
    files = [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats]
    calibration = None if source.calibration is None else vars(source.calibration)
    identity = [_FORMAT, source.name, files, source.series, source.spacing, calibration, facts]
    text = json.dumps(identity, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _digest_of(source: Source, volume: Volume, facts: dict[str, Any]) -> str:
    """What a case is made of, in short: the same wherever and whenever its files were written.

    Args:
        source: its name counts, as scanners are drawn by it.
        volume: what the source holds.
        facts: settings that the case depends on, such as can be written as JSON.
    """
    calibration = None if source.calibration is None else vars(source.calibration)
    geometry = [volume.array.dtype.str, volume.shape, volume.spacing]
    text = json.dumps([_FORMAT, source.name, calibration, geometry, facts], sort_keys=True)
    digest = hashlib.blake2b(text.encode(), digest_size=10)
    for plane in volume.array:  # one at a time, as the array need not lie in one piece
        digest.update(plane.tobytes())
    return digest.hexdigest()


def _load_record(folder: Path) -> dict[str, Any] | None:
    """What was noted of a case, or None where there is no complete one."""
    try:
        record: dict[str, Any] = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record


@contextmanager
def _new_case(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Lend a temporary folder to write a case to, and a record to note facts in.

    When the block ends well, the folder takes its place under its own name; otherwise it is
    removed. What a killed process left of the same case is removed first.

    Raises:
        WriteError: the disk is full or the cache cannot be written.
    """
    part = folder.with_name(f".{folder.name}-{os.getpid()}-{secrets.token_hex(4)}")
    record: dict[str, Any] = {}
    try:
        for left in folder.parent.glob(f".{folder.name}-*"):
            if not psutil.pid_exists(int(left.name.split("-")[1])):
                shutil.rmtree(left, ignore_errors=True)
        part.mkdir(parents=True)
        yield part, record
        (part / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        if _load_record(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
            try:
                part.rename(folder)
            except OSError:
                if _load_record(folder) is None:  # else another process has just made the same
                    raise
    except OSError as error:
        raise WriteError(
            f"The cache {folder.parent} cannot be written ({error.strerror or error}); "
            f"free some space or choose another folder for it."
        ) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_array(
    path: Path, shape: tuple[int, int, int], slabs: Iterable[NDArray[np.float32]]
) -> None:
    """Write slabs (k, j, i) one after another as one float16 ``.npy`` file.

    Written as a file, not through a mapping: a full disk is then an error that can be told, where
    a mapping would end the process.
    """
    header = {"descr": "<f2", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for slab in slabs:
            file.write(np.ascontiguousarray(slab, "<f2").tobytes())
