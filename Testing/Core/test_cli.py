"""The command line: exit statuses, messages, and files that appear together or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from command_line import assert_one_line_error, command_environment, run
from microctsr_core import ReadError, Volume, read_volume, write_volume
from microctsr_core.trust import Thresholds, otsu_thresholds
from toy_models import make_model

BOX = "1:3,4:12,6:16"
REPORT_KEYS = {
    "seconds",
    "passes_mean",
    "device",
    "peak_memory_bytes",
    "model",
    "warnings",
    "consistency_rms_hu",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> str:
    return str(make_model().save(tmp_path_factory.mktemp("models") / "toy").path)


@pytest.fixture
def scan(tmp_path) -> Path:
    """A small oblique CT alone in its folder; outputs go elsewhere."""
    rng = np.random.default_rng(0)
    direction, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    array = rng.integers(-1000, 2000, (4, 18, 20), dtype=np.int16)
    path = tmp_path / "input" / "ct.nrrd"
    write_volume(Volume(array, (0.6, 0.3, 0.3), (1.5, -20.0, 7.25), direction), path)
    return path


@pytest.fixture
def no_work(monkeypatch) -> None:
    """Make the test fail when the input is read: what it checks must come before."""

    def fail(*_, **__):
        raise AssertionError("work started")

    monkeypatch.setattr("microctsr_core.io.reading.read_volume", fail)


# What a run gives


def test_a_run_writes_every_file_asked_for_and_names_them_on_stdout(scan, out, model):
    files = {
        "--uncertainty": out / "uncertainty.nii.gz",
        "--consistency": out / "consistency.mha",
        "--preview": out / "sr.png",
        "--report": out / "report.json",
    }
    options = [part for pair in files.items() for part in pair]
    result = run(
        "superresolve",
        scan,
        out / "sr.nrrd",
        "--model",
        model,
        "--box",
        BOX,
        "--samples",
        3,
        *options,
    )
    assert result.exit_code == 0, result.output
    written = [out / "sr.nrrd", *files.values()]
    assert result.stdout.splitlines() == [str(path) for path in written]
    assert sorted(out.iterdir()) == sorted(written)

    low = read_volume(scan).crop(((1, 3), (4, 12), (6, 16)))
    mean, uncertainty = read_volume(out / "sr.nrrd"), read_volume(files["--uncertainty"])
    assert mean.shape == uncertainty.shape == (2, 64, 80)
    assert np.abs(mean.corners_lps() - low.corners_lps()).max() < 1e-6
    assert read_volume(files["--consistency"]).shape == low.shape
    assert imread(files["--preview"]).shape[1] == 1600

    report = json.loads(files["--report"].read_text())
    assert report.keys() >= REPORT_KEYS
    assert report["passes_mean"] == 3
    assert report["seconds"]["total"] > 0
    thresholds = Thresholds(**report["seed_thresholds"])
    assert thresholds == otsu_thresholds(mean.array, uncertainty.array)
    assert report["model"].keys() >= {"name", "version", "sha256"}


def test_people_read_grid_passes_time_consistency_and_warnings_on_stderr(scan, out, model):
    thick = read_volume(scan)
    thick = Volume(thick.array, (2.0, 0.3, 0.3), thick.origin, thick.direction)
    write_volume(thick, scan)
    result = run("superresolve", scan, out / "sr.nrrd", "--model", model, "--samples", 2)
    assert "160 x 144 x 4 voxels of 0.0375 x 0.0375 x 2 mm" in result.stderr
    assert "Passes       2 per voxel" in result.stderr
    assert "on cpu" in result.stderr
    assert "HU (RMS difference from the input)" in result.stderr
    assert "Warning: Slices lie 2 mm apart" in result.stderr
    assert "not for diagnosis" in result.stderr


def test_isotropic_voxels_are_cubes(scan, out, model):
    options = ("--model", model, "--samples", 1, "--scale-mode", "isotropic", "--box", BOX)
    result = run("superresolve", scan, out / "sr.nrrd", *options)
    assert result.exit_code == 0, result.output
    volume = read_volume(out / "sr.nrrd")
    np.testing.assert_allclose(volume.spacing, 0.0375, rtol=1e-9)
    assert volume.shape == (32, 64, 80)


# What is told before the work


def test_overwrite_replaces_outputs(scan, out, model):
    (out / "sr.nrrd").write_text("earlier")
    options = ("--model", model, "--samples", 1, "--box", BOX, "--overwrite")
    assert run("superresolve", scan, out / "sr.nrrd", *options).exit_code == 0
    assert read_volume(out / "sr.nrrd").shape == (2, 64, 80)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("{out}/sr.jpg",), ("sr.jpg", ".nrrd")),
        (("{out}/sr.nrrd", "--preview", "{out}/sr.jpg"), ("sr.jpg", ".png")),
        (("{out}/sr.nrrd", "--report", "{out}/report.txt"), ("report.txt", ".json")),
        (("{out}/sr.nrrd", "--uncertainty", "{out}/../output/sr.nrrd"), ("sr.nrrd", "own name")),
        (("{scan}", "--overwrite"), ("ct.nrrd", "the input")),
        (("{scan}/sr.nrrd",), ("sr.nrrd", "folder")),
        (("{folder}", "--overwrite"), ("folder",)),
    ],
)
@pytest.mark.usefixtures("no_work")
def test_outputs_that_cannot_be_are_told_before_any_work(scan, out, options, words):
    folder = out / "folder.nrrd"
    folder.mkdir()
    filled = [part.format(out=out, scan=scan, folder=folder) for part in options]
    before = scan.read_bytes()
    assert_one_line_error(run("superresolve", scan, *filled), *words)
    assert scan.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [
        ("--box", "1:3,4:12"),
        ("--box", "3:1,4:12,6:16"),
        ("--samples", "0"),
        ("--samples", "many"),
        ("--spacing", "0.3,0.3"),
        ("--spacing", "0.3,0,0.3"),
        ("--device", "abacus"),
        ("--scale-mode", "diagonal"),
        ("--seed", "-1"),
        ("--nonsense",),
    ],
)
@pytest.mark.usefixtures("no_work")
def test_bad_usage_ends_with_status_2(scan, out, options):
    result = run("superresolve", scan, out / "sr.nrrd", *options)
    assert result.exit_code == 2
    assert options[0] in result.stderr


# What goes wrong on the way


def raising(error: BaseException) -> Callable[..., None]:
    def fail(*_, **__):
        raise error

    return fail


def test_an_unexpected_error_is_one_line_that_suggests_debug(scan, out, model, monkeypatch):
    error = RuntimeError("the network\nfell over")
    monkeypatch.setattr("microctsr_core.superresolution.superresolve", raising(error))
    arguments = ("superresolve", scan, out / "sr.nrrd", "--model", model)
    told = run(*arguments)
    assert_one_line_error(told, "Unexpected", "RuntimeError: the network fell over", "--debug")
    told = run(*arguments, "--debug")
    assert told.exit_code == 1
    assert "Traceback (most recent call last)" in told.stderr


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [(OSError(28, "No space left on device"), 1, "full"), (KeyboardInterrupt(), 130, "Stopped")],
)
@pytest.mark.parametrize("earlier", [True, False])
def test_a_failure_while_writing_leaves_no_new_file_and_every_earlier_one(
    scan, out, model, monkeypatch, error, status, word, earlier
):
    if earlier:
        (out / "sr.nrrd").write_text("earlier")
    monkeypatch.setattr("microctsr_core.preview.write_preview", raising(error))
    files = (out / "sr.nrrd", "--uncertainty", out / "u.nrrd", "--preview", out / "sr.png")
    options = ("--model", model, "--samples", 1, "--box", BOX, "--overwrite")
    result = run("superresolve", scan, *files, *options)
    assert result.exit_code == status
    assert word in result.stderr.splitlines()[-1]
    assert result.stdout == ""
    assert {path.name: path.read_text() for path in out.iterdir()} == (
        {"sr.nrrd": "earlier"} if earlier else {}
    )


def test_an_error_in_writing_names_the_file_asked_for(scan, out, model, monkeypatch):
    failure = ReadError("The file is cut short.")
    monkeypatch.setattr("microctsr_core.io.writing.check_complete", raising(failure))
    options = ("--model", model, "--samples", 1, "--box", BOX)
    result = run("superresolve", scan, out / "sr.nrrd", *options)
    assert_one_line_error(result, str(out / "sr.nrrd"))
    assert list(out.iterdir()) == []


def wait_for(word: str, process: subprocess.Popen) -> None:
    """Read progress until a line has the word."""
    assert any(word in line for line in iter(process.stderr.readline, ""))


def start(*arguments: str, **options: object) -> subprocess.Popen:
    """Start the command as another program would, with all its streams in pipes."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    command = [sys.executable, "-m", "microctsr_core", *arguments]
    return subprocess.Popen(command, env=command_environment(), text=True, **streams, **options)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently on Windows")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_soon_with_nothing_half_written(scan, out, model, kind):
    process = start(
        *("superresolve", str(scan), str(out / "sr.nrrd"), "--model", model),
        *("--samples", "1000000", "--preview", str(out / "sr.png")),
        # A shell starts background jobs deaf to Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        assert process.stderr is not None
        wait_for("Slice", process)
        process.send_signal(kind)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "Stopped; nothing is left half written."
    assert "Traceback" not in stderr
    assert stdout == ""
    assert list(out.iterdir()) == []


# Run by another program


@pytest.mark.parametrize("stage", ["Loading the model", "Slice"])
def test_a_run_stops_soon_after_the_program_that_started_it(scan, out, model, stage):
    process = start(
        *("--while-stdin-open", "superresolve", str(scan), str(out / "sr.nrrd")),
        *("--model", model, "--samples", "1000000"),
    )
    with process:
        wait_for(stage, process)
        closed = time.monotonic()
        process.stdin.close()
        assert process.wait(timeout=60) == 130
        assert time.monotonic() - closed < 2
        assert process.stderr.read().splitlines()[-1] == "Stopped; nothing is left half written."
        assert process.stdout.read() == ""
    assert list(out.iterdir()) == []


def test_a_run_that_does_not_let_go_is_ended_by_force_with_nothing_half_written(out):
    """A stand-in for a library that holds the main thread, as torch does while it is imported."""
    code = (
        "import sys, time, microctsr_core.phantom as phantom, microctsr_core.cli as cli\n"
        "from microctsr_core.io import atomic_path\n"
        "def write_cases(output, *_, **__):\n"
        "    with atomic_path(output / 'truth.nrrd'):\n"
        "        print('started', flush=True)\n"
        "        while True:\n"
        "            try: time.sleep(60)\n"
        "            except KeyboardInterrupt: pass\n"
        "phantom.write_cases = write_cases\n"
        "cli.main()\n"
    )
    options = ("--cases", "1", "--seed", "0", "--output", str(out))
    process = subprocess.Popen(
        [sys.executable, "-c", code, "--while-stdin-open", "phantom", *options],
        env=command_environment(),
        **dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE),
        text=True,
    )
    with process:
        assert process.stdout.readline() == "started\n"
        assert len(list(out.iterdir())) == 1
        closed = time.monotonic()
        process.stdin.close()
        assert process.wait(timeout=60) == 130
        assert time.monotonic() - closed < 2
        assert process.stderr.read() == "Stopped; nothing is left half written.\n"
    assert list(out.iterdir()) == []


def test_a_run_whose_standard_input_stays_open_finishes_and_tells_every_stage(scan, out, model):
    process = start(
        *("--while-stdin-open", "superresolve", str(scan), str(out / "sr.nrrd")),
        *("--model", model, "--samples", "1", "--box", BOX, "--no-compress"),
    )
    with process:
        told = process.stderr.read()
        assert process.wait(timeout=60) == 0, told
        assert process.stdout.read() == f"{out / 'sr.nrrd'}\n"
    assert told.splitlines()[:2] == [
        "  0 %  Loading the model",
        "  0 %  Checking the scan",
    ]
    assert "100 %  Writing" in told
    assert isinstance(read_volume(out / "sr.nrrd").array.base, np.memmap)
