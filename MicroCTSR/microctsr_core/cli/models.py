"""``microctsr model``: what models there are, what their cards say, and what they cost here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..card import find_package, list_models, read_card
from ..io.atomic import atomic_path
from . import options
from .conduct import well_behaved


@well_behaved
def list_() -> None:
    """List the bundled models, the default first."""
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
    _print_flattened(card)


@well_behaved
def cost(
    name: Annotated[str, typer.Argument(metavar="NAME|DIR", help="Bundled model, or a folder.")],
    device: options.Device = "auto",
    file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write it as JSON instead of printing it."),
    ] = None,
) -> None:
    """Measure how fast this computer runs a model, and say what its runs need."""
    read_card(find_package(name))  # so that a wrong name is told before PyTorch is loaded
    import torch

    from ..model import load_model
    from ..resources import footprint, resolve_device
    from ..speed import device_memory_bytes, device_name, measured_speed

    model, target = load_model(name), resolve_device(device)
    facts = {
        "device": str(target),
        "device_name": device_name(target),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "total_memory_bytes": device_memory_bytes(target),
        "footprint": asdict(footprint(model)),
        "speed": asdict(measured_speed(model, target)),
    }
    if file is None:
        _print_flattened(facts)
        return
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    typer.echo(file)


def _print_flattened(entries: Mapping[str, Any]) -> None:
    lines = list(_flattened(entries))
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
            yield prefix + key, f"{value:g}" if isinstance(value, float) else str(value)
