"""The documentation as tests read it: its pages, links, blocks of code, and what they promise.

A block of commands or Python runs in the tests as it stands. One that needs what a test has not,
such as a cluster, a browser or an hour, has a line in front of it that a reader does not see:
``<!-- not run: REASON -->``; its commands are then only parsed.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "Docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.glob("*.md"))]
NOT_RUN = re.compile(r"<!-- not run: (\S.*\S) -->")
PROGRAM = re.compile(r"(OMP_\w+=\d+ )?(dask|make|microctsr|pip|python|srun|torchrun) ")
COMMANDS = ("", "sh", "console")
"""Languages of the blocks that may hold commands."""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line it begins at, whether it runs, and what is
    printed by it: the block of `text` that follows it at once, or None."""

    language: str
    text: str
    line: int
    runs: bool
    output: str | None = None

    def commands(self) -> list[tuple[list[str], list[str]]]:
        """Each command as words, with the lines that are shown below it as its output."""
        found: list[tuple[list[str], list[str]]] = []
        lines = self.text.replace("\\\n", " ").splitlines()
        prompted = any(line.startswith("$ ") for line in lines)
        for line in lines:
            if line.startswith("$ "):
                found.append((shlex.split(line[2:], comments=True), []))
            elif prompted:
                if found:
                    found[-1][1].append(line)
            elif PROGRAM.match(line):
                found.append((shlex.split(line, comments=True), []))
        return found


def tokens(page: Path) -> list[Token]:
    """The parsed page, tables among it."""
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found: list[Block] = []
    before: Token | None = None
    for token in tokens(page):
        if token.type == "fence":
            runs = not (before and before.type == "html_block" and NOT_RUN.search(before.content))
            if token.info == "text" and before is not None and before.type == "fence":
                last = found.pop()
                found.append(Block(last.language, last.text, last.line, last.runs, token.content))
            else:
                line = (token.map or [0])[0] + 1
                found.append(Block(token.info.strip(), token.content, line, runs))
        before = token
    return found


def links(page: Path) -> list[str]:
    """The targets of all links and pictures, those in HTML too."""
    found: list[str] = []
    for token in tokens(page):
        for inner in token.children or []:
            found += [str(inner.attrs[name]) for name in ("href", "src") if name in inner.attrs]
        if token.type == "html_block" or any(t.type == "html_inline" for t in token.children or []):
            found += re.findall(r'(?:src|href)="([^"]+)"', token.content)
    return found


def anchors(page: Path) -> set[str]:
    """What a link to a heading of the page may end in, by GitHub's rule."""
    found: set[str] = set()
    parsed = tokens(page)
    for opening, heading in pairwise(parsed):
        if opening.type == "heading_open":
            shown = "".join(
                inner.content
                for inner in heading.children or []
                if inner.type in ("text", "code_inline")
            )
            kept = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
            number, name = 0, kept
            while name in found:
                number += 1
                name = f"{kept}-{number}"
            found.add(name)
    return found
