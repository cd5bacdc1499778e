"""Every route of the study's server, those to come as well: closed to whom it is not meant for."""

from __future__ import annotations

import http.client
import itertools
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from fastapi.routing import APIRoute

from microctsr_core.study import ReaderStudy, RunningServer, read_links, start_server
from microctsr_core.study.server import make_app
from toy_reader_study import ask, toy_study

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
GIVEN = {"revision": 1, "stars": [3, 4], "remark": ""}
GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-robots-tag": "noindex",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> ReaderStudy:
    return toy_study(tmp_path_factory.mktemp("routes") / "study")


@pytest.fixture(scope="module")
def server(study) -> Iterator[RunningServer]:
    with start_server(study.folder, port=0) as running:
        yield running


@pytest.fixture(scope="module")
def routes(study) -> list[tuple[str, str]]:
    """Method and path of each route; whatever FastAPI adds by itself would be among them."""
    app = make_app(study, read_links(study), ["127.0.0.1"])
    assert all(isinstance(route, APIRoute) for route in app.routes)
    return [(method, route.path) for route in app.routes for method in sorted(route.methods)]


def filled(path: str, secret: str) -> str:
    name = "owner.js" if path.startswith("/owner") else "rate.js"
    parts = {"secret": secret, "name": name, "trial": "0", "side": "left"}
    return path.format(**parts)


def test_each_route_is_behind_the_secret_of_raters_or_of_the_owner(routes):
    assert {path.split("/")[1] for _, path in routes} == {"rate", "owner"}
    assert all(path.split("/")[2] == "{secret}" for _, path in routes)
    assert {method for method, _ in routes} == {"GET", "POST"}
    assert len(routes) == 10


def test_no_route_answers_to_another_secret(server, study, routes):
    links = read_links(study)
    for method, path in routes:
        other = links.raters[0] if path.startswith("/owner") else links.owner
        for secret in ("wrong", other, other[:-1], "%00", "%C3%BC"):
            body = GIVEN if method == "POST" else None
            status, _, answer = ask(server.base + filled(path, secret), body, method=method)
            assert status == 404, (method, path, secret)
            assert b"error" in answer


def test_no_route_answers_by_a_name_that_another_site_gave_this_computer(server, study, routes):
    links = read_links(study)
    for method, path in routes:
        secret = links.owner if path.startswith("/owner") else links.raters[0]
        for host in ("rebound.example", "rebound.example:8765", "127.0.0.1.example", ""):
            body = GIVEN if method == "POST" else None
            address = server.base + filled(path, secret)
            assert ask(address, body, {"Host": host}, method)[0] == 421, (path, host)


def test_methods_that_no_page_uses_are_refused_and_change_nothing(server, study, routes):
    links = read_links(study)
    paths = {path for _, path in routes}
    unused = set(itertools.product(METHODS, paths)) - set(routes)
    for method, path in unused:
        secret = links.owner if path.startswith("/owner") else links.raters[0]
        status, headers, answer = ask(server.base + filled(path, secret), GIVEN, method=method)
        assert status in (404, 405), (method, path)
        assert "access-control-allow-origin" not in headers
        assert len(answer) < 120
    assert all(rated == {} for rated in (study.ratings.last(n) for n in range(3)))
    assert study.ratings.closed_at() is None


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ],
    ids=str,
)
def test_each_route_that_changes_anything_refuses_other_sites(
    server, study, routes, headers, status
):
    links = read_links(study)
    for path in (path for method, path in routes if method == "POST"):
        secret = links.owner if path.startswith("/owner") else links.raters[0]
        assert ask(server.base + filled(path, secret), GIVEN, headers)[0] == status, path
    assert study.ratings.closed_at() is None


def test_every_answer_is_guarded_and_sets_no_cookie(server, study, routes):
    links = read_links(study)
    for (method, path), known in itertools.product(routes, (True, False)):
        secret = links.owner if path.startswith("/owner") else links.raters[1]
        address = server.base + filled(path, secret if known else "wrong")
        if path.endswith("/close") and known:
            continue  # it would end the study; see test_study_server.py
        _, headers, _ = ask(address, GIVEN if method == "POST" else None)
        assert GUARDS.items() <= headers.items(), path
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'"), path
        assert "frame-ancestors 'none'" in policy
        assert "unsafe-eval" not in policy
        assert headers["cache-control"] in ("no-store", "private, max-age=86400")
        assert {"set-cookie", "access-control-allow-origin", "location"}.isdisjoint(headers)


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "http://evil.example/", "/..%2f..%2flinks.json", "/rate", "/rate/x", "*"],
)
def test_targets_that_are_no_pages_lead_nowhere(server, target):
    parts = urlsplit(server.base)
    with closing(http.client.HTTPConnection(parts.hostname, parts.port, timeout=20)) as connection:
        connection.putrequest("GET", target)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
    assert answer.status in (400, 404, 421), body
    assert answer.getheader("location") is None
