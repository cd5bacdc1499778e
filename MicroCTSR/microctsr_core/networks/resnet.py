"""The paper's generator: CycleGAN's ResNet, one slice in, one slice out, on the high grid.

Zhu et al. 2017 ("Unpaired image-to-image translation using cycle-consistent adversarial
networks") after Johnson et al. 2016; Li et al. 2021 keep its dropout active at inference.
Layers stand in one ``nn.Sequential`` in the order of the authors' PyTorch code, so that
the names of its checkpoints (``model.1.weight``, ``model.10.conv_block.1.weight``, ...) are ours.
The code of CUT (Park et al. 2020) has the same generator, with anti-aliased sampling (Zhang 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from .dropout import (
    chosen,
    convolved_from,
    convolved_into,
    inputs_kept,
    kept_channels,
    masked,
    outputs_kept,
)
from .strips import Padded, convolved, in_strips

NORMS = ("instance", "frozen", "batch", "none")
DROPOUTS = ("channel", "element", "none")
OUTPUTS = ("tanh", "linear")


class DropoutSite(nn.Identity):
    """Marks where masks act; a layer, since the layers after it are numbered past it."""


class FrozenNorm(nn.BatchNorm2d):
    """Instance normalisation by statistics taken once, the same for every tile and in training."""

    def train(self, mode: bool = True) -> FrozenNorm:  # noqa: ARG002 - it never changes
        super().train(False)
        return self


class BlurDown(nn.Module):
    """Halves the grid: blurred by (1, 2, 1) / 4 along both axes, every second pixel kept."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", _blur((1, 2, 1), channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (1, 1, 1, 1), mode="reflect")
        return functional.conv2d(x, self.get_buffer("filt"), stride=2, groups=x.shape[1])


class BlurUp(nn.Module):
    """Doubles the grid: each pixel spread by (1, 3, 3, 1) / 4 along both axes."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", 4 * _blur((1, 3, 3, 1), channels), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (1, 1, 1, 1), mode="replicate")
        # Padding 3 takes away what the two repeated pixels at each side alone have made.
        return functional.conv_transpose2d(
            x, self.get_buffer("filt"), stride=2, padding=3, groups=x.shape[1]
        )


class ResnetBlock(nn.Module):
    """Two reflect-padded 3x3 convolutions around a skip, with a dropout site between them."""

    def __init__(self, channels: int, norm: str, dropout: bool) -> None:
        super().__init__()
        first = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), _norm(norm, channels)]
        second = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), _norm(norm, channels)]
        # Without dropout the original has no layer here, and the later ones move up by one.
        site = [DropoutSite()] if dropout else []
        self.conv_block = nn.Sequential(*first, nn.ReLU(inplace=True), *site, *second)

    def before_dropout(self, x: Tensor, kept: Tensor | None = None) -> Tensor:
        """The first convolution, its normalisation and its rectifier, of all channels or fewer."""
        pad, convolution, norm, rectifier = list(self.conv_block)[:4]
        assert isinstance(convolution, nn.Conv2d)
        hidden: Tensor = rectifier(norm(convolved_into(kept, pad(x), convolution)))
        return hidden

    def after_dropout(self, x: Tensor, hidden: Tensor, mask: Tensor | None) -> Tensor:
        """Drop channels of ``hidden``, convolve it again and add it to the block's input ``x``."""
        pad, convolution, norm = list(self.conv_block)[-3:]
        assert isinstance(convolution, nn.Conv2d)
        added: Tensor = norm(convolved_from(hidden, convolution, mask, pad))
        return added.add_(x)

    @property
    def folded(self) -> bool:
        """Whether no normalisation is left, which knows all channels and whole images."""
        return isinstance(self.conv_block[2], nn.Identity)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        kept = kept_channels(mask) if self.folded else None
        return self.after_dropout(x, self.before_dropout(x, kept), mask)

    def run_in_place(
        self, x: Padded, hidden: Padded, mask: Tensor | None, first_half: Tensor | None = None
    ) -> None:
        """What ``forward`` computes, without gradients or normalisations: ``x`` becomes it.

        Args:
            x: the block's input.
            hidden: memory for what lies between the convolutions.
            mask: as in ``forward``.
            first_half: the result of ``before_dropout``, where it is known already.
        """
        first, second = (layer for layer in self.conv_block if isinstance(layer, nn.Conv2d))
        kept = kept_channels(mask)
        inner = hidden.hold(first.out_channels if kept is None else len(kept))
        if first_half is not None:
            inner.copy_(first_half if kept is None else chosen(first_half, kept))
        else:
            for rows, strip in convolved(x.reflected(), *outputs_kept(first, kept)):
                torch.clamp_min(strip, 0, out=inner[:, :, rows])
        weight = second.weight
        if kept is not None and mask is not None:
            weight = inputs_kept(second, kept, mask)
        elif mask is not None:
            inner.copy_(masked(inner, mask))
        for rows, strip in convolved(hidden.reflected(), weight, second.bias):
            x.features[:, :, rows].add_(strip)


class ResNetGenerator(nn.Module):
    """CycleGAN's ResNet generator; works on slices already interpolated to the high grid.

    Args:
        filters: channels after the first convolution; four times as many in the blocks.
        blocks: residual blocks, 9 in the paper (6 for small images).
        norm: ``"instance"`` as in the paper, which makes a tile's result depend on the tile's own
            mean and spread; ``"frozen"``, the same with statistics that :mod:`..normalisation`
            took once; ``"batch"``, whose running statistics hold after training; or ``"none"``.
        dropout: ``"element"`` as in the paper, ``"channel"`` for whole channels, or ``"none"``.
        dropout_rate: share dropped in a pass.
        output: ``"tanh"`` as in the original, mapped from [-1, 1] to [0, 1] (and the input the
            other way), or ``"linear"``.
        out_channels: 1, or 3 for a network trained on colour images, whose mean is the result.
        antialias: halve and double the grid with blurs, as CUT's code does by default, instead of
            strided convolutions.
        dropout_blocks: how many of the last blocks hold a dropout site; all by default, as in the
            original. What lies ahead of them is computed once for all passes.

    Raises:
        ValueError: an argument outside the choices above.
    """

    in_slices = 1
    scale = 1
    stride = 4

    def __init__(
        self,
        filters: int = 64,
        blocks: int = 9,
        norm: str = "instance",
        dropout: str = "channel",
        dropout_rate: float = 0.5,
        output: str = "tanh",
        out_channels: int = 1,
        antialias: bool = False,
        dropout_blocks: int | None = None,
    ) -> None:
        super().__init__()
        for value, choices in ((norm, NORMS), (dropout, DROPOUTS), (output, OUTPUTS)):
            if value not in choices:
                raise ValueError(f"resnet takes one of {', '.join(choices)}, not {value!r}.")
        if min(filters, blocks, out_channels) < 1 or not 0 <= dropout_rate < 1:
            raise ValueError(
                f"resnet needs filters, blocks and out_channels of at least 1 and a dropout rate "
                f"in [0, 1), not {filters}, {blocks}, {out_channels} and {dropout_rate}."
            )
        sites = 0 if dropout == "none" else blocks if dropout_blocks is None else dropout_blocks
        if not 0 <= sites <= blocks or (dropout != "none" and sites == 0):
            raise ValueError(f"resnet needs 1 to {blocks} dropout_blocks, not {dropout_blocks}.")
        self.dropout = dropout
        self.dropout_rate = dropout_rate if dropout != "none" else 0.0
        self.dropout_channels = (4 * filters,) * sites
        self.output = output
        self.norm = norm
        self.antialias = antialias
        self._filters = filters
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(1, filters, 7)]
        layers += [_norm(norm, filters), nn.ReLU(inplace=True)]
        for before, after in pairwise((filters, 2 * filters, 4 * filters)):
            layers += [nn.Conv2d(before, after, 3, stride=1 if antialias else 2, padding=1)]
            layers += [_norm(norm, after), nn.ReLU(inplace=True)]
            layers += [BlurDown(after)] if antialias else []
        self._first_block = len(layers)
        layers += [
            ResnetBlock(4 * filters, norm, dropout=number >= blocks - sites)
            for number in range(blocks)
        ]
        self._last_block = len(layers)
        for before, after in pairwise((4 * filters, 2 * filters, filters)):
            if antialias:
                layers += [BlurUp(before), nn.Conv2d(before, after, 3, padding=1)]
            else:
                layers += [nn.ConvTranspose2d(before, after, 3, 2, padding=1, output_padding=1)]
            layers += [_norm(norm, after), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(filters, out_channels, 7)]
        layers += [nn.Tanh() if output == "tanh" else nn.Identity()]
        self.model = nn.Sequential(*layers)
        self._initialise()

    @property
    def radius(self) -> int:
        """Radius of the receptive field in input pixels, apart from instance normalisation.

        The last 7x7 reaches 3 pixels and the two transposed convolutions 3 more; each block adds
        two pixels of a grid four times coarser; the way down adds 1 + 2, and the first 7x7 3.
        With anti-aliasing, the blurs and their full-size convolutions take that to 21.
        """
        around_blocks = 21 if self.antialias else 12
        return around_blocks + 8 * (self._last_block - self._first_block)

    @property
    def decode_radius(self) -> int:
        """Radius of what ``decode`` reads of the encoded features, in input pixels."""
        blocks = self._last_block - self._first_block - len(self._encoded_blocks())
        # Half of the first block with a dropout site is encoded.
        half = 4 if self.dropout_channels else 0
        return (12 if self.antialias else 6) + 8 * blocks - half

    def encode(self, x: Tensor) -> tuple[Tensor, ...]:
        """What no mask changes, of a slice (N, 1, H, W).

        That is the input of the first block with a dropout site and its half-way result, both
        (N, 4*filters, H/4, W/4); without dropout, what the blocks make.
        """
        if self.output == "tanh":
            x = 2 * x - 1
        y = self.model[: self._first_block](x)
        blocks = self._encoded_blocks()
        y = self._through(blocks, y, [None] * len(blocks))
        sited = self._sited_blocks()
        return (y, sited[0].before_dropout(y)) if sited else (y,)

    def decode(self, encoded: Sequence[Tensor], masks: Sequence[Tensor] | None) -> Tensor:
        """The rest, for one set of masks: -> (N, 1, H, W), multiples of four."""
        y, *hidden = encoded
        sited = self._sited_blocks()
        y = self._through(sited, y, masks or [None] * len(sited), *hidden)
        y = self._enlarged(y).mean(dim=1, keepdim=True)
        return (y + 1) / 2 if self.output == "tanh" else y

    def forward(self, x: Tensor, masks: Sequence[Tensor] | None = None) -> Tensor:
        """Slice (N, 1, H, W) in [0, 1] -> slice (N, 1, H, W); H and W multiples of four."""
        return self.decode(self.encode(x), masks)

    def _through(
        self,
        blocks: Sequence[ResnetBlock],
        y: Tensor,
        masks: Sequence[Tensor | None],
        first_half: Tensor | None = None,
    ) -> Tensor:
        """Blocks one after the other; ``first_half`` is what the first makes ahead of its mask."""
        one_by_one = not y.is_cuda and all(mask is None or mask.ndim == 1 for mask in masks)
        if not blocks or not one_by_one or not self._in_strips():
            for number, (block, mask) in enumerate(zip(blocks, masks, strict=True)):
                if number == 0 and first_half is not None:
                    y = block.after_dropout(y, first_half, mask)
                else:
                    y = block(y, mask)
            return y
        features, hidden = Padded(y), Padded(y)
        features.features.copy_(y)
        for number, (block, mask) in enumerate(zip(blocks, masks, strict=True)):
            block.run_in_place(features, hidden, mask, first_half if number == 0 else None)
        return features.features

    def _enlarged(self, y: Tensor) -> Tensor:
        """What follows the blocks."""
        layers = self.model[self._last_block : -1]
        if not self._in_strips():
            return self._ended(layers(y))
        # Of features on the finest grid, those that blurs make take most.
        widest = 2 * self._filters if self.antialias else self._filters
        halo = 3 if self.antialias else 2
        return self._ended(in_strips(layers, y, halo, scale=4, channels=widest))

    def _ended(self, y: Tensor) -> Tensor:
        """The last activation: in single precision, for rounding would show in an image."""
        ended: Tensor = self.model[-1](y.float())
        return ended

    def _in_strips(self) -> bool:
        """Whether strips of a slice give what the slice does, and no gradients are wanted."""
        return self._blocks()[0].folded and not torch.is_grad_enabled()

    def _encoded_blocks(self) -> list[ResnetBlock]:
        return self._blocks()[: self._last_block - self._first_block - len(self.dropout_channels)]

    def _sited_blocks(self) -> list[ResnetBlock]:
        return self._blocks()[len(self._encoded_blocks()) :]

    def _blocks(self) -> list[ResnetBlock]:
        return [layer for layer in self.model if isinstance(layer, ResnetBlock)]

    def _initialise(self) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(layer.weight, 0.0, 0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)


def _norm(norm: str, channels: int) -> nn.Module:
    if norm == "none":
        return nn.Identity()  # keeps the layers' numbers, and with them the names in checkpoints
    kinds: dict[str, type[nn.Module]] = {
        "instance": nn.InstanceNorm2d,
        "frozen": FrozenNorm,
        "batch": nn.BatchNorm2d,
    }
    return kinds[norm](channels)


def _blur(weights: Sequence[float], channels: int) -> Tensor:
    row = torch.tensor(weights, dtype=torch.float32)
    square = row[:, None] * row / row.sum() ** 2
    return square.expand(channels, 1, *square.shape).clone()
