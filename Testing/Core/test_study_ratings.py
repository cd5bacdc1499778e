"""Ratings are stored once, the moment they are given, whatever happens to the server."""

from __future__ import annotations

import multiprocessing
import shutil
import socket
import sqlite3
import sys
import threading
import time
from contextlib import closing
from http.client import HTTPException
from pathlib import Path

import pytest

from microctsr_core.errors import MicroCTSRError, ReadError, WriteError
from microctsr_core.study import open_study, progress_of, read_links, serve
from microctsr_core.study.ratings import ConflictError, Rating, Ratings, StudyClosedError
from toy_reader_study import ask, toy_study

KILLS, RATINGS_GIVEN = 50, 1000
CRITERIA = ("Resolution and noise", "Shape and structure")


@pytest.fixture
def ratings(tmp_path) -> Ratings:
    made = Ratings(tmp_path / "ratings.sqlite", "this study")
    made.create()
    made.check(CRITERIA)
    return made


def given(*stars: int | None, revision: int = 1, remark: str = "") -> Rating:
    return Rating(stars, remark, revision, "a.png")


def rows(path: Path) -> list[tuple]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT * FROM ratings").fetchall()


def test_a_rating_that_comes_twice_is_stored_once(ratings):
    first = ratings.store(0, 3, given(4, None))
    assert ratings.store(0, 3, given(4, None)) == first
    assert len(rows(ratings.path)) == 1
    assert first.given_at.endswith("+00:00")


def test_the_last_revision_counts_and_the_others_stay(ratings):
    ratings.store(0, 3, given(4, None))
    ratings.store(0, 3, given(4, 5, revision=2))
    ratings.store(0, 3, given(2, 5, revision=3, remark="blurred wall, “nice” cochlea"))
    found = ratings.last(0)
    assert list(found) == [3]
    assert (found[3].stars, found[3].remark) == ((2, 5), "blurred wall, “nice” cochlea")
    assert found[3].complete
    assert not given(4, None).complete
    assert len(rows(ratings.path)) == 3
    assert ratings.last(1) == {}
    # The first one once more, late on its way: it is there already.
    ratings.store(0, 3, given(4, None))
    assert ratings.last(0)[3].revision == 3


def test_of_two_windows_the_second_is_told(ratings):
    ratings.store(0, 3, given(4, None))
    with pytest.raises(ConflictError):
        ratings.store(0, 3, given(1, None))
    with pytest.raises(ConflictError):
        ratings.store(0, 3, given(1, 2, revision=3))
    assert [row[4] for row in rows(ratings.path)] == ["[4, null]"]


def test_a_closed_study_takes_no_ratings_but_confirms_those_it_has(ratings):
    first = ratings.store(0, 3, given(4, None))
    ratings.close()
    when = ratings.closed_at()
    ratings.close()
    assert ratings.closed_at() == when
    assert ratings.store(0, 3, given(4, None)) == first
    with pytest.raises(StudyClosedError):
        ratings.store(0, 3, given(4, 4, revision=2))


def test_criteria_may_change_until_the_first_rating(ratings):
    ratings.check(["Sharpness"])
    ratings.check(CRITERIA)
    ratings.store(0, 0, given(4, 4))
    ratings.check(CRITERIA)
    with pytest.raises(MicroCTSRError, match=r"holds ratings by .* criteria are now 'Sharpness'"):
        ratings.check(["Sharpness"])


def test_ratings_of_another_study_and_other_files_are_refused(ratings, tmp_path):
    with pytest.raises(ReadError, match="belongs to another study"):
        Ratings(ratings.path, "another").check(CRITERIA)
    with pytest.raises(ReadError, match="is not there; put the study's folder back"):
        Ratings(tmp_path / "none.sqlite", "this study").last(0)
    text = tmp_path / "text.sqlite"
    text.write_text("no database, but longer than the hundred bytes of a header" * 9)
    with pytest.raises(ReadError, match="is no database of ratings, or is damaged"):
        Ratings(text, "this study").last(0)
    empty = tmp_path / "empty.sqlite"
    empty.touch()
    with pytest.raises(ReadError, match="is no database of ratings, or is damaged"):
        Ratings(empty, "this study").check(CRITERIA)


def test_a_folder_that_cannot_be_written_is_told(ratings, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda file, **options: connect(file.replace("mode=rw", "mode=ro"), **options),
    )  # what a read-only disk gives; permissions do not bind every user
    with pytest.raises(
        WriteError, match=r"cannot be written .*readonly.* make its folder writable"
    ):
        ratings.check(CRITERIA)
    assert ratings.last(0) == {}  # reading goes on


def test_three_raters_at_once_do_not_wait_in_vain(ratings):
    def rate(rater: int) -> None:
        for trial in range(40):
            ratings.store(rater, trial, given(1 + trial % 6, rater + 1))

    threads = [threading.Thread(target=rate, args=(rater,)) for rater in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rater in range(3):
        found = ratings.last(rater)
        assert {t: r.stars for t, r in found.items()} == {
            trial: (1 + trial % 6, rater + 1) for trial in range(40)
        }


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed(tmp_path):
    study = toy_study(tmp_path / "study")
    links, port = read_links(study), free_port()
    # Servers are started from a process that has loaded what they need, which takes no time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["microctsr_core.study.serving", "microctsr_core.study.server",
                                    "uvicorn"])  # fmt: skip
    acknowledged: list[set[tuple[int, int, int, str]]] = [set(), set(), set()]
    stop = threading.Event()

    def rate(rater: int) -> None:
        """Rate one trial after another, again and again until each is acknowledged."""
        trials, given_so_far = len(study.raters[rater].order), 0
        while given_so_far < -(-RATINGS_GIVEN // 3):
            trial, revision = given_so_far % trials, given_so_far // trials + 1
            stars = [1 + (given_so_far + rater) % 6, 1 + revision % 6]
            body = {"revision": revision, "stars": stars, "remark": f"{rater}/{given_so_far}"}
            url = f"http://127.0.0.1:{port}/rate/{links.raters[rater]}/trial/{trial}"
            while not stop.is_set():
                try:
                    status, _, _ = ask(url, body, timeout=5)
                except (OSError, HTTPException):  # no server, or an answer that was cut off
                    time.sleep(0.002)
                    continue
                assert status == 200, status
                break
            acknowledged[rater].add((rater, trial, revision, body["remark"]))
            given_so_far += 1

    def total() -> int:
        return sum(len(known) for known in acknowledged)

    def start() -> multiprocessing.process.BaseProcess:
        server = context.Process(target=serve, args=(study.folder,), kwargs={"port": port})
        server.start()
        return server

    server = start()
    raters = [threading.Thread(target=rate, args=(number,)) for number in range(3)]
    for thread in raters:
        thread.start()
    deadline = time.monotonic() + 240
    try:
        for kill in range(1, KILLS + 1):
            wanted = kill * RATINGS_GIVEN // (KILLS + 1)
            while total() < wanted and any(thread.is_alive() for thread in raters):
                assert time.monotonic() < deadline, f"{total()} ratings after {kill} kills"
                time.sleep(0.001)
            assert any(thread.is_alive() for thread in raters), "all was rated before the last kill"
            server.kill()
            server.join()
            assert server.exitcode == -9
            server = start()
        for thread in raters:
            thread.join(deadline - time.monotonic())
            assert not thread.is_alive()
    finally:
        stop.set()
        server.kill()
        server.join()
    found = rows(study.folder / "ratings.sqlite")
    stored = [(rater, trial, revision, remark) for rater, trial, revision, _, _, remark, _ in found]
    assert total() >= RATINGS_GIVEN
    assert len(stored) == len(set(stored))
    assert set(stored) == set.union(*acknowledged)
    with closing(sqlite3.connect(study.folder / "ratings.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_progress_counts_pairs_with_all_stars(tmp_path):
    study = toy_study(tmp_path / "study")
    study.ratings.check([c.name for c in study.criteria])
    image = study.image(study.raters[0].order[0], "right").name
    study.ratings.store(0, 0, Rating((3, None), "", 1, image))
    study.ratings.store(0, 1, Rating((3, 3), "", 1, image))
    first, second, _ = progress_of(open_study(study.folder))
    assert (first.name, first.done, first.trials) == ("Anna", 1, 15)
    assert first.last is not None
    assert (second.done, second.last) == (0, None)
    shutil.rmtree(study.folder)
    with pytest.raises(ReadError, match="is not there"):
        progress_of(study)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
