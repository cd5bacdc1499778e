"""``microctsr train``: two unrelated folders become a model package."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..errors import Cancelled, MicroCTSRError
from ..io.atomic import atomic_path
from .conduct import INTERRUPTED, well_behaved
from .options import Device
from .progress import progress_on_stderr

if TYPE_CHECKING:
    from ..training.cases import DataSettings
    from ..training.survey import Found


@well_behaved
def train(
    low: Annotated[Path, typer.Option(metavar="DIR", help="Folder of clinical CT.")],
    high: Annotated[Path, typer.Option(metavar="DIR", help="Folder of micro-CT.")],
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the run, which becomes the model; not needed with --check.",
            show_default=False,
        ),
    ] = None,
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
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="List the cases in both folders and what is wrong with them; train nothing.",
            show_default=False,
        ),
    ] = False,
    json_: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="With --check: the list, for programs."),
    ] = None,
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
    if output is None and not check:
        raise typer.BadParameter("is needed to train.", param_hint="--output")
    if json_ is not None and not check:
        raise typer.BadParameter("goes with --check.", param_hint="--json")
    try:
        from ..training import changed, load_config

        if not check:
            from ..training import Machine
            from ..training import train as run
    except ModuleNotFoundError as error:
        raise MicroCTSRError(
            f"Training needs {error.name}; install it with: pip install 'microctsr[training]'"
        ) from None

    settings = load_config(method, preset, config)
    if output is None or check:
        _check(low, high, settings.data, json_)
        return
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


def _check(low: Path, high: Path, settings: DataSettings, json_: Path | None) -> None:
    """List what both folders hold; an error where no run can use them."""
    from ..training.survey import survey

    with progress_on_stderr() as progress:
        found = survey(low, high, settings, progress)
    if json_ is not None:
        with atomic_path(json_) as part:
            part.write_text(json.dumps(found.to_dict(), indent=2) + "\n", encoding="utf-8")
    for folder in (found.low, found.high):
        if folder.cases:
            typer.echo(f"{folder.path}\n{_table(folder.cases)}\n")
    if found.problem is not None:
        raise MicroCTSRError(found.problem)


def _table(cases: Sequence[Found]) -> str:
    """Cases in columns; what is wrong with one, in a line of its own."""
    rows = [("CASE", "KIND", "VOXELS", "SIZE IN MM")]
    for case in cases:
        voxels = " x ".join(str(n) for n in reversed(case.shape or ())) or "-"
        size = " x ".join(f"{mm:.4g}" for mm in reversed(case.spacing_mm or ())) or "-"
        rows.append((case.name, case.kind, voxels, size))
    widths = [max(len(row[n]) for row in rows) for n in range(4)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    for number, case in reversed([*enumerate(cases, start=2)]):
        if case.problem is not None:
            lines.insert(number, f"    left out: {case.problem}")
    return "\n".join(lines)


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
