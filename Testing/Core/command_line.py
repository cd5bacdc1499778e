"""Running the command in tests as a user would, and what its errors look like."""

from __future__ import annotations

import os
from pathlib import Path

from typer.testing import CliRunner, Result

from microctsr_core.cli import app

LIBRARY = Path(__file__).resolve().parents[2] / "MicroCTSR"
# Continuous integration may ask for colour, but these tests read plain text.
_COLOURS = ("FORCE_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "GITHUB_ACTIONS")


def run(*arguments: object) -> Result:
    """Run a command in this process."""
    runner = CliRunner(env=dict.fromkeys(_COLOURS))
    return runner.invoke(app, [str(argument) for argument in arguments])


def command_environment() -> dict[str, str]:
    """Environment in which a child process finds the library and writes plain text."""
    kept = {name: value for name, value in os.environ.items() if name not in _COLOURS}
    return {**kept, "PYTHONPATH": str(LIBRARY), "OMP_NUM_THREADS": "1"}


def assert_one_line_error(result: Result, *words: str) -> None:
    lines = result.stderr.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    assert result.exit_code == 1, result.output
    assert len(errors) == 1, result.stderr
    assert lines[-1] == errors[0]
    assert "Traceback" not in result.output
    assert "Unexpected" not in errors[0] or "Unexpected" in words
    assert result.stdout == ""
    for word in words:
        assert word in errors[0]
