"""The Slicer tests say what they lack; in continuous integration nothing may be lacking."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from host.libraries import explain

HERE = Path(__file__).parent


def run_tests_without(library: str, tmp_path, **environment):
    """pytest on this folder in a process where the library cannot be loaded."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.startswith('PySide6.Qt'):\n"
        f"            raise ImportError('{library}: cannot open shared object file')\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "can_run", HERE],
        env={**os.environ, "CI": "", "PYTHONPATH": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_slicer_tests_can_run(missing_for_host):
    if missing_for_host:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing_for_host)


@pytest.mark.parametrize(
    ("library", "package"),
    [
        ("libEGL.so.1", "libegl1"),
        ("libGL.so.1", "libgl1"),
        ("libOpenGL.so.0", "libopengl0"),
        ("libxkbcommon.so.0", "libxkbcommon0"),
        ("libdbus-1.so.3", "libdbus-1-3"),
        ("libfontconfig.so.1", "libfontconfig1"),
    ],
)
def test_a_missing_library_is_explained_with_its_debian_package(library, package):
    error = ImportError(f"{library}: cannot open shared object file: No such file or directory")
    assert package in explain(error)
    assert library in explain(error)


def test_a_missing_python_package_is_explained_with_its_name():
    assert "slicer-core" in explain(ModuleNotFoundError("No module", name="slicer"))
    assert "PySide6-Essentials" in explain(ModuleNotFoundError("No module", name="PySide6"))


def test_without_a_library_the_tests_are_skipped_and_name_its_package(tmp_path):
    ran = run_tests_without("libEGL.so.1", tmp_path)
    assert ran.returncode == 0, ran.stdout
    assert "apt-get install libegl1" in ran.stdout


def test_without_a_library_continuous_integration_fails(tmp_path):
    ran = run_tests_without("libEGL.so.1", tmp_path, CI="true")
    assert ran.returncode == 1, ran.stdout
    assert "apt-get install libegl1" in ran.stdout
