"""Outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import WriteError

# What Windows calls "access denied" and "sharing violation".
_IN_USE = (5, 32)
_TRIES, _SECONDS_BETWEEN_TRIES = 20, 0.05

_unfinished: set[Path] = set()


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a temporary path, in the folder and with the suffix of ``path``, to write to.

    When the block ends well, the temporary file takes the place of ``path`` in one step; when it
    does not, the temporary file is removed and ``path`` is as it was.

    Args:
        path: where the finished file belongs; missing folders are made.

    Raises:
        WriteError: the folder cannot be written, or an :class:`OSError` (such as a full disk)
            stopped the block.

    Example:
        >>> with atomic_path("report.json") as temporary:
        ...     temporary.write_text("{}")
    """
    path = Path(path).expanduser()
    temporary = path.with_name(_temporary_name(path))
    _unfinished.add(temporary)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch()
        yield temporary
        _put(temporary, path)
    except OSError as error:
        raise WriteError(_os_reason(path, error)) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        _unfinished.discard(temporary)


def _put(temporary: Path, path: Path) -> None:
    """Let a finished file take its place.

    Windows refuses that while another program reads the file that is replaced, such as Slicer the
    history of a run, or a scanner for viruses; it is over in a moment.
    """
    for _ in range(_TRIES - 1):
        try:
            temporary.replace(path)
            return
        except OSError as error:  # noqa: PERF203 - the loop is about it
            if getattr(error, "winerror", None) not in _IN_USE:
                raise
            time.sleep(_SECONDS_BETWEEN_TRIES)
    temporary.replace(path)


@contextmanager
def unfinished(path: Path) -> Iterator[None]:
    """Let :func:`discard_unfinished` remove a file or folder as long as the block is open."""
    _unfinished.add(path)
    try:
        yield
    finally:
        _unfinished.discard(path)


def discard_unfinished() -> None:
    """Remove what every block still open was making, before the process ends by force."""
    for temporary in list(_unfinished):
        shutil.rmtree(temporary, ignore_errors=True)
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_output(path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Find out, before long work starts, whether an output can be written.

    A file is put into the folder and removed again, since permissions alone do not tell.

    Args:
        path: where the output is to go.
        overwrite: whether an existing file may be replaced.

    Raises:
        WriteError: it is a folder, it exists and may not be replaced, or its folder cannot be
            written.
    """
    path = Path(path).expanduser()
    if os.path.isdir(path):
        raise WriteError(f"{path} is a folder; give the name of a file.")
    if os.path.lexists(path) and not overwrite:
        raise WriteError(
            f"{path} exists already; give another name, or --overwrite to replace it "
            f"(overwrite=True in Python)."
        )
    folder = path.absolute().parent
    while not os.path.lexists(folder):
        folder = folder.parent
    try:
        trial = folder / _temporary_name(path)
        trial.touch()
        trial.unlink()
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise WriteError(f"The file name of {path} is too long; shorten it.") from error
        raise WriteError(
            f"{path} cannot be written, because nothing can be put into {folder} "
            f"({error.strerror or error}); choose another folder."
        ) from error


def _temporary_name(path: Path) -> str:
    """A hidden name beside ``path``, with its suffix, that no other file has."""
    stem, dot, suffixes = path.name.partition(".")
    return f".{stem}-{secrets.token_hex(4)}{dot}{suffixes}"


def _os_reason(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"{path} was not written, because its disk is full; "
            f"free some space or choose another folder."
        )
    reason = error.strerror or str(error)
    return f"{path} cannot be written ({reason}); choose another folder."
