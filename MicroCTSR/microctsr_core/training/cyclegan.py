"""CycleGAN on one grid: the paper's method (Zhu et al. 2017; Li et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from ..networks import build
from ..networks.patchgan import PatchGAN
from .chance import Chance
from .config import Config, CycleLosses
from .losses import Term, adversarial
from .method import Batch, Method, called


class CycleGAN(Method):
    """Two generators and two discriminators; clinical slices come interpolated to the high grid.

    x → G_L → G_H → x and y → G_H → G_L → y, with x of the low and y of the high domain; ``up`` is
    G_L, ``down`` is G_H. Batches are ``image`` (slots, 1, H, W) of either domain.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert isinstance(config.losses, CycleLosses)
        self.losses = config.losses
        self.pool = self.losses.pool
        network = config.network
        self.up, self.down = (
            self._module(build(network.name, **network.arguments)) for _ in range(2)
        )
        shape = (1, self.losses.judge_filters, self.losses.judge_layers, "instance")
        self.judge_high, self.judge_low = PatchGAN(*shape), PatchGAN(*shape)

    @property
    def generators(self) -> Sequence[nn.Module]:
        return [self.up, self.down]

    @property
    def judges(self) -> Sequence[PatchGAN]:
        return [self.judge_high, self.judge_low]

    @override
    def generator_terms(
        self, domain: str, batch: Batch, chance: Chance, alone: bool
    ) -> tuple[list[Term], Tensor | None]:
        """Cycle, adversarial and, where it has a weight, identity loss."""
        losses, image = self.losses, batch["image"]
        there, back, judge = self._roles(domain)
        made = called(there, image, chance, f"{domain} there")
        again = called(back, made, chance, f"{domain} back")
        terms = [Term(f"cycle_{domain}", functional.l1_loss(again, image), losses.cycle)]
        fooled = adversarial(judge(made), True, losses.form)
        terms.append(Term(f"fool_{_other(domain)}", fooled, losses.adversarial))
        if losses.identity:
            same = called(back, image, chance, f"{domain} identity")
            value = functional.l1_loss(same, image)
            terms.append(Term(f"identity_{domain}", value, losses.identity))
        return terms, made.detach()

    @override
    def judge_terms(self, domain: str, batch: Batch, made: Tensor) -> list[Term]:
        """Both halves of a discriminator's loss have the weight 1/2, as the authors have it."""
        form = self.losses.form
        judge_made, judge_real = self._roles(domain)[2], self._roles(_other(domain))[2]
        return [
            Term(f"made_{_other(domain)}", adversarial(judge_made(made), False, form), 0.5),
            Term(f"real_{domain}", adversarial(judge_real(batch["image"]), True, form), 0.5),
        ]

    def _roles(self, domain: str) -> tuple[nn.Module, nn.Module, nn.Module]:
        """For images of a domain: the generator away from it, the one back, and the judge there."""
        if domain == "low":
            return self.up, self.down, self.judge_high
        return self.down, self.up, self.judge_low

    @staticmethod
    def _module(network: object) -> nn.Module:
        assert isinstance(network, nn.Module)
        return network


def _other(domain: str) -> str:
    return "high" if domain == "low" else "low"
