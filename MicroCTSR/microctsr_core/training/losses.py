"""Terms of a loss, and the differences that several methods take."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from .config import Form

REGION = 5
"""Edge, in low pixels, of the regions over which the low cycle is compared."""


@dataclass(frozen=True)
class Term:
    """One term of a loss.

    Args:
        name: for logs.
        value: mean over the samples it was computed from, ().
        weight: in the total.
    """

    name: str
    value: Tensor
    weight: float = 1.0


def adversarial(scores: Tensor, real: bool, form: Form) -> Tensor:
    """How far scores are from calling an image real (or generated).

    ``log`` is the paper's, as cross-entropy (Goodfellow et al. 2014); ``least-squares`` is the
    distance to 1 (or 0), which goes on teaching where the discriminator is sure (Mao et al. 2017).
    """
    target = torch.full_like(scores, float(real))
    if form == "log":
        return functional.binary_cross_entropy_with_logits(scores, target)
    return functional.mse_loss(scores, target)


def regional(difference: Tensor) -> Tensor:
    """Average over regions of low pixels: what of a difference is more than noise."""
    edge = min(REGION, *difference.shape[-2:])
    return functional.avg_pool2d(difference, edge, stride=1)


def feature_difference(generated: list[Tensor], real: list[Tensor]) -> Tensor:
    """Mean L1 difference of two images' features, layer by layer (Wang et al. 2018)."""
    pairs = zip(generated, real, strict=True)
    return torch.stack([functional.l1_loss(made, true.detach()) for made, true in pairs]).mean()
