"""A training run as its user meets it: from two folders to a package, stopped, resumed, refused."""

from __future__ import annotations

import errno
import itertools
import json
import math
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.ndimage import gaussian_filter

from command_line import assert_one_line_error, command_environment, run
from microctsr_core import (
    Cancelled,
    MicroCTSRError,
    Volume,
    load_model,
    read_volume,
    superresolve,
    write_volume,
)
from microctsr_core.training import Machine, changed, load_config, train
from microctsr_core.training.state import ask_to_stop, read_state
from microctsr_core.training.watch import WINDOW, Diverged, Watch

COMPACT = {"width": 8, "blocks": 2, "upsampling": [8, 6, 4], "dropout_blocks": 1}
SMALL = {
    "epochs": 2,
    "steps_per_epoch": 3,
    "batch": {"size": 2, "low_size": 2, "patch": 64},
    "validation": {"cases": 1, "slices": 1, "edge": 8, "samples": 1},
}
SMALL_COMPACT = SMALL | {
    "network": {"arguments": COMPACT},
    "losses": {"judge_filters": 4, "alone": 0.5},
}
RIVALS = {
    "unet": SMALL | {"network": {"arguments": {"channels": [4, 8], "strides": [2]}}},
    "srgan": SMALL
    | {
        "network": {"arguments": {"width": 8, "blocks": 2, "dropout_blocks": 1}},
        "losses": {"judge_filters": 4, "alone": 0.5},
    },
}


def head(shape: tuple[int, int, int], size: float, seed: int) -> np.ndarray:
    """Air, fluid and bone in random shapes, in HU, with noise."""
    coin = np.random.default_rng(seed)
    field = gaussian_filter(coin.standard_normal(shape), size)
    field /= field.std()
    tissue = np.select([field < -0.7, field < 0.3], [-1000, 10], 1500)
    return (tissue + coin.normal(0, 30, shape)).astype(np.int16)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    """Three clinical scans of 0.2 mm and three micro-CT of 0.025 mm."""
    low, high = tmp_path_factory.mktemp("low"), tmp_path_factory.mktemp("high")
    for n in range(3):
        write_volume(Volume(head((8, 24, 24), 1.5, n), (0.2,) * 3), low / f"scan{n}.nrrd")
        write_volume(Volume(head((24, 96, 96), 8, 10 + n), (0.025,) * 3), high / f"micro{n}.nrrd")
    return low, high


def written(path: Path, entries: dict) -> Path:
    path.write_text(yaml.safe_dump(entries))
    return path


@pytest.fixture(scope="module")
def finished(folders, tmp_path_factory) -> Path:
    """A run of the compact CycleGAN that nothing disturbed."""
    output = tmp_path_factory.mktemp("runs") / "whole"
    train(*folders, output, changed(load_config(), **SMALL_COMPACT))
    return output


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoint.pt", weights_only=True)["state"]["trainer"]["method"]


def assert_same_weights(one: Path, other: Path) -> None:
    first, second = weights(one), weights(other)
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_output_is_a_package_that_superresolves_at_once(finished, folders):
    model = load_model(finished)
    scan = read_volume(folders[0] / "scan0.nrrd")
    result = superresolve(scan, model, samples=2)
    assert result.mean.shape == (8, 192, 192)
    assert model.card["training"]["steps"] in (3, 6)
    assert model.card["voxel_size_low_mm"] == pytest.approx([0.2, 0.2])


@pytest.mark.parametrize("method", RIVALS)
def test_rivals_become_packages_by_the_same_command(method, folders, tmp_path):
    config = written(tmp_path / "small.yaml", RIVALS[method])
    options = ("--method", method, "--config", config)
    result = run(
        "train", "--low", folders[0], "--high", folders[1], "--output", tmp_path / "run", *options
    )
    assert result.exit_code == 0, result.stderr
    model = load_model(tmp_path / "run")
    assert model.card["dropout"]["sites"] > 0
    mean = superresolve(read_volume(folders[0] / "scan0.nrrd"), model, samples=2).mean
    assert mean.shape == (8, 192, 192)


def test_a_run_leaves_its_history_pictures_and_curves(finished):
    rows = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [3, 6]
    assert set(rows[0]["validation"]) == {"m_hum", "consistency_rms_hu"}
    assert all(row["best"] for row in rows)  # without a truth, the last epoch is
    assert rows[1]["losses"]["cycle_low"] > 0
    assert sorted(path.name for path in (finished / "images").iterdir()) == [
        "epoch_001-0.png",
        "epoch_002-0.png",
    ]
    assert list((finished / "tensorboard").iterdir())
    assert load_model(finished / "last").card["training"]["steps"] == 6


def test_neither_package_nor_history_names_a_case(finished):
    texts = [(finished / name).read_text() for name in ("card.json", "history.jsonl")]
    assert not any(name in text for text in texts for name in ("scan0", "micro0"))


def test_a_cancelled_run_goes_on_to_the_same_weights(folders, finished, tmp_path):
    config = changed(load_config(), **SMALL_COMPACT)
    asked = itertools.count(1)
    with pytest.raises(Cancelled, match="step 4 of 6; go on with --resume"):
        train(*folders, tmp_path / "run", config, cancel=lambda: next(asked) == 4)
    train(*folders, tmp_path / "run", config, resume=True)
    assert_same_weights(tmp_path / "run", finished)
    assert (tmp_path / "run/history.jsonl").read_text().count("\n") == 2


def test_a_run_asked_to_pause_by_a_file_goes_on_to_the_same_weights(folders, finished, tmp_path):
    output, config = tmp_path / "run", changed(load_config(), **SMALL_COMPACT)

    def pause_at_step_2(_fraction: float, message: str) -> None:
        if "step 2" in message:
            assert read_state(output).state == "running"
            ask_to_stop(output, "pause")

    with pytest.raises(Cancelled, match="step 2 of 6"):
        train(*folders, output, config, progress=pause_at_step_2)
    found = read_state(output)
    assert (found.state, found.step, found.steps) == ("paused", 2, 6)
    assert (found.low, found.high, found.method) == (*map(str, folders), "cyclegan")
    train(*folders, output, config, resume=True)
    assert (read_state(output).state, read_state(output).step) == ("finished", 6)
    assert_same_weights(output, finished)


def test_a_request_during_the_preparation_ends_the_run_there(folders, tmp_path):
    output, config = tmp_path / "run", changed(load_config(), **SMALL_COMPACT)

    def stop_at_once(_fraction: float, message: str) -> None:
        if message.startswith("micro-CT"):
            ask_to_stop(output, "stop")

    with pytest.raises(Cancelled, match="before its first step"):
        train(*folders, output, config, progress=stop_at_once)
    assert read_state(output).state == "stopped"
    assert not (output / "checkpoint.pt").exists()


# Trains until a moment comes: a step is done, or a checkpoint is about to take its place.
KILLED = """
import os, signal, sys
from pathlib import Path
from microctsr_core.training import load_config, train

low, high, output, config, moment = sys.argv[1:]

def come(this):
    if this == moment:
        os.kill(os.getpid(), signal.SIGKILL)

writes = 0
def watch(event, arguments):
    global writes
    if event == "os.rename" and Path(arguments[1]).name == "checkpoint.pt":
        writes += 1
        come(f"write {writes}")

sys.addaudithook(watch)
train(low, high, output, load_config(path=Path(config)), resume=True,
      progress=lambda _, message: come(message.partition(":")[0]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently on Windows")
def test_a_run_killed_at_any_moment_goes_on_to_the_same_weights(folders, tmp_path):
    output, whole = tmp_path / "run", tmp_path / "whole"
    config = written(tmp_path / "small.yaml", SMALL_COMPACT)
    coin = random.Random(0)

    def trained(folder: Path, moment: str) -> int:
        # Each in a process of its own, as users run them: other tests leave other settings of
        # numerical libraries behind in this one, on which the order of a sum may depend.
        command = [sys.executable, "-c", KILLED, *folders, folder, config, moment]
        return subprocess.run(command, env=command_environment(), check=False).returncode

    assert trained(whole, "never") == 0
    # A checkpoint is written before the validation of an epoch and again after it.
    for moment in (
        f"Epoch 1 of 2, step {coin.randint(1, 2)}",
        f"write {coin.randint(1, 2)}",
        f"Epoch 2 of 2, step {coin.randint(4, 5)}",
    ):
        assert trained(output, moment) == -signal.SIGKILL
    assert trained(output, "never") == 0
    assert_same_weights(output, whole)
    assert not list(output.glob(".checkpoint-*"))


@pytest.mark.slow
def test_two_processes_share_a_batch_and_get_its_losses(folders, finished, tmp_path):
    config = written(tmp_path / "small.yaml", SMALL_COMPACT)
    command = [sys.executable, "-m", "microctsr_core", "train", "--config", str(config)]
    command += ["--low", str(folders[0]), "--high", str(folders[1])]
    command += ["--output", str(tmp_path / "run"), "--device", "cpu", "--devices", "2"]
    environment = command_environment() | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, capture_output=True)
    for line, expected in zip(
        (tmp_path / "run/history.jsonl").read_text().splitlines(),
        (finished / "history.jsonl").read_text().splitlines(),
        strict=True,
    ):
        assert json.loads(line)["losses"] == pytest.approx(json.loads(expected)["losses"], abs=1e-5)


# What a user may get wrong ------------------------------------------------------------------------


def test_a_finished_run_has_nothing_to_go_on_with(folders, finished):
    told: list[str] = []
    before = (finished / "checkpoint.pt").stat().st_mtime_ns
    config = changed(load_config(), **SMALL_COMPACT)
    train(*folders, finished, config, resume=True, tell=told.append)
    assert told == ["The run is finished: all of its 6 steps are done."]
    assert (finished / "checkpoint.pt").stat().st_mtime_ns == before


def test_a_model_that_no_run_made_is_not_written_over(folders, finished, tmp_path):
    shutil.copy(finished / "card.json", tmp_path)
    with pytest.raises(MicroCTSRError, match="holds a model that no run here made"):
        train(*folders, tmp_path, changed(load_config(), **SMALL_COMPACT), resume=True)


def test_a_folder_with_a_run_is_not_written_over(folders, finished):
    before = (finished / "card.json").read_bytes()
    with pytest.raises(MicroCTSRError, match="holds a run or a model already; go on with --resume"):
        train(*folders, finished, changed(load_config(), **SMALL_COMPACT))
    assert (finished / "card.json").read_bytes() == before


def test_a_folder_is_trained_in_by_one_run_at_a_time(folders, tmp_path):
    output, config = tmp_path / "run", changed(load_config(), **SMALL_COMPACT)
    message = f"{output} is being trained in by another process; wait for it or choose another"

    def begin_another_and_stop() -> bool:
        for resume in (False, True):
            with pytest.raises(MicroCTSRError, match=message):
                train(*folders, output, config, resume=resume)
        return True

    with pytest.raises(Cancelled):
        train(*folders, output, config, cancel=begin_another_and_stop)


def test_a_checkpoint_of_another_configuration_names_the_key(folders, finished):
    other = changed(load_config(), **SMALL_COMPACT, optimiser={"rate": 1e-5})
    with pytest.raises(MicroCTSRError, match=r"optimiser.rate is 0.0004 there and 1e-05 now"):
        train(*folders, finished, other, resume=True)


def test_a_run_goes_on_in_the_precision_it_began_with(folders, tmp_path):
    output, config = tmp_path / "run", changed(load_config(), **SMALL_COMPACT)
    whole, half = Machine("cpu", precision="32-true"), Machine("cpu", precision="bf16-mixed")
    with pytest.raises(Cancelled):
        train(*folders, output, config, whole, cancel=lambda: True)
    with pytest.raises(MicroCTSRError, match="precision is '32-true' there and 'bf16-mixed' now"):
        train(*folders, output, config, half, resume=True)


def test_a_checkpoint_of_other_cases_is_refused(folders, tmp_path):
    config, asked = changed(load_config(), **SMALL_COMPACT), itertools.count(1)
    with pytest.raises(Cancelled):
        train(*folders, tmp_path / "run", config, cancel=lambda: next(asked) == 1)
    low = tmp_path / "fewer"
    low.mkdir()
    for n in range(2):
        shutil.copy(folders[0] / f"scan{n}.nrrd", low)
    with pytest.raises(MicroCTSRError, match="of other cases"):
        train(low, folders[1], tmp_path / "run", config, resume=True)


class Bomb:
    def __reduce__(self):
        return (print, ("this code must not run",))


def test_a_checkpoint_that_wants_to_run_code_is_refused(folders, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    torch.save({"state": Bomb()}, tmp_path / "run/checkpoint.pt")
    with pytest.raises(MicroCTSRError, match="is refused, because reading it would run code"):
        train(*folders, tmp_path / "run", changed(load_config(), **SMALL_COMPACT), resume=True)
    assert "must not run" not in capsys.readouterr().out


def test_a_full_disk_leaves_the_checkpoint_before_it_whole(tmp_path, monkeypatch):
    from microctsr_core.training import checkpoint

    path = tmp_path / "checkpoint.pt"
    checkpoint.write_checkpoint(path, {"step": 1}, {})
    before = path.read_bytes()

    def full(_path, _data):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(MicroCTSRError, match="its disk is full"):
        checkpoint.write_checkpoint(path, {"step": 2}, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"epoch": 3}, ["epoch"]),
        ({"batch": {"size": "many"}}, ["batch.size"]),
        ({"losses": {"perceptual": 1}}, ["losses.perceptual"]),
        ({"data": {"low": {"spacing": [0.1]}}}, ["data.low.spacing"]),
        ({"method": "unet"}, ["--method unet"]),
        ({"network": {"name": "compact", "arguments": {"breadth": 3}}}, ["compact", "breadth"]),
        ([1, 2], ["holds no entries"]),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(entries, words, folders, tmp_path):
    config = tmp_path / "wrong.yaml"
    config.write_text(yaml.safe_dump(entries))
    low, high = folders
    result = run(
        "train", "--low", low, "--high", high, "--output", tmp_path / "run", "--config", config
    )
    assert_one_line_error(result, *words)
    assert not (tmp_path / "run/card.json").exists()


def test_every_preset_survives_a_trip_through_a_file(tmp_path):
    for method, preset in itertools.product(("cyclegan", "unet", "srgan"), ("compact", "paper")):
        config = load_config(method, preset)
        path = written(tmp_path / "config.yaml", config.to_dict())
        assert load_config(method, preset, path).to_dict() == config.to_dict()


def test_a_loss_that_is_no_number_ends_the_run_in_a_sentence():
    with pytest.raises(Diverged, match=r"cycle_high is nan at step 7.*lower optimiser\.rate"):
        Watch("log").check(7, {"cycle_high": math.nan})


def test_a_discriminator_that_always_wins_is_told_once():
    watch = Watch("least-squares")
    told = [watch.check(step, {"real_high": 1e-4, "made_high": 1e-4}) for step in range(3 * WINDOW)]
    warnings = [warning for warning in told if warning]
    assert len(warnings) == 1
    assert "high discriminator tells every generated image" in warnings[0]


def test_a_discriminator_in_doubt_is_no_cause_for_a_warning():
    watch, coin = Watch("log"), np.random.default_rng(0)
    for step in range(3 * WINDOW):
        losses = {"real": math.log(2) + 0.1 * coin.normal(), "made": math.log(2)}
        assert watch.check(step, losses) is None
