"""The messages that the page on troubleshooting explains are those that the code says."""

from __future__ import annotations

import ast
import re
from itertools import pairwise
from pathlib import Path

from documents import DOCS, REPOSITORY, tokens

VARIABLE = "\0"
LEAST = 25
"""Letters that a message has to share with the code, so that no two words pass for it."""


def said() -> set[str]:
    """All text in the code, with a mark where a value stands."""
    found = set()
    for folder in ("MicroCTSR", "MicroCTSRTraining"):
        for path in (REPOSITORY / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    parts = [getattr(part, "value", None) for part in node.values]
                    found.add(
                        "".join(part if isinstance(part, str) else VARIABLE for part in parts)
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.add(re.sub(r"{[^{}]*}", VARIABLE, node.value))
    return found


def quoted(page: Path) -> list[str]:
    """Messages in the first column of the page's tables, in italics, with … for values."""
    found = []
    parsed = tokens(page)
    for before, cell in pairwise(parsed):
        is_first = before.type == "td_open" and cell.content.startswith("*")
        if is_first and cell.content.endswith("*"):
            found.append(cell.content.strip("*"))
    return found


def is_said(message: str, texts: set[str]) -> bool:
    pattern = ".*".join(re.escape(part) for part in message.split("…"))
    enough = len(message.replace("…", "")) >= LEAST
    return enough and any(re.fullmatch(pattern, text, re.DOTALL) for text in texts)


def test_every_message_that_is_explained_is_one_that_the_code_says():
    texts = said()
    messages = quoted(DOCS / "troubleshooting.md")
    assert len(messages) > 25
    assert [message for message in messages if not is_said(message, texts)] == []


def test_a_message_that_the_code_never_says_would_be_found():
    texts = said()
    assert is_said("… is damaged or cut short; copy or export it again.", texts)
    assert not is_said("… is damaged or cut short; copy or import it again.", texts)
    assert not is_said("…", texts)
