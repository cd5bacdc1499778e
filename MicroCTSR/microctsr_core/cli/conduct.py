"""How every command behaves when something goes wrong: one plain line and an exit status."""

from __future__ import annotations

import _thread
import functools
import inspect
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Any, NoReturn, get_type_hints

import typer

from ..errors import MicroCTSRError
from ..io.atomic import discard_unfinished

ERROR = 1
INTERRUPTED = 130  # what shells report for Ctrl-C: 128 + SIGINT
STOPPED = "Stopped; nothing is left half written."

_GRACE_SECONDS = 1.0  # in which a run that is to stop can do so by itself
_WINDOWS_POLL_SECONDS = 0.2

_DEBUG = inspect.Parameter(
    "debug",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error.", show_default=False)
    ],
)
_CONTEXT = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)


def well_behaved(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command so that an error ends it in one plain line and exit status 1.

    Ctrl-C ends it in one line and status 130, and so does the end of standard input when the
    application's option ``--while-stdin-open`` is given. The command gets one more option,
    ``--debug``, which shows the traceback as well.
    """

    def run(*, context: typer.Context, debug: bool = False, **options: Any) -> None:
        try:
            if context.find_root().params.get("while_stdin_open"):
                threading.Thread(target=_stop_when_stdin_closes, daemon=True).start()
            command(**options)
        except (typer.BadParameter, typer.Exit):
            raise  # usage, with status 2, is Typer's business
        except KeyboardInterrupt as stop:
            _end(str(stop) or STOPPED, INTERRUPTED, debug)
        except MicroCTSRError as error:
            _end(f"Error: {error}", ERROR, debug)
        except Exception as error:
            if _is_out_of_memory(error):
                advice = "close other programs, or super-resolve a smaller --box"
                _end(f"Error: The memory of this computer is used up; {advice}.", ERROR, debug)
            what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".:")
            advice = "Run it again with --debug and report what it shows."
            _end(f"Error: Unexpected {what}. {advice}", ERROR, debug)

    # Typer reads a command's options from its signature; annotations are resolved here, where
    # the command's own module is known.
    hints = get_type_hints(command, include_extras=True)
    for hint in hints.values():
        for option in getattr(hint, "__metadata__", ()):
            option.readable = False  # the readers say better what is wrong with a file
    parameters = [
        parameter.replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in inspect.signature(command).parameters.items()
    ]
    functools.update_wrapper(run, command)
    vars(run)["__signature__"] = inspect.Signature([_CONTEXT, *parameters, _DEBUG])
    added = {parameter.name: parameter.annotation for parameter in (_CONTEXT, _DEBUG)}
    run.__annotations__ = {**hints, **added}
    return run


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Whether there was no more memory, in the words of Python, PyTorch, ITK or the linker."""
    if error is None:
        return False
    told = re.search("allocate memory|bad_alloc|failed to map segment", str(error))
    return isinstance(error, MemoryError) or bool(told) or _is_out_of_memory(error.__cause__)


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


def _stop_when_stdin_closes() -> None:
    """Stop as at Ctrl-C; by force when a library does not let go of the main thread in time."""
    _wait_for_end_of_stdin()
    # Not SIGINT, which does nothing in a process that was started deaf to Ctrl-C.
    _thread.interrupt_main(signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    discard_unfinished()
    with suppress(OSError):  # who would read it may be gone
        os.write(2, f"{STOPPED}\n".encode())
    os._exit(INTERRUPTED)


def _wait_for_end_of_stdin() -> None:
    if sys.platform == "win32":
        # While a read waits on a pipe, Windows lets nobody ask about that pipe; but libraries do
        # so as they are loaded (numpy issue 24290), and would wait for ever.
        import ctypes.wintypes
        import msvcrt

        pipe = ctypes.wintypes.HANDLE(msvcrt.get_osfhandle(0))
        while ctypes.windll.kernel32.PeekNamedPipe(pipe, None, 0, None, None, None):
            time.sleep(_WINDOWS_POLL_SECONDS)
        return
    with suppress(OSError):  # closed before the start
        while os.read(0, 4096):
            pass


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
