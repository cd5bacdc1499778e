"""The rivals, U-Net and SRGAN: supervised on pairs made from the high domain, as in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn
from torch.nn import functional
from typing_extensions import override

from ..networks import build
from ..networks.patchgan import PatchGAN
from .chance import Chance
from .config import Config, PairLosses, SRGANLosses
from .losses import Term, adversarial, feature_difference
from .method import Batch, Method, called


class Supervised(Method):
    """A generator that learns to undo bicubic down-sampling and noise.

    Batches are ``image`` (slots, 1, H, W) of the high domain.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        assert isinstance(config.losses, PairLosses | SRGANLosses)
        self.noise_sd, self.scale = config.losses.noise_sd, config.data.scale
        self.pixel = config.losses.pixel
        self.up = cast(nn.Module, build(config.network.name, **config.network.arguments))

    @override
    def generator_terms(
        self, domain: str, batch: Batch, chance: Chance, alone: bool
    ) -> tuple[list[Term], Tensor | None]:
        """L1 difference from the truth."""
        made = self._made(batch["image"], chance)
        return [Term("pixel", functional.l1_loss(made, batch["image"]), self.pixel)], None

    def _made(self, image: Tensor, chance: Chance) -> Tensor:
        """The image made again from a small noisy copy of itself."""
        small = functional.interpolate(
            image, scale_factor=1 / self.scale, mode="bicubic", antialias=True
        )
        small = small + self.noise_sd * chance.normal("noise", small.shape[1:])
        if self.up.scale == 1:
            small = functional.interpolate(small, scale_factor=self.scale, mode="bicubic")
        return called(self.up, small, chance, "pass")


class SRGAN(Supervised):
    """Content, perceptual and adversarial loss (Ledig et al. 2017)."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        assert isinstance(config.losses, SRGANLosses)
        self.losses = config.losses
        self.alone = self.losses.alone
        self.judge = PatchGAN(1, self.losses.judge_filters, self.losses.judge_layers, "spectral")

    @property
    def judges(self) -> Sequence[PatchGAN]:
        return [self.judge]

    @override
    def generator_terms(
        self, domain: str, batch: Batch, chance: Chance, alone: bool
    ) -> tuple[list[Term], Tensor | None]:
        """The pixel loss alone at first, then with what the discriminator sees."""
        image = batch["image"]
        made = self._made(image, chance)
        terms = [Term("pixel", functional.l1_loss(made, image), self.pixel)]
        if alone:
            return terms, None
        *features, scores = self.judge.features(made)
        *wanted, _ = self.judge.features(image)
        terms += [
            Term("perceptual", feature_difference(features, wanted), self.losses.perceptual),
            Term("fool", adversarial(scores, True, self.losses.form), self.losses.adversarial),
        ]
        return terms, made.detach()

    @override
    def judge_terms(self, domain: str, batch: Batch, made: Tensor) -> list[Term]:
        """Real and generated images."""
        return [
            Term("made", adversarial(self.judge(made), False, self.losses.form)),
            Term("real", adversarial(self.judge(batch["image"]), True, self.losses.form)),
        ]
