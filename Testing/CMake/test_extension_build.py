"""The extension is built and installed as Slicer does it, with a stub of Slicer's build system."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from check_extension_files import REPOSITORY, modules, needed

STUB = Path(__file__).parent / "SlicerStub"
SCRIPTED_MODULES = Path("lib", "Slicer-5.13", "qt-scripted-modules")
SAMPLE = {
    f"microctsr_core/sample_data/{file.name}" for file in REPOSITORY.glob("Resources/SampleData/*")
}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def configure(source: Path, build: Path) -> subprocess.CompletedProcess[str]:
    """Run CMake on an extension. Nothing is compiled, so that any program passes as compiler."""
    compilers = [
        f"-DCMAKE_{language}_COMPILER{setting}"
        for language in ("C", "CXX")
        for setting in (f"={sys.executable}", "_FORCED=ON")
    ]
    return run("cmake", "-S", source, "-B", build, f"-DSlicer_DIR={STUB}", *compilers)


@pytest.fixture(scope="module", autouse=True)
def _cmake_is_there() -> None:
    for program in ("cmake", "make"):
        if shutil.which(program) is None:
            complain = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            complain(f"{program} is not installed (Debian package: {program})")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    done = configure(REPOSITORY, folder)
    assert done.returncode == 0, done.stderr
    done = run("cmake", "--build", folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def installed(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    done = run("cmake", "--install", build, "--prefix", folder)
    assert done.returncode == 0, done.stderr
    return folder


def files(folder: Path) -> set[str]:
    return {
        file.relative_to(folder).as_posix()
        for file in folder.rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }


def test_built_and_installed_modules_have_all_their_files_and_the_sample(
    build: Path, installed: Path
) -> None:
    expected = {
        file for module in modules(REPOSITORY) for kind in needed(module).values() for file in kind
    }
    assert files(build / SCRIPTED_MODULES) == expected | SAMPLE
    assert files(installed / SCRIPTED_MODULES) == expected | SAMPLE
    assert {
        "MicroCTSR.py",
        "Resources/UI/MicroCTSR.ui",
        "Resources/Icons/MicroCTSR.png",
        "microctsr_core/sample_data/COPYING.LESSER",
    } <= expected | SAMPLE


def test_the_installed_library_finds_its_sample_and_its_model(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "import json, sys; sys.path.insert(0, sys.argv[1]); import microctsr_core as sr;"
        "from microctsr_core.sample import sample_volume_path;"
        "path = sample_volume_path(); sr.load_model();"
        "print(json.dumps([sr.__file__, str(path), sr.read_volume(path).shape,"
        " [str(name) for name in sr.list_models()]]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, installed / SCRIPTED_MODULES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    library, sample, shape, models = json.loads(done.stdout)
    assert Path(library).is_relative_to(installed)
    assert Path(sample).is_relative_to(installed)
    assert shape == [54, 140, 160]
    assert models


def test_ctest_runs_the_tests_of_the_module_and_the_generic_ones(build: Path) -> None:
    listed = run("ctest", "--test-dir", build, "--show-only").stdout
    assert "py_MicroCTSR\n" in listed
    assert "py_nomainwindow_qSlicerMicroCTSRModuleGenericTest\n" in listed


def test_the_extensions_manager_is_told_what_the_extension_is(installed: Path) -> None:
    description = (installed / "share" / "Slicer-5.13" / "MicroCTSR.s4ext").read_text()
    assert "\ncategory Image Synthesis\n" in description
    assert "\ndepends PyTorch\n" in description


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("NAME Ear SCRIPTS Ear.py RESOURCES Ear.ui Canal.ui", "there is no Canal.ui"),
        ("NAME Ear SCRIPTS Ear.py RESOURCES ../Ear.ui", "would land outside"),
        ("NAME Ear WITH_GENERIC_TEST SCRIPTS Ear.py RESOURCES Ear.ui", "WITH_GENERIC_TEST"),
        ("SCRIPTS Ear.py RESOURCES Ear.ui", "needs NAME"),
    ],
)
def test_the_stub_refuses_what_slicer_cannot_build(
    arguments: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "Ear.py").touch()
    (tmp_path / "Ear.ui").touch()
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.20)\nproject(Ear NONE)\nfind_package(Slicer REQUIRED)\n"
        f"include(${{Slicer_USE_FILE}})\nslicerMacroBuildScriptedModule({arguments})\n"
    )
    done = configure(tmp_path, tmp_path / "build")
    assert done.returncode != 0
    assert complaint in done.stderr
