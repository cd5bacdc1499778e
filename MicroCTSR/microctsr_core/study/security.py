"""What is asked of every request before a page answers it, and what every answer forbids."""

from __future__ import annotations

import hmac
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

import psutil
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MOST_BYTES = 16_384
"""Of a request's body: a remark of 2000 characters is shorter in any script."""

_FORBIDDING = {
    # Scripts, styles and images come from this server, and nothing is sent anywhere else.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "referrer-policy": "no-referrer",  # the address holds the rater's secret
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "x-robots-tag": "noindex",
    "cache-control": "no-store",
}


class Guard:
    """Refuses requests that other sites caused, and forbids pages to talk to other sites.

    There are no cookies: who does not know the secret in a link can do nothing, and a page of
    another site does not know it. That a request names this server is checked all the same, as a
    name of another site may be made to lead here (DNS rebinding).

    Args:
        app: which answers.
        hosts: names and addresses by which this server may be called; see :func:`own_hosts`.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # the start and the end of the server; nothing else is served
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _FORBIDDING.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self.app)(scope, receive, guarded)

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if _name(f"//{host}") not in self.hosts:
            return _refuse(421, "This server is not known by that name.")
        if method not in ("GET", "HEAD"):
            origin = headers.get("origin")
            if origin is not None and origin.lower().partition("://")[2] != host.lower():
                return _refuse(403, "Only the study's own pages may do this.")
            if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
                return _refuse(403, "Only the study's own pages may do this.")
            kind = headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/json":
                return _refuse(415, "Only JSON is understood here.")
            length = headers.get("content-length", "")
            if not length.isdecimal() or int(length) > MOST_BYTES:
                return _refuse(413, "That is too long.")
        return None


def _name(address: str) -> str:
    """The name of the computer in an address, in lower case; empty where there is none."""
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _refuse(status: int, why: str) -> Response:
    return JSONResponse({"error": why}, status)


def matching(secret: str, secrets: Sequence[str]) -> int | None:
    """The place of a secret in a list, found in a time that tells nothing about the others."""
    found = None
    for place, known in enumerate(secrets):
        if hmac.compare_digest(secret.encode(), known.encode()):
            found = place
    return found


def own_hosts(host: str) -> list[str]:
    """The names and addresses by which a server on `host` can be called."""
    if host in LOOPBACK:
        return list(LOOPBACK)
    if host not in ("0.0.0.0", "::"):
        return [host, *LOOPBACK]
    name = socket.gethostname()
    addresses = [
        address.address.partition("%")[0]
        for interface in psutil.net_if_addrs().values()
        for address in interface
        if address.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return list(dict.fromkeys([*LOOPBACK, name, socket.getfqdn(), f"{name}.local", *addresses]))
