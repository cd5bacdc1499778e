"""One stand-in application per test process, and an empty scene per test."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import host as slicer_host

try:
    slicer_host.start(testing=True, generation=os.environ.get("SLICER_GENERATION", "5.13"))
    MISSING = ""
except slicer_host.HostUnavailable as error:
    MISSING = str(error)
    collect_ignore_glob = ["test_*.py"] if os.environ.get("CI") != "true" else []


def pytest_report_header():
    """Say why the Slicer tests are left out."""
    return [f"Slicer tests skipped: {MISSING}"] if MISSING else []


@pytest.fixture(scope="session")
def host():
    """The module ``host``, started. In continuous integration it must start."""
    if MISSING and os.environ.get("CI") == "true":
        pytest.fail(f"In continuous integration these tests must run. {MISSING}")
    return slicer_host


@pytest.fixture
def scene(host):
    """The scene, emptied before and after the test, with the host's answers as at start."""
    import slicer

    host.closeScene()
    host.answers.reset()
    yield slicer.mrmlScene
    host.closeScene()
    host.answers.reset()
