"""What decides a run: presets for each method, changed by a YAML file, checked key by key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, get_args

from annotated_types import Ge, Gt, Le, Lt

from ..errors import MicroCTSRError
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
    """Everything that decides the weights of a run; what decides only its pace is ``Machine``."""

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


_PAPER_BATCH = BatchSettings(size=5, patch=256, stride=128, patches=5000)
_PAPER_RATES = OptimiserSettings()
_PAPER_DATA = DataSettings(intensity="zscore_unit")
_COMPACT_RATES = OptimiserSettings(
    rate=4e-4,
    judge_rate=2e-4,
    betas=(0.9, 0.99),
    judge_betas=(0.5, 0.9),
    schedule="cosine",
    rise=200,
    average_decay=0.998,
    clip=1.0,
)
_PAPER_RESNET = NetworkSettings(
    "resnet", {"filters": 64, "blocks": 9, "dropout": "element", "dropout_rate": 0.5}
)
_COMPACT = NetworkSettings(
    "compact",
    {
        "in_slices": 7,
        "scale": 8,
        "width": 64,
        "blocks": 8,
        "upsampling": [40, 24, 16],
        "dropout_blocks": 4,
        "dropout_rate": 0.2,
    },
)

PRESETS: dict[tuple[Method, Preset], Config] = {
    ("cyclegan", "paper"): Config(
        "cyclegan",
        "paper",
        _PAPER_RESNET,
        _PAPER_BATCH,
        CycleLosses(),
        epochs=50,
        steps_per_epoch=1000,
        optimiser=_PAPER_RATES,
        data=_PAPER_DATA,
        validation=ValidationSettings(cases=1, slices=1, edge=32, samples=2),
    ),
    ("cyclegan", "compact"): Config(
        "cyclegan",
        "compact",
        _COMPACT,
        BatchSettings(size=6, low_size=2, patch=192),
        AcrossLosses(),
        epochs=20,
        steps_per_epoch=250,
        optimiser=_COMPACT_RATES,
        augmentation=AugmentationSettings(scan_noise=1.4, noisy_from=0.45),
    ),
    ("unet", "paper"): Config(
        "unet",
        "paper",
        NetworkSettings("unet", {"channels": [64, 128, 256, 512], "strides": [2, 2, 2]}),
        _PAPER_BATCH,
        PairLosses(),
        epochs=50,
        steps_per_epoch=1000,
        optimiser=_PAPER_RATES,
        data=_PAPER_DATA,
        validation=ValidationSettings(cases=1, slices=1, edge=32, samples=2),
    ),
    ("unet", "compact"): Config(
        "unet",
        "compact",
        NetworkSettings("unet", {"channels": [16, 32, 64, 128], "strides": [2, 2, 2]}),
        BatchSettings(size=4, patch=192),
        PairLosses(),
        epochs=12,
        steps_per_epoch=250,
        optimiser=_COMPACT_RATES,
    ),
    ("srgan", "paper"): Config(
        "srgan",
        "paper",
        NetworkSettings("srresnet", {"width": 64, "blocks": 16}),
        _PAPER_BATCH,
        SRGANLosses(),
        epochs=50,
        steps_per_epoch=1000,
        optimiser=_PAPER_RATES,
        data=_PAPER_DATA,
        validation=ValidationSettings(cases=1, slices=1, edge=32, samples=2),
    ),
    ("srgan", "compact"): Config(
        "srgan",
        "compact",
        NetworkSettings("srresnet", {"width": 32, "blocks": 8}),
        BatchSettings(size=4, patch=192),
        SRGANLosses(judge_filters=32, judge_layers=2),
        epochs=12,
        steps_per_epoch=250,
        optimiser=_COMPACT_RATES,
    ),
}


def load_config(
    method: Method = "cyclegan", preset: Preset = "compact", path: Path | None = None
) -> Config:
    """A preset, with the entries that a YAML file changes.

    Args:
        method: ``cyclegan``, ``unet`` or ``srgan``.
        preset: ``compact`` or ``paper``.
        path: YAML file whose entries are named as the fields of :class:`Config`.

    Raises:
        MicroCTSRError: the file cannot be read, or an entry is unknown or not valid; names it.
    """
    for value, choices in ((method, get_args(Method)), (preset, get_args(Preset))):
        if value not in choices:
            raise MicroCTSRError(f"{value!r} is none of the choices {', '.join(choices)}.")
    config = PRESETS[method, preset]
    return config if path is None else _changed(config, _read_yaml(path), str(path))


def changed(config: Config, **entries: Any) -> Config:
    """A configuration with other entries, checked; nested ones as dictionaries.

    Raises:
        MicroCTSRError: an entry is unknown or not valid; names it.
    """
    return _changed(config, entries, "The configuration")


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


def _changed(config: Config, entries: Mapping[str, Any], name: str) -> Config:
    for key in ("method", "preset"):
        if entries.get(key, getattr(config, key)) != getattr(config, key):
            raise MicroCTSRError(
                f"{name}: {key} is {entries[key]!r}, but the run's is {getattr(config, key)!r}; "
                f"give --{key} {entries[key]}."
            )
    values = _merged(config.to_dict(), entries)
    network = entries.get("network")
    if isinstance(network, Mapping) and network.get("name", config.network.name) != (
        config.network.name
    ):
        values["network"] = network  # another network has other arguments
    # Apart, so that a message speaks of this method's losses and not of every method's.
    losses = validated(type(config.losses), values.pop("losses"), f"{name}: losses")
    checked: Config = validated(Config, {**values, "losses": losses}, f"{name}: ")
    return checked


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(old[key], value)
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping)
        else value
        for key, value in new.items()
    }
    return {**old, **both}


def validated(kind: Any, values: Any, name: str, strict: bool = False) -> Any:
    """Values as what a type makes of them.

    Args:
        kind: a dataclass, or another type that pydantic knows.
        values: of an entry, or of all entries under it.
        name: what a message calls it.
        strict: a number written as text is none.

    Raises:
        MicroCTSRError: names the entry that is not valid, and what is wrong with it.
    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(values, strict=strict)
    except ValidationError as error:
        # Of a choice between kinds, the one that the value went furthest into.
        first = max(error.errors(), key=lambda each: len(each["loc"]))
    unknown = first["type"] == "unexpected_keyword_argument"
    place = _place(name, first["loc"], unknown)
    if unknown:
        raise MicroCTSRError(f"{place} is no entry of a configuration; correct it.")
    raise MicroCTSRError(f"{place} is not valid ({_reason(first)}); correct it.")


def _place(name: str, loc: tuple[int | str, ...], unknown: bool) -> str:
    """The dotted key of an error, without the kinds that pydantic tells choices apart by."""
    parts = [str(part) for part in loc if isinstance(part, int) or part.isidentifier()]
    if unknown and not str(loc[-1]).isidentifier():
        parts.append(repr(loc[-1]))
    key = ".".join(parts)
    if name.endswith(" "):
        return f"{name}{key}" if key else name.rstrip(": ")
    return f"{name}.{key}" if key else name


def _reason(error: Any) -> str:
    """What pydantic finds wrong, as a part of a sentence, with a short value as it stands."""
    reason = " ".join(error["msg"].removeprefix("Value error, ").split()).rstrip(".")
    reason = re.sub(r" or an instance of \w+", "", reason)
    reason = reason.replace("an instance of Sequence", "a list")
    if error["type"] != "value_error":
        reason = reason[0].lower() + reason[1:]
    value = error["input"]
    return f"{reason}, not {value!r}" if isinstance(value, int | float | str) else reason


def _read_yaml(path: Path) -> dict[str, Any]:
    import yaml

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MicroCTSRError(f"{path} cannot be read ({error.strerror}); check --config.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = " ".join(str(error).split())
        raise MicroCTSRError(f"{path} is not valid YAML ({place}); correct the file.") from None
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise MicroCTSRError(f"{path} holds no entries such as `epochs: 20`; correct the file.")
    try:
        _check_numbers(entries, str(path), ())
    except RecursionError:
        raise MicroCTSRError(f"{path} has an entry that contains itself; correct it.") from None
    return entries


def _check_numbers(value: Any, name: str, place: tuple[str, ...]) -> None:
    """Find numbers such as 1e-4, which YAML takes for text."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            _check_numbers(entry, name, (*place, str(key)))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            _check_numbers(entry, name, (*place, str(number)))
    elif isinstance(value, str):
        found = re.fullmatch(r"([-+]?\d+)(\.\d*)?[eE]([-+]?)(\d+)", value)
        if found:
            whole, fraction, sign, exponent = found.groups("")
            written = f"{whole}{fraction if len(fraction) > 1 else '.0'}e{sign or '+'}{exponent}"
            raise MicroCTSRError(
                f"{name}: {'.'.join(place)} is {value!r}, which YAML takes for text; "
                f"write {written}."
            )


def _plain(value: Any) -> Any:
    """Tuples as lists, so that a configuration equals itself after a trip through a file."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
