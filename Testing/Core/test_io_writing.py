"""An output appears whole or not at all, and what hinders it is said in one sentence."""

from __future__ import annotations

import errno
import stat
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk

from conftest import make_oblique_volume
from microctsr_core import Volume, WriteError, read_volume, write_volume
from microctsr_core.io import atomic_path, check_output

SUFFIXES = [".nrrd", ".nii", ".nii.gz", ".mha"]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_missing_folders_are_made(tmp_path) -> None:
    write_volume(make_oblique_volume(), tmp_path / "a" / "b" / "scan.nrrd")
    assert names(tmp_path / "a" / "b") == ["scan.nrrd"]


def test_nrrd_is_compressed(tmp_path) -> None:
    write_volume(Volume(np.zeros((20, 50, 50), np.float32)), tmp_path / "scan.nrrd")
    assert (tmp_path / "scan.nrrd").stat().st_size < 20 * 50 * 50


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_truth_values_and_half_precision_are_widened(suffix, tmp_path) -> None:
    path = tmp_path / f"mask{suffix}"
    array = make_oblique_volume().array
    write_volume(Volume(array > 0), path)
    np.testing.assert_array_equal(read_volume(path).array, (array > 0).astype(np.uint8))
    write_volume(Volume((array / 4096).astype(np.float16)), path)
    assert read_volume(path).dtype == np.float32
    np.testing.assert_array_equal(read_volume(path).array, (array / 4096).astype(np.float16))


def test_a_crop_that_is_a_view_is_written_as_it_looks(tmp_path) -> None:
    crop = make_oblique_volume().crop(((1, 3), (1, 4), (2, 6)))
    write_volume(crop, tmp_path / "crop.nrrd")
    np.testing.assert_array_equal(read_volume(tmp_path / "crop.nrrd").array, crop.array)


def test_a_written_file_is_as_readable_to_others_as_any(tmp_path) -> None:
    (tmp_path / "plain").touch()
    write_volume(make_oblique_volume(), tmp_path / "scan.nrrd")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "scan.nrrd")}
    assert len(modes) == 1


def test_names_with_dots_keep_their_suffix(tmp_path) -> None:
    for name in ("subject.01.v2.nrrd", ".hidden.nii.gz", "UPPER.NRRD"):
        write_volume(make_oblique_volume(), tmp_path / name)
    assert names(tmp_path) == [".hidden.nii.gz", "UPPER.NRRD", "subject.01.v2.nrrd"]


@pytest.mark.parametrize("name", ["scan.xyz", "scan", "scan.nhdr", "scan.tif"])
def test_an_unknown_suffix_is_answered_with_the_known_ones(name, tmp_path) -> None:
    with pytest.raises(WriteError, match=r"end it in \.nrrd, \.nii\.gz, \.nii, \.mha"):
        write_volume(make_oblique_volume(), tmp_path / name)
    assert names(tmp_path) == []


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path) -> None:
    path = tmp_path / "scan.nrrd"
    write_volume(make_oblique_volume(1), path)
    before = path.read_bytes()
    with pytest.raises(WriteError, match=r"scan.nrrd exists already; .*--overwrite"):
        write_volume(make_oblique_volume(2), path, overwrite=False)
    assert path.read_bytes() == before
    write_volume(make_oblique_volume(2), path)
    np.testing.assert_array_equal(read_volume(path).array, make_oblique_volume(2).array)
    assert names(tmp_path) == ["scan.nrrd"]


def test_a_folder_cannot_be_replaced_by_a_file(tmp_path) -> None:
    (tmp_path / "scan.nrrd").mkdir()
    with pytest.raises(WriteError, match="is a folder; give the name of a file"):
        write_volume(make_oblique_volume(), tmp_path / "scan.nrrd")


def test_an_output_folder_that_is_a_file_is_refused_before_the_work(tmp_path) -> None:
    (tmp_path / "file").touch()
    for refused in (check_output, lambda path: write_volume(make_oblique_volume(), path)):
        with pytest.raises(WriteError, match=r"nothing can be put into .*file \(.*\); choose"):
            refused(tmp_path / "file" / "deep" / "scan.nrrd")


def test_a_folder_closed_while_working_is_told(tmp_path, monkeypatch) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(WriteError, match=r"scan.nrrd cannot be written \(Permission denied\)"):
        write_volume(make_oblique_volume(), tmp_path / "scan.nrrd")
    assert names(tmp_path) == []


def test_a_possible_output_passes_the_check_and_leaves_no_trace(tmp_path) -> None:
    check_output(tmp_path / "new" / "folder" / "scan.nrrd", overwrite=False)
    assert names(tmp_path) == []


@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are a thing of Unix")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_fills_up_leaves_the_old_file_and_nothing_else(suffix, tmp_path) -> None:
    """A limit on file size stands in for the full disk: writing fails half way all the same."""
    path = tmp_path / f"scan{suffix}"
    write_volume(make_oblique_volume(0), path)
    before = path.read_bytes()
    code = (
        "import resource, signal, sys, numpy as np, microctsr_core as sr\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))\n"
        "values = np.random.default_rng(0).random((40, 100, 100))\n"
        "try: sr.write_volume(sr.Volume(values), sys.argv[1])\n"
        "except sr.WriteError as error: print(error)\n"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "was not written" in done.stdout
    assert path.read_bytes() == before
    assert names(tmp_path) == [f"scan{suffix}"]


def test_a_full_disk_is_called_a_full_disk(tmp_path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("ITK ERROR: could not write")

    monkeypatch.setattr(sitk.ImageFileWriter, "Execute", fail)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=100))
    with pytest.raises(WriteError, match=r"its disk is full \(0.0 MB free\)"):
        write_volume(make_oblique_volume(), tmp_path / "scan.nrrd")
    assert names(tmp_path) == []


# Reports and pictures ----------------------------------------------------------------------------


def test_a_report_appears_when_it_is_whole(tmp_path) -> None:
    path = tmp_path / "new" / "report.json"
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        assert temporary.suffix == ".json"
        temporary.write_text("{}")
        assert not path.exists()
    assert path.read_text() == "{}"
    assert names(tmp_path / "new") == ["report.json"]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, ValueError, SystemExit])
def test_an_interruption_leaves_the_old_report_and_nothing_else(interruption, tmp_path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def write_half() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("ne")
            raise interruption

    with pytest.raises(interruption):
        write_half()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["report.json"]


def test_a_full_disk_under_a_report_is_one_sentence(tmp_path) -> None:
    def fill() -> None:
        with atomic_path(tmp_path / "report.json"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WriteError, match=r"report.json was not written, because its disk is full"):
        fill()
    assert names(tmp_path) == []
