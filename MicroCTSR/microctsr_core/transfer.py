"""Keeping a graphics card busy: what it reads is there before it asks for it.

On a processor the same functions hand things on as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")
_END: Any = object()


def ahead(items: Iterable[T], device: torch.device) -> Iterator[T]:
    """The same items; with a graphics card, each is made while the one before is used.

    Making happens in a thread of its own. On a processor there is nothing to gain: making and
    using would share its cores.
    """
    return made_ahead(items) if device.type == "cuda" else iter(items)


def made_ahead(items: Iterable[T]) -> Iterator[T]:
    """The same items, each made in another thread while the one before is used.

    What making raises is raised here, when the item is asked for. Whoever stops asking waits for
    the item that is being made.
    """
    source = iter(items)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, source, _END)
        while (item := coming.result()) is not _END:
            coming = pool.submit(next, source, _END)
            yield item


def sent(array: NDArray[np.float32], device: torch.device) -> Tensor:
    """An array on a device; a graphics card copies it in its own time, between its other work."""
    values = torch.from_numpy(array)
    if device.type != "cuda":
        return values
    return values.pin_memory().to(device, non_blocking=True)


def fetched(values: Tensor) -> NDArray[np.float32]:
    """Values from a device, once it has computed them."""
    if values.device.type != "cuda":
        return values.numpy()
    # Memory that is pinned is written by the card itself; it is kept for the next time.
    array = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    array.copy_(values, non_blocking=True)
    torch.cuda.current_stream(values.device).synchronize()
    return array.numpy()
