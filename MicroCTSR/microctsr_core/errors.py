"""The errors a user can cause.

Every message is one complete sentence that names the file or value at fault and says what to do;
the command line prints it as it is and exits with status 1.
"""

from __future__ import annotations

_LONGEST = 1200  # characters; a sentence quotes what a file says, which may be a megabyte


class MicroCTSRError(Exception):
    """Base of every error that a user can cause.

    Whatever a file's contents brought into it, the message is one line that can be printed: no
    control characters, which could write anything onto a terminal, and never pages of text.
    """

    def __init__(self, message: object = "") -> None:
        text = " ".join(str(message).splitlines())
        text = "".join(
            letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
        )
        if len(text) > _LONGEST:
            text = f"{text[: _LONGEST * 2 // 3]} ... {text[-_LONGEST // 3 :]}"
        super().__init__(text)


class GeometryError(MicroCTSRError, ValueError):
    """A grid, a box or an array shape that cannot be, or that lies outside the scan."""


class ReadError(MicroCTSRError):
    """An input that is missing, damaged, ambiguous, or not the kind of image asked for."""


class WriteError(MicroCTSRError):
    """An output that cannot be written: it exists, its folder is closed, or the disk is full."""


class ModelError(MicroCTSRError):
    """An unknown model, weights that do not match their hash, or a card that is not valid."""


class ResourceError(MicroCTSRError):
    """A result larger than the memory or disk that is free, or a device that is not there."""


class Cancelled(MicroCTSRError):
    """The caller asked for the run to end; nothing has been written."""
