"""A study's folder: what it holds, and reading it.

``study.json``     title, methods, slices, seed, and the order of every rater's trials
``links.json``     the secrets in the links of the raters and of the study's owner
``instructions.txt``, ``criteria.txt``   what raters read; can be edited
``images/``        every slice as PNG under a name that tells nothing
``ratings.sqlite`` what the raters have said
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Len

from ..entries import validated
from ..errors import ReadError
from .order import Trial
from .protocol import Criterion, paragraphs, read_criteria
from .ratings import Ratings

STUDY, LINKS, RATINGS = "study.json", "links.json", "ratings.sqlite"
INSTRUCTIONS_FILE, CRITERIA_FILE, IMAGES = "instructions.txt", "criteria.txt", "images"

_IMAGE = re.compile(r"[0-9a-f]{32}\.png")
_STRICT: Any = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True)
class Slice:
    """A slice of a case, and the files that show it.

    Args:
        case: name of the case.
        index: of the slice in the case's results, from 0.
        width, height: pixels of each of its images.
        pixel_mm: size of a pixel, along the width and along the height.
        original: file of the clinical CT, cubically interpolated.
        images: file of each method's image.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    case: str
    index: Annotated[int, Ge(0)]
    width: Annotated[int, Gt(0)]
    height: Annotated[int, Gt(0)]
    pixel_mm: tuple[Annotated[float, Gt(0)], Annotated[float, Gt(0)]]
    original: str
    images: dict[str, str]


@dataclass(frozen=True)
class Rater:
    """A rater, and the trials in the order in which he or she sees them."""

    __pydantic_config__: ClassVar[Any] = _STRICT
    name: Annotated[str, Len(1)]
    order: Annotated[list[Trial], Len(1)]


@dataclass(frozen=True)
class ReaderStudy:
    """A study as its folder holds it.

    Args:
        folder: where it lies.
        id: tells it from every other study.
        title: what raters and readers of the report see.
        created: day, as YYYY-MM-DD.
        seed: of the orders.
        window_hu: HU shown black and white.
        methods: names, in the order of tables and figures.
        against: the method that the others are compared with.
        slices: what is shown.
        raters: who rates, and in which order.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    folder: Path
    id: Annotated[str, Len(1)]
    title: str
    created: str
    seed: int
    window_hu: tuple[float, float]
    methods: Annotated[list[str], Len(2)]
    against: str
    slices: Annotated[list[Slice], Len(1)]
    raters: Annotated[list[Rater], Len(1)]
    format: Literal[1] = field(default=1)

    @cached_property
    def criteria(self) -> tuple[Criterion, ...]:
        """What stars are given for, as criteria.txt says.

        Raises:
            ReadError: as :func:`~.protocol.read_criteria`.
        """
        return read_criteria(self.folder / CRITERIA_FILE)

    @cached_property
    def instructions(self) -> list[str]:
        """The paragraphs of instructions.txt.

        Raises:
            ReadError: it cannot be read.
        """
        return paragraphs(self.folder / INSTRUCTIONS_FILE)

    @property
    def ratings(self) -> Ratings:
        """The database of the study's ratings."""
        return Ratings(self.folder / RATINGS, self.id)

    def image(self, trial: Trial, side: Literal["left", "right"]) -> Path:
        """The file that a trial shows on a side."""
        shown = self.slices[trial.slice]
        name = shown.original if side == "left" else shown.images[trial.method]
        return self.folder / IMAGES / name


@dataclass(frozen=True)
class Links:
    """The secrets that open the pages of a study.

    Args:
        owner: of the page that shows progress.
        raters: one each, in the raters' order.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    owner: Annotated[str, Len(16)]
    raters: list[Annotated[str, Len(16)]]

    def addresses(self, base: str, study: ReaderStudy) -> dict[str, str]:
        """The link of every rater, by name, at an address such as ``http://127.0.0.1:8765``."""
        names = [rater.name for rater in study.raters]
        return {
            name: f"{base}/rate/{secret}/" for name, secret in zip(names, self.raters, strict=True)
        }

    def owner_address(self, base: str) -> str:
        """The link of the study's owner."""
        return f"{base}/owner/{self.owner}/"


def open_study(folder: str | os.PathLike[str]) -> ReaderStudy:
    """Read a study; its images and ratings are opened when they are asked for.

    Raises:
        ReadError: the folder is not there or holds no study, or a file of it is missing.
        MicroCTSRError: an entry of study.json is not valid; names it.
    """
    folder = Path(folder).expanduser()
    path = folder / STUDY
    if not os.path.isdir(folder):
        raise ReadError(f"{folder} does not exist; give the study's folder, or its new place.")
    if not path.is_file():
        raise ReadError(
            f"{folder} holds no study ({STUDY} is missing); give a folder that "
            f"`microctsr study create` made."
        )
    study: ReaderStudy = validated(ReaderStudy, {"folder": folder} | _read(path), f"{path}: ")
    for number, shown in enumerate(study.slices):
        where = f"{path}: slices.{number}"
        if set(shown.images) != set(study.methods):
            raise ReadError(f"{where} does not show all methods; restore the file.")
        for name in (shown.original, *shown.images.values()):
            if not _IMAGE.fullmatch(name):
                raise ReadError(f"{where} names {name!r}, which is no image; restore the file.")
            if not (folder / IMAGES / name).is_file():
                raise ReadError(f"{folder / IMAGES / name} is missing; restore the study's folder.")
    for rater in study.raters:
        for trial in rater.order:
            if trial.slice not in range(len(study.slices)) or trial.method not in study.methods:
                raise ReadError(f"{path}: {rater.name} has a trial of nothing; restore the file.")
    if study.against not in study.methods:
        raise ReadError(f"{path}: against is {study.against!r}, no method; restore the file.")
    return study


def read_links(study: ReaderStudy) -> Links:
    """The secrets of a study.

    Raises:
        ReadError: the file is missing or not valid.
    """
    path = study.folder / LINKS
    links: Links = validated(Links, _read(path), f"{path}: ")
    if len(links.raters) != len(study.raters):
        raise ReadError(
            f"{path} holds links of {len(links.raters)} raters, but the study has "
            f"{len(study.raters)}; restore the file."
        )
    return links


def _read(path: Path) -> dict[str, Any]:
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        json.dumps(entries, ensure_ascii=False).encode()  # halves of characters cannot be shown
    except OSError as error:
        raise ReadError(f"{path} cannot be read ({error.strerror}); restore it.") from None
    except (ValueError, RecursionError):
        raise ReadError(f"{path} is not valid JSON; restore the file.") from None
    if not isinstance(entries, dict):
        raise ReadError(f"{path} is not valid JSON of a study; restore the file.")
    return entries
