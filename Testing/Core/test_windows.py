"""What is different on Windows, as far as any system can show it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from command_line import command_environment
from microctsr_core import WriteError
from microctsr_core.io import atomic, atomic_path
from toy_models import make_model

REPOSITORY = Path(__file__).resolve().parents[2]
UNIX_ALONE = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "termios"}


class RefusalOfWindowsError(PermissionError):
    """What Windows raises when the file to be replaced is open elsewhere."""

    winerror = 32


@pytest.fixture
def readers(monkeypatch) -> list[int]:
    """One number: how many more times a reader is in the way."""
    waits, replace = [0], Path.replace

    def replace_unless_read(path: Path, target: Path) -> Path:
        if waits[0] > 0:
            waits[0] -= 1
            raise RefusalOfWindowsError(13, "The process cannot access the file")
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", replace_unless_read)
    monkeypatch.setattr(atomic.time, "sleep", lambda _seconds: None)
    return waits


def test_a_file_that_is_read_for_a_moment_is_replaced_all_the_same(tmp_path, readers):
    path = tmp_path / "history.jsonl"
    path.write_text("before", encoding="utf-8")
    readers[0] = 3
    with atomic_path(path) as part:
        part.write_text("after", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "after"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_stays_open_elsewhere_is_told_and_kept(tmp_path, readers):
    path = tmp_path / "sr.nrrd"
    path.write_text("before", encoding="utf-8")
    readers[0] = 1000
    with pytest.raises(WriteError, match="cannot access the file"), atomic_path(path) as part:
        part.write_text("after", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_output_goes_to_a_file_that_cannot_hold_every_letter(tmp_path):
    model = make_model()
    folder = tmp_path / "toy"
    model.save(folder)
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    card["authors"] = ["\u0158eho\u0159"]  # not in Windows' Western code page
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "microctsr_core", "model", "info", str(folder)],
        env={**command_environment(), "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u0158eho\u0159" in done.stdout


@pytest.mark.parametrize("folder", ["MicroCTSR", "MicroCTSRTraining"])
def test_what_only_unix_has_is_imported_only_where_it_is_used(folder):
    for path in (REPOSITORY / folder).rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Import):
                assert UNIX_ALONE.isdisjoint(alias.name for alias in node.names), path
            elif isinstance(node, ast.ImportFrom):
                assert node.module not in UNIX_ALONE, path


@pytest.mark.parametrize("folder", ["MicroCTSR", "MicroCTSRTraining"])
def test_texts_are_read_and_written_in_one_encoding_on_every_system(folder):
    for path in (REPOSITORY / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                given = {keyword.arg for keyword in node.keywords}
                if node.func.attr in ("read_text", "write_text") and "encoding" not in given:
                    assert path.name in LINUX_ALONE, (path, node.lineno)


LINUX_ALONE = ("memory.py", "speed.py", "threads.py")
"""They read what only Linux tells, in ASCII."""
