"""PatchGAN discriminator: judges every local patch of an image, real or generated."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import ParametrizationList


class PatchGAN(nn.Module):
    """Strided 4×4 convolutions down to one score per patch (Isola et al. 2017).

    Parameters
    ----------
    in_channels : channels of the image.
    filters : channels after the first layer; doubled by each further layer up to eightfold.
    layers : number of stride-2 convolutions; three give the 70×70 patches of the original.
    norm : "instance" as in CycleGAN, or "spectral" (Miyato et al. 2018), which bounds the slope of
        the score and keeps small training sets from being learned by heart. Its estimate of the
        slope is brought up to date by `refresh` alone: else it would hang on how often the network
        was called, and so on how a batch was shared.
    """

    def __init__(
        self, in_channels: int = 1, filters: int = 64, layers: int = 3, norm: str = "instance"
    ) -> None:
        super().__init__()
        if norm not in ("instance", "spectral"):
            raise ValueError(f"PatchGAN norm is 'instance' or 'spectral', not {norm!r}.")

        def convolution(before: int, after: int, stride: int) -> nn.Module:
            layer = nn.Conv2d(before, after, 4, stride=stride, padding=1)
            return spectral_norm(layer) if norm == "spectral" else layer

        modules: list[nn.Module] = [convolution(in_channels, filters, 2), nn.LeakyReLU(0.2)]
        channels = filters
        for layer in range(1, layers + 1):
            after = filters * min(2**layer, 8)
            modules.append(convolution(channels, after, 2 if layer < layers else 1))
            if norm == "instance":
                modules.append(nn.InstanceNorm2d(after))
            modules.append(nn.LeakyReLU(0.2))
            channels = after
        modules.append(convolution(channels, 1, 1))
        self.layers = nn.Sequential(*modules)
        self.eval()

    def train(self, mode: bool = True) -> PatchGAN:  # noqa: ARG002 - see `norm`
        """Stay as it is."""
        return super().train(False)

    @torch.no_grad()
    def refresh(self) -> None:
        """One power iteration of each spectral norm; to be called after every step."""
        for layer in self.modules():
            if isinstance(layer, ParametrizationList):
                nn.Module.train(layer)
                layer()
                nn.Module.eval(layer)

    def forward(self, x: Tensor) -> Tensor:
        """Image (N, in_channels, H, W) -> scores (N, 1, h, w), without a final activation."""
        return self.layers(x)

    def features(self, x: Tensor) -> list[Tensor]:
        """What each rectified layer makes of an image, and last the scores."""
        made = []
        for layer in self.layers:
            x = layer(x)
            if isinstance(layer, nn.LeakyReLU):
                made.append(x)
        return [*made, x]
