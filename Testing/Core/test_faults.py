"""What goes wrong around a run: killed, short of memory, a clock set back, files that change.

Full disks, closed folders, and runs that stream, train or serve a study and are killed have their
tests beside their subjects; Docs/robustness.md lists them all.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from bad_scans import HU, scan
from command_line import assert_one_line_error, command_environment, run
from dicom_files import stored_values, write_series
from microctsr_core import Volume, read_volume, write_volume
from microctsr_core.errors import ReadError
from microctsr_core.io import dicom
from microctsr_core.io.ome_zarr import open_ome_zarr, read_ome_zarr, write_ome_zarr
from microctsr_core.study.ratings import Rating, Ratings
from microctsr_core.training.folders import find_sources
from microctsr_core.training.state import RunState, read_state, recorded
from toy_models import make_model

unix = pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
HERE = Path(__file__).parent


def killed(code: str, *arguments: object) -> int:
    """Run Python code in a process, which kills itself; returns how it ended."""
    environment = {**command_environment(), "TESTS": str(HERE)}
    start = "import os, signal, sys; sys.path.append(os.environ['TESTS'])\n"
    command = [sys.executable, "-c", start + code, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True).returncode


# Killed -------------------------------------------------------------------------------------------

WRITING = """
from microctsr_core.io import atomic_path
with atomic_path(sys.argv[1]) as temporary:
    temporary.write_bytes(b"half a volume")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@unix
def test_a_run_killed_while_it_writes_leaves_the_old_result_and_nothing_that_is_taken_for_one(
    tmp_path,
) -> None:
    path = scan(tmp_path / "sr.nrrd")
    before = path.read_bytes()
    assert killed(WRITING, path) == -signal.SIGKILL
    assert path.read_bytes() == before
    (left,) = set(tmp_path.iterdir()) - {path}
    assert left.name.startswith(".sr-")
    assert [source.path for source in find_sources(tmp_path, "low")] == [path]


PHANTOMS = """
from microctsr_core.phantom import cases
write, written = cases.write_volume, []
def write_volume(*arguments, **options):
    if len(written) == 5:  # the first case has four volumes
        os.kill(os.getpid(), signal.SIGKILL)
    written.append(write(*arguments, **options))
cases.write_volume = write_volume
cases.write_cases(sys.argv[1], 2, 7, 0.5, (3, 16, 16))
"""


@unix
def test_phantoms_killed_half_way_are_whole_cases_only(tmp_path) -> None:
    assert killed(PHANTOMS, tmp_path) == -signal.SIGKILL
    (case,) = (folder for folder in tmp_path.iterdir() if not folder.name.startswith("."))
    assert case.name == "case_000"
    assert {path.name for path in case.iterdir()} == {
        "truth.nrrd", "labels.nrrd", "high.nrrd", "low.nrrd", "case.json"
    }  # fmt: skip
    assert len(find_sources(tmp_path, "low")) == 1


STUDY = """
from toy_reader_study import toy_cases
from microctsr_core.study import create_study
def cases():
    yield toy_cases()[0]
    os.kill(os.getpid(), signal.SIGKILL)
create_study(sys.argv[1], cases(), slices=1)
"""


@unix
def test_a_study_killed_while_it_is_made_does_not_appear_and_can_be_made_again(tmp_path) -> None:
    from toy_reader_study import toy_study

    assert killed(STUDY, tmp_path / "study") == -signal.SIGKILL
    assert not (tmp_path / "study").exists()
    assert toy_study(tmp_path / "study").slices


# Memory -------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_limit_of_memory_ends_a_run_in_one_sentence(tmp_path) -> None:
    source = scan(tmp_path / "ct.nrrd", np.tile(HU, (1, 4, 4)))
    limited = (
        "import resource, sys; from microctsr_core.cli import main\n"
        "resource.setrlimit(resource.RLIMIT_AS, (800_000_000,) * 2); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", limited, "superresolve", source, tmp_path / "sr.nrrd"],
        env=command_environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("Error: The memory of this computer is used up;")
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["ct.nrrd"]


@pytest.mark.parametrize("taken_by", [lambda: torch.empty(10**15), lambda: np.empty(10**15)])
def test_memory_that_runs_out_half_way_is_one_sentence(taken_by, tmp_path, monkeypatch) -> None:
    make_model().save(tmp_path / "toy")
    source = scan(tmp_path / "ct.nrrd")
    monkeypatch.setattr("microctsr_core.superresolution.infer", lambda *_, **__: taken_by())
    result = run("superresolve", source, tmp_path / "sr.nrrd", "--model", tmp_path / "toy")
    assert_one_line_error(result, "memory of this computer is used up", "--box")
    assert not (tmp_path / "sr.nrrd").exists()


# A clock that is set back -------------------------------------------------------------------------


def test_the_last_rating_counts_though_the_clock_was_set_back(tmp_path, monkeypatch) -> None:
    ratings = Ratings(tmp_path / "ratings.sqlite", "study")
    ratings.create()
    first = ratings.store(0, 0, Rating((3, 3), "", 1, "a.png"))

    class Yesterday:
        @staticmethod
        def now(zone):
            from datetime import datetime, timedelta

            return datetime.now(zone) - timedelta(days=1)

    monkeypatch.setattr("microctsr_core.study.ratings.datetime", Yesterday)
    second = ratings.store(0, 0, Rating((5, 5), "", 2, "a.png"))
    assert second.given_at < first.given_at
    assert ratings.last(0)[0].stars == (5, 5)


def test_a_silent_run_elsewhere_is_not_at_work_because_the_clock_was_set_back(tmp_path) -> None:
    with recorded(tmp_path, RunState("running", "Training", steps=10, low="/low", method="unet")):
        entries = json.loads((tmp_path / "state.json").read_text())
        entries |= {"host": platform.node() + "-other", "pid": 1}
        (tmp_path / "state.json").write_text(json.dumps(entries))
        to_come = time.time() + 24 * 3600
        os.utime(tmp_path / "state.json", (to_come, to_come))
        assert read_state(tmp_path).state == "failed"


# Two runs into one folder -------------------------------------------------------------------------

AGAIN = """
import numpy as np
from microctsr_core import Volume, write_volume
for _ in range(20):
    write_volume(Volume(np.full((8, 32, 32), int(sys.argv[2]), np.int16)), sys.argv[1])
"""


def test_two_programs_that_write_one_file_leave_a_whole_one(tmp_path) -> None:
    environment = {**command_environment(), "TESTS": str(HERE)}
    path = tmp_path / "sr.nrrd"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", "import sys\n" + AGAIN, path, str(number)], env=environment
        )
        for number in (1, 2)
    ]
    while any(process.poll() is None for process in both):
        if path.exists():
            assert len(np.unique(read_volume(path).array)) == 1
        time.sleep(0.02)
    assert [process.returncode for process in both] == [0, 0]
    assert [each.name for each in tmp_path.iterdir()] == ["sr.nrrd"]


# Files that change while they are read ------------------------------------------------------------


def test_a_scan_replaced_while_it_is_in_use_keeps_its_values(tmp_path) -> None:
    write_volume(Volume(HU, (0.6, 0.3, 0.3)), tmp_path / "ct.nrrd", compress=False)
    mapped = read_volume(tmp_path / "ct.nrrd")
    write_volume(Volume(HU[::-1] + 1, (0.6, 0.3, 0.3)), tmp_path / "ct.nrrd", compress=False)
    np.testing.assert_array_equal(mapped.array, HU)


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_slice_that_vanishes_while_the_series_is_read_is_named(
    change, tmp_path, monkeypatch
) -> None:
    last = write_series(tmp_path, stored_values())[-1]
    read_values = dicom._read_values

    def later(headers):
        change(last)
        return read_values(headers)

    monkeypatch.setattr(dicom, "_read_values", later)
    with pytest.raises(ReadError, match=r"slice_005\.dcm is damaged"):
        read_volume(tmp_path)


def test_chunks_that_are_spoilt_while_an_image_is_read_are_told(tmp_path) -> None:
    write_ome_zarr(Volume(HU.astype(np.float32)), tmp_path / "a.zarr", slab=2)
    opened = open_ome_zarr(tmp_path / "a.zarr")
    for chunk in (tmp_path / "a.zarr" / "0" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"\0" * 40)
    with pytest.raises(ReadError, match=r"a\.zarr is damaged"):
        read_ome_zarr(tmp_path / "a.zarr")
    with pytest.raises(ReadError, match=r"damaged"):
        opened.array[0]
