"""What models there are, and what their cards say; PyTorch is not needed to know.

A card is checked against ``models/card.schema.json`` where it matters, that is before a model is
loaded or saved; a program that has no jsonschema yet can still read it.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

from .errors import ModelError, WriteError

DEFAULT_MODEL = "ear"
WEIGHTS = "weights.safetensors"
CARD = "card.json"
_BUNDLED = Path(__file__).parent / "models"


def list_models() -> list[str]:
    """Names of the bundled models, the default first."""
    names = sorted(card.parent.name for card in _BUNDLED.glob(f"*/{CARD}"))
    return sorted(names, key=lambda name: name != DEFAULT_MODEL)


def find_package(name_or_path: str | os.PathLike[str] = DEFAULT_MODEL) -> Path:
    """The folder of a bundled model, or the folder given.

    Raises:
        ModelError: there is no such model and no such folder.

    Example:
        >>> find_package("ear").name
        'ear'
    """
    name = os.fspath(name_or_path)
    if name in list_models():
        return _BUNDLED / name
    path = Path(name)
    if os.path.isdir(path):
        return path
    available = ", ".join(list_models()) or "none in this installation"
    raise ModelError(
        f"There is no model {name!r}; available models: {available}. "
        f"You can also give the folder of a model package."
    )


def check_new_package(folder: Path, overwrite: bool = False) -> None:
    """Find out, before long work starts, whether a folder is free for a new model package.

    Args:
        folder: where the package is to go; it may be an empty folder.
        overwrite: whether a package in it may be replaced.

    Raises:
        WriteError: it is a file, or it holds something and may not be written over.
    """
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise WriteError(f"{folder} is a file; give the name of a folder.")
    if not overwrite and os.path.isdir(folder) and any(folder.iterdir()):
        raise WriteError(
            f"{folder} exists already and is not empty; give another folder, or --overwrite to "
            f"replace the model in it."
        )


def load_card(folder: Path) -> dict[str, Any]:
    """Read the card of a model package as it is; it may lack entries.

    Raises:
        ModelError: the card is missing or is no JSON object.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(card, ensure_ascii=False).encode()  # halves of characters cannot be written
    except OSError:
        raise ModelError(
            f"{folder} is not a model package: it has no readable {CARD}; "
            f"give a folder with {WEIGHTS} and {CARD}."
        ) from None
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is not valid JSON ({error}); restore the file.") from None
    if not isinstance(card, dict):
        raise ModelError(f"{path} is not a JSON object; restore the file.")
    return card


def read_card(folder: Path) -> dict[str, Any]:
    """Read and check the card of a model package, without its weights.

    Raises:
        ModelError: the card is missing, is not JSON or does not follow the schema.
    """
    card = load_card(folder)
    check_card_schema(card, str(folder / CARD))
    return card


def check_card_schema(card: Any, name: str) -> None:
    """Check a card against the schema.

    Args:
        card: the card as read from JSON.
        name: what the message calls it.

    Raises:
        ModelError: names the key at fault and what is wrong with it.
    """
    import jsonschema.exceptions

    error = jsonschema.exceptions.best_match(_validator().iter_errors(card))
    if error is not None:
        key = ".".join(str(part) for part in error.absolute_path)
        place = f"at {key!r}" if key else "at its top level"
        raise ModelError(f"{name} is not valid {place}: {error.message}; correct the card.")


@cache
def _validator() -> Any:
    import jsonschema

    schema = json.loads((_BUNDLED / "card.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)
