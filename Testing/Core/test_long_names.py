"""Names that no file system takes are told as names of what is not there."""

from __future__ import annotations

import pytest

from command_line import assert_one_line_error, run
from microctsr_core.errors import ReadError
from microctsr_core.evaluation.comparison import load_study

LONG = "x" * 300


@pytest.mark.parametrize(
    "command",
    [
        ("superresolve", f"{LONG}.nrrd", "sr.nrrd"),
        ("model", "info", LONG),
        ("train", "--low", LONG, "--high", LONG, "--output", "run"),
        ("evaluate", "m-hum", "--generated", LONG, "--reference", LONG),
        ("study", "analyse", LONG),
        ("phantom", "--output", LONG, "--cases", "1", "--seed", "1"),
    ],
    ids=lambda command: command[0],
)
def test_a_name_that_is_too_long_is_told_as_one_that_is_not_there(
    command, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_one_line_error(run(*command), LONG)


@pytest.mark.parametrize("entry", ["methods", "low", "truth"])
def test_a_name_that_is_too_long_in_a_comparison_is_told(entry, tmp_path) -> None:
    (tmp_path / "ct.nrrd").touch()
    names = {"methods": "results", "low": "ct.nrrd", "truth": "ct.nrrd"} | {entry: LONG}
    (tmp_path / "results").mkdir()
    (tmp_path / "study.yaml").write_text(
        f"methods:\n  cubic: cubic\n  ours: {{results: {names['methods']}}}\n"
        f"cases:\n  - {{name: ear, low: {names['low']}, truth: {names['truth']}}}\n"
    )
    with pytest.raises(ReadError, match="does not exist"):
        load_study(tmp_path / "study.yaml")
