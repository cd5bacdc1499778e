"""The version is written in one place, and what else names it agrees."""

from __future__ import annotations

import re
from pathlib import Path

from microctsr_core import __version__

REPOSITORY = Path(__file__).resolve().parents[2]
CHANGES = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
RELEASES = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", CHANGES, re.MULTILINE)
HEADINGS = re.findall(r"^## (.*)$", CHANGES, re.MULTILINE)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def test_the_version_is_semantic() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_the_citation_names_the_version() -> None:
    text = (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", text, re.MULTILINE) == [__version__]


def test_the_changelog_ends_at_the_version_or_is_open_for_it() -> None:
    unreleased = HEADINGS[0] == "[Unreleased]"
    assert HEADINGS[unreleased:] == [f"[{version}] - {day}" for version, day in RELEASES]
    assert [version for version, _ in RELEASES] == sorted(
        (version for version, _ in RELEASES), key=numbers, reverse=True
    )
    newest = [version for version, _ in RELEASES][:1]
    assert newest == [__version__] or (unreleased and all(
        numbers(version) < numbers(__version__) for version in newest
    ))  # fmt: skip


def test_neither_pip_nor_cmake_has_a_version_of_its_own() -> None:
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert 'dynamic = ["version"]' in project
    assert 'path = "MicroCTSR/microctsr_core/__init__.py"' in project
    for path in REPOSITORY.glob("**/CMakeLists.txt"):
        text = path.read_text(encoding="utf-8").replace("VERSION 3.20.6...3.22.6 FATAL_ERROR", "")
        assert not re.search(r"VERSION\s+\d", text), path
