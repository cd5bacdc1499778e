"""``microctsr model``: what models there are, what their cards say, and what they cost here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..card import check_new_package, find_package, list_models, read_card
from ..io.atomic import atomic_path
from . import options
from .conduct import well_behaved
from .progress import progress_on_stderr

_Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="The model's name; by default the folder's."),
]
_Overwrite = Annotated[
    bool,
    typer.Option("--overwrite", help="Replace the model in the folder.", show_default=False),
]


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


@well_behaved
def import_cyclegan(
    checkpoint: Annotated[
        Path,
        typer.Argument(metavar="CHECKPOINT", help="Generator, such as latest_net_G_A.pth."),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder for the model package.")],
    name: _Name = None,
    scale: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Pixels of its training images per voxel of the clinical CT."
        ),
    ] = 8,
    voxel_low: Annotated[
        tuple[float, float],
        typer.Option(metavar="mm mm", help="Least and greatest voxel size of the clinical CT."),
    ] = (0.15, 0.35),
    window_hu: Annotated[
        tuple[float, float],
        typer.Option(metavar="HU HU", help="What was black and what was white in its images."),
    ] = (-1000.0, 3000.0),
    zscore: Annotated[
        bool,
        typer.Option(
            "--zscore",
            help="Scale each scan by its own mean and spread instead, as the paper does.",
            show_default=False,
        ),
    ] = False,
    dropout_rate: Annotated[
        float, typer.Option(min=0, max=0.99, help="Of its training, where it has dropout layers.")
    ] = 0.5,
    licence: Annotated[
        str, typer.Option(metavar="SPDX", help="Licence of the weights.")
    ] = "NOASSERTION",
    author: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Who trained it; may be given several times."),
    ] = None,
    trained_on: Annotated[
        str | None, typer.Option(metavar="TEXT", help="The training data in words.")
    ] = None,
    overwrite: _Overwrite = False,
) -> None:
    """Make a model package of a ResNet generator trained with the code of CycleGAN or CUT."""
    check_new_package(folder, overwrite)
    if not window_hu[0] < window_hu[1]:
        raise typer.BadParameter("Black comes before white.", param_hint="--window-hu")
    from ..importing import import_cyclegan as imported
    from ..preparation import HUWindow, ZScoreUnit

    facts: dict[str, Any] = {"authors": tuple(author)} if author else {}
    if trained_on is not None:
        facts["trained_on"] = trained_on
    model = imported(
        checkpoint,
        name or _name_from(folder),
        scale=scale,
        voxel_size_low_mm=voxel_low,
        intensity=ZScoreUnit() if zscore else HUWindow(*window_hu),
        dropout_rate=dropout_rate,
        licence=licence,
        **facts,
    )
    model.save(folder)
    typer.echo(folder)


@well_behaved
def calibrate(
    name_or_folder: Annotated[
        str, typer.Argument(metavar="NAME|DIR", help="Model with instance normalisation.")
    ],
    sources: Annotated[
        list[Path],
        typer.Argument(metavar="SCAN...", help="Clinical CT like that which it is to be used on."),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the new package.")],
    name: _Name = None,
    box: Annotated[
        str | None,
        typer.Option(metavar="k0:k1,j0:j1,i0:i1", help="Voxels of each scan to look at."),
    ] = None,
    slices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Slices of each scan, evenly spread.")
    ] = 8,
    device: options.Device = "auto",
    seed: options.Seed = 0,
    spacing: options.Spacing = None,
    overwrite: _Overwrite = False,
) -> None:
    """Freeze a model's instance normalisation on given slices, so that its tiles agree."""
    region, size = options.read_box(box), options.read_spacing(spacing)
    check_new_package(output, overwrite)
    read_card(find_package(name_or_folder))  # so that a wrong name is told before PyTorch is loaded
    from ..io.checks import check_image
    from ..io.reading import read_volume

    scans = []
    for source in sources:
        scans.append(read_volume(source, spacing=size))
        check_image(scans[-1], str(source))
    with progress_on_stderr() as progress:
        progress(0.0, "Loading the model")
        from ..model import load_model
        from ..normalisation import calibrate as calibrated

        model = calibrated(
            load_model(name_or_folder),
            scans,
            name or _name_from(output),
            box=region,
            slices=slices,
            device=device,
            seed=seed,
            progress=progress,
        )
        progress(1.0, "Done")
    model.save(output)
    typer.echo(output)


def _name_from(folder: Path) -> str:
    """The folder's name with what a model's name may not hold replaced."""
    name = re.sub(r"[^a-z0-9._-]+", "-", folder.absolute().name.lower()).strip("._-")
    return name or "model"


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
