"""``microctsr model``: what models there are and what their cards say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from .conduct import well_behaved


@well_behaved
def list_() -> None:
    """List the bundled models, the default first."""
    from ..card import find_package, list_models, read_card

    rows = [("NAME", "VERSION", "SCALE", "DESCRIPTION")]
    for name in list_models():
        card = read_card(find_package(name))
        rows.append((name, card["version"], f"x{card['scale']}", card["description"]))
    widths = [max(len(row[n]) for row in rows) + 2 for n in range(3)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        typer.echo("".join(cells) + row[3])


@well_behaved
def info(
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="Bundled model, or a folder.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the card as JSON.", show_default=False)
    ] = False,
) -> None:
    """Check a model package and print its card."""
    from ..model import load_model

    card = load_model(name).card
    if as_json:
        typer.echo(json.dumps(card, indent=2, ensure_ascii=False))
        return
    lines = list(_flattened(card))
    width = max(len(key) for key, _ in lines) + 2
    for key, value in lines:
        typer.echo(f"{key:<{width}}{value}")


def _flattened(card: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A card as (key, value) lines; ``network.arguments.filters`` for what lies deeper."""
    for key, value in card.items():
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{prefix}{key}.")
        elif isinstance(value, list):
            yield prefix + key, ", ".join(str(item) for item in value)
        else:
            yield prefix + key, str(value)
