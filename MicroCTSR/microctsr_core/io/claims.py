"""How much a file claims to hold, asked before memory is taken for it.

A header is a few numbers: damaged or made by someone with bad intent, it claims a volume that no
computer holds, and a few kilobytes of compressed zeros unpack to gigabytes.
"""

from __future__ import annotations

from pathlib import Path

from ..errors import ReadError, ResourceError
from ..memory import free_memory_bytes

# Scans are compressed two to twenty times; an empty label map of this size is 500 kilobytes.
_ANY_BYTES = 500_000_000
_GREATEST_RATIO = 500
_IN_ONE_FILE = (".nrrd", ".mha", ".nii", ".gz", ".tif", ".tiff", ".pth")


def check_claim(path: Path, claimed_bytes: int, any_bytes: int = _ANY_BYTES) -> None:
    """Make sure that what a file unpacks to can be true, and fits into free memory.

    Args:
        path: the file or folder.
        claimed_bytes: what its values take in memory, by its header.
        any_bytes: claims up to this are believed.

    Raises:
        ReadError: it claims far more than it can hold.
        ResourceError: it does not fit into the memory that is free.
    """
    if claimed_bytes <= any_bytes:
        return
    stored_bytes = _stored_bytes(path)
    if claimed_bytes > _GREATEST_RATIO * stored_bytes:
        raise ReadError(
            f"{path} claims to hold {_size(claimed_bytes)} in {_size(stored_bytes)}, which no "
            f"scan does; it is damaged, so copy or export it again."
        )
    free = free_memory_bytes()
    if claimed_bytes > free:
        raise ResourceError(
            f"{path} takes {_size(claimed_bytes)} of memory, but only {_size(free)} are free; "
            f"close other programs, or convert it to OME-Zarr or an uncompressed NRRD, which are "
            f"read in parts."
        )


def _stored_bytes(path: Path) -> int:
    """Bytes of a folder with all that lies in it, or of a file with what may be its values."""
    if path.is_file() and path.suffix.lower() in _IN_ONE_FILE:
        return path.stat().st_size
    files = path.rglob("*") if path.is_dir() else path.parent.iterdir()
    return sum(file.stat().st_size for file in files if file.is_file())


def _size(count: int) -> str:
    count = min(count, 10**30)  # headers claim anything
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"
