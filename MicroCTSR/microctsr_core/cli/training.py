"""``microctsr train``: two unrelated folders become a model package."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import Cancelled, MicroCTSRError
from .conduct import INTERRUPTED, well_behaved
from .options import Device
from .progress import progress_on_stderr


@well_behaved
def train(
    low: Annotated[Path, typer.Option(metavar="DIR", help="Folder of clinical CT.")],
    high: Annotated[Path, typer.Option(metavar="DIR", help="Folder of micro-CT.")],
    output: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the run, which becomes the model.")
    ],
    method: Annotated[
        Literal["cyclegan", "unet", "srgan"], typer.Option(help="What is trained.")
    ] = "cyclegan",
    preset: Annotated[
        Literal["compact", "paper"],
        typer.Option(help="compact trains without a graphics card; paper is the paper's."),
    ] = "compact",
    config: Annotated[
        Path | None, typer.Option(metavar="YAML", help="Entries that change the preset.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on from the last checkpoint.", show_default=False),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="A bad case is an error, not left out.", show_default=False),
    ] = False,
    device: Device = "auto",
    devices: Annotated[
        int, typer.Option(min=1, metavar="N", help="Processes on this machine.")
    ] = 1,
    nodes: Annotated[int, typer.Option(min=1, metavar="N", help="Machines.")] = 1,
    precision: Annotated[
        Literal["auto", "32-true", "bf16-mixed"], typer.Option(help="Of the networks.")
    ] = "auto",
    per_pass: Annotated[
        int | None,
        typer.Option(
            "--per-pass", min=1, metavar="N", help="Patches at once; the rest is accumulated."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Processes that draw patches.")
    ] = None,
) -> None:
    """Train a model on two unrelated folders; DIR becomes a package for `--model DIR`."""
    try:
        from ..training import Machine, changed, load_config
        from ..training import train as run
    except ModuleNotFoundError as error:
        raise MicroCTSRError(
            f"Training needs {error.name}; install it with: pip install 'microctsr[training]'"
        ) from None

    settings = load_config(method, preset, config)
    if strict:
        settings = changed(settings, data={"strict": True})
    machine = Machine(
        device=device,
        devices=devices,
        nodes=nodes,
        precision=precision,
        per_pass=per_pass,
        workers=workers,
    )
    with _stop_after_this_step() as stop, progress_on_stderr() as progress:
        try:
            folder = run(
                low,
                high,
                output,
                settings,
                machine,
                resume=resume,
                progress=progress,
                tell=lambda sentence: typer.echo(sentence, err=True),
                cancel=stop.is_set,
            )
        except Cancelled as stopped:
            typer.echo(stopped, err=True)
            raise typer.Exit(INTERRUPTED) from None
    if folder is not None:
        typer.echo(folder)


@contextmanager
def _stop_after_this_step() -> Iterator[threading.Event]:
    """Ctrl-C or a plain ``kill`` ends the run after its step; a second one, at once."""
    stop = threading.Event()
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def ask(_kind: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        os.write(2, b"Stopping after this step.\n")

    for kind in before:
        signal.signal(kind, ask)
    try:
        yield stop
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
