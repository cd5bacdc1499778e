"""Runs that write slab by slab: the numbers of a run in memory, whatever happens on the way."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from command_line import assert_one_line_error, command_environment, run
from microctsr_core import (
    Cancelled,
    MicroCTSRError,
    ResourceError,
    WriteError,
    read_volume,
    stream,
    superresolve,
    write_volume,
)
from microctsr_core.model import Model
from microctsr_core.volume import Box
from toy_models import make_model
from toy_scans import make_scan

BOX: Box = ((1, 8), (2, 18), (3, 20))
NAMES = ("mean", "uncertainty", "consistency")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return make_model().save(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    return make_scan(tmp_path / "ct.nrrd")


def files(folder: Path, suffix: str) -> dict[str, Path]:
    """Where the three volumes go, as arguments of ``stream``."""
    return dict(
        zip(
            ("output", "uncertainty", "consistency"),
            (folder / f"{name}{suffix}" for name in NAMES),
            strict=True,
        )
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file in a folder, by its path in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# The numbers


@pytest.mark.parametrize("suffix", [".nrrd", ".zarr"])
@pytest.mark.parametrize("scale_mode", ["in-plane", "isotropic"])
def test_streamed_volumes_are_those_of_a_run_in_memory_bit_for_bit(
    scan: Path, out: Path, model: Model, scale_mode: str, suffix: str
) -> None:
    settings: dict[str, Any] = {"box": BOX, "samples": 3, "scale_mode": scale_mode}
    whole = superresolve(read_volume(scan), model, **settings)
    for slab in (2, 5, None):
        paths = files(out, suffix)
        report = stream(scan, model, **paths, **settings, slab=slab, overwrite=True)
        for name in NAMES:
            expected, volume = getattr(whole, name), read_volume(out / f"{name}{suffix}")
            np.testing.assert_array_equal(volume.array, expected.array)
            assert volume.same_grid(expected)
            assert dict(volume.metadata) == dict(expected.metadata)
        for key in whole.report.keys() - {"seconds", "peak_memory_bytes"}:
            assert report[key] == whole.report[key], key
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{n}{suffix}" for n in NAMES)


def test_a_pass_count_chosen_per_block_is_the_same_when_streamed(
    scan: Path, out: Path, model: Model
) -> None:
    box: Box = ((3, 6), (2, 18), (3, 20))
    whole = superresolve(read_volume(scan), model, box=box, samples="auto")
    report = stream(scan, model, out / "sr.nrrd", box=box, slab=1)
    assert report["passes_mean"] == whole.report["passes_mean"]
    np.testing.assert_array_equal(read_volume(out / "sr.nrrd").array, whole.mean.array)


def test_the_papers_scaling_by_the_scans_statistics_streams_too(scan: Path, out: Path) -> None:
    network = make_model("resnet", dropout_rate=0.2)
    model = Model(network.network, {**network.card, "intensity": {"kind": "zscore_unit"}})
    box: Box = ((2, 5), (4, 12), (4, 12))
    whole = superresolve(read_volume(scan), model, box=box, samples=2, preset="paper")
    stream(scan, model, out / "sr.nrrd", box=box, samples=2, preset="paper", slab=1)
    np.testing.assert_array_equal(read_volume(out / "sr.nrrd").array, whole.mean.array)


@pytest.mark.parametrize("kind", ["compressed", "zarr", "volume"])
def test_a_scan_of_any_kind_is_streamed(tmp_path: Path, out: Path, model: Model, kind: str) -> None:
    path = make_scan(tmp_path / "ct.nrrd", compress=kind == "compressed")
    ct: Any = path
    if kind == "zarr":
        from microctsr_core.io.ome_zarr import write_ome_zarr

        ct = tmp_path / "ct.zarr"
        write_ome_zarr(read_volume(path), ct, slab=2)
    elif kind == "volume":
        ct = read_volume(path)
    stream(ct, model, out / "sr.nrrd", box=BOX, samples=2)
    whole = superresolve(read_volume(path), model, box=BOX, samples=2)
    np.testing.assert_array_equal(read_volume(out / "sr.nrrd").array, whole.mean.array)


# Stopped and going on


def command(scan: Path, out: Path, model: Model, suffix: str, samples: int = 20) -> list[str]:
    paths = files(out, suffix)
    return [
        *(sys.executable, "-m", "microctsr_core", "superresolve", str(scan)),
        *(str(paths["output"]), "--uncertainty", str(paths["uncertainty"])),
        *("--consistency", str(paths["consistency"]), "--model", str(model.path)),
        *("--samples", str(samples), "--no-compress"),
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently on Windows")
@pytest.mark.parametrize("suffix", [".nrrd", ".zarr"])
def test_a_run_killed_at_any_slab_goes_on_and_gives_the_same_bits(
    tmp_path: Path, out: Path, model: Model, suffix: str
) -> None:
    scan = make_scan(tmp_path / "ct.nrrd", slices=60, edge=12)
    whole = tmp_path / "whole"
    stream(scan, model, **files(whole, suffix), samples=20)
    work = command(scan, out, model, suffix)
    wanted = random.randint(1, 2)
    with subprocess.Popen(work, env=command_environment(), stderr=subprocess.DEVNULL) as process:
        while len(list(out.glob("*.run/slab-*.npz"))) < wanted:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not {f"{name}{suffix}" for name in NAMES} & {path.name for path in out.iterdir()}
    again = subprocess.run(work, env=command_environment(), capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    told = re.search(r"Going on: (\d) of 4 slabs are done\.", again.stderr)
    assert told is not None, again.stderr
    assert int(told[1]) >= wanted
    assert contents(out) == contents(whole)


class StopAfter:
    """A ``cancel`` that returns true, or raises what Ctrl-C raises, once slabs are done."""

    def __init__(self, folder: Path, slabs: int, error: type[BaseException] | None = None) -> None:
        self.folder, self.slabs, self.error = folder, slabs, error

    def __call__(self) -> bool:
        stop = len(list(self.folder.glob("*.run/slab-*.npz"))) >= self.slabs
        if stop and self.error is not None:
            raise self.error
        return stop


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_a_cancelled_run_keeps_its_slabs_and_says_so(
    scan: Path, out: Path, model: Model, error: type[BaseException] | None
) -> None:
    settings: dict[str, Any] = {"box": BOX, "samples": 2, "slab": 2, **files(out, ".nrrd")}
    with pytest.raises(error or Cancelled, match=r"2 of 4 slabs are kept, and the same command"):
        stream(scan, model, **settings, cancel=StopAfter(out, 2, error))
    told: list[str] = []
    report = stream(scan, model, **settings, tell=told.append)
    assert told[-1] == "Going on: 2 of 4 slabs are done."
    assert report["slabs"] == {"count": 4, "kept": 2}
    whole = superresolve(read_volume(scan), model, box=BOX, samples=2)
    for name in NAMES:
        expected = getattr(whole, name).array
        np.testing.assert_array_equal(read_volume(out / f"{name}.nrrd").array, expected)


@pytest.mark.parametrize("suffix", [".nrrd", ".zarr"])
def test_a_run_cancelled_before_its_first_slab_leaves_nothing(
    scan: Path, out: Path, model: Model, suffix: str
) -> None:
    with pytest.raises(Cancelled, match="nothing is left half written"):
        stream(scan, model, **files(out, suffix), samples=2, cancel=lambda: True)
    assert list(out.iterdir()) == []


def test_an_unfinished_run_of_other_settings_is_discarded_and_told(
    scan: Path, out: Path, model: Model
) -> None:
    paths = files(out, ".nrrd")
    with pytest.raises(Cancelled):
        stream(scan, model, **paths, box=BOX, samples=2, slab=2, cancel=StopAfter(out, 1))
    told: list[str] = []
    report = stream(scan, model, paths["output"], box=BOX, samples=3, slab=2, tell=told.append)
    assert "other settings" in told[0]
    assert report["slabs"]["kept"] == 0
    assert [path.name for path in out.iterdir()] == ["mean.nrrd"]


def test_another_scan_of_the_same_name_does_not_go_on_with_the_first(
    scan: Path, out: Path, model: Model
) -> None:
    settings: dict[str, Any] = {"box": BOX, "samples": 2, "slab": 2}
    with pytest.raises(Cancelled):
        stream(scan, model, out / "sr.nrrd", **settings, cancel=StopAfter(out, 1))
    ct = read_volume(scan)
    write_volume(ct.with_array(np.array(ct.array)[::-1]), scan, compress=False)
    assert stream(scan, model, out / "sr.nrrd", **settings)["slabs"]["kept"] == 0


def test_a_run_that_another_process_works_on_is_left_alone(
    scan: Path, out: Path, model: Model
) -> None:
    def interfere() -> bool:
        with pytest.raises(MicroCTSRError, match="is being worked in by another process"):
            stream(scan, model, out / "sr.nrrd", samples=2)
        return True

    with pytest.raises(Cancelled):
        stream(scan, model, out / "sr.nrrd", samples=2, cancel=interfere)


def test_a_run_killed_while_volumes_get_their_names_is_finished_by_the_same_command(
    scan: Path, out: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    from microctsr_core.streaming import stages

    settings: dict[str, Any] = {"box": BOX, "samples": 2, **files(out, ".nrrd")}
    put = stages.put_in_place

    def killed(working: Path, final: Path) -> None:
        if final.name != "mean.nrrd":
            raise SystemExit
        put(working, final)

    monkeypatch.setattr(stages, "put_in_place", killed)
    with pytest.raises(SystemExit):
        stream(scan, model, **settings)
    monkeypatch.undo()
    stream(scan, model, **settings)
    assert sorted(path.stem for path in out.iterdir()) == sorted(NAMES)


# What is told before the work


def test_memory_and_disk_are_told_before_the_start(scan: Path, out: Path, model: Model) -> None:
    told: list[str] = []
    stream(scan, model, **files(out, ".nrrd"), box=BOX, samples=2, tell=told.append)
    assert re.fullmatch(r"Needs about [\d.]+ [GM]B of memory and [\d.]+ MB of disk\.", told[0])


@pytest.mark.parametrize("what", ["memory", "disk"])
def test_a_run_that_does_not_fit_is_refused_and_leaves_nothing(
    scan: Path, out: Path, model: Model, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    asked = {"memory": "free_memory_bytes", "disk": "_free_disk_bytes"}[what]
    monkeypatch.setattr(f"microctsr_core.resources.{asked}", lambda *_: 100_000)
    with pytest.raises(ResourceError, match=rf"of {what}, but only 0\.1 MB"):
        stream(scan, model, out / "sr.zarr", samples=2)
    assert list(out.iterdir()) == []


def test_folders_that_are_no_ome_zarr_are_never_replaced(
    scan: Path, out: Path, model: Model
) -> None:
    (out / "sr.zarr").mkdir()
    (out / "sr.zarr" / "letter.txt").write_text("Dear")
    with pytest.raises(WriteError, match=r"sr\.zarr exists and is no OME-Zarr image"):
        stream(scan, model, out / "sr.zarr", samples=1, overwrite=True)
    (out / "u.nrrd.part").mkdir()
    (out / "u.nrrd.part" / "letter.txt").write_text("Sir")
    with pytest.raises(WriteError, match=r"u\.nrrd\.part is in the way"):
        stream(scan, model, out / "u.nrrd", samples=1)
    assert [path.read_text() for path in sorted(out.rglob("*.txt"))] == ["Dear", "Sir"]


def test_outputs_are_replaced_only_when_asked(scan: Path, out: Path, model: Model) -> None:
    for _ in range(2):
        stream(scan, model, out / "sr.zarr", box=BOX, samples=1, overwrite=True)
    with pytest.raises(WriteError, match="exists already"):
        stream(scan, model, out / "sr.zarr", box=BOX, samples=1)
    assert [path.name for path in out.iterdir()] == ["sr.zarr"]


def test_other_formats_cannot_be_streamed(scan: Path, out: Path, model: Model) -> None:
    with pytest.raises(WriteError, match=r"end it in \.zarr or \.nrrd"):
        stream(scan, model, out / "sr.nii.gz")


# The command


def test_the_command_streams_and_draws_the_same_picture_and_report(
    scan: Path, out: Path, model: Model
) -> None:
    options = ("--model", model.path, "--samples", 2, "--box", "1:8,2:18,3:20")
    for kind, suffix in (("whole", ".nii"), ("streamed", ".zarr")):
        volume, extras = out / f"{kind}{suffix}", (out / f"{kind}.png", out / f"{kind}.json")
        more = ("--preview", extras[0], "--report", extras[1])
        result = run("superresolve", scan, volume, *more, *options)
        assert result.exit_code == 0, result.output
        assert result.stdout.splitlines() == [str(path) for path in (volume, *extras)]
    assert len(list(out.iterdir())) == 6
    np.testing.assert_array_equal(imread(out / "whole.png"), imread(out / "streamed.png"))
    whole, streamed = (json.loads((out / f"{k}.json").read_text()) for k in ("whole", "streamed"))
    assert streamed["seed_thresholds"] == whole["seed_thresholds"]
    assert streamed["seconds"]["total"] > 0


def test_zarr_beside_a_compressed_file_is_refused(scan: Path, out: Path, model: Model) -> None:
    files = (out / "sr.nrrd", "--uncertainty", out / "u.zarr")
    result = run("superresolve", scan, *files, "--model", model.path)
    assert_one_line_error(result, "u.zarr", "--no-compress")


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently on Windows")
def test_ctrl_c_tells_how_much_is_kept(tmp_path: Path, out: Path, model: Model) -> None:
    scan = make_scan(tmp_path / "ct.nrrd", slices=60, edge=12)
    work = command(scan, out, model, ".nrrd", samples=200)
    with subprocess.Popen(
        work,
        env=command_environment(),
        stderr=subprocess.PIPE,
        text=True,
        # A shell starts background jobs deaf to Ctrl-C, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        while not list(out.glob("*.run/slab-*.npz")):
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert re.search(r"Stopped; \d of 4 slabs are kept", stderr.splitlines()[-1])


# Memory


def test_a_scan_on_disk_gives_the_parts_that_are_looked_at(scan: Path) -> None:
    from microctsr_core.io.reading import open_volume
    from microctsr_core.pieces import OnDisk

    ct = open_volume(scan)
    assert isinstance(ct.array, OnDisk)
    np.testing.assert_array_equal(ct.array[2:4, 3:5, 1], read_volume(scan).array[2:4, 3:5, 1])
    np.testing.assert_array_equal(np.asarray(ct.array), read_volume(scan).array)
