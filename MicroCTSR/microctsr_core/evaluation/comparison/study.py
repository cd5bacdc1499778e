"""A study: which methods are compared, on which cases, against what; read from a YAML file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from annotated_types import Ge, Gt, Len

from ...card import find_package, list_models
from ...entries import read_yaml, validated
from ...errors import MicroCTSRError, ModelError, ReadError
from ...training.folders import Source, find_sources
from ...volume import Box, parse_box
from ..m_hum import DEFAULT_FORM, Form
from .elsewhere import stem

CUBIC = "cubic"
_CHOICES = "cubic, {model: NAME or folder} or {results: folder}"

_Count: TypeAlias = Annotated[int, Ge(1)]
_Whole: TypeAlias = Annotated[int, Ge(0)]
_Size: TypeAlias = Annotated[float, Gt(0)]
_STRICT: Any = {"extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True)
class FigureEntries:
    """What the figure of slices shows; what is ``None`` is chosen.

    Args:
        cases: names, one figure each; by default a case of middling and one of worst result.
        slice: of the box, counted from 0; by default the one with most structure.
        zoom: ``j0:j1,i0:i1`` in pixels of the finer grid; by default where most structure is.
        window: HU shown black and white.
    """

    __pydantic_config__: ClassVar[Any] = _STRICT
    cases: Annotated[list[str], Len(1)] | None = None
    slice: _Whole | None = None
    zoom: str | None = None
    window: tuple[float, float] = (-1000.0, 2400.0)


@dataclass(frozen=True)
class _CaseEntries:
    __pydantic_config__: ClassVar[Any] = _STRICT
    name: Annotated[str, Len(1)]
    low: str
    truth: str | None = None
    box: str | None = None


@dataclass(frozen=True)
class _Entries:
    """The entries of the file, as they are written; see Docs/evaluation.md."""

    __pydantic_config__: ClassVar[Any] = _STRICT
    methods: Annotated[dict[str, Any], Len(1)]
    cases: Any
    title: str = "Comparison of methods"
    against: str | None = None
    references: str | None = None
    spacing: tuple[_Size, _Size, _Size] | None = None
    form: Form = DEFAULT_FORM
    box: str | None = None
    scale: _Count | None = None
    samples: Literal["auto"] | _Count = "auto"
    scale_mode: Literal["in-plane", "isotropic"] = "in-plane"
    seed: _Whole = 0
    figure: FigureEntries = field(default_factory=FigureEntries)


@dataclass(frozen=True)
class Method:
    """A column of the table.

    Args:
        name: as the reader of the report knows it.
        kind: ``"cubic"``, ``"model"`` or ``"results"``.
        place: folder of the model package, or of the volumes made elsewhere.
    """

    name: str
    kind: Literal["cubic", "model", "results"]
    place: Path | None = None


@dataclass(frozen=True)
class Case:
    """A scan that every method super-resolves.

    Args:
        name: from the study or the file's own name; nothing of a header.
        low: where the scan is read.
        truth: what it shows in truth, on a grid of its own.
        box: part of the scan; all of it when ``None``.
    """

    name: str
    low: Source
    truth: Path | None
    box: Box | None


@dataclass(frozen=True)
class Study:
    """A study, of which every file is known to be there.

    Args:
        path: of the YAML file.
        text: what the file holds, for reports; of cases with names of their own without the paths
            of their scans, which may name a patient.
        methods: in the order of the table.
        against: name of the method that the others are compared with.
        references: micro-CT for m-HuM; ``None`` for the truth of the other cases.
        form: of m-HuM.
        scale: fine voxels per voxel in the plane; ``None`` for that of the models.
        figure: what the figure of slices shows.
    """

    path: Path
    text: str
    title: str
    methods: tuple[Method, ...]
    against: str
    cases: tuple[Case, ...]
    references: tuple[Source, ...] | None
    form: Form
    scale: int | None
    samples: int | Literal["auto"]
    scale_mode: Literal["in-plane", "isotropic"]
    seed: int
    figure: FigureEntries

    @property
    def rivals(self) -> tuple[str, ...]:
        """Names of the methods but the one that they are compared with."""
        return tuple(each.name for each in self.methods if each.name != self.against)


def load_study(path: str | os.PathLike[str], measured: bool = True) -> Study:
    """Read a study; paths in it are relative to the file.

    Args:
        path: of the YAML file.
        measured: whether the methods are to be measured, which needs a truth or references; a
            study by readers needs neither.

    Raises:
        MicroCTSRError: an entry is unknown or not valid, a method, model or file is not there, or
            there is nothing to compare with; names the entry.
    """
    path = Path(path).expanduser()
    entries = validated(_Entries, read_yaml(path), f"{path}: ")
    folder = path.absolute().parent
    methods = tuple(_method(name, entry, path, folder) for name, entry in entries.methods.items())
    against = methods[-1].name if entries.against is None else entries.against
    if against not in entries.methods:
        raise MicroCTSRError(
            f"{path}: against is {against!r}, which is none of the methods "
            f"({', '.join(entries.methods)}); name one of them."
        )
    cases = _cases(entries, path, folder)
    references = None
    if entries.references is not None:
        references = tuple(find_sources(folder / entries.references, "high", entries.spacing))
    elif measured and not any(case.truth for case in cases):
        raise MicroCTSRError(
            f"{path}: no case has a truth and there are no references, so nothing can be measured; "
            f"give cases with a truth, or a folder of micro-CT as references."
        )
    if entries.figure.window[0] >= entries.figure.window[1]:
        raise MicroCTSRError(f"{path}: figure.window runs backwards; write it as [black, white].")
    for name in entries.figure.cases or ():
        if name not in {case.name for case in cases}:
            raise MicroCTSRError(f"{path}: figure.cases names {name!r}, which is no case of it.")
    return Study(
        path=path,
        text=_text(path, entries.cases),
        title=entries.title,
        methods=methods,
        against=against,
        cases=cases,
        references=references,
        form=entries.form,
        scale=entries.scale,
        samples=entries.samples,
        scale_mode=entries.scale_mode,
        seed=entries.seed,
        figure=entries.figure,
    )


def _text(path: Path, cases: Any) -> str:
    if isinstance(cases, str):
        return path.read_text(encoding="utf-8")
    import yaml

    told = [{key: case[key] for key in case if key not in ("low", "truth")} for case in cases]
    entries = {**read_yaml(path), "cases": told}
    return yaml.safe_dump(entries, allow_unicode=True, sort_keys=False)


def _method(name: str, entry: Any, path: Path, folder: Path) -> Method:
    if entry == CUBIC:
        return Method(name, "cubic")
    if isinstance(entry, Mapping) and len(entry) == 1:
        (kind, value), *_ = entry.items()
        if kind == "model" and isinstance(value, str):
            if value not in list_models() and not os.path.isdir(folder / value):
                raise ModelError(
                    f"{path}: methods.{name}: there is no bundled model {value!r} (there is "
                    f"{', '.join(list_models())}) and no folder {folder / value}; name a model."
                )
            package = find_package(value if value in list_models() else folder / value)
            return Method(name, "model", package)
        if kind == "results" and isinstance(value, str):
            if not os.path.isdir(folder / value):
                raise ReadError(
                    f"{path}: methods.{name}: the folder {folder / value} does not exist; check "
                    f"its name."
                )
            return Method(name, "results", folder / value)
    raise MicroCTSRError(
        f"{path}: methods.{name} is {entry!r}, which is no method; write {_CHOICES}."
    )


def _cases(entries: _Entries, path: Path, folder: Path) -> tuple[Case, ...]:
    if isinstance(entries.cases, str):
        cases = [
            Case(stem(source.name), source, source.truth, _box(entries.box, f"{path}: box"))
            for source in find_sources(folder / entries.cases, "low")
        ]
    elif isinstance(entries.cases, list) and entries.cases:
        named = validated(list[_CaseEntries], entries.cases, f"{path}: cases")
        cases = [
            Case(
                entry.name,
                _source(entry, folder / entry.low, path),
                None if entry.truth is None else folder / entry.truth,
                _box(entry.box or entries.box, f"{path}: box of the case {entry.name}"),
            )
            for entry in named
        ]
    else:
        raise MicroCTSRError(
            f"{path}: cases is {entries.cases!r}; write a folder, or a list of cases with their "
            f"name, low and truth."
        )
    names = [case.name for case in cases]
    for case in cases:
        if names.count(case.name) > 1:
            raise MicroCTSRError(
                f"{path}: two cases are called {case.name!r}; give each a name of its own."
            )
        parts = PurePosixPath(case.name).parts
        if ".." in parts or parts[0] == "/" or "\\" in case.name:
            raise MicroCTSRError(
                f"{path}: {case.name!r} cannot be the name of a case, as files are called by it."
            )
        if case.truth is not None and not os.path.exists(case.truth):
            raise ReadError(f"{path}: {case.truth} does not exist; check the truth of {case.name}.")
    return tuple(cases)


def _source(entry: _CaseEntries, low: Path, path: Path) -> Source:
    """The one scan at a path."""
    if not os.path.exists(low):
        raise ReadError(f"{path}: {low} does not exist; check the scan of {entry.name}.")
    sources = find_sources(low, "low")
    if len(sources) > 1:
        raise ReadError(
            f"{path}: {low} holds {len(sources)} scans; name the one that {entry.name} is."
        )
    return sources[0]


def _box(text: str | None, name: str) -> Box | None:
    if text is None:
        return None
    try:
        return parse_box(text)
    except MicroCTSRError as error:
        raise MicroCTSRError(f"{name}: {error}") from None
