"""Every command in the documentation is one; quick ones run, and print what is shown."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import typer
import yaml

from command_line import run
from documents import COMMANDS, PAGES, REPOSITORY, Block, blocks
from microctsr_core.cli import app
from microctsr_core.sample import sample_volume_path

USAGE_ERROR = typer.BadParameter.__base__  # which Typer has no name for

SETTINGS = {"epochs": 1, "steps_per_epoch": 2}
"""Of the trainings that run here: as in the page, but short."""

SMALLER = {"phantom": ["--shape", "3,20,20"]}
"""What is said after a page's own options, and so instead of them, to be done in seconds."""


def commands(page: Path) -> list[tuple[Block, list[str], list[str]]]:
    return [
        (block, words, shown)
        for block in blocks(page)
        if block.language in COMMANDS
        for words, shown in block.commands()
    ]


def complaint(words: list[str]) -> str:
    """What the command line itself complains of; "…" stands for what is left out."""
    command = typer.main.get_command(app)
    rest = [word for word in words if word != "…"]
    while rest and rest[0] in getattr(command, "commands", {}):
        command = command.commands[rest.pop(0)]
    if hasattr(command, "commands") and rest and not rest[0].startswith("-"):
        return f"No such command: {rest[0]}"
    try:
        command.make_context(command.name, rest)
    except typer.Exit:  # --help and --version end there
        return ""
    except USAGE_ERROR as error:
        is_left_out = "…" in words and type(error).__name__ == "MissingParameter"
        return "" if is_left_out else str(error)
    return ""


def test_a_command_that_is_none_would_be_found():
    assert complaint(["superresolve", "ct.nrrd", "sr.nrrd", "--box", "0:1,0:1,0:1"]) == ""
    assert complaint(["train", "…", "--devices", "2"]) == ""
    assert complaint(["train", "--devices", "2"]) != ""
    assert complaint(["superresolve", "ct.nrrd", "sr.nrrd", "--boxes", "0:1,0:1,0:1"]) != ""
    assert complaint(["model", "delete", "ear"]) != ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_library_is_one(page):
    for block, words, _shown in commands(page):
        for start, word in enumerate(words):
            if word != "microctsr" and words[start - 1 : start + 1] != ["-m", "microctsr_core"]:
                continue
            assert complaint(words[start + 1 :]) == "", f"{page.name}:{block.line}: {words}"
            break


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_target_and_script_is_there_and_knows_its_options(page):
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for _block, words, _shown in commands(page):
        if words[0] == "make":
            assert targets.issuperset(word for word in words[1:] if "=" not in word), words
        scripts = [word for word in words[1:2] if word.endswith(".py")]
        if words[0] == "python" and scripts:
            source = (REPOSITORY / scripts[0]).read_text(encoding="utf-8")
            for option in (word for word in words if word.startswith("--")):
                assert f'"{option}"' in source, words


def likeness(line: str) -> str:
    """A line without what differs between machines: numbers, and the width of columns."""
    return re.sub(r"[─━═]+", "─", re.sub(r"\s+", " ", re.sub(r"-?\d+(\.\d+)?", "#", line))).strip()


def assert_like(printed: str, shown: list[str], where: str) -> None:
    """What is shown was printed, in this order; "..." stands for lines that are left out."""
    lines = iter([likeness(line) for line in printed.splitlines()])
    for line in shown:
        if line.strip() not in ("", "..."):
            assert likeness(line) in lines, f"{where}: {line!r} is not in\n{printed}"


@pytest.fixture
def given(tmp_path, monkeypatch) -> Path:
    """The folder that the pages begin in, with the bundled CT as ct.nrrd."""
    shutil.copy(sample_volume_path(), tmp_path / "ct.nrrd")
    monkeypatch.chdir(tmp_path)
    # Lines as wide as in the pages.
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def runs_commands(page: Path) -> bool:
    return any(block.runs and words[0] == "microctsr" for block, words, _shown in commands(page))


RUNNING = [page for page in PAGES if runs_commands(page)]


@pytest.mark.parametrize("page", RUNNING, ids=lambda page: page.name)
def test_commands_run_and_print_what_is_shown(page, given):
    for block in blocks(page):
        if block.language == "yaml" and block.text.startswith("# "):  # a file, by its first line
            settings = yaml.safe_load(block.text)
            settings = settings | SETTINGS if "epochs" in settings else settings
            name = block.text.splitlines()[0][2:]
            (given / name).write_text(yaml.safe_dump(settings), encoding="utf-8")
        if not block.runs or block.language not in COMMANDS:
            continue
        for words, shown in block.commands():
            if words[0] != "microctsr":
                continue
            result = run(*words[1:], *SMALLER.get(words[1], []))
            where = f"{page.name}:{block.line}: {' '.join(words)}"
            expected = 1 if any(line.startswith("Error: ") for line in shown) else 0
            assert result.exit_code == expected, f"{where}\n{result.output}"
            assert_like(result.output, shown, where)
