"""Unpaired: two generators, two discriminators, and a scanner that keeps them faithful."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..networks.compact import CompactGenerator
from ..networks.patchgan import PatchGAN
from ..phantom import SCALE
from .sampling import NODE_WEIGHTS, HighBatch, LowBatch


@dataclass(frozen=True)
class Weights:
    """Weights of the losses, for images in [0, 1]; `cycle` is the paper's."""

    cycle: float = 10.0
    adversarial: float = 0.03


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


def scan_in_plane(image: Tensor, sigma_pixels: Tensor) -> Tensor:
    """Blur (N, 1, 8H, 8W) by each sample's Gaussian (SD in high pixels) and area-sample by 8.

    Pairs are averaged first, which is the first part of area sampling.
    """
    halved = functional.avg_pool2d(image, 2)
    radius = int(3.0 * float(sigma_pixels.max()) / 2) + 1
    taps = torch.arange(-radius, radius + 1, device=image.device)
    kernel = torch.exp(-0.5 * (taps[None] / (sigma_pixels[:, None] / 2)) ** 2)
    kernel = kernel / kernel.sum(1, keepdim=True)
    n = len(halved)
    padded = functional.pad(halved, [radius] * 4, mode="replicate").transpose(0, 1)
    rows = functional.conv2d(padded, kernel.reshape(n, 1, -1, 1), groups=n)
    blurred = functional.conv2d(rows, kernel.reshape(n, 1, 1, -1), groups=n).transpose(0, 1)
    return functional.avg_pool2d(blurred, SCALE // 2)


def regional(difference: Tensor) -> Tensor:
    """Average over 5×5 low pixels: what of a difference is more than noise."""
    return functional.avg_pool2d(difference, 5, stride=1)


class CycleGAN(nn.Module):
    """All networks of the method and their training steps.

    `high_cycle` is y → G_H → G_L → y, `full_step` adds x → G_L → G_H → x and both adversaries.
    """

    def __init__(self, generator: CompactGenerator, weights: Weights) -> None:
        super().__init__()
        self.up = generator
        self.down = ScannerGenerator()
        self.judge_high = PatchGAN(1, 32, 2, "spectral")
        self.judge_low = PatchGAN(1, 32, 1, "spectral")
        self.average = copy.deepcopy(generator).eval().requires_grad_(False)
        self.weights = weights

    def high_cycle(self, batch: HighBatch) -> tuple[Tensor, Tensor]:
        """Cycle loss of the high domain, and the planes that G_H made."""
        fake_low = self.down(batch.stacks, torch.randn_like(batch.stacks))
        again = self.up(fake_low.contiguous(memory_format=torch.channels_last))
        return functional.l1_loss(again, batch.images), fake_low

    def low_cycle(self, batch: LowBatch) -> tuple[Tensor, Tensor]:
        """Cycle loss of the low domain, regionally, and the planes that G_L made (3N, 1, 8H, 8W).

        Pixel by pixel, this loss would ask G_L to carry the scan's noise into the result.
        """
        n, nodes, planes, height, width = batch.stacks.shape
        fake_high = self.up(batch.stacks.reshape(n * nodes, planes, height, width))
        weights = fake_high.new_tensor(NODE_WEIGHTS).reshape(1, nodes, 1, 1, 1)
        slab = (fake_high.reshape(n, nodes, 1, *fake_high.shape[2:]) * weights).sum(1)
        scanned = scan_in_plane(slab, batch.sigma_pixels)
        again = self.down(scanned, torch.zeros_like(scanned))
        middle = batch.stacks[:, nodes // 2, planes // 2 : planes // 2 + 1]
        return regional(again - middle).abs().mean(), fake_high

    def full_step(
        self,
        low: LowBatch,
        high: HighBatch,
        generators: torch.optim.Optimizer,
        judges: torch.optim.Optimizer,
    ) -> dict[str, float]:
        """One step of both generators, then one of both discriminators."""
        for parameter in (*self.judge_high.parameters(), *self.judge_low.parameters()):
            parameter.requires_grad_(False)
        cycle_high, fake_low = self.high_cycle(high)
        cycle_low, fake_high = self.low_cycle(low)
        fake_planes = _planes(fake_low)
        fool_high = _least_squares(self.judge_high(fake_high), 1)
        fool_low = _least_squares(self.judge_low(fake_planes), 1)
        loss = self.weights.cycle * (cycle_high + cycle_low)
        loss = loss + self.weights.adversarial * (fool_high + fool_low)
        _step(loss, generators, [*self.up.parameters(), *self.down.parameters()])
        for parameter in (*self.judge_high.parameters(), *self.judge_low.parameters()):
            parameter.requires_grad_(True)
        real_planes = _planes(low.stacks[:, 1])
        judged_high = _least_squares(self.judge_high(high.images), 1) + _least_squares(
            self.judge_high(fake_high.detach()), 0
        )
        judged_low = _least_squares(self.judge_low(real_planes), 1) + _least_squares(
            self.judge_low(fake_planes.detach()), 0
        )
        _step(judged_high + judged_low, judges, [*self.judge_high.parameters()])
        return {
            "cycle_high": cycle_high.item(),
            "cycle_low": cycle_low.item(),
            "fool_high": fool_high.item(),
            "judge_high": judged_high.item(),
            "judge_low": judged_low.item(),
        }

    def warm_step(self, high: HighBatch, generators: torch.optim.Optimizer) -> dict[str, float]:
        """One step of the high cycle alone, with which training begins: under half the cost."""
        cycle_high, _ = self.high_cycle(high)
        loss = self.weights.cycle * cycle_high
        _step(loss, generators, [*self.up.parameters(), *self.down.parameters()])
        return {"cycle_high": cycle_high.item()}

    @torch.no_grad()
    def update_average(self, decay: float) -> None:
        """Moving average of G_L, which is what the model package holds."""
        for kept, new in zip(self.average.parameters(), self.up.parameters(), strict=True):
            kept.lerp_(new, 1 - decay)


def _planes(stacks: Tensor) -> Tensor:
    n, planes, height, width = stacks.shape
    return stacks.reshape(n * planes, 1, height, width)


def _least_squares(scores: Tensor, target: float) -> Tensor:
    return ((scores - target) ** 2).mean()


def _step(loss: Tensor, optimiser: torch.optim.Optimizer, parameters: list[nn.Parameter]) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(parameters, 1.0)
    optimiser.step()
