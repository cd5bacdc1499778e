"""The command line: exit statuses, messages, and files that appear together or not at all."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from command_line import assert_one_line_error, command_environment, run
from microctsr_core import ReadError, Volume, read_volume, write_volume
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

    monkeypatch.setattr("microctsr_core.cli.superresolution.read_volume", fail)


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
    assert_one_line_error(run(*arguments), "RuntimeError: the network fell over", "--debug")
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


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently on Windows")
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_run_soon_with_nothing_half_written(scan, out, model, kind):
    command = [
        sys.executable,
        "-m",
        "microctsr_core",
        "superresolve",
        str(scan),
        str(out / "sr.nrrd"),
    ]
    process = subprocess.Popen(
        [*command, "--model", model, "--samples", "1000000", "--preview", str(out / "sr.png")],
        env=command_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs deaf to Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    with process:
        assert process.stderr is not None
        first = process.stderr.readline()  # the first line of progress: the run is on its way
        assert "%" in first
        process.send_signal(kind)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.splitlines()[-1] == "Stopped; nothing is left half written."
    assert "Traceback" not in stderr
    assert stdout == ""
    assert list(out.iterdir()) == []
