"""Entries that a user writes, read and checked: an error names the entry and what is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import MicroCTSRError


def read_yaml(path: Path) -> dict[str, Any]:
    """The entries of a YAML file.

    Raises:
        MicroCTSRError: the file cannot be read, or holds something else; names the place.
    """
    import yaml

    try:
        entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise MicroCTSRError(f"{path} cannot be read ({error.strerror}); check its name.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        place = " ".join(str(error).split())
        raise MicroCTSRError(f"{path} is not valid YAML ({place}); correct the file.") from None
    if entries is None:
        return {}
    if not isinstance(entries, dict):
        raise MicroCTSRError(f"{path} holds no entries such as `seed: 0`; correct the file.")
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
