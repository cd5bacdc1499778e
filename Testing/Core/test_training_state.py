"""Whoever looks into the folder of a run knows how it is, and can ask it to stop."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from microctsr_core import Cancelled, MicroCTSRError
from microctsr_core.training import state as states
from microctsr_core.training.state import RunState, ask_to_stop, read_state, recorded, wish_of

BEGUN = RunState("running", "Preparing the cases", steps=10, low="/low", method="unet")


def test_an_empty_folder_holds_no_run(tmp_path):
    assert read_state(tmp_path) is None
    assert read_state(tmp_path / "not there") is None


def test_a_run_at_work_tells_its_step_and_the_time_left(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(states.time, "monotonic", lambda: clock[0])
    with recorded(tmp_path, BEGUN) as record:
        record.at(4, "Training")  # it went on from step 4
        clock[0] += 6
        record.at(7, "Epoch 2 of 2, step 7")
        found = read_state(tmp_path)
    # Three steps took six seconds, and three are to come.
    assert (found.state, found.step, found.steps, found.seconds_left) == ("running", 7, 10, 6.0)
    assert (found.low, found.method) == ("/low", "unet")
    assert found.pid == os.getpid()


def test_a_run_that_goes_on_is_where_it_was_while_its_cases_are_prepared(tmp_path, monkeypatch):
    with recorded(tmp_path, BEGUN) as record:
        record.at(7, "Epoch 2 of 2, step 7")
        record.end("paused", "Stopped at step 7.")
        kept = (tmp_path / "state.json").read_bytes()
    (tmp_path / "state.json").write_bytes(kept)
    (tmp_path / "checkpoint.pt").touch()
    monkeypatch.setattr(states, "_SECONDS_BETWEEN_WRITES", 0)
    with recorded(tmp_path, BEGUN) as record:
        record.preparing(0.25)
        found = read_state(tmp_path)
        assert (found.step, found.message) == (7, "Preparing the cases, 25%")


def test_a_run_that_ends_well_is_finished(tmp_path):
    with recorded(tmp_path, BEGUN):
        pass
    assert (read_state(tmp_path).state, read_state(tmp_path).step) == ("finished", 10)


@pytest.mark.parametrize(("wish", "state"), [("pause", "paused"), ("stop", "stopped")])
def test_what_a_run_was_asked_for_is_what_it_is_afterwards(wish, state, tmp_path):
    def run() -> None:
        with recorded(tmp_path, BEGUN) as record:
            assert not record.is_asked_to_stop()
            ask_to_stop(tmp_path, wish)
            assert wish_of(tmp_path) == wish
            assert record.is_asked_to_stop()
            raise Cancelled("Stopped at step 3 of 10.")

    with pytest.raises(Cancelled):
        run()
    assert read_state(tmp_path).state == state
    assert wish_of(tmp_path) is None


def test_a_run_that_fails_tells_its_sentence(tmp_path):
    with pytest.raises(MicroCTSRError), recorded(tmp_path, BEGUN):
        raise MicroCTSRError("The folder is empty; give another.")
    found = read_state(tmp_path)
    assert (found.state, found.message) == ("failed", "The folder is empty; give another.")


def test_a_killed_run_is_failed_and_not_at_work_for_ever(tmp_path):
    code = (
        "import sys; from pathlib import Path\n"
        "from microctsr_core.training.state import Record, RunState\n"
        "Record(Path(sys.argv[1]), RunState('running', 'At work', steps=10))\n"
        "print('written', flush=True); input()"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"written\n"
    assert read_state(tmp_path).state == "running"
    child.kill()
    psutil.wait_procs([psutil.Process(child.pid)], timeout=0.1)
    while child.poll() is None and psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    found = read_state(tmp_path)
    child.communicate()
    assert found.state == "failed"
    assert "ended without a word" in found.message
    assert read_state(tmp_path).state == "failed"


def test_without_psutil_a_run_is_taken_at_its_word(tmp_path, monkeypatch):
    with recorded(tmp_path, BEGUN):
        monkeypatch.setitem(sys.modules, "psutil", None)
        assert read_state(tmp_path).state == "running"


def test_another_process_with_the_same_number_is_not_taken_for_the_run(tmp_path):
    with recorded(tmp_path, BEGUN):
        entries = json.loads((tmp_path / "state.json").read_text())
        entries["process_begun"] -= 100
        (tmp_path / "state.json").write_text(json.dumps(entries))
        assert read_state(tmp_path).state == "failed"


def test_a_run_on_another_machine_is_at_work_until_it_is_silent_for_long(tmp_path):
    with recorded(tmp_path, BEGUN):
        entries = json.loads((tmp_path / "state.json").read_text())
        entries |= {"host": platform.node() + "-other", "pid": 1}
        (tmp_path / "state.json").write_text(json.dumps(entries))
        assert read_state(tmp_path).state == "running"
        long_ago = time.time() - 2 * 3600
        os.utime(tmp_path / "state.json", (long_ago, long_ago))
        assert read_state(tmp_path).state == "failed"


def test_a_request_to_an_earlier_process_does_not_stop_a_new_one(tmp_path):
    ask_to_stop(tmp_path, "pause")
    long_ago = psutil.Process().create_time() - 60
    os.utime(tmp_path / states.REQUEST, (long_ago, long_ago))
    with recorded(tmp_path, BEGUN) as record:
        assert not record.is_asked_to_stop()


def test_a_request_while_the_process_starts_is_heard(tmp_path):
    ask_to_stop(tmp_path, "stop")
    with recorded(tmp_path, BEGUN) as record:
        assert record.is_asked_to_stop()


def test_an_error_before_the_run_had_its_folder_is_read_from_the_log(tmp_path):
    (tmp_path / "log.txt").write_text("  0 %  Looking\nError: /low does not exist; check it.\n")
    found = read_state(tmp_path)
    assert (found.state, found.message) == ("failed", "/low does not exist; check it.")
    with recorded(tmp_path, BEGUN):
        now = time.time() + 1
        os.utime(tmp_path / "state.json", (now, now))
        assert read_state(tmp_path).state == "running"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "flying", "message": ""}', "{}"])
def test_a_damaged_state_is_none(text, tmp_path):
    (tmp_path / "state.json").write_text(text)
    assert read_state(tmp_path) is None


def test_a_run_from_before_there_were_states_can_be_resumed(tmp_path):
    (tmp_path / "checkpoint.pt").touch()
    assert read_state(tmp_path).state == "stopped"


def test_a_state_that_cannot_be_written_does_not_end_the_run(tmp_path, monkeypatch):
    def full(_path, *_arguments, **_options):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with recorded(tmp_path, BEGUN) as record:
        record.at(1, "Training")
