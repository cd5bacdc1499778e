"""The pages of the reader study in a real browser: what is seen, by whom, and on which screen."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from microctsr_core.preview.planes import interpolate_cubic
from microctsr_core.study import Case, ReaderStudy, RunningServer, create_study, start_server
from study_pages import begin, given, shown, stored
from toy_reader_study import METHODS, ask, toy_cases, toy_study

LAPTOP = {"width": 1366, "height": 768}
TABLETS = [{"width": 1180, "height": 820}, {"width": 820, "height": 1180}]


@pytest.fixture
def study(tmp_path) -> ReaderStudy:
    return toy_study(tmp_path / "study")


@pytest.fixture
def server(study) -> Iterator[RunningServer]:
    with start_server(study.folder, port=0) as running:
        yield running


def pictures(page: Page) -> list[str]:
    page.wait_for_timeout(60)  # for the next frame
    return [
        page.locator(name).evaluate("canvas => canvas.toDataURL()") for name in ("#left", "#right")
    ]


def greys(picture: str) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(picture.partition(",")[2]), np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_GRAYSCALE).astype(float)


def test_zoom_and_window_are_those_of_both_images(tmp_path, open_page):
    # A method that leaves the original as it is: both sides have to look the same at all times.
    case = toy_cases(1)[0]
    grid = case.results[METHODS[0]]
    cubic = grid.with_array(np.stack([interpolate_cubic(case.scan, grid, k) for k in range(3)]))
    results = {"same": cubic, "alike": cubic}
    create_study(tmp_path / "same", [Case("ear", case.scan, results)], raters=["Anna"])
    with start_server(tmp_path / "same", port=0) as server:
        page = open_page(server.raters["Anna"])
        begin(page)
        seen = [pictures(page)]
        left = page.locator("#left").bounding_box()

        def changed() -> None:
            page.mouse.move(5, 5)  # the pointer's mark is on one side alone
            seen.append(pictures(page))

        page.mouse.move(left["x"] + 200, left["y"] + 150)
        page.mouse.wheel(0, -400)
        changed()
        page.mouse.move(left["x"] + 200, left["y"] + 150)
        page.mouse.down()
        page.mouse.move(left["x"] + 260, left["y"] + 190)
        page.mouse.up()
        changed()
        expect(page.locator("#hu")).to_have_text("−1000 to 2400 HU")
        page.locator("#contrast").fill("40")
        # A window half as wide about the same middle, 700 HU: contrast 0.4 is a factor of two.
        expect(page.locator("#hu")).to_have_text("−150 to 1550 HU")
        changed()
        page.keyboard.press("+")
        changed()
        page.keyboard.press("Shift+ArrowLeft")
        changed()
        page.locator("#right").click(position={"x": 100, "y": 100})
        page.keyboard.press(".")
        changed()
        for one, other in seen:
            assert one == other
        assert len({one for one, _ in seen}) == len(seen)
        page.keyboard.press("0")
        page.keyboard.press("w")
        changed()
        assert seen[-1] == seen[0]


def test_two_fingers_zoom_as_the_wheel_does(server, open_page):
    """Spread to twice their distance, what lies between them is twice as large, in both images."""
    page = open_page(server.raters["Anna"], viewport=TABLETS[0], has_touch=True)
    page.locator("#begin").tap()
    shown(page, 1)
    box = page.locator("#left").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    before = [greys(picture) for picture in pictures(page)]
    touches = page.context.new_cdp_session(page)
    for distance in range(40, 81, 4):
        touches.send(
            "Input.dispatchTouchEvent",
            {
                "type": "touchStart" if distance == 40 else "touchMove",
                "touchPoints": [{"x": x - distance, "y": y}, {"x": x + distance, "y": y}],
            },
        )
    touches.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    pinched = [greys(picture) for picture in pictures(page)]
    page.locator("#fit").tap()
    page.mouse.move(x, y)
    page.mouse.wheel(0, -300)  # a factor of two
    page.mouse.move(5, 5)
    for one, other, at_first in zip(pinched, map(greys, pictures(page)), before, strict=True):
        assert np.abs(one - other).mean() < 2
        assert np.abs(one - at_first).mean() > 10


@pytest.mark.parametrize("size", [LAPTOP, *TABLETS], ids=lambda size: f"{size['width']} wide")
def test_everything_is_in_view_and_large_enough_for_a_finger(server, study, open_page, size):
    page = open_page(server.raters["Anna"], viewport=size, has_touch=True)
    page.locator("#begin").tap()
    shown(page, 1)
    for control in page.locator("#trial button, #trial canvas, #remark").all():
        box = control.bounding_box()
        assert box["x"] >= 0
        assert box["y"] >= 0
        assert box["x"] + box["width"] <= size["width"]
        assert box["y"] + box["height"] <= size["height"]
    for star in page.locator(".stars button").all():
        assert min(star.bounding_box()["width"], star.bounding_box()["height"]) >= 44
    left, right = (page.locator(name).bounding_box() for name in ("#left", "#right"))
    assert (left["width"], left["height"]) == (right["width"], right["height"])
    assert left["width"] * left["height"] > 0.2 * size["width"] * size["height"]
    page.locator(".stars").nth(0).get_by_role("radio").nth(4).tap()
    page.locator(".stars").nth(1).get_by_role("radio").nth(1).tap()
    assert page.evaluate("document.activeElement === document.body")  # keys go on working
    page.locator("#next").tap()
    shown(page, 2)
    stored(page)
    assert given(study, 0) == {0: (5, 2)}


def test_the_owner_watches_progress_and_closes_the_study(server, study, open_page):
    rater = open_page(server.raters["Ben"])
    begin(rater)
    rater.keyboard.type("34")
    stored(rater)
    owner = open_page(server.owner)
    row = owner.get_by_role("listitem").filter(has_text="Ben")
    expect(row.locator(".count")).to_have_text("1 / 15")
    expect(owner.locator("#state")).to_have_text("44 ratings are still to come.")
    rater.keyboard.press("Enter")
    shown(rater, 2)
    rater.keyboard.type("34")
    expect(row.locator(".count")).to_have_text("2 / 15")
    assert not any(method in owner.content() for method in METHODS)
    owner.locator("#close").click()
    owner.locator("#keep").click()
    assert study.ratings.closed_at() is None
    owner.locator("#close").click()
    owner.locator("#really").click()
    expect(owner.locator("#state")).to_contain_text("No more ratings are taken.")
    expect(owner.locator("#close")).to_be_hidden()
    owner.locator("#report").click()
    expect(owner.locator("h2").first).to_have_text("Judged by readers")
    expect(owner.locator("figure img")).to_have_js_property("complete", True)
    assert owner.locator("figure img").evaluate("image => image.naturalWidth") > 0
    assert study.ratings.closed_at() is not None
    rater.keyboard.press("Enter")
    shown(rater, 3)
    rater.keyboard.press("1")
    expect(rater.locator("#closed")).to_be_visible()
    assert len(given(study, 1)) == 2
    assert ask(server.raters["Ben"] + "trial/2", {"revision": 1, "stars": [1, 1]})[0] == 410


def test_a_page_of_another_site_can_neither_post_nor_read(server, study, open_page):
    with HTTPServer(("127.0.0.1", 0), OtherSite) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        page = open_page(f"http://127.0.0.1:{other.server_port}/")
        ends = page.evaluate(
            """async ([rate, owner]) => {
                const post = { method: "POST", body: '{"revision": 1, "stars": [1, 1]}' };
                const headers = { "Content-Type": "application/json" };
                const tries = [
                    fetch(rate + "trial/0", { ...post, mode: "no-cors" }),
                    fetch(rate + "trial/0", { ...post, headers }),
                    fetch(owner + "close", { ...post, mode: "no-cors" }),
                    fetch(rate + "state"),
                ];
                return (await Promise.allSettled(tries)).map(({ status }) => status);
            }""",
            [server.raters["Anna"], server.owner],
        )
        assert ends == ["rejected"] * 4
        # A form is sent by every browser, and answered: here, refused.
        page.evaluate(
            """(address) => {
                const form = document.createElement("form");
                Object.assign(form, { method: "POST", action: address, enctype: "text/plain" });
                document.body.append(form);
                form.submit();
            }""",
            server.owner + "close",
        )
        expect(page.locator("body")).to_contain_text("Only the study's own pages may do this.")
        other.shutdown()
    assert given(study, 0) == {}
    assert study.ratings.closed_at() is None


class OtherSite(BaseHTTPRequestHandler):
    """A site that knows the links, which it should not, and means ill."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!DOCTYPE html><link rel=icon href=data:,><p>Kittens.")

    def log_message(self, *_: object) -> None:
        """Say nothing."""
