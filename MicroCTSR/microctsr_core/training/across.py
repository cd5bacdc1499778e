"""CycleGAN across resolutions: G_L goes up by the scale, G_H comes down by it, as a scanner does.

The low grid has one pixel where the high one has 64, so a step costs a small part of what it does
on one grid, and the generators cannot hide the scan in the result to get it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks import build
from ..networks.patchgan import PatchGAN
from .batches import NODE_WEIGHTS
from .chance import Chance
from .config import AcrossLosses, Config
from .losses import Term, adversarial, regional
from .method import Batch, Method, called

_WIDEST = 2.0
"""Greatest point spread (SD in low pixels) that the kernel holds whole."""


class ScannerGenerator(nn.Module):
    """G_H: from micro-CT to clinical CT, a scanner model plus what it leaves out.

    The scanner (point spread, area sampling, noise) does what physics explains; a small network
    that starts at zero adds the rest, among it noise of the texture that the low discriminator
    finds real.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        last = nn.Conv2d(width, 1, 3, padding=1)
        for parameter in last.parameters():
            nn.init.zeros_(parameter)
        self.correction = nn.Sequential(
            nn.Conv2d(2, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            last,
        )

    def forward(self, scanned: Tensor, noise: Tensor) -> Tensor:
        """Correct scanned planes (N, planes, H, W); `noise` is standard normal, same shape."""
        n, planes, height, width = scanned.shape
        pair = torch.stack([scanned, noise], dim=2).reshape(n * planes, 2, height, width)
        return scanned + self.correction(pair).reshape(scanned.shape)


class AcrossResolutions(Method):
    """CycleGAN whose generators change the resolution, and what keeps it faithful.

    Batches: low ``stacks`` (slots, 3, planes, H, W) and ``sigma`` (slots,); high ``image``
    (slots, 1, scale·H, scale·W) and ``stack`` (slots, planes, H, W).
    """

    later = ("low",)

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert isinstance(config.losses, AcrossLosses)
        self.losses, self.scale = config.losses, config.data.scale
        self.alone, self.pool = self.losses.alone, self.losses.pool
        self.up = cast(nn.Module, build(config.network.name, **config.network.arguments))
        self.down = ScannerGenerator()
        self.judge_high = PatchGAN(1, self.losses.judge_filters, 2, "spectral")
        self.judge_low = PatchGAN(1, self.losses.judge_filters, 1, "spectral")

    @property
    def generators(self) -> Sequence[nn.Module]:
        return [self.up, self.down]

    @property
    def judges(self) -> Sequence[PatchGAN]:
        return [self.judge_high, self.judge_low]

    def generator_terms(
        self, domain: str, batch: Batch, chance: Chance, alone: bool
    ) -> tuple[list[Term], Tensor | None]:
        """The cycle of a domain, and how real the judges find what was made on its way."""
        if domain == "high":
            cycle, made = self._high_cycle(batch, chance)
        else:
            cycle, made = self._low_cycle(batch, chance)
        terms = [Term(f"cycle_{domain}", cycle, self.losses.cycle)]
        if alone:
            return terms, None
        judge, name = self._judge_of_made(domain)
        fooled = adversarial(judge(_flat(made)), True, self.losses.form)
        return [*terms, Term(f"fool_{name}", fooled, self.losses.adversarial)], made.detach()

    def judge_terms(self, domain: str, batch: Batch, made: Tensor) -> list[Term]:
        """What was made from a domain is judged in the other; the domain's own images are real."""
        judge, name = self._judge_of_made(domain)
        terms = [Term(f"made_{name}", adversarial(judge(_flat(made)), False, self.losses.form))]
        if domain == "high":
            scores = self.judge_high(batch["image"])
        else:
            scores = self.judge_low(_flat(batch["stacks"][:, 1]))
        return [*terms, Term(f"real_{domain}", adversarial(scores, True, self.losses.form))]

    def _high_cycle(self, batch: Batch, chance: Chance) -> tuple[Tensor, Tensor]:
        """y → G_H → G_L → y, and the planes that G_H made (slots, planes, H, W)."""
        stack = batch["stack"]
        fake = self.down(stack, chance.normal("high scan", stack.shape[1:]))
        again = called(self.up, fake, chance, "high back")
        return functional.l1_loss(again, batch["image"]), fake

    def _low_cycle(self, batch: Batch, chance: Chance) -> tuple[Tensor, Tensor]:
        """x → G_L → G_H → x, and the planes that G_L made (slots, nodes, scale·H, scale·W).

        Pixel by pixel this loss would ask G_L to carry the scan's noise into the result, where it
        becomes specks and worms; so it is compared regionally.
        """
        n, nodes, planes, height, width = batch["stacks"].shape
        stacks = batch["stacks"].reshape(n * nodes, planes, height, width)
        made = called(self.up, stacks, chance, "low there")
        made = made.reshape(n, nodes, *made.shape[2:])
        if self.losses.through_plane:
            weights = made.new_tensor(NODE_WEIGHTS).reshape(1, nodes, 1, 1)
            slab = (made * weights).sum(1, keepdim=True)
        else:
            slab = made[:, nodes // 2, None]
        if self.losses.scanner:
            scanned = scan_in_plane(slab, batch["sigma"], self.scale)
        else:
            scanned = functional.avg_pool2d(slab, self.scale)
        again = self.down(scanned, torch.zeros_like(scanned))
        difference = again - batch["stacks"][:, nodes // 2, planes // 2, None]
        if self.losses.regional:
            difference = regional(difference)
        return difference.abs().mean(), made

    def _judge_of_made(self, domain: str) -> tuple[nn.Module, str]:
        return (self.judge_high, "high") if domain == "low" else (self.judge_low, "low")


def scan_in_plane(image: Tensor, sigma_pixels: Tensor, scale: int) -> Tensor:
    """Blur (N, 1, H, W) by each sample's Gaussian (SD in its pixels) and area-sample by `scale`.

    Pairs are averaged first, which is the first part of area sampling.
    """
    step = 2 if scale % 2 == 0 else 1
    halved = functional.avg_pool2d(image, step)
    # The same for all, since no image may change with what else is in its batch.
    radius = int(3.0 * _WIDEST * scale / step) + 1
    taps = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-0.5 * (taps[None] / (sigma_pixels[:, None] / step)) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    n = len(halved)
    padded = functional.pad(halved, [radius] * 4, mode="replicate").transpose(0, 1)
    rows = functional.conv2d(padded, kernel.reshape(n, 1, -1, 1), groups=n)
    blurred = functional.conv2d(rows, kernel.reshape(n, 1, 1, -1), groups=n).transpose(0, 1)
    return functional.avg_pool2d(blurred, scale // step)


def _flat(images: Tensor) -> Tensor:
    """(slots, n, H, W) -> (slots * n, 1, H, W)."""
    return images.reshape(-1, 1, *images.shape[2:])
