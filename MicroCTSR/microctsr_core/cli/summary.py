"""What a run tells when it is done: its files on stdout, one a line; the rest on stderr."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import typer

from .outputs import Outputs


def announce(report: dict[str, Any], outputs: Outputs) -> None:
    """Name the files written, then say what they are and what to beware of."""
    for path in outputs.paths():
        typer.echo(path)
    for line in summary_lines(report):
        typer.echo(line, err=True)
    for warning in report["warnings"]:
        typer.secho(f"Warning: {warning}", err=True, fg=typer.colors.YELLOW)


def summary_lines(report: dict[str, Any]) -> list[str]:
    """Grid, passes, time, consistency and model of a result, a line each."""
    columns, rows, slices = reversed(report["grid"]["shape"])
    size = " x ".join(f"{step:.3g}" for step in reversed(report["grid"]["spacing"]))
    seconds = report["seconds"]["total"]
    model = report["model"]
    return [
        f"Grid         {columns} x {rows} x {slices} voxels of {size} mm",
        f"Passes       {report['passes_mean']:.3g} per voxel on average",
        f"Time         {_duration(seconds)} on {report['device']}",
        f"Consistency  {report['consistency_rms_hu']:.1f} HU (RMS difference from the input)",
        f"Model        {model['name']} {model['version']}; synthetic, not for diagnosis",
    ]


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))
