"""How every command behaves when something goes wrong: one plain line and an exit status."""

from __future__ import annotations

import functools
import inspect
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn, get_type_hints

import typer

from ..errors import MicroCTSRError

ERROR = 1
INTERRUPTED = 130  # what shells report for Ctrl-C: 128 + SIGINT

_DEBUG = inspect.Parameter(
    "debug",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", show_default=False)
    ],
)


def well_behaved(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command so that an error ends it in one plain line and exit status 1.

    Ctrl-C ends it in one line and status 130. The command gets one more option, ``--debug``,
    which shows the traceback as well.
    """

    def run(*, debug: bool = False, **options: Any) -> None:
        try:
            command(**options)
        except (typer.BadParameter, typer.Exit):
            raise  # usage, with status 2, is Typer's business
        except KeyboardInterrupt:
            _end("Stopped; nothing is left half written.", INTERRUPTED, debug)
        except MicroCTSRError as error:
            _end(f"Error: {error}", ERROR, debug)
        except MemoryError:
            advice = "close other programs, or super-resolve a smaller --box"
            _end(f"Error: The memory of this computer is used up; {advice}.", ERROR, debug)
        except Exception as error:
            what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
            advice = "Run it again with --debug and report what it shows."
            _end(f"Error: Unexpected {what}. {advice}", ERROR, debug)

    # Typer reads a command's options from its signature; annotations are resolved here, where
    # the command's own module is known.
    hints = get_type_hints(command, include_extras=True)
    parameters = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
    ]
    functools.update_wrapper(run, command)
    vars(run)["__signature__"] = inspect.Signature([*parameters, _DEBUG])
    run.__annotations__ = {**hints, "debug": _DEBUG.annotation}
    return run


def _end(line: str, status: int, debug: bool) -> NoReturn:
    if debug:
        typer.echo(traceback.format_exc(), err=True, nl=False)
    typer.echo(" ".join(line.splitlines()), err=True)
    raise typer.Exit(status) from None


def end_politely_when_terminated() -> None:
    """Let a plain ``kill``, such as a Cancel button's, clean up like Ctrl-C does."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Do not hear Ctrl-C for the moment in which several finished files appear together."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(kind, signal.SIG_IGN) for kind in kinds]
    try:
        yield
    finally:
        for kind, handler in zip(kinds, before, strict=True):
            signal.signal(kind, handler)
