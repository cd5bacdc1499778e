"""Running the command in tests as a user would, and what its errors look like."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from microctsr_core.cli import app

LIBRARY = Path(__file__).resolve().parents[2] / "MicroCTSR"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def assert_one_line_error(result: Result, *words: str) -> None:
    lines = result.stderr.splitlines()
    errors = [line for line in lines if line.startswith("Error: ")]
    assert result.exit_code == 1, result.output
    assert len(errors) == 1, result.stderr
    assert lines[-1] == errors[0]
    assert "Traceback" not in result.output
    assert result.stdout == ""
    for word in words:
        assert word in errors[0]
