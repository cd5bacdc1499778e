"""Entries that a user writes, read and checked: an error names the entry and what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import MicroCTSRError

_MOST_ALIASES = 20
_DEEPEST = 50  # entries in entries
_GREATEST = 10**30


def read_yaml(path: Path) -> dict[str, Any]:
    """The entries of a YAML file.

    Raises:
        MicroCTSRError: the file cannot be read, or holds something else; names the place.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
        _check_unfolding(text, path)
        entries = yaml.safe_load(text)
        if entries is None:
            return {}
        if not isinstance(entries, dict):
            raise MicroCTSRError(f"{path} holds no entries such as `seed: 0`; correct the file.")
        _check_numbers(entries, str(path), ())
        # Halves of characters cannot be shown or written.
        json.dumps(entries, ensure_ascii=False, default=str).encode()
    except OSError as error:
        raise MicroCTSRError(f"{path} cannot be read ({error.strerror}); check its name.") from None
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, LookupError) as error:
        # Besides its own errors, PyYAML lets through those of dates and numbers that cannot be.
        place = " ".join(str(error).split())
        raise MicroCTSRError(f"{path} is not valid YAML ({place}); correct the file.") from None
    except RecursionError:
        raise MicroCTSRError(
            f"{path} has an entry that contains itself or lies too deep in others; correct it."
        ) from None
    return entries


def _check_unfolding(text: str, path: Path) -> None:
    """Refuse a few lines that would take PyYAML hours, or more memory than there is."""
    import yaml

    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise RecursionError
    # Aliases of aliases of aliases are few words that stand for very many.
    aliases = sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader))
    if aliases > _MOST_ALIASES:
        raise MicroCTSRError(
            f"{path} repeats entries by {aliases} aliases (*name); write them out, or use no more "
            f"than {_MOST_ALIASES}."
        )


def _check_numbers(value: Any, name: str, place: tuple[str, ...]) -> None:
    """Find numbers such as 1e-4, which YAML takes for text, and those that stand for nothing."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            _check_numbers(entry, name, (*place, str(key)))
    elif isinstance(value, list):
        for number, entry in enumerate(value):
            _check_numbers(entry, name, (*place, str(number)))
    elif isinstance(value, int) and abs(value) > _GREATEST:
        raise MicroCTSRError(f"{name}: {'.'.join(place)} is too large a number; correct it.")
    elif isinstance(value, str):
        found = re.fullmatch(r"([-+]?\d+)(\.\d*)?[eE]([-+]?)(\d+)", value)
        if found:
            whole, fraction, sign, exponent = found.groups("")
            written = f"{whole}{fraction if len(fraction) > 1 else '.0'}e{sign or '+'}{exponent}"
            raise MicroCTSRError(
                f"{name}: {'.'.join(place)} is {value!r:.60}, which YAML takes for text; "
                f"write {written}."
            )


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
        raise MicroCTSRError(f"{place} is no entry that is known; correct it.")
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
