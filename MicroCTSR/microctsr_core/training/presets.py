"""Presets for each method and size, and what a user changes in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from ..entries import read_yaml, validated
from ..errors import MicroCTSRError
from .config import (
    AcrossLosses,
    AugmentationSettings,
    BatchSettings,
    Config,
    CycleLosses,
    Method,
    NetworkSettings,
    OptimiserSettings,
    PairLosses,
    Preset,
    SRGANLosses,
    ValidationSettings,
)
from .domains import DataSettings

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
        "blocks": 10,
        "upsampling": [32, 16],
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
    return config if path is None else _changed(config, read_yaml(path), str(path))


def changed(config: Config, **entries: Any) -> Config:
    """A configuration with other entries, checked; nested ones as dictionaries.

    Raises:
        MicroCTSRError: an entry is unknown or not valid; names it.
    """
    return _changed(config, entries, "The configuration")


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
