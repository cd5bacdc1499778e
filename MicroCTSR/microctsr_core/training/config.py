"""What decides a run, and within which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from annotated_types import Ge, Gt, Le, Lt

from .domains import DataSettings

Method: TypeAlias = Literal["cyclegan", "unet", "srgan"]
Preset: TypeAlias = Literal["compact", "paper"]
Form: TypeAlias = Literal["log", "least-squares"]

# Numbers within the bounds of what they stand for.
Count: TypeAlias = Annotated[int, Ge(1)]
Whole: TypeAlias = Annotated[int, Ge(0)]
Above: TypeAlias = Annotated[float, Gt(0)]
Amount: TypeAlias = Annotated[float, Ge(0)]
Share: TypeAlias = Annotated[float, Ge(0), Le(1)]
Decay: TypeAlias = Annotated[float, Ge(0), Lt(1)]

_STRICT: Any = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True)
class NetworkSettings:
    """The generator that a model package will hold; see ``networks.build``."""

    __pydantic_config__: ClassVar[Any] = _STRICT
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class BatchSettings:
    """What one step learns from.

    Args:
        size: patches of the high domain in a step, over all processes together.
        low_size: patches of the low domain; as many when ``None``.
        patch: edge of a patch in pixels of the high grid.
        stride: patches lie on a grid of this stride, as in the paper; anywhere when ``None``.
        patches: patches drawn once from that grid, from which every epoch learns.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    size: Count
    patch: Count
    low_size: Count | None = None
    stride: Count | None = None
    patches: Count | None = None


@dataclass(frozen=True)
class AugmentationSettings:
    """Random changes of a patch.

    Args:
        flips, turns: mirror images and quarter turns.
        intensity_scale: greatest relative change of contrast.
        intensity_shift: greatest shift, in units of the scaled image.
        blur_pixels: greatest Gaussian SD by which low patches are blurred, in low pixels.
        noise: greatest SD of white noise added to low patches, in units of the scaled image.
        scan_noise: what the noise of scans simulated from micro-CT is multiplied by, at most.
        noisy_from: share of the run before which it is multiplied by no more than 1: once anatomy
            is learned, noise up to that of the worst scans teaches what not to believe.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    flips: bool = True
    turns: bool = True
    intensity_scale: Decay = 0.0
    intensity_shift: Amount = 0.0
    blur_pixels: Amount = 0.0
    noise: Amount = 0.0
    scan_noise: Amount = 1.0
    noisy_from: Share = 0.0


@dataclass(frozen=True)
class OptimiserSettings:
    """Adam for generators and discriminators (judges), with a schedule and a moving average.

    Args:
        rate, judge_rate: learning rates.
        betas, judge_betas: of Adam.
        schedule: of both rates: ``linear`` falls to zero over the second half of the run, as
            CycleGAN's authors have it; ``cosine`` falls to a fiftieth over the whole run.
        rise: steps over which the generators' rate rises at first.
        average_decay: of the generator's moving average; 0 keeps the last weights.
        clip: greatest norm of a gradient; ``None`` does not clip.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    rate: Above = 1e-4
    judge_rate: Above = 1e-4
    betas: tuple[Decay, Decay] = (0.5, 0.999)
    judge_betas: tuple[Decay, Decay] = (0.5, 0.999)
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    rise: Whole = 0
    average_decay: Decay = 0.0
    clip: Above | None = None


@dataclass(frozen=True)
class CycleLosses:
    """CycleGAN on one grid, as in the paper (Zhu et al. 2017; Li et al. 2021).

    Args:
        cycle, adversarial, identity: weights.
        form: of the adversarial loss.
        judge_filters, judge_layers: of both PatchGANs.
        pool: generated images kept to show the discriminators again; 0 for none.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    cycle: Amount = 10.0
    adversarial: Amount = 1.0
    identity: Amount = 0.0
    form: Form = "log"
    judge_filters: Count = 64
    judge_layers: Count = 3
    pool: Whole = 50


@dataclass(frozen=True)
class AcrossLosses:
    """CycleGAN across resolutions: G_L goes up by the scale, G_H comes down by it.

    Args:
        cycle, adversarial: weights.
        form: of the adversarial loss.
        scanner: whether G_H contains the scanner (point spread and noise) or only area sampling.
        regional: whether the low cycle is compared over 5 x 5 voxels, or voxel by voxel.
        through_plane: whether the low cycle averages what is generated over a slice's depth.
        alone: share of the run that learns from the high cycle alone, which costs half.
        judge_filters: of both PatchGANs.
        pool: generated images kept to show the discriminators again; 0 for none.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    cycle: Amount = 10.0
    adversarial: Amount = 0.03
    form: Form = "least-squares"
    scanner: bool = True
    regional: bool = True
    through_plane: bool = True
    alone: Share = 0.8
    judge_filters: Count = 32
    pool: Whole = 0


@dataclass(frozen=True)
class PairLosses:
    """U-Net on pairs made from the high domain: L1, and the noise of the pairs.

    Args:
        pixel: weight of the L1 difference.
        noise_sd: of the Gaussian noise on the down-sampled image, in units of the scaled image.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    pixel: Amount = 1.0
    noise_sd: Amount = 0.015


@dataclass(frozen=True)
class SRGANLosses:
    """SRGAN on pairs made from the high domain (Ledig et al. 2017).

    Its perceptual loss compares what the discriminator's own layers make of result and truth
    (feature matching, Wang et al. 2018): it needs no network trained on photographs.

    Args:
        pixel, perceptual, adversarial: weights.
        form: of the adversarial loss.
        noise_sd: of the Gaussian noise on the down-sampled image, in units of the scaled image.
        alone: share of the run that learns from the pixel loss alone, as the authors begin.
        judge_filters, judge_layers: of the discriminator.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    pixel: Amount = 1.0
    perceptual: Amount = 0.1
    adversarial: Amount = 1e-3
    form: Form = "log"
    noise_sd: Amount = 0.015
    alone: Share = 0.5
    judge_filters: Count = 64
    judge_layers: Count = 3


Losses: TypeAlias = CycleLosses | AcrossLosses | PairLosses | SRGANLosses


@dataclass(frozen=True)
class ValidationSettings:
    """What is super-resolved after each epoch to see how good the model is.

    Args:
        folder: of clinical scans, such as phantoms with their truth; the held-out cases when
            ``None``.
        cases: held-out scans at most.
        slices: of each, around its middle.
        edge: of the box in voxels of the scan, around its middle.
        samples: passes.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    folder: str | None = None
    cases: Count = 3
    slices: Count = 2
    edge: Count = 48
    samples: Count = 4


@dataclass(frozen=True)
class Config:
    """What decides the weights of a run; its pace, and its precision, are those of ``Machine``."""

    __pydantic_config__: ClassVar[Any] = _STRICT
    method: Method
    preset: Preset
    network: NetworkSettings
    batch: BatchSettings
    losses: Losses
    epochs: Count
    steps_per_epoch: Count
    optimiser: OptimiserSettings = OptimiserSettings()
    augmentation: AugmentationSettings = AugmentationSettings()
    data: DataSettings = field(default_factory=DataSettings)
    validation: ValidationSettings = ValidationSettings()
    card: dict[str, Any] = field(default_factory=dict)
    seed: Whole = 0

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * self.steps_per_epoch

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON and YAML hold them."""
        return _plain(asdict(self))


def difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The first key, as ``optimiser.rate``, whose values differ between two configurations."""
    for key in sorted({*one, *other}):
        first, second = one.get(key), other.get(key)
        if isinstance(first, Mapping) and isinstance(second, Mapping):
            inner = difference(first, second)
            if inner is not None:
                return f"{key}.{inner}"
        elif first != second:
            return key
    return None


def value_at(config: Mapping[str, Any], key: str) -> Any:
    """The value of a dotted key; ``None`` where there is none."""
    value: Any = config
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> Any:
    """Tuples as lists, so that a configuration equals itself after a trip through a file."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
