"""The folder of a reader study, and the HTTP interface of its server."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote, urlsplit

from microctsr_core.errors import MicroCTSRError
from microctsr_core.study import analyse, open_study, read_links, start_server
from microctsr_core.study.report import report_html
from toy_reader_study import METHODS, rate_all, toy_study

from .mutations import NUMBERS, TEXTS, damaged, edited, odd_json, odd_value
from .subject import Subject

_FILES = (
    "study.json",
    "study.json",
    "links.json",
    "instructions.txt",
    "criteria.txt",
    "ratings.sqlite",
)


class StudyFolder(Subject):
    """A study whose files were changed, opened as ``study serve`` and ``study analyse`` do."""

    name, inputs, may_write_input = "reader study's folder", 1000, True

    def prepare(self, folder: Path) -> None:
        study = toy_study(folder / "study")
        rate_all(study, lambda rater, place, trial: (1 + (rater + trial.slice) % 6, 1 + place % 6))
        study.ratings.close()
        report_html(analyse(study.folder))  # fonts are looked for once
        self.original = study.folder

    def make(self, random: Random, folder: Path) -> str:
        study = folder / "study"
        shutil.copytree(self.original, study)
        name = random.choice(_FILES)
        path = study / name
        if name.endswith(".json"):
            path.write_bytes(odd_json(json.loads(path.read_text()), random))
        elif name.endswith(".txt"):
            text = edited(path.read_text(encoding="utf-8"), random).encode("utf-8", "surrogatepass")
            path.write_bytes(damaged(text, random) if random.random() < 0.3 else text)
        elif random.random() < 0.5:
            path.write_bytes(damaged(path.read_bytes(), random))
        else:
            _other_rows(path, random)
        if random.random() < 0.05:
            victim = random.choice(sorted((study / "images").iterdir()))
            victim.unlink()
            victim.symlink_to(random.choice(("/etc/passwd", "/dev/zero", "nowhere")))
        return name

    def use(self, folder: Path, output: Path) -> None:
        study = open_study(folder / "study")
        links = read_links(study)
        assert len(links.addresses("http://x", study)) <= len(study.raters)
        study.ratings.check([criterion.name for criterion in study.criteria])
        for number in range(len(study.raters)):
            study.ratings.last(number)
        page = report_html(analyse(study.folder))
        assert "<script>alert" not in page
        (output / "report.html").write_text(page, encoding="utf-8", errors="surrogatepass")


def _other_rows(path: Path, random: Random) -> None:
    """Values in the database that no server has put there."""
    odd = random.choice((None, "", "[]", "[9, 9]", "[1]", "{}", "x", -1, 2**62, 1.5, b"\xff", "[null, 1]",
                         "[" * 5000, "[NaN, 1]", "['a']", '["a", "b"]', *NUMBERS[:12]))  # fmt: skip
    column = random.choice(("rater", "trial", "revision", "image", "stars", "remark", "given_at"))
    where = random.choice(("", " WHERE trial = 1", " WHERE rater = 0 AND trial = 2"))
    with closing(sqlite3.connect(path)) as connection, connection:
        statement = random.choice(
            (f"UPDATE OR REPLACE ratings SET {column} = ?{where}", "UPDATE study SET id = ?",
             "UPDATE study SET closed_at = ?", "UPDATE study SET criteria = ?",
             "DELETE FROM ratings WHERE trial = ?", "CREATE VIEW more AS SELECT 1")
        )  # fmt: skip
        try:
            connection.execute(statement, (odd,) if "?" in statement else ())
        except (sqlite3.Error, OverflowError):
            connection.execute("DROP TABLE ratings")


_METHODS = (
    "GET",
    "POST",
    "HEAD",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "get",
    "X" * 300,
    "",
)
_BAD_PATHS = (
    "/",
    "/../../etc/passwd",
    "//",
    "*",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/rate",
    "/rate//state",
    "/%00",
    "/%ff%fe",
    "/" + "a" * 70_000,
    "http://evil/",
    "/rate/%2e%2e/owner/x/",
    "/docs",
    "/openapi.json",
    "/study.json",
    "/links.json",
    "/static/../links.json",
    "/rate/x/page/../../links.json",
    "?x",
)
_HEADERS = (
    "Host",
    "Origin",
    "Content-Type",
    "Content-Length",
    "Transfer-Encoding",
    "Cookie",
    "Range",
    "Accept",
    "Sec-Fetch-Site",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "Expect",
    "Upgrade",
    "Connection",
    "If-None-Match",
    "Authorization",
    "Accept-Encoding",
    "X-HTTP-Method-Override",
)
_SPECIAL = (
    "chunked",
    "evil.example",
    "null",
    "http://evil.example",
    "application/json",
    "text/plain",
    "cross-site",
    "100-continue",
    "websocket",
    "bytes=0-99999999999",
    "close",
    "gzip",
    "text/html",
    "a" * 20_000,
    "application/json; charset=utf-16",
    "multipart/form-data; boundary=x",
    "identity",
)
_SECONDS = 10.0


class Refused(MicroCTSRError):
    """A status that says so, or no answer at all: the server's clear error."""


class StudyServer(Subject):
    """Raw requests to a running server: paths, queries, headers, cookies and bodies."""

    name, inputs = "reader study's server", 2500

    def prepare(self, folder: Path) -> None:
        study = toy_study(folder / "study")
        self.folder = shutil.move(study.folder, folder.parent.parent / "output-study")
        self.server = start_server(self.folder, port=0)
        self.port = urlsplit(self.server.base).port
        self.secrets = [re.sub(r".*/(rate|owner)/", r"\1/", link).strip("/")
                        for link in (*self.server.raters.values(), self.server.owner)]  # fmt: skip

    def finish(self) -> None:
        self.server.stop()

    def make(self, random: Random, folder: Path) -> str:
        secret = random.choice(self.secrets)
        method = (
            random.choice(_METHODS) if random.random() < 0.3 else random.choice(("GET", "POST"))
        )
        known = random.random() < 0.6
        path = _path(secret if known else _spoilt(secret, random), random)
        body = _body(random) if method != "GET" or random.random() < 0.1 else b""
        headers = {"Host": f"127.0.0.1:{self.port}", "Content-Type": "application/json",
                   "Content-Length": str(len(body)), "Connection": "close"}  # fmt: skip
        for _ in range(random.choice((0, 0, 1, 2))):
            value = random.choice((*_SPECIAL, *TEXTS, *NUMBERS))
            headers[random.choice(_HEADERS)] = value.replace(
                "\n", random.choice(("\n", "\r\nX: y"))
            )
        lines = [
            f"{method} {path} HTTP/1.1",
            *(f"{key}: {value}" for key, value in headers.items()),
        ]
        request = "\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body
        if random.random() < 0.2:
            request = damaged(request, random)
        (folder / "request").write_bytes(request)
        (folder / "known").write_text(str(known))
        return f"{method} {path}"[:150].replace(secret, "SECRET")

    def use(self, folder: Path, output: Path) -> None:  # noqa: ARG002 - answers are not kept
        request = (folder / "request").read_bytes()
        answer = self._answer(request)
        said = self.server.complained()
        assert self.server.running, "the server ended"
        assert not re.search("Traceback|Exception", said), said[-300:]
        head, _, content = answer.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d{3})", head)
        status = int(found[1]) if found else 0
        assert found or not answer, answer[:100]
        assert status < 500, f"status {status}"
        secrets = [
            name.encode() for name in (*METHODS, "ear_0", "sqlite", str(self.folder), "Traceback")
        ]
        assert not any(secret in content for secret in secrets), "the answer tells too much"
        named = any(s.encode() in request for s in self.secrets) or b"%" in request
        if 200 <= status < 300:
            assert named, "an answer without a secret"
        elif status == 0 or status >= 400:
            raise Refused(f"The server refused ({status or 'it hung up'}).")

    def _answer(self, request: bytes) -> bytes:
        answer = b""
        with socket.create_connection(("127.0.0.1", self.port), _SECONDS) as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(65_536):
                    answer += part
            except (ConnectionError, BrokenPipeError):
                pass  # it did not wait for the end of what it refused
        return answer


def _path(secret: str, random: Random) -> str:
    kind = random.random()
    number = random.choice(("0", "1", "14", *NUMBERS))
    if kind < 0.25:
        return f"/{secret}/trial/{quote(number, safe=random.choice(('', '/%')))}"
    if kind < 0.4:
        return f"/{secret}/image/{quote(number)}/{random.choice(('left', 'right', 'x', '..', ''))}"
    if kind < 0.55:
        name = random.choice(
            (
                "rate.js",
                "rate.css",
                "owner.js",
                "../links.json",
                "..%2f..%2fstudy.json",
                "%2e%2e/server.py",
                "rate.html",
                *map(quote, ("é", "\0", "a/../b")),
            )
        )
        return f"/{secret}/page/{name}"
    if kind < 0.75:
        ending = random.choice(("", "/", "/state", "/progress", "/report", "//state", "/state/"))
        query = random.choice(("", "?", "?a=b", "?" + "x=y&" * 500, "?\0", "?%ff", "#x"))
        return f"/{secret}{ending}{query}"
    return random.choice(_BAD_PATHS)


def _spoilt(secret: str, random: Random) -> str:
    kind, _, word = secret.partition("/")
    return random.choice((f"{kind}/{word[:-1]}", f"{kind}/{word.swapcase()}", f"{kind}/", kind,
                          f"{kind}/{quote('é' + word[1:])}", f"owner/{'A' * 22}", f"{kind}/*",
                          f"{kind}/' OR 1=1 --", f"{kind}/{word[0]}%25"))  # fmt: skip


def _body(random: Random) -> bytes:
    good: dict[str, Any] = {"revision": random.choice((1, 2, 5)), "stars": [3, 4], "remark": "x"}
    if random.random() < 0.1:
        good[random.choice(("stars", "revision", "remark"))] = odd_value(random)
        return json.dumps(good).encode()[:20_000]
    return odd_json(good, random)[:20_000] if random.random() < 0.8 else json.dumps(good).encode()
