"""How passes are decoded on a device: one after the other, or many at once."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from .networks import Generator

Draw: TypeAlias = Callable[[int], Sequence[Tensor] | None]
"""The masks of a pass, one per dropout site; ``None`` for a network without any."""

# More passes at once than these, or than fit into this memory, make a graphics card no faster.
_MOST_AT_ONCE = 32
_MOST_BYTES = 8e9


class PassDecoder:
    """Runs the part of a network that masks change.

    One pass at a time leaves out the channels that its mask drops, which is best for a processor.
    Many at once compute all channels, which is best for a graphics card: it is quick at large
    convolutions of one shape, and slow at asking what a mask holds.

    Half precision rounds weights and features to 11 bits; what is made of them is put together in
    single precision. Should a feature overflow it, this and all later passes are in single.

    Args:
        network: in evaluation mode.
        at_once: most passes at once; becomes smaller when the device runs out of memory.
        precision: of weights and features, when many are decoded at once.
    """

    def __init__(
        self, network: Generator, at_once: int = 1, precision: torch.dtype = torch.float32
    ) -> None:
        self._network = network
        self.at_once = at_once
        self._dense = at_once > 1
        self._half = None
        if precision != torch.float32:
            self._half = copy.deepcopy(cast(nn.Module, network)).to(precision)
        self._precision = precision

    def passes(self, encoded: Sequence[Tensor], draw: Draw, numbers: range) -> Iterator[Tensor]:
        """Decode passes, as many at once as memory allows.

        Args:
            encoded: by the network, of one stack.
            draw: gives the masks of a pass.
            numbers: of the passes.

        Yields:
            Some of the passes, in their order: (passes, rows, columns) in single precision.

        Raises:
            RuntimeError: there is no memory for a single pass (see :func:`out_of_memory`).
        """
        while numbers:
            few = numbers[: self.at_once]
            try:
                planes = self._decoded(encoded, [draw(number) for number in few])
            except RuntimeError as error:
                if len(few) == 1 or not out_of_memory(error):
                    raise
                self.at_once = len(few) // 2
                continue
            yield planes
            numbers = numbers[len(few) :]

    def _decoded(self, encoded: Sequence[Tensor], drawn: list[Sequence[Tensor] | None]) -> Tensor:
        first, *others = drawn
        if first is None or not self._dense:
            assert not others
            return self._network.decode(encoded, first)[:, 0]
        masks = [
            torch.cat([mask.reshape(1, *mask.shape[-3:]) for mask in site])
            for site in zip(*cast(list[Sequence[Tensor]], drawn), strict=True)
        ]
        if self._half is not None:
            planes = self._decoded_in_half(self._half, encoded, masks)
            # The sum is finite only if all values are, and it is quickly had.
            if torch.isfinite(planes.sum()):
                return planes
            self._half = None
            warnings.warn(
                "A feature of the network is too large for half precision; from here on passes "
                "are computed in single precision, which takes longer.",
                RuntimeWarning,
                stacklevel=2,
            )
        return self._network.decode(encoded, masks)[:, 0]

    def _decoded_in_half(
        self, half: nn.Module, encoded: Sequence[Tensor], masks: Sequence[Tensor]
    ) -> Tensor:
        # What has one channel is an image, in which rounding would show.
        rounded = [each.to(self._precision) if each.shape[1] > 1 else each for each in encoded]
        network = cast(Generator, half)
        return network.decode(rounded, [mask.to(self._precision) for mask in masks])[:, 0].float()


def decoder_for(network: Generator, device: torch.device, pass_bytes: float) -> PassDecoder:
    """The decoder that suits a device.

    Args:
        network: on the device.
        device: a graphics card decodes many passes at once, in half precision.
        pass_bytes: working memory of a pass over the largest tile.
    """
    if device.type != "cuda":
        return PassDecoder(network)
    at_once = passes_at_once(pass_bytes, free_on_card(device))
    return PassDecoder(network, max(2, at_once), torch.float16)


def passes_at_once(pass_bytes: float, free_bytes: float) -> int:
    """How many passes to decode at once: in half of the free memory, but at least one."""
    return int(max(1, min(_MOST_AT_ONCE, min(free_bytes / 2, _MOST_BYTES) // pass_bytes)))


def out_of_memory(error: RuntimeError) -> bool:
    """Whether an error says that a graphics card's memory is full, in whichever library's words."""
    # cuDNN finds no way to compute a convolution when it has memory for none.
    told = ("ALLOC_FAILED", "unable to find an engine")
    return isinstance(error, torch.cuda.OutOfMemoryError) or any(
        words in str(error) for words in told
    )


def free_on_card(device: torch.device) -> int:
    """Memory of a graphics card that this process may still take, or has and does not use."""
    free, _ = torch.cuda.mem_get_info(device)
    idle = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(free) + idle
