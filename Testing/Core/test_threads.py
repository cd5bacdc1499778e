"""Threads: no more than there are cores for, and afterwards as many as before."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from command_line import command_environment
from microctsr_core import threads
from microctsr_core.inference import network_on
from microctsr_core.threads import container_cores
from toy_models import make_model

SECOND_VERSION = {"cpu.max": "150000 100000\n"}
FIRST_VERSION = {"cpu/cpu.cfs_quota_us": "150000\n", "cpu/cpu.cfs_period_us": "100000\n"}
NO_LIMIT = {"cpu.max": "max 100000\n"}
NO_LIMIT_BEFORE = {"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}


@pytest.fixture(autouse=True)
def _three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def contain(monkeypatch: pytest.MonkeyPatch, folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    monkeypatch.setattr(threads, "_CONTAINER", folder)


@pytest.mark.parametrize("files", [SECOND_VERSION, FIRST_VERSION], ids=["v2", "v1"])
def test_a_container_with_the_time_of_fewer_cores_gets_fewer_threads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str]
) -> None:
    contain(monkeypatch, tmp_path, files)
    with network_on(torch.device("cpu"), make_model()):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("files", [NO_LIMIT, NO_LIMIT_BEFORE, {}], ids=["v2", "v1", "none"])
def test_without_a_limit_threads_are_left_as_they_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: dict[str, str]
) -> None:
    contain(monkeypatch, tmp_path, files)
    assert container_cores() is None
    with network_on(torch.device("cpu"), make_model()):
        assert torch.get_num_threads() == 3


def test_threads_are_as_before_after_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    contain(monkeypatch, tmp_path, SECOND_VERSION)
    with pytest.raises(KeyError), network_on(torch.device("cpu"), make_model()):
        raise KeyError
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("chosen", [None, "ACTIVE"])
def test_threads_of_the_command_sleep_while_they_wait_unless_told_otherwise(
    chosen: str | None,
) -> None:
    code = (
        "import os, sys; from microctsr_core import cli; cli.app = lambda **_: None; cli.main();"
        "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    environment = command_environment()
    environment.pop("OMP_WAIT_POLICY", None)
    if chosen:
        environment["OMP_WAIT_POLICY"] = chosen
    told = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert told.stdout.split() == [chosen or "PASSIVE", "False"]
