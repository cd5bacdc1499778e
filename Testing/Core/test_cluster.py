"""The slabs of one run on workers, some of which are lost, and a folder of scans."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from command_line import assert_one_line_error, run
from microctsr_core import (
    Cancelled,
    ReadError,
    ResourceError,
    WriteError,
    read_volume,
    stream,
    superresolve,
)
from test_streaming import contents, files
from toy_models import make_model
from toy_scans import make_scan

pytest.importorskip("distributed")

from microctsr_core.cluster import OnCluster, local_workers, workers_at


@pytest.fixture(scope="module")
def workers() -> Iterator[OnCluster]:
    with local_workers(2) as made:
        yield made


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_model().save(tmp_path_factory.mktemp("models") / "toy")


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> Path:
    return make_scan(tmp_path_factory.mktemp("scans") / "ct.nrrd", slices=48, edge=12)


def pids(workers: OnCluster) -> list[int]:
    return list(workers._client.run(os.getpid).values())


@pytest.mark.parametrize("suffix", [".nrrd", ".zarr"])
def test_workers_give_the_bits_of_a_single_process(scan, out, tmp_path, model, workers, suffix):
    told = []
    stream(scan, model, **files(tmp_path / "alone", suffix), samples=3, slab=8)
    paths = files(out, suffix)
    stream(scan, model, **paths, samples=3, slab=8, maker=workers, tell=told.append)
    assert contents(out) == contents(tmp_path / "alone")
    assert "per worker" in told[0]


def test_a_volume_and_a_model_in_memory_reach_the_workers(scan, out, workers):
    ct, model = read_volume(scan), make_model()
    stream(ct, model, out / "sr.zarr", samples=2, maker=workers)
    expected = superresolve(ct, model, samples=2).mean.array
    np.testing.assert_array_equal(read_volume(out / "sr.zarr").array, expected)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently on Windows")
def test_a_worker_killed_in_mid_run_costs_only_its_slab(scan, out, tmp_path, model, workers):
    stream(scan, model, **files(tmp_path / "alone", ".zarr"), samples=30, slab=4)
    before = pids(workers)

    def kill_one() -> None:
        while not list(out.glob("*.run/slab-*.npz")):
            time.sleep(0.01)
        os.kill(before[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    stream(scan, model, **files(out, ".zarr"), samples=30, slab=4, maker=workers)
    killer.join()
    assert before[0] not in pids(workers)
    assert contents(out) == contents(tmp_path / "alone")


def test_a_run_cancelled_on_workers_goes_on_in_this_process(scan, out, tmp_path, model, workers):
    def cancel() -> bool:
        return bool(list(out.glob("*.run/slab-*.npz")))

    settings = {"samples": 30, "slab": 4, **files(out, ".nrrd")}
    with pytest.raises(Cancelled, match="of 12 slabs are kept"):
        stream(scan, model, **settings, maker=workers, cancel=cancel)
    report = stream(scan, model, **settings)
    assert report["slabs"]["kept"] >= 1
    stream(scan, model, **files(tmp_path / "alone", ".nrrd"), samples=30, slab=4)
    assert contents(out) == contents(tmp_path / "alone")


def test_what_goes_wrong_on_a_worker_is_told_as_in_this_process(
    scan, out, model, workers, monkeypatch
):
    # The scan is gone once the workers look for it.
    monkeypatch.setattr("microctsr_core.cluster.shared", lambda run: scan_away(run, scan))
    with pytest.raises(ReadError, match=r"ct\.nrrd does not exist"):
        stream(scan, model, out / "sr.zarr", samples=2, maker=workers)
    scan.with_suffix(".away").rename(scan)
    assert list(out.iterdir()) == []


def scan_away(run, scan: Path) -> None:
    from microctsr_core.streaming import shared

    shared(run)
    scan.rename(scan.with_suffix(".away"))


def test_many_computers_do_not_write_one_file(scan, out, model, workers):
    elsewhere = OnCluster(workers._client)
    with pytest.raises(WriteError, match=r"one file that many computers write"):
        stream(scan, model, out / "sr.nrrd", samples=1, maker=elsewhere)
    assert list(out.iterdir()) == []
    stream(scan, model, out / "sr.zarr", samples=1, maker=elsewhere)


def test_an_address_without_a_scheduler_is_told():
    with (
        pytest.raises(ResourceError, match=r"No Dask scheduler answers at 'nowhere'"),
        workers_at("nowhere"),
    ):
        pass


# A folder of scans


def test_every_scan_of_a_folder_is_made_and_bad_ones_are_named(tmp_path, out, model):
    for name in ("left", "right"):
        make_scan(tmp_path / "scans" / f"{name}.nrrd", slices=4, edge=8)
    (tmp_path / "scans" / "torn.nrrd").write_bytes(b"NRRD0004\n")
    work = ("superresolve", tmp_path / "scans", out / "sr", "--report", out / "reports")
    options = ("--model", model.path, "--samples", 1)
    result = run(*work, *options)
    assert result.exit_code == 1
    assert "torn.nrrd failed: " in result.stderr
    assert "1 of 3 cases failed (torn.nrrd)" in result.stderr.splitlines()[-1]
    made = [out / "sr" / f"{name}.zarr" for name in ("left", "right")]
    assert sorted((out / "sr").iterdir()) == made
    assert json.loads((out / "reports" / "left.json").read_text())["passes_mean"] == 1
    expected = superresolve(read_volume(tmp_path / "scans" / "left.nrrd"), model, samples=1)
    np.testing.assert_array_equal(read_volume(made[0]).array, expected.mean.array)

    # The same command makes only what is missing.
    (tmp_path / "scans" / "torn.nrrd").unlink()
    before = contents(out)
    result = run(*work, *options)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Done already") == 2
    assert contents(out) == before


def test_workers_without_slabs_to_share_are_refused(scan, out, model):
    options = ("--model", model.path, "--workers", 2)
    assert_one_line_error(run("superresolve", scan, out / "sr.mha", *options), "slab by slab")
    result = run("superresolve", scan, out / "sr.zarr", *options, "--cluster", "tcp://a:1")
    assert result.exit_code == 2
