"""Models: a network with the card that says what it is, what it was made for and how good it is.

A model package is a folder with ``weights.safetensors`` and ``card.json``. The card is checked
against ``models/card.schema.json``, the weights against the SHA-256 in the card, and nothing is
ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from .card import CARD, DEFAULT_MODEL, WEIGHTS, check_card_schema, find_package, read_card
from .errors import ModelError
from .io.atomic import atomic_path
from .networks import Generator, build, shapes
from .preparation import Intensity, intensity_from_dict


@dataclass(frozen=True, eq=False)
class Model:
    """A network, ready to infer, and its card.

    Args:
        network: in evaluation mode, on the CPU, gradients off.
        card: as in ``models/card.schema.json``; ``weights_sha256`` is set by :meth:`save`.
        path: folder of the package; ``None`` for a model that was never saved.
    """

    network: Generator
    card: dict[str, Any]
    path: Path | None = None

    def __post_init__(self) -> None:
        module = self._module()
        module.eval()
        module.requires_grad_(False)
        if self.network.scale not in (1, self.scale):
            raise ModelError(
                f"The card of the model {self.name!r} says scale {self.scale}, but its network "
                f"enlarges {self.network.scale} times; correct the card."
            )

    @property
    def name(self) -> str:
        return str(self.card["name"])

    @property
    def version(self) -> str:
        return str(self.card["version"])

    @property
    def scale(self) -> int:
        """High-resolution voxels per low-resolution voxel, along each axis in the plane."""
        return int(self.card["scale"])

    @property
    def sha256(self) -> str:
        """Hash of the weights, as the card gives it once the model has been saved."""
        if self.path is not None:
            return str(self.card["weights_sha256"])
        return hashlib.sha256(self._weights()).hexdigest()

    @property
    def intensity(self) -> Intensity:
        """Intensity scaling of the card; call ``fitted(scan)`` before using it."""
        try:
            return intensity_from_dict(self.card["intensity"])
        except ValueError as error:
            raise ModelError(f"The card of the model {self.name!r} is not valid: {error}") from None

    @property
    def uncertainty_scale(self) -> float:
        """What the standard deviation over passes is multiplied by to be as large as errors are.

        Learned where the truth is known (``evaluation.fitted_scale``); 1 where the card is silent.
        """
        return float(self.card.get("uncertainty_scale", {}).get("factor", 1.0))

    def save(self, folder: str | os.PathLike[str]) -> Model:
        """Write the model as a package and return it as loaded from there.

        Both files are complete before either gets its name. Should the process end between the
        two renames, the hash tells that weights and card do not belong together.

        Raises:
            ModelError: the card does not follow the schema.
            WriteError: the folder cannot be written.
        """
        folder = Path(folder)
        weights = self._weights()
        card = {**self.card, "weights_sha256": hashlib.sha256(weights).hexdigest()}
        check_card_schema(card, f"The card of the model {card.get('name', folder.name)!r}")
        text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
        with atomic_path(folder / WEIGHTS) as weights_file, atomic_path(folder / CARD) as card_file:
            weights_file.write_bytes(weights)
            card_file.write_text(text, encoding="utf-8")
        return Model(self.network, card, folder)

    def _weights(self) -> bytes:
        state = {name: value.contiguous() for name, value in self._module().state_dict().items()}
        return safetensors.torch.save(state)

    def _module(self) -> nn.Module:
        return cast(nn.Module, self.network)


def load_model(name_or_path: str | os.PathLike[str] = DEFAULT_MODEL) -> Model:
    """Load a bundled model by name, or a model package from a folder.

    Raises:
        ModelError: no such model, a file is missing, the card is not valid, or the weights are
            not those that the card was written for.

    Example:
        >>> load_model().name
        'ear'
    """
    folder = find_package(name_or_path)
    card = read_card(folder)
    weights = _checked_weights(folder / WEIGHTS, card)
    name, arguments = card["network"]["name"], card["network"]["arguments"]
    try:
        _check_fit(folder, shapes(name, **arguments), weights)
        network = build(name, **arguments)
        cast(nn.Module, network).load_state_dict(weights)
    except (ValueError, RuntimeError) as error:
        raise ModelError(
            f"{folder / CARD}: network is not valid: {str(error).rstrip('.')}; correct the card."
        ) from None
    return Model(network, card, folder)


def _check_fit(
    folder: Path, wanted: Mapping[str, tuple[int, ...]], weights: Mapping[str, Tensor]
) -> None:
    """Make sure that weights are those of a network before memory is taken for it."""
    found = {name: tuple(value.shape) for name, value in weights.items()}
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            has, needs = (_by(each.get(name)) for each in (found, wanted))
            raise ModelError(
                f"{folder / WEIGHTS} does not hold the weights of the network in its card "
                f"({name[:60]} is {has}, where the network has {needs}); correct "
                f"network.arguments in {CARD}."
            )
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise ModelError(
                f"{folder / WEIGHTS} holds values in {name} that are no numbers; restore the "
                f"model package."
            )


def _by(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else " x ".join(map(str, shape)) or "one number"


def _checked_weights(path: Path, card: dict[str, Any]) -> dict[str, Tensor]:
    try:
        data = path.read_bytes()
    except OSError:
        raise ModelError(
            f"The weights {path} are missing or cannot be read; restore the model package."
        ) from None
    found = hashlib.sha256(data).hexdigest()
    if found != card["weights_sha256"]:
        raise ModelError(
            f"The weights {path} are damaged or not those of the card (SHA-256 {found[:12]}... "
            f"instead of {card['weights_sha256'][:12]}...); restore the model package."
        )
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{path} is not a safetensors file ({error}); weights are read from no other format."
        ) from None
