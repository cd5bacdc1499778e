"""What the study's server tells to whom, what it refuses, and how it starts."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from command_line import assert_one_line_error, command_environment, run
from microctsr_core.errors import MicroCTSRError
from microctsr_core.study import RunningServer, open_study, read_links, start_server
from microctsr_core.study.security import own_hosts
from toy_reader_study import METHODS, RATERS, ask, toy_study

PAGES = ("", "page/rate.css", "page/rate.js", "page/viewer.js", "page/sending.js", "state")
GIVEN = {"revision": 1, "stars": [3, 4], "remark": ""}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return toy_study(tmp_path_factory.mktemp("served") / "study").folder


@pytest.fixture(scope="module")
def server(folder) -> Iterator[RunningServer]:
    with start_server(folder, port=0) as running:
        yield running


@pytest.fixture
def anna(server) -> str:
    return server.raters["Anna"]


def error_of(answer: tuple[int, dict[str, str], bytes]) -> str:
    return json.loads(answer[2])["error"]


def test_nothing_that_a_rater_receives_tells_methods_apart(server, folder):
    study = open_study(folder)
    secret_words = [*METHODS, "ear_", "showing", "seed", str(folder), "sqlite"]
    secret_words += [name for s in study.slices for name in (s.original, *s.images.values())]
    for rater in study.raters:
        link = server.raters[rater.name]
        received = {path: ask(link + path) for path in PAGES}
        shown: dict[int, list] = {}
        sides: dict[int, set] = {}
        for place, trial in enumerate(rater.order):
            for side in ("left", "right"):
                path = f"image/{place}/{side}"
                received[path] = ask(link + path)
                _, headers, body = received[path]
                headers.pop("date")
                shown.setdefault(trial.slice, []).append((headers, len(body)))
            sides.setdefault(trial.slice, set()).add(received[f"image/{place}/left"][2])
        rated = {path: ask(link + path, GIVEN) for path in ("trial/0", "trial/1", "trial/2")}
        received |= rated
        for path, (status, headers, body) in received.items():
            assert status == 200, path
            everything = str(headers).encode() + body
            for word in secret_words:
                assert word.encode() not in everything, (path, word)
        for answers in shown.values():  # of all methods of a slice, and of its original
            assert all(answer == answers[0] for answer in answers)
        assert all(len(originals) == 1 for originals in sides.values())
        state = json.loads(received["state"][2])
        told = [{k: v for k, v in t.items() if k not in ("stars", "revision")}
                for t in state["trials"]]  # fmt: skip
        by_slice: dict[int, list] = {}
        for trial, tells in zip(rater.order, told, strict=True):
            by_slice.setdefault(trial.slice, []).append(tells)
        assert all(tells == each[0] for each in by_slice.values() for tells in each)
        others = [name for name in RATERS if name != rater.name]
        assert state["rater"] == rater.name
        assert not any(name in received["state"][2].decode() for name in others)


def test_the_owner_sees_progress_and_no_stars(server):
    ask(server.raters["Ben"] + "trial/5", {"revision": 1, "stars": [6, 1], "remark": "SECRET"})
    status, _, body = ask(server.owner + "progress")
    assert status == 200
    told = json.loads(body)
    assert [rater["name"] for rater in told["raters"]] == list(RATERS)
    assert {key for rater in told["raters"] for key in rater} == {
        "name", "done", "trials", "last", "link",
    }  # fmt: skip
    assert told["raters"][1]["link"] == server.raters["Ben"]
    for word in (*METHODS, "SECRET", "stars", "ear_"):
        assert word.encode() not in body
    for path in ("", "page/owner.js", "page/owner.css", "page/rate.css"):
        assert ask(server.owner + path)[0] == 200


def test_without_a_secret_there_is_nothing(server, folder):
    links = read_links(open_study(folder))
    base, rater = server.base, links.raters[0]
    paths = ["/", "/rate/", "/owner/", "/docs", "/openapi.json", "/redoc", "/favicon.ico"]
    paths += [f"/rate/{links.owner}/", f"/rate/{links.owner}/state", f"/owner/{rater}/"]
    paths += [f"/owner/{rater}/progress", f"/rate/{rater[:-1]}/state", f"/rate/{rater}x/state"]
    paths += [f"/rate/wrong/{path}" for path in (*PAGES, "image/0/left")]
    paths += ["/owner/wrong/", "/owner/wrong/progress", "/owner/wrong/page/owner.js"]
    for path in paths:
        status, _, body = ask(base + path)
        assert status == 404, path
        assert set(json.loads(body)) == {"error"}
    assert ask(base + "/rate/wrong/trial/0", GIVEN)[0] == 404
    assert ask(f"{base}/owner/{rater}/close", {})[0] == 404
    assert json.loads(ask(server.owner + "progress")[2])["closed_at"] is None
    status, headers, body = ask(base + "/rate/wrong/", headers={"Accept": "text/html"})
    assert status == 404
    assert headers["content-type"].startswith("text/html")
    assert b"open the link that you were sent" in body


@pytest.mark.parametrize(
    "path",
    [
        "page/../../links.json", "page/..%2f..%2flinks.json", "page/%2e%2e/%2e%2e/study.json",
        "page/....//study.json", "page/rate.js%00.css", "page/owner.js", "page/message.html",
        "page//etc/passwd", "image/0/..%2f..%2fstudy.json", "image/-1/left", "image/999/left",
        "image/1.5/left", "image/0/middle", "image/%2e%2e/left", "images/", "study.json",
    ],
)  # fmt: skip
def test_no_path_leads_elsewhere(anna, path):
    status, _, body = ask(anna + path)
    assert status in (404, 422), body[:80]
    assert b"owner" not in body
    assert len(body) < 120


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Host": "evil.example"}, 421),
        ({"Host": "127.0.0.1.evil.example"}, 421),
        ({"Host": "[127.0.0.1"}, 421),
        ({"Origin": "http://["}, 403),
    ],
    ids=str,
)
def test_posts_that_other_sites_cause_are_refused(server, headers, status):
    link = server.raters["Chloé"]
    assert ask(link + "trial/9", GIVEN, headers)[0] == status
    assert ask(server.owner + "close", {}, headers)[0] == status
    assert json.loads(ask(link + "state")[2])["trials"][9]["revision"] == 0


def test_posts_of_the_page_itself_are_taken(server):
    headers = {"Origin": server.base, "Sec-Fetch-Site": "same-origin"}
    assert ask(server.raters["Chloé"] + "trial/8", GIVEN, headers)[0] == 200


def test_pages_are_not_read_by_a_name_that_another_site_gave_this_computer(anna):
    assert ask(anna + "state", headers={"Host": "rebound.example:80"})[0] == 421


@pytest.mark.parametrize(
    "body",
    [
        {"revision": 1, "stars": [0, 4]},
        {"revision": 1, "stars": [7, 4]},
        {"revision": 1, "stars": [3.5, 4]},
        {"revision": 1, "stars": ["3", 4]},
        {"revision": 1, "stars": [True, 4]},
        {"revision": 1, "stars": [4]},
        {"revision": 1, "stars": [4, 4, 4]},
        {"revision": 0, "stars": [4, 4]},
        {"revision": "1", "stars": [4, 4]},
        {"revision": 1, "stars": [4, 4], "remark": "x" * 2001},
        {"revision": 1, "stars": [4, 4], "rater": 1},
        {"stars": [4, 4]},
        [],
    ],
    ids=lambda body: str(body)[:60],
)
def test_what_is_no_rating_is_refused_and_not_repeated(server, body):
    answer = ask(server.raters["Chloé"] + "trial/10", body)
    assert answer[0] == 422
    assert error_of(answer) == "That is no rating."
    assert json.loads(ask(server.raters["Chloé"] + "state")[2])["trials"][10]["revision"] == 0


def test_too_much_is_not_read(anna):
    assert ask(anna + "trial/11", {"x": "y" * 20_000})[0] == 413
    parts = urlsplit(anna)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)) as connection:
        body = iter([b"{}"])
        kind = {"Content-Type": "application/json"}
        connection.request("POST", parts.path + "trial/11", body, kind, encode_chunked=True)
        assert connection.getresponse().status == 413


def test_every_answer_forbids_pages_to_talk_to_other_sites(server, anna):
    answers = [ask(anna), ask(anna + "image/0/left"), ask(server.base + "/"), ask(server.owner)]
    answers.append(ask(anna + "trial/0", GIVEN, {"Origin": "null"}))
    for _, headers, _ in answers:
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers
        assert "last-modified" not in headers
        assert "etag" not in headers
        assert "access-control-allow-origin" not in headers
    assert ask(anna + "state")[1]["cache-control"] == "no-store"


def test_two_windows_are_told_of_each_other(anna):
    assert ask(anna + "trial/12", GIVEN)[0] == 200
    status, _, body = ask(anna + "trial/12", GIVEN | {"stars": [1, 1]})
    assert status == 409
    assert json.loads(body)["trial"] == GIVEN


def test_a_study_that_is_moved_away_is_told_and_goes_on_when_it_is_back(tmp_path):
    study = toy_study(tmp_path / "study")
    with start_server(study.folder, port=0) as server:
        link = server.raters["Anna"]
        assert ask(link + "trial/0", GIVEN)[0] == 200
        shutil.move(tmp_path / "study", tmp_path / "moved")
        for path, body in (("trial/1", GIVEN), ("state", None), ("image/0/left", None)):
            answer = ask(link + path, body)
            assert answer[0] == 503
            assert error_of(answer) == "The study cannot be reached at the moment."
        shutil.move(tmp_path / "moved", tmp_path / "study")
        assert ask(link + "trial/1", GIVEN)[0] == 200
        assert f"{study.folder / 'ratings.sqlite'} is not there" in server.complained()


def test_a_closed_study_takes_no_more_ratings(tmp_path):
    study = toy_study(tmp_path / "study")
    with start_server(study.folder, port=0) as server:
        assert ask(server.raters["Anna"] + "trial/0", GIVEN)[0] == 200
        assert ask(server.owner + "close")[0] in (404, 405)
        assert ask(server.owner + "report")[0] == 409
        status, _, body = ask(server.owner + "close", {})
        assert status == 200
        assert json.loads(body)["closed_at"]
        assert ask(server.raters["Anna"] + "trial/1", GIVEN)[0] == 410
        assert json.loads(ask(server.raters["Anna"] + "state")[2])["closed"] is True
        status, headers, report = ask(server.owner + "report")
        assert status == 200
        assert all(method.encode() in report for method in METHODS)
        assert "script-src" not in headers["content-security-policy"]
        assert ask(server.raters["Anna"] + "report")[0] == 404


def test_links_stay_the_same_when_the_server_is_started_again(folder, server):
    with start_server(folder, port=0) as again:
        assert [urlsplit(link).path for link in again.raters.values()] == [
            urlsplit(link).path for link in server.raters.values()
        ]
        assert again.running
    assert not again.running


def test_serving_prints_a_link_for_each_rater_and_one_for_progress(folder):
    command = [sys.executable, "-u", "-m", "microctsr_core", "study", "serve", str(folder)]
    process = subprocess.Popen(
        [*command, "--port", "0"], env=command_environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    try:
        lines = [process.stdout.readline().split() for _ in range(4)]
        assert [line[0] for line in lines] == [*RATERS, "Progress"]
        for *_, link in lines:
            assert ask(link)[0] == 200
            assert urlsplit(link).hostname == "127.0.0.1"
    finally:
        process.terminate()
        process.communicate(timeout=20)


def test_what_stands_in_the_way_of_serving_is_told_in_one_line(folder, server, tmp_path):
    port = urlsplit(server.base).port
    in_use = run("study", "serve", folder, "--port", port)
    assert_one_line_error(in_use, f"The port {port} is in use")
    assert_one_line_error(run("study", "serve", tmp_path / "none"), "does not exist")
    assert_one_line_error(run("study", "serve", tmp_path), "holds no study")
    far = run("study", "serve", folder, "--host", "203.0.113.7", "--port", 0)
    assert_one_line_error(far, "203.0.113.7", "give another --host or --port")
    unknown = run("study", "serve", folder, "--host", "nowhere.invalid", "--port", 0)
    assert_one_line_error(unknown, "nowhere.invalid is no address of this computer")
    assert_one_line_error(
        run("study", "serve", folder, "--port", 0, "--address", "study"), "'study' is no address"
    )
    with pytest.raises(MicroCTSRError, match=r"^The port \d+ is in use"):
        start_server(folder, port=port)
    other = toy_study(tmp_path / "other")
    shutil.copy(folder / "ratings.sqlite", other.folder / "ratings.sqlite")
    assert_one_line_error(run("study", "serve", other.folder), "belongs to another study")
    (other.folder / "ratings.sqlite").unlink()
    assert_one_line_error(run("study", "serve", other.folder), "ratings.sqlite is not there")
    (other.folder / "instructions.txt").unlink()
    shutil.copy(toy_study(tmp_path / "more").folder / "study.json", other.folder / "study.json")
    assert_one_line_error(run("study", "serve", other.folder), str(other.folder / "images"))


def test_by_default_only_this_computer_is_served_and_hosts_are_named(monkeypatch):
    assert own_hosts("127.0.0.1") == ["127.0.0.1", "localhost", "::1"]
    assert own_hosts("192.0.2.5")[0] == "192.0.2.5"
    monkeypatch.setattr(socket, "gethostname", lambda: "lab")
    assert {"lab", "lab.local", "127.0.0.1"} <= set(own_hosts("0.0.0.0"))


def test_the_server_needs_neither_torch_nor_readers_of_scans():
    code = (
        "import sys, microctsr_core.study.server, microctsr_core.study.serving\n"
        "assert {'torch', 'SimpleITK', 'matplotlib', 'cv2'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=command_environment(), check=True)
