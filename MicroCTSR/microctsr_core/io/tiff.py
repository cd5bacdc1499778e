"""TIFF stacks, the way micro-CT scanners write them: one file per slice, or all in one file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ReadError
from ..volume import Volume

if TYPE_CHECKING:
    import tifffile

TIFF_SUFFIXES = (".tif", ".tiff")


def natural_order(paths: Iterable[Path]) -> list[Path]:
    """Sort paths by name with numbers by their value: slice_9 comes before slice_10."""

    def key(path: Path) -> list[tuple[int, int, str]]:
        parts = re.split(r"(\d+)", path.name.lower())
        return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]

    return sorted(paths, key=lambda path: (key(path), path.name))


def read_tiff_file(path: Path, spacing: Sequence[float] | None) -> Volume:
    """Read a TIFF file whose pages are the slices, in their order.

    Raises:
        ReadError: no spacing is given, there is a single page, or the pages are damaged, colour,
            inverted, or of several sizes.
    """
    spacing_mm = _checked_spacing(path, spacing)
    pages = _grey_pages(path)
    if len(pages) == 1:
        raise ReadError(f"{path} holds a single slice; give the folder of all slices.")
    return Volume(np.stack(pages), spacing_mm)


def read_tiff_folder(
    folder: Path, slices: Sequence[Path], spacing: Sequence[float] | None
) -> Volume:
    """Read a folder of TIFF slices, stacked in the order given.

    Raises:
        ReadError: no spacing is given, there is a single slice, or a slice is damaged, colour,
            of many pages, or of another size or type than the first.
    """
    spacing_mm = _checked_spacing(folder, spacing)
    if len(slices) == 1:
        if len(_grey_pages(slices[0])) > 1:
            return read_tiff_file(slices[0], spacing)
        raise ReadError(f"{folder} holds a single TIFF slice; give the folder of all slices.")
    first = _single_slice(slices[0])
    stack = np.empty((len(slices), *first.shape), first.dtype)
    stack[0] = first
    for number, path in enumerate(slices[1:], start=1):
        image = _single_slice(path)
        if image.shape != first.shape or image.dtype != first.dtype:
            raise ReadError(
                f"{path} is {_kind(image)}, but {slices[0].name} is {_kind(first)}; "
                f"keep only slices of one size and type in the folder."
            )
        stack[number] = image
    return Volume(stack, spacing_mm)


def _checked_spacing(path: Path, spacing: Sequence[float] | None) -> tuple[float, float, float]:
    if spacing is None:
        raise ReadError(
            f"{path} does not tell its voxel size, as TIFF has no reliable place for it; give it "
            f"in mm as spacing=(z, y, x), or as --spacing z,y,x on the command line."
        )
    try:
        z, y, x = (float(step) for step in spacing)
        usable = all(0 < step < np.inf for step in (z, y, x))
    except (TypeError, ValueError):
        usable = False
    if not usable:
        raise ReadError(f"The spacing {spacing!r} is not three sizes z, y, x in mm above zero.")
    return (z, y, x)


def _single_slice(path: Path) -> NDArray[Any]:
    pages = _grey_pages(path)
    if len(pages) > 1:
        raise ReadError(
            f"{path} holds {len(pages)} pages; keep in the folder either one file of all slices "
            f"or files of one slice each."
        )
    return pages[0]


def _grey_pages(path: Path) -> list[NDArray[Any]]:
    """All pages of a file as 2-D arrays."""
    import tifffile  # other formats are read without it

    damaged = ReadError(
        f"{path} is damaged, cut short, or compressed in a way that cannot be read here; "
        f"copy it again, or save it uncompressed."
    )
    if path.stat().st_size == 0:
        raise ReadError(f"{path} is an empty file; copy or export it again.")
    with _complaints() as complaints:
        try:
            with tifffile.TiffFile(path) as file:
                _refuse_colour(path, file.pages.first)
                stack = _stack(path, file)
        except (ReadError, PermissionError):
            raise
        except Exception as error:  # each decoder of tifffile raises errors of its own
            raise damaged from error
    if complaints or stack.size == 0:
        raise damaged
    if stack.ndim > 3:
        raise ReadError(
            f"{path} has {stack.ndim} dimensions {stack.shape}; save one grey channel of one "
            f"time as a stack and give that."
        )
    return list(stack.reshape(-1, *stack.shape[-2:]))


def _stack(path: Path, file: tifffile.TiffFile) -> NDArray[Any]:
    # tifffile makes a series of pages that were written together. Pages written one by one are
    # as many series; a thumbnail or pages of another size must not vanish unseen.
    shapes = {series.shape for series in file.series}
    if len(shapes) > 1:
        raise ReadError(
            f"{path} holds images of different sizes {sorted(shapes)}; keep those of one size."
        )
    parts = [series.asarray() for series in file.series]
    stack: NDArray[Any] = parts[0] if len(parts) == 1 else np.stack(parts)
    return stack


def _refuse_colour(path: Path, page: Any) -> None:
    from tifffile import PHOTOMETRIC

    if page.samplesperpixel > 1 or page.photometric in (PHOTOMETRIC.RGB, PHOTOMETRIC.PALETTE):
        raise ReadError(f"{path} is a colour image; save it in grey.")
    if page.photometric == PHOTOMETRIC.MINISWHITE:
        raise ReadError(f"{path} is stored inverted (white is zero); save it as ordinary grey.")


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what tifffile logs as errors: of a file cut short it says so there and reads on."""
    messages: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    logger = logging.getLogger("tifffile")
    collector, propagate = Collector(logging.ERROR), logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield messages
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagate


def _kind(image: NDArray[Any]) -> str:
    return f"{' x '.join(map(str, image.shape))} pixels of {image.dtype}"
