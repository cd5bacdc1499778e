"""Rating in a real browser, Debian's chromium: keys, links, reloads, bad networks and kills."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from microctsr_core.study import ReaderStudy, RunningServer, start_server
from study_pages import begin, given, shown, stars_of, stored
from toy_reader_study import METHODS, RATERS, toy_study


@pytest.fixture
def study(tmp_path) -> ReaderStudy:
    return toy_study(tmp_path / "study")


@pytest.fixture
def server(study) -> Iterator[RunningServer]:
    with start_server(study.folder, port=0) as running:
        yield running


def test_a_study_is_rated_by_keyboard_alone(server, study, open_page):
    page = open_page(server.raters["Anna"])
    bodies = {}
    page.on("response", lambda r: bodies.setdefault(r.url, r.body()) if r.ok else None)
    expect(page.locator("#start h1")).to_have_text("Reader study")
    expect(page.locator("#rater")).to_have_text("Anna")
    begin(page)
    for pair in range(1, 16):
        shown(page, pair)
        page.keyboard.press(str(1 + pair % 6))
        expect(page.locator(".criterion").nth(1)).to_have_class("criterion active")
        page.keyboard.press(str(1 + pair % 5))
        page.keyboard.press("Enter" if pair % 2 else "ArrowRight")
    expect(page.locator("#end-text")).to_have_text(
        "All 15 pairs are rated, and every rating is stored. You can close this page."
    )
    assert given(study, 0) == {n - 1: (1 + n % 6, 1 + n % 5) for n in range(1, 16)}
    assert all(url.startswith(server.base) for url in bodies)
    images = [body for url, body in bodies.items() if "/image/" in url]
    assert len(images) == 30
    assert len({len(body) for body in images}) == 1
    for body in bodies.values():
        assert not any(method.encode() in body for method in METHODS)


def test_arrows_and_backspace_change_what_was_given(server, study, open_page):
    page = open_page(server.raters["Anna"])
    begin(page)
    page.keyboard.press("ArrowRight")  # nothing is rated yet, so there is no next pair
    page.keyboard.press("7")  # there are six stars
    shown(page, 1)
    assert stars_of(page) == [0, 0]
    page.keyboard.type("34")
    page.keyboard.press("Enter")
    shown(page, 2)
    page.keyboard.press("Backspace")
    shown(page, 1)
    assert stars_of(page) == [3, 4]
    page.keyboard.press("6")  # the first criterion is chosen again
    page.keyboard.press("ArrowDown")
    page.keyboard.press("2")
    stored(page)
    assert given(study, 0) == {0: (6, 2)}
    page.keyboard.press("r")
    page.keyboard.type("1 wall is doubled")
    page.keyboard.press("Escape")
    stored(page)
    assert stars_of(page) == [6, 2]
    assert study.ratings.last(0)[0].remark == "1 wall is doubled"


def test_rating_goes_on_where_it_was_paused_and_after_a_reload(server, study, open_page):
    page = open_page(server.raters["Anna"])
    begin(page)
    page.keyboard.type("34")
    page.keyboard.press("Enter")
    shown(page, 2)
    page.keyboard.press("5")
    stored(page)
    page.reload()
    shown(page, 2)
    assert stars_of(page) == [5, 0]
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    shown(page, 3)
    page.keyboard.press("p")
    expect(page.locator("#so-far")).to_have_text("2 of 15 pairs are rated and stored")
    page.context.close()
    again = open_page(server.raters["Anna"])
    expect(again.locator("#begin")).to_have_text("Go on")
    begin(again)
    shown(again, 3)
    assert given(study, 0) == {0: (3, 4), 1: (5, 2)}
    again.goto(server.raters["Anna"] + "#12")  # nobody sees pairs ahead of their turn
    shown(again, 3)


def test_the_browsers_back_button_leads_to_the_pair_before(server, study, open_page):
    page = open_page(server.raters["Anna"])
    begin(page)
    for pair in (1, 2):
        page.keyboard.type("34")
        page.keyboard.press("Enter")
        shown(page, pair + 1)
    page.go_back()
    shown(page, 2)
    page.go_back()
    shown(page, 1)
    assert stars_of(page) == [3, 4]
    page.locator(".stars").nth(1).get_by_role("radio").nth(0).click()
    stored(page)
    page.go_forward()
    shown(page, 2)
    assert given(study, 0) == {0: (3, 1), 1: (3, 4)}
    page.go_back()
    page.go_back()
    expect(page.locator("#begin")).to_be_visible()


def test_three_raters_at_once_do_not_meet(server, study, open_page):
    pages = [open_page(server.raters[name]) for name in RATERS]
    for page in pages:
        begin(page)
    for pair in range(1, 6):
        for page in pages:
            shown(page, pair)
        for number, page in enumerate(pages):
            page.keyboard.press(str(1 + number))
            page.keyboard.press(str(6 - number))
            page.keyboard.press("Enter")
    for page in pages:
        stored(page)
    for number in range(3):
        assert given(study, number) == dict.fromkeys(range(5), (1 + number, 6 - number))


def test_what_is_submitted_twice_is_stored_once(server, study, open_page):
    page = open_page(server.raters["Anna"])
    lost = []

    def lose_the_answer(route) -> None:
        if len(lost) < 3:
            lost.append(route.fetch().status)  # it reaches the server
            route.abort()
        else:
            route.continue_()

    page.route("**/trial/*", lose_the_answer)
    begin(page)
    third = page.locator(".stars").nth(0).get_by_role("radio").nth(2)
    third.dblclick()
    stored(page)
    page.locator(".stars").nth(1).get_by_role("radio").nth(3).click(click_count=3)
    stored(page)
    page.locator("#next").dblclick()
    shown(page, 2)
    assert lost == [200, 200, 200]
    with closing(sqlite3.connect(study.folder / "ratings.sqlite")) as connection:
        rows = connection.execute("SELECT trial, revision, stars FROM ratings").fetchall()
    assert [(trial, revision, json.loads(stars)) for trial, revision, stars in rows] == [
        (0, 1, [3, None]),
        (0, 2, [3, 4]),
    ]


def test_a_pair_rated_in_two_windows_shows_what_is_stored(server, study, open_page):
    first = open_page(server.raters["Anna"])
    begin(first)
    second = open_page(server.raters["Anna"], beside=first)
    begin(second)
    first.keyboard.press("2")
    stored(first)
    second.keyboard.press("6")
    expect(second.locator("#notice")).to_contain_text("Pair 1 was rated in another window")
    assert stars_of(second) == [2, 0]
    assert given(study, 0) == {0: (2, None)}
    second.keyboard.press("5")
    stored(second)
    assert len(study.ratings.last(0)) == 1


def test_whoever_opens_anothers_link_is_told_and_rates_nothing_by_mistake(server, study, open_page):
    own = open_page(server.raters["Anna"])
    begin(own)
    own.keyboard.type("11")
    other = open_page(server.raters["Ben"], beside=own)
    expect(other.locator("#other-rater")).to_contain_text("On this device, Anna has rated before")
    expect(other.locator("#other-rater")).to_contain_text("belongs to Ben")
    own.keyboard.press("Enter")
    shown(own, 2)
    own.keyboard.type("22")
    stored(own)
    assert given(study, 0) == {0: (1, 1), 1: (2, 2)}
    assert given(study, 1) == {}
    other.keyboard.press("Enter")  # does not pass by the warning
    expect(other.locator("#other-rater")).to_be_visible()
    other.locator("#begin").click()
    shown(other, 1)
    other.keyboard.type("66")
    stored(other)
    assert given(study, 1) == {0: (6, 6)}
    assert len(given(study, 0)) == 2
    mistyped = server.raters["Ben"].rstrip("/")[:-2] + "/"
    page = open_page(mistyped)
    expect(page.locator("body")).to_contain_text("Please open the link that you were sent, whole")


def test_on_a_slow_connection_nothing_is_rated_unseen(server, study, open_page):
    page = open_page(server.raters["Anna"])
    expect(page.locator("#begin")).to_be_visible()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    slow = {"offline": False, "latency": 900, "downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", slow)
    page.keyboard.press("Enter")
    page.keyboard.type("34")
    expect(page.locator("#waiting")).to_have_text("The images are on their way …")
    expect(page.locator(".stars button").first).to_be_disabled()
    shown(page, 1)
    expect(page.locator(".stars button").first).to_be_enabled()
    assert stars_of(page) == [0, 0]
    page.keyboard.type("56")
    assert stars_of(page) == [5, 6]
    expect(page.locator("#saved")).to_have_text("Storing …")
    page.keyboard.press("Enter")  # the rater need not wait for the answer
    shown(page, 2)
    page.keyboard.type("12")
    stored(page)
    assert given(study, 0) == {0: (5, 6), 1: (1, 2)}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_ratings_survive_a_server_that_is_killed(study, open_page):
    server = start_server(study.folder, port=0)
    port = urlsplit(server.base).port
    try:
        page = open_page(server.raters["Anna"])
        acknowledged = []
        page.on(
            "response",
            lambda r: acknowledged.append(r.json()) if r.ok and "/trial/" in r.url else None,
        )
        begin(page)
        page.keyboard.press("3")
        stored(page)
        for pair in range(1, 4):
            server.process.kill()
            server.stop()
            page.keyboard.press("4" if pair == 1 else "3")
            expect(page.locator("#saved")).to_contain_text("No connection")
            if pair == 1:
                page.keyboard.press("Backspace")  # there is none before
            else:
                page.keyboard.press("4")
            server = start_server(study.folder, port=port)
            stored(page)
            page.keyboard.press("Enter")
            shown(page, pair + 1)
        assert given(study, 0) == dict.fromkeys(range(3), (3, 4))
        with closing(sqlite3.connect(study.folder / "ratings.sqlite")) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            rows = connection.execute("SELECT revision, stars FROM ratings").fetchall()
        told = sorted((answer["revision"], str(answer["stars"])) for answer in acknowledged)
        kept = sorted((revision, str(json.loads(stars))) for revision, stars in rows)
        assert told == kept
    finally:
        server.stop()


def test_what_was_not_stored_yet_outlives_a_reload(study, open_page):
    server = start_server(study.folder, port=0)
    port = urlsplit(server.base).port
    try:
        page = open_page(server.raters["Anna"])
        begin(page)
        server.process.kill()
        server.stop()
        page.keyboard.press("5")
        expect(page.locator("#saved")).to_contain_text("No connection")
        page.on("dialog", lambda dialog: dialog.accept())
        page.goto("about:blank")
        server = start_server(study.folder, port=port)
        page.goto(server.raters["Anna"])
        begin(page)
        stored(page)
        assert stars_of(page) == [5, 0]
        assert given(study, 0) == {0: (5, None)}
    finally:
        server.stop()
