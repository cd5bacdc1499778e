"""The web server's answers: pages, images, ratings and progress, each behind a secret."""

from __future__ import annotations

import html
import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from ..errors import MicroCTSRError, ReadError
from .folder import Links, ReaderStudy
from .order import Trial
from .progress import progress_of
from .protocol import STARS
from .ratings import ConflictError, Rating, StudyClosedError
from .security import Guard, matching

_LOG = logging.getLogger("uvicorn.error")
PAGES = Path(__file__).parent / "pages"
_KINDS = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
_OF_RATERS = ("rate.css", "rate.js", "viewer.js", "sending.js")
_OF_OWNER = ("rate.css", "owner.css", "owner.js")

# Of pages without scripts, whose style lies in them.
_STATIC_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'"
)

Stars = Annotated[int, Field(ge=1, le=STARS, strict=True)]


class Given(BaseModel):
    """What a rater's page sends when something in a trial changes."""

    model_config = ConfigDict(extra="forbid")
    revision: Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
    stars: list[Stars | None]
    remark: Annotated[str, Field(max_length=2000)] = ""


def make_app(
    study: ReaderStudy, links: Links, hosts: Iterable[str], network_base: str = ""
) -> FastAPI:
    """The server's application.

    Args:
        study: to be served.
        links: its secrets.
        hosts: names by which the server may be called.
        network_base: address that raters' links begin with on the owner's page; by default the one
            by which the owner calls it.
    """
    # A redirection would name the secret once more, and behind a proxy that adds HTTPS without it.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_middleware(Guard, hosts=hosts)
    raters, owner = _RatersPages(study, links), _OwnersPages(study, links, network_base)
    app.get("/rate/{secret}/")(raters.page)
    app.get("/rate/{secret}/page/{name}")(raters.part)
    app.get("/rate/{secret}/state")(raters.state)
    app.get("/rate/{secret}/image/{trial}/{side}")(raters.image)
    app.post("/rate/{secret}/trial/{trial}")(raters.rate)
    app.get("/owner/{secret}/")(owner.page)
    app.get("/owner/{secret}/page/{name}")(owner.part)
    app.get("/owner/{secret}/progress")(owner.progress)
    app.post("/owner/{secret}/close")(owner.close)
    app.get("/owner/{secret}/report")(owner.report)
    app.exception_handler(StarletteHTTPException)(_refused)
    app.exception_handler(RequestValidationError)(_not_understood)
    app.exception_handler(StudyClosedError)(_closed)
    app.exception_handler(MicroCTSRError)(_not_stored)
    return app


class _RatersPages:
    """What a rater's secret opens: instructions, images, and giving stars."""

    def __init__(self, study: ReaderStudy, links: Links) -> None:
        self.study, self.links, self.ratings = study, links, study.ratings
        # Read once: texts that are edited while raters rate would not be the same for all.
        self.criteria, self.instructions = study.criteria, study.instructions

    def page(self, secret: str) -> Response:
        self._rater(secret)
        return _page("rate.html")

    def part(self, secret: str, name: str) -> Response:
        self._rater(secret)
        return _page(name, _OF_RATERS)

    def state(self, secret: str) -> dict[str, Any]:
        """All that the page needs, and nothing that tells what is shown."""
        number = self._rater(secret)
        rater, said = self.study.raters[number], self.ratings.last(number)
        return {
            "study": self.study.id,
            "title": self.study.title,
            "rater": rater.name,
            "instructions": self.instructions,
            "criteria": [
                {"name": criterion.name, "explanation": criterion.explanation}
                for criterion in self.criteria
            ],
            "most": STARS,
            "window": self.study.window_hu,
            "closed": self.ratings.closed_at() is not None,
            "trials": [
                {
                    "width": self.study.slices[trial.slice].width,
                    "height": self.study.slices[trial.slice].height,
                    "pixel_mm": self.study.slices[trial.slice].pixel_mm,
                    **self._said(said.get(place)),
                }
                for place, trial in enumerate(rater.order)
            ],
        }

    def image(self, secret: str, trial: int, side: Literal["left", "right"]) -> Response:
        path = self.study.image(self._trial(self._rater(secret), trial), side)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ReadError(f"{path} cannot be read ({error.strerror}); put it back.") from None
        # Kept for going back, by this browser alone. No date and no tag of the file is sent.
        caching = {"cache-control": "private, max-age=86400"}
        return Response(data, media_type="image/png", headers=caching)

    def rate(self, secret: str, trial: int, given: Given) -> Response:
        rater = self._rater(secret)
        shown = self.study.image(self._trial(rater, trial), "right").name
        if len(given.stars) != len(self.criteria):
            raise HTTPException(422)
        rating = Rating(tuple(given.stars), given.remark, given.revision, shown)
        try:
            stored = self.ratings.store(rater, trial, rating)
        except ConflictError as error:
            now = self._said(self.ratings.last(rater).get(trial))
            return JSONResponse({"error": str(error), "trial": now}, 409)
        return JSONResponse(self._said(stored))

    def _rater(self, secret: str) -> int:
        rater = matching(secret, self.links.raters)
        if rater is None:
            raise HTTPException(404)
        return rater

    def _trial(self, rater: int, trial: int) -> Trial:
        order = self.study.raters[rater].order
        if trial not in range(len(order)):
            raise HTTPException(404)
        return order[trial]

    def _said(self, rating: Rating | None) -> dict[str, Any]:
        if rating is None:
            return {"stars": [None] * len(self.criteria), "remark": "", "revision": 0}
        return {"stars": rating.stars, "remark": rating.remark, "revision": rating.revision}


class _OwnersPages:
    """What the owner's secret opens: progress, closing the study, and then what it found."""

    def __init__(self, study: ReaderStudy, links: Links, network_base: str) -> None:
        self.study, self.links, self.ratings = study, links, study.ratings
        self.network_base = network_base

    def page(self, secret: str) -> Response:
        self._check(secret)
        return _page("owner.html")

    def part(self, secret: str, name: str) -> Response:
        self._check(secret)
        return _page(name, _OF_OWNER)

    def progress(self, secret: str, request: Request) -> dict[str, Any]:
        self._check(secret)
        base = self.network_base or str(request.base_url).rstrip("/")
        addresses = self.links.addresses(base, self.study)
        return {
            "title": self.study.title,
            "closed_at": self.ratings.closed_at(),
            "slices": len(self.study.slices),
            "methods": len(self.study.methods),
            "raters": [
                {"name": r.name, "done": r.done, "trials": r.trials, "last": r.last}
                | {"link": addresses[r.name]}
                for r in progress_of(self.study)
            ],
        }

    def close(self, secret: str) -> dict[str, Any]:
        self._check(secret)
        self.ratings.close()
        return {"closed_at": self.ratings.closed_at()}

    def report(self, secret: str) -> Response:
        self._check(secret)
        if self.ratings.closed_at() is None:
            return JSONResponse({"error": "The study is still open."}, 409)
        from .analysis import analyse
        from .report import report_html

        try:
            text = report_html(analyse(self.study.folder))
        except MicroCTSRError as error:
            return JSONResponse({"error": str(error)}, 409)
        policy = {"content-security-policy": _STATIC_POLICY}
        return Response(text, media_type="text/html; charset=utf-8", headers=policy)

    def _check(self, secret: str) -> None:
        if matching(secret, [self.links.owner]) is None:
            raise HTTPException(404)


def _refused(request: Request, error: StarletteHTTPException) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return _message(error.status_code)
    reason = _REASONS.get(error.status_code, _REASONS[404])
    return JSONResponse({"error": reason}, error.status_code)


def _not_understood(_: Request, error: RequestValidationError) -> Response:
    del error  # it holds what was sent
    return JSONResponse({"error": _REASONS[422]}, 422)


def _closed(_: Request, error: StudyClosedError) -> Response:
    return JSONResponse({"error": str(error)}, 410)


def _not_stored(_: Request, error: MicroCTSRError) -> Response:
    # The sentence names files; it is for the owner, who reads it where the server was started.
    _LOG.error(str(error))
    return JSONResponse({"error": "The study cannot be reached at the moment."}, 503)


_REASONS = {
    404: "There is nothing here. Please open the link that you were sent, whole.",
    422: "That is no rating.",
}


def _page(name: str, among: Iterable[str] | None = None) -> Response:
    if among is not None and name not in among:
        raise HTTPException(404)
    path = PAGES / name
    return Response(path.read_bytes(), media_type=f"{_KINDS[path.suffix]}; charset=utf-8")


def _message(status: int) -> Response:
    text = (PAGES / "message.html").read_text(encoding="utf-8")
    reason = html.escape(_REASONS.get(status, _REASONS[404]))
    return Response(
        text.replace("MESSAGE", reason),
        status,
        media_type="text/html; charset=utf-8",
        headers={"content-security-policy": _STATIC_POLICY},
    )
