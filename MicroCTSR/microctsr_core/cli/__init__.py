"""The ``microctsr`` command. It reads options, calls the library, and tells what came of it."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from .. import __version__
from .benchmark import benchmark
from .comparison import compare
from .conduct import end_politely_when_terminated
from .fidelity import fidelity
from .m_hum import m_hum
from .models import calibrate, cost, import_cyclegan, info, list_
from .phantoms import phantom
from .study import analyse, create, serve
from .superresolution import demo, superresolve
from .training import train

app = typer.Typer(
    name="microctsr",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: microctsr superresolve ct.nrrd sr.nrrd --preview sr.png",
)
model_app = typer.Typer(no_args_is_help=True, epilog="Example: microctsr model info ear")
evaluate_app = typer.Typer(
    no_args_is_help=True,
    epilog="Example: microctsr evaluate fidelity --generated sr.nrrd --truth truth.nrrd",
)
study_app = typer.Typer(
    no_args_is_help=True,
    epilog="Example: microctsr study create ears --low clinical --method ours=results/ours "
    "--method unet=results/unet",
)

app.command(
    epilog="Example: microctsr superresolve ct.nrrd sr.nrrd --box 24:32,49:97,56:104 "
    "--uncertainty uncertainty.nrrd --preview sr.png\n\n"
    "Example: microctsr superresolve tiff_folder sr.nrrd --spacing 0.0195,0.0195,0.0195"
)(superresolve)
app.command(epilog="Example: microctsr demo --output output/demo")(demo)
app.command(epilog="Example: microctsr phantom --output phantoms --cases 3 --seed 7 --spacing 0.3")(
    phantom
)
app.command(
    epilog="Example: microctsr train --low clinical --high micro --output runs/first\n\n"
    "Example: microctsr train --low clinical --high micro --output runs/unet --method unet\n\n"
    "Example: microctsr train --low clinical --high micro --check"
)(train)
app.command(epilog="Example: microctsr benchmark --json speed.json")(benchmark)
app.add_typer(
    model_app,
    name="model",
    help="Bundled models, what their cards say, what they cost here; models of others.",
)
model_app.command("list", epilog="Example: microctsr model list")(list_)
model_app.command("info", epilog="Example: microctsr model info ear")(info)
model_app.command("cost", epilog="Example: microctsr model cost ear --json cost.json")(cost)
model_app.command(
    "import-cyclegan",
    epilog="Example: microctsr model import-cyclegan latest_net_G_A.pth models/ours "
    "--voxel-low 0.15 0.2 --window-hu -1000 2000",
)(import_cyclegan)
model_app.command(
    "calibrate",
    epilog="Example: microctsr model calibrate models/ours ct.nrrd --box 24:32,49:97,56:104 "
    "--output models/ours-calibrated",
)(calibrate)
app.add_typer(
    evaluate_app,
    name="evaluate",
    help="How good results are: by a truth, by other ears, beside other methods.",
)
evaluate_app.command(
    epilog="Example: microctsr evaluate fidelity --generated sr.nrrd --truth truth.nrrd "
    "--uncertainty uncertainty.nrrd --input ct.nrrd --json fidelity.json"
)(fidelity)
evaluate_app.command(
    epilog="Example: microctsr evaluate compare --study study.yaml --report report.html"
)(compare)
evaluate_app.command(
    "m-hum",
    epilog="Example: microctsr evaluate m-hum --generated sr.nrrd --reference micro --json m.json",
)(m_hum)

app.add_typer(
    study_app,
    name="study",
    help="A blinded reader study: experts give stars in a browser.",
)
study_app.command(
    epilog="Example: microctsr study create ears --low clinical --method unet=results/unet "
    "--method ours=results/ours --rater Anna --rater Ben\n\n"
    "Example: microctsr study create ears --comparison study.yaml"
)(create)
study_app.command(epilog="Example: microctsr study serve ears --host 0.0.0.0")(serve)
study_app.command(epilog="Example: microctsr study analyse ears --close")(analyse)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"microctsr {__version__}")
        raise typer.Exit


@app.callback()
def microctsr(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
    # Nothing here reads it: every command looks it up as it starts (see conduct).
    while_stdin_open: Annotated[
        bool,
        typer.Option(
            "--while-stdin-open",
            help="Stop when standard input closes, as it does when the program that started this "
            "one cancels or ends.",
            show_default=False,
        ),
    ] = False,
) -> None:
    """Turn clinical CT of the ear into a micro-CT-like volume that says how far to trust it."""


def main() -> None:
    """Entry point of the ``microctsr`` command and of ``python -m microctsr_core``."""
    end_politely_when_terminated()
    # A file that the output goes to may be unable to hold a name, as on Windows by default.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    # Threads that wait for each other sleep. By default they spin, which takes the cores from
    # Slicer or from another run beside this one; PyTorch reads this as it is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    app(prog_name="microctsr")
