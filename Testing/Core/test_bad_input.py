"""Bad input, as a user of the command line meets it: one clear sentence, and nothing lost.

Each row of the tables is one mistake. The command must end with status 1 and a single line that
names the file or value at fault, and leave the folder of outputs as it was.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bad_scans import BAD_SCANS, HU, SHAPE, scan
from command_line import assert_one_line_error, command_environment, run
from microctsr_core import read_volume
from toy_models import make_model


@pytest.fixture(scope="module")
def package(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "toy"
    make_model().save(folder)
    return folder


@pytest.fixture
def no_passes(monkeypatch) -> None:
    """Make the test fail when the network runs: what it checks must be told before."""

    def fail(*_, **__):
        raise AssertionError("the run started")

    monkeypatch.setattr("microctsr_core.superresolution.infer", fail)


# Scans ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_passes")
@pytest.mark.parametrize("mistake", BAD_SCANS)
def test_a_scan_that_cannot_be_used_is_explained(mistake, tmp_path, out, package):
    make, *words = BAD_SCANS[mistake]
    folder = tmp_path / "input"
    folder.mkdir()
    source = make(folder)
    before = contents(folder)
    result = run("superresolve", source, out / "sr.nrrd", "--model", package)
    assert_one_line_error(result, str(source), *words)
    assert len(result.stderr.splitlines()) == 1
    assert contents(folder) == before
    assert contents(out) == {}


def test_a_bad_scan_is_told_without_waiting_for_pytorch(tmp_path):
    constant = scan(tmp_path / "constant.nrrd", np.full(SHAPE, 7, np.int16))
    smaller_than_the_box = scan(tmp_path / "ct.nrrd")
    sources = (tmp_path / "nowhere.nrrd", constant, smaller_than_the_box)
    code = (
        "import sys\n"
        "from microctsr_core.cli import app\n"
        "for source in sys.argv[1:]:\n"
        "    try: app(['superresolve', source, source + '.sr.nrrd', '--box', '0:9,0:9,0:9'])\n"
        "    except SystemExit as end: print(end.code)\n"
        "print([name for name in ('torch', 'matplotlib', 'skimage') if name in sys.modules])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, sources)],
        env=command_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["1", "1", "1", "[]"]


def test_a_scan_smaller_than_a_tile_is_no_mistake(tmp_path, out, package):
    source = scan(tmp_path / "ct.nrrd", HU[:2, :3, :5])
    options = ("--model", package, "--samples", 1, "--tile", 512)
    result = run("superresolve", source, out / "sr.nrrd", *options)
    assert result.exit_code == 0, result.output
    assert read_volume(out / "sr.nrrd").shape == (2, 24, 40)


# Settings and models -----------------------------------------------------------------------------


def changed_weights(package: Path) -> None:
    weights = package / "weights.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def changed_card(**entries: object) -> Callable[[Path], None]:
    def change(package: Path) -> None:
        card = json.loads((package / "card.json").read_text())
        (package / "card.json").write_text(json.dumps({**card, **entries}))

    return change


def unreadable_card(package: Path) -> None:
    (package / "card.json").write_text("{")


BAD_MODELS = {
    "corrupted weights": (changed_weights, "weights.safetensors are damaged", "SHA-256"),
    "missing weights": (
        lambda package: (package / "weights.safetensors").unlink(),
        "weights.safetensors are missing",
    ),
    "missing card": (
        lambda package: (package / "card.json").unlink(),
        "is not a model package",
        "card.json",
    ),
    "card that is not JSON": (unreadable_card, "card.json is not valid JSON"),
    "card that does not validate": (changed_card(scale="eight"), "card.json", "'scale'", "'eight'"),
    "card of an unknown network": (
        changed_card(network={"name": "magic", "arguments": {}}),
        "card.json",
        "'magic'",
    ),
    "card of an impossible network": (
        changed_card(network={"name": "compact", "arguments": {"width": -1}}),
        "card.json",
        "'compact' cannot be built",
    ),
}


@pytest.mark.usefixtures("no_passes")
@pytest.mark.parametrize("mistake", BAD_MODELS)
def test_a_model_that_cannot_be_trusted_is_refused(mistake, tmp_path, out, package):
    spoil, *words = BAD_MODELS[mistake]
    spoilt = tmp_path / "spoilt"
    shutil.copytree(package, spoilt)
    spoil(spoilt)
    source = scan(tmp_path / "ct.nrrd")
    result = run("superresolve", source, out / "sr.nrrd", "--model", spoilt)
    assert_one_line_error(result, str(spoilt), *words)
    assert contents(out) == {}


BAD_SETTINGS = {
    "box outside the scan": (("--box", "1:3,4:12,6:99"), "along i (6:99)", "0:20"),
    "box far outside the scan": (("--box", "0:20000,0:100000,0:100000"), "along k", "0:4"),
    "unknown model": (("--model", "nonesuch"), "no model 'nonesuch'", "available models"),
    "series of a single file": (("--series", "1.2.3"), "ct.nrrd holds no DICOM series"),
    "second voxel size": (("--spacing", "0.3"), "ct.nrrd carries its own voxel size"),
    "preset of another network": (("--preset", "paper"), "paper preset", "'toy' is not one"),
}


@pytest.mark.usefixtures("no_passes")
@pytest.mark.parametrize("mistake", BAD_SETTINGS)
def test_a_setting_that_does_not_fit_is_named(mistake, tmp_path, out, package):
    options, *words = BAD_SETTINGS[mistake]
    source = scan(tmp_path / "ct.nrrd")
    result = run("superresolve", source, out / "sr.nrrd", "--model", package, *options)
    assert_one_line_error(result, *words)
    assert contents(out) == {}


@pytest.mark.usefixtures("no_passes")
@pytest.mark.skipif(torch.cuda.is_available(), reason="this computer has CUDA")
def test_cuda_without_cuda_is_told(tmp_path, out, package):
    options = ("--model", package, "--device", "cuda")
    result = run("superresolve", scan(tmp_path / "ct.nrrd"), out / "sr.nrrd", *options)
    assert_one_line_error(result, "'cuda'", "choose auto or cpu")
    assert contents(out) == {}


# Outputs, memory and disk ------------------------------------------------------------------------


@pytest.mark.usefixtures("no_passes")
def test_an_output_that_exists_asks_for_overwrite_and_is_kept(tmp_path, out, package):
    (out / "uncertainty.nrrd").write_text("precious")
    files = (out / "sr.nrrd", "--uncertainty", out / "uncertainty.nrrd")
    result = run("superresolve", scan(tmp_path / "ct.nrrd"), *files, "--model", package)
    assert_one_line_error(result, str(out / "uncertainty.nrrd"), "--overwrite")
    assert contents(out) == {"uncertainty.nrrd": b"precious"}


@pytest.mark.usefixtures("no_passes")
def test_an_output_folder_that_is_a_file_is_told_before_the_run(tmp_path, package):
    source = scan(tmp_path / "ct.nrrd")
    before = source.read_bytes()
    result = run("superresolve", source, source / "sr.nrrd", "--model", package)
    assert_one_line_error(result, str(source / "sr.nrrd"), "choose another folder")
    assert source.read_bytes() == before


@pytest.mark.usefixtures("no_passes")
def test_a_file_name_too_long_is_told_before_the_run(tmp_path, out, package):
    source = scan(tmp_path / "ct.nrrd")
    result = run("superresolve", source, out / f"{'x' * 300}.nrrd", "--model", package)
    assert_one_line_error(result, "too long; shorten it")
    assert contents(out) == {}


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux has /proc")
@pytest.mark.usefixtures("no_passes")
def test_a_folder_closed_even_to_root_is_told_before_the_run(tmp_path, package):
    output = Path("/proc/microctsr/sr.nrrd")
    result = run("superresolve", scan(tmp_path / "ct.nrrd"), output, "--model", package)
    assert_one_line_error(result, str(output), "nothing can be put into /proc")


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="only Unix has these permissions")
@pytest.mark.usefixtures("no_passes")
def test_files_and_folders_closed_to_the_user_are_named(open_folder, package):
    closed = open_folder / "closed"
    closed.mkdir()
    source, private = scan(open_folder / "ct.nrrd"), scan(open_folder / "private.nrrd")
    inside, output = scan(closed / "ct.nrrd"), open_folder / "sr.nrrd"
    before = sorted(open_folder.rglob("*"))
    private.chmod(0o000)
    for mode, arguments, said in (
        (0o700, (private, output), f"{private} cannot be read"),
        (0o555, (source, closed / "sr.nrrd"), f"{closed / 'sr.nrrd'} cannot be written"),
        (0o000, (inside, output), f"{inside} cannot be read"),
    ):
        closed.chmod(mode)
        with without_root():
            result = run("superresolve", *arguments, "--model", package)
        assert_one_line_error(result, said, "Permission denied")
    closed.chmod(0o700)
    assert sorted(open_folder.rglob("*")) == before


def test_a_disk_that_fills_up_leaves_what_was_there(tmp_path, out, package):
    """A limit on file size stands in for the full disk: writing fails half way all the same."""
    resource = pytest.importorskip("resource")  # Windows has no such limit
    (out / "sr.nrrd").write_bytes(b"earlier")
    source = scan(tmp_path / "ct.nrrd")
    files = (out / "sr.nrrd", "--uncertainty", out / "u.nrrd", "--report", out / "r.json")
    options = ("--model", package, "--samples", 1, "--overwrite")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        result = run("superresolve", source, *files, *options)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert_one_line_error(result, str(out / "sr.nrrd"), "was not written")
    assert contents(out) == {"sr.nrrd": b"earlier"}


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_result_too_large_is_told_before_the_run_with_a_box_that_fits(
    kind, tmp_path, out, package, monkeypatch
):
    source = scan(tmp_path / "ct.nrrd", np.tile(HU, (2, 3, 3)))
    free = {"memory": 20_000_000, "disk": 1_000_000}[kind]
    if kind == "memory":
        monkeypatch.setattr("microctsr_core.resources.free_memory_bytes", lambda: free)
    else:
        usage = SimpleNamespace(total=10**9, used=0, free=free)
        monkeypatch.setattr("microctsr_core.resources.shutil.disk_usage", lambda _: usage)
    arguments = ("superresolve", source, out / "sr.nrrd", "--model", package, "--samples", 1)
    with monkeypatch.context() as patch:
        patch.setattr("microctsr_core.superresolution.infer", None)
        result = run(*arguments)
    assert_one_line_error(result, f"of {kind}", f"only {free / 1e6:.1f} MB", "would fit")
    assert contents(out) == {}
    box = result.stderr.split("the box ")[1].split(" would fit")[0]
    fitting = run(*arguments, "--box", box)
    assert fitting.exit_code == 0, fitting.output


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter and write; pytest's own are closed to others."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@contextmanager
def without_root() -> Iterator[None]:
    """Root may open and write everything; for a moment be nobody, as users are not root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
