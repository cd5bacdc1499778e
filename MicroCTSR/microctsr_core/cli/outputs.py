"""The files a run writes: checked before the work starts, and appearing together or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import WriteError
from ..io.atomic import atomic_path, check_output
from .conduct import uninterrupted

if TYPE_CHECKING:
    from ..superresolution import Result
    from ..volume import Volume

ZARR_SUFFIX = ".zarr"
_PREVIEW_SUFFIX = ".png"
_REPORT_SUFFIX = ".json"


@dataclass(frozen=True)
class Outputs:
    """Where the parts of a result go, and whether compressed; what is ``None`` is not written."""

    mean: Path
    uncertainty: Path | None = None
    consistency: Path | None = None
    preview: Path | None = None
    report: Path | None = None
    compress: bool = True

    def paths(self) -> list[Path]:
        """The files named, in the order in which they are announced."""
        named = (self.mean, self.uncertainty, self.consistency, self.preview, self.report)
        return [path for path in named if path is not None]

    @property
    def volumes(self) -> list[Path]:
        """The volumes named."""
        named = (self.mean, self.uncertainty, self.consistency)
        return [path for path in named if path is not None]

    @property
    def streamed(self) -> bool:
        """Whether every volume is of a kind that is written slab by slab."""
        kinds = (ZARR_SUFFIX,) if self.compress else (ZARR_SUFFIX, ".nrrd")
        return all(path.name.lower().endswith(kinds) for path in self.volumes)

    def check(self, source: Path, overwrite: bool) -> None:
        """Find out, before any work, whether every output can be written.

        Args:
            source: the input, which no output may replace.
            overwrite: whether existing files may be replaced.

        Raises:
            WriteError: a suffix is unknown, two outputs are the same file, one is the input,
                one exists and may not be replaced, or a folder cannot be written.
        """
        from ..io.writing import VOLUME_SUFFIXES

        for path in self.volumes:
            _check_suffix(path, (*VOLUME_SUFFIXES, ZARR_SUFFIX), "a volume")
            if path.name.lower().endswith(ZARR_SUFFIX) and not self.streamed:
                raise WriteError(
                    f"{path} is written slab by slab, and so must be the other volumes: let them "
                    f"end in .zarr, or in .nrrd with --no-compress."
                )
        _check_suffix(self.preview, (_PREVIEW_SUFFIX,), "the preview")
        _check_suffix(self.report, (_REPORT_SUFFIX,), "the report")
        seen = {_place(source): "the input"}
        for path in self.paths():
            if _place(path) in seen:
                raise WriteError(
                    f"{path} is named for two things, one of them {seen[_place(path)]}; "
                    f"give every file its own name."
                )
            seen[_place(path)] = "another output"
            if self.streamed and path in self.volumes:
                _check_streamed(path, overwrite, self.mean)
            else:
                check_output(path, overwrite)

    def folders(self) -> set[Path]:
        """The folders that the files go into."""
        return {path.parent for path in self.paths()}

    def write(
        self,
        ct: Volume,
        result: Result,
        noise_sd_hu: float | None = None,
        slices: Sequence[int] | None = None,
    ) -> None:
        """Write all files under temporary names, then let them appear together.

        Args:
            ct: the scan, for the preview.
            result: what to write.
            noise_sd_hu: noise of the scanner, by which the preview scales the consistency.
            slices: slices of the result that the preview shows; by default it chooses one.

        Raises:
            WriteError: a file cannot be written; then none of them appears.
        """
        from ..io.writing import write_volume

        volumes = (
            (self.mean, result.mean),
            (self.uncertainty, result.uncertainty),
            (self.consistency, result.consistency),
        )
        with ExitStack() as all_or_none:
            for path, volume in volumes:
                if path is not None:
                    temporary = all_or_none.enter_context(staged(path))
                    write_volume(volume, temporary, compress=self.compress)
            if self.preview is not None:
                from ..preview import write_preview

                temporary = all_or_none.enter_context(staged(self.preview))
                write_preview(temporary, ct, result, slices, noise_sd_hu)
            if self.report is not None:
                temporary = all_or_none.enter_context(staged(self.report))
                temporary.write_text(json.dumps(result.report, indent=2) + "\n", encoding="utf-8")
            with uninterrupted():
                all_or_none.close()


def _check_streamed(path: Path, overwrite: bool, main: Path) -> None:
    from ..streaming.folder import Folder
    from ..streaming.stores import check_streamed

    check_streamed(path, overwrite or bool(Folder.beside(main).report()))


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """``atomic_path`` whose errors name the file wanted instead of the temporary one."""
    with atomic_path(path) as temporary:
        try:
            yield temporary
        except WriteError as error:
            raise WriteError(str(error).replace(str(temporary), str(path))) from error


def _check_suffix(path: Path | None, suffixes: Sequence[str], what: str) -> None:
    if path is not None and not path.name.lower().endswith(tuple(suffixes)):
        raise WriteError(
            f"{path} has no suffix in which {what} can be written; end it in {', '.join(suffixes)}."
        )


def _place(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path.expanduser()))
