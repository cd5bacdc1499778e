"""The commands besides superresolve, their help, and progress for those who listen to a pipe."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO

import pytest
import torch
import typer

from command_line import assert_one_line_error, command_environment, run
from microctsr_core.cli import app
from microctsr_core.cli.progress import PlainProgress
from microctsr_core.cost import Footprint, Speed
from microctsr_core.model import load_model
from microctsr_core.resources import footprint
from microctsr_core.speed import measured_speed
from toy_models import make_model


@pytest.fixture
def model(tmp_path) -> str:
    return str(make_model().save(tmp_path / "toy").path)


def every_command(
    command: object = None, path: tuple[str, ...] = ()
) -> dict[tuple[str, ...], object]:
    command = command or typer.main.get_command(app)
    found = {path: command}
    for name, inner in getattr(command, "commands", {}).items():
        found.update(every_command(inner, (*path, name)))
    return found


def test_commands_are_those_of_the_design():
    leaves = {path for path, command in every_command().items() if not hasattr(command, "commands")}
    assert leaves == {
        ("superresolve",),
        ("benchmark",),
        ("demo",),
        ("phantom",),
        ("train",),
        ("evaluate", "m-hum"),
        ("model", "list"),
        ("model", "info"),
        ("model", "cost"),
        ("model", "import-cyclegan"),
        ("model", "calibrate"),
        ("evaluate", "compare"),
        ("evaluate", "fidelity"),
        ("study", "create"),
        ("study", "serve"),
        ("study", "analyse"),
    }


@pytest.mark.parametrize("path", every_command(), ids=" ".join)
def test_help_of_every_command_has_an_example_of_it(path):
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert f"Example: {' '.join(('microctsr', *path))}" in result.stdout


def test_model_info_prints_the_card(model):
    result = run("model", "info", model)
    assert result.exit_code == 0, result.output
    assert "network.arguments.width" in result.stdout
    assert "0.15, 0.35" in result.stdout
    card = json.loads(run("model", "info", model, "--json").stdout)
    assert card["name"] == "toy"
    assert_one_line_error(run("model", "info", "nonesuch"), "nonesuch")


def test_model_list_names_the_bundled_models(model, monkeypatch):
    monkeypatch.setattr("microctsr_core.cli.models.list_models", lambda: [model])
    header, line = run("model", "list").stdout.splitlines()
    assert header.split() == ["NAME", "VERSION", "SCALE", "DESCRIPTION"]
    assert "1.0.0" in line
    assert "x8" in line


def test_model_cost_tells_what_prices_a_run_on_this_computer(model, tmp_path):
    result = run("model", "cost", model, "--device", "cpu", "--json", tmp_path / "cost.json")
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "cost.json")
    facts = json.loads((tmp_path / "cost.json").read_text())
    assert facts["device"] == "cpu"
    assert facts["torch"] == torch.__version__
    assert facts["threads"] >= 1
    assert facts["total_memory_bytes"] > 1e9
    assert facts["device_name"]
    assert Footprint(**facts["footprint"]) == footprint(load_model(model))
    speed = Speed(**facts["speed"])
    assert speed.encode_s_per_megapixel > 0
    assert speed.pass_s_per_megapixel > 0
    printed = run("model", "cost", model, "--device", "cpu").stdout
    assert "speed.pass_s_per_megapixel" in printed
    assert "footprint.radius" in printed
    assert_one_line_error(run("model", "cost", "nonesuch"), "nonesuch")


@pytest.mark.parametrize("dropout", ["channel", "element", "none"])
def test_models_of_every_kind_can_be_timed(dropout):
    speed = measured_speed(make_model("resnet", dropout=dropout), torch.device("cpu"))
    assert speed.pass_s_per_megapixel > 0


def test_phantom_hands_its_options_to_the_library(tmp_path, monkeypatch):
    asked = {}

    def write_cases(*arguments, progress, **options):
        asked.update(options, arguments=arguments)
        progress(1.0, "done")

    monkeypatch.setattr("microctsr_core.phantom.write_cases", write_cases)
    result = run("phantom", "--output", tmp_path, "--cases", 2, "--seed", 7, "--spacing", 0.3)
    assert result.exit_code == 0, result.output
    flags = {"turn_specimen": False, "overwrite": False, "domain": "both"}
    flags |= {"region": "inner ear", "shape": (16, 64, 64), "thick_share": 0.0, "workers": 1}
    assert asked == {"arguments": (tmp_path, 2, 7), "spacing_mm": 0.3, **flags}
    assert result.stdout.strip() == str(tmp_path)


@pytest.mark.parametrize("shape", ["16,64", "16,64,x", "16,64,1", "-4,64,64"])
def test_a_field_of_view_that_is_none_is_explained(tmp_path, shape):
    options = ("--cases", 1, "--seed", 7, "--shape", shape)
    result = run("phantom", "--output", tmp_path / "out", *options)
    assert result.exit_code == 2
    assert "is not a field of view" in result.stderr
    assert not (tmp_path / "out").exists()


def test_progress_away_from_a_terminal_is_lines_with_the_time_left():
    stream, now = StringIO(), [0.0]
    progress = PlainProgress(stream, clock=lambda: now[0])
    progress(0.0, "Loading the model")
    now[0] = 0.5
    progress(0.0, "Checking the card")  # what comes before the work is told at once
    now[0] = 4.0
    progress(0.0, "Checking the scan")
    now[0] = 4.2
    progress(0.01, "Slice 1 of 8")  # too soon after the last line to be worth one
    now[0] = 34.0
    progress(0.25, "Slice 2 of 8")
    now[0] = 124.0
    progress(1.0, "Writing")
    progress(1.0, "Writing")
    assert stream.getvalue().splitlines() == [
        "  0 %  Loading the model",
        "  0 %  Checking the card",
        "  0 %  Checking the scan",
        " 25 %  Slice 2 of 8, 0:01:30 left",
        "100 %  Writing",
    ]


def test_the_commands_start_without_what_only_some_of_them_need():
    code = (
        "import sys, microctsr_core.cli\n"
        "assert {'torch', 'SimpleITK', 'matplotlib'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=command_environment(), check=True)


def test_python_dash_m_is_the_command():
    finished = subprocess.run(
        [sys.executable, "-m", "microctsr_core", "--version"],
        env=command_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout.startswith("microctsr ")


@pytest.mark.parametrize(
    "words",
    [
        ("superresolve", "{}", "sr.nrrd"),
        ("evaluate", "fidelity", "--generated", "{}", "--truth", "{}"),
        ("evaluate", "compare", "--study", "{}", "--report", "report.html"),
    ],
    ids=" ".join,
)
def test_a_file_that_may_not_be_read_is_told_by_who_says_what_to_do(words, tmp_path, monkeypatch):
    """Typer asks the system first, which tells root nothing, and would call it bad usage."""
    path = tmp_path / "scan.nrrd"
    path.write_text("no scan")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    assert_one_line_error(run(*(word.format(path) for word in words)), str(path))
