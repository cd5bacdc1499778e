"""Looking at all values of a large array without holding them all.

An array may be a file mapped into memory, or anything that gives a part of itself when sliced, as
a Zarr array does. Statistics of a scan are taken piece by piece, and come out the same for every
kind of array.
"""

from __future__ import annotations

import mmap
import sys
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

SAMPLES = 2_000_000
"""Values of a volume that are looked at to choose thresholds for it, at most."""

_PIECE_BYTES = 16_000_000


class Sliceable(Protocol):
    """What has a shape, a type, and parts along its first axis."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> np.dtype[Any]: ...

    def __getitem__(self, key: Any, /) -> Any: ...


class OnDisk:
    """An array on disk that is read only where it is looked at; what was read is a copy.

    Args:
        array: gives a part of itself when sliced, such as a file mapped for reading.
        lead: indices ahead of the last three axes, of axes that have one element.
    """

    ndim = 3

    def __init__(self, array: Sliceable, lead: tuple[int, ...] = ()) -> None:
        self._array, self._lead = array, lead
        self.shape = tuple(array.shape[len(lead) :])
        self.dtype = array.dtype.newbyteorder("=")
        self.size = int(np.prod(self.shape))

    def __getitem__(self, key: Any) -> NDArray[Any]:
        key = key if isinstance(key, tuple) else (key,)
        part = np.array(self._array[(*self._lead, *key)], self.dtype)
        _release(self._array)
        return part

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[k] for k in range(len(self)))

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self[:], dtype, copy=copy)


def pieces(array: Sliceable) -> Iterator[NDArray[Any]]:
    """The array in its order, a few planes at a time."""
    plane_bytes = int(np.prod(array.shape[1:])) * array.dtype.itemsize
    planes = max(1, _PIECE_BYTES // max(1, plane_bytes))
    for first in range(0, array.shape[0], planes):
        yield np.asarray(array[first : first + planes])


def sampled(array: Sliceable, count: int) -> NDArray[Any]:
    """Every n-th value in the array's order, so that there are about ``count`` or fewer.

    Example:
        >>> sampled(np.arange(100).reshape(4, 5, 5), 10)
        array([ 0, 10, 20, 30, 40, 50, 60, 70, 80, 90])
    """
    every = max(1, -(-int(np.prod(array.shape)) // count))
    kept, seen = [], 0
    for piece in pieces(array):
        kept.append(np.array(np.ravel(piece)[-seen % every :: every]))
        seen += piece.size
    return np.concatenate(kept)


def _release(array: Sliceable) -> None:
    """Let the system take back the memory of a file mapped for reading."""
    part: Any = array
    while part is not None and not isinstance(part, np.memmap):
        part = getattr(part, "base", None)
    # In a mapping that may be changed, changes would be lost.
    if part is None or part.mode != "r":
        return
    mapping: Any = part.base
    while mapping is not None and not isinstance(mapping, mmap.mmap):
        mapping = getattr(mapping, "base", None)
    if mapping is not None and sys.platform == "linux":
        mapping.madvise(mmap.MADV_DONTNEED)
