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
    ratings, criteria, instructions = study.ratings, study.criteria, study.instructions
    names = [criterion.name for criterion in criteria]

    def rater_of(secret: str) -> int:
        rater = matching(secret, links.raters)
        if rater is None:
            raise HTTPException(404)
        return rater

    def check_owner(secret: str) -> None:
        if matching(secret, [links.owner]) is None:
            raise HTTPException(404)

    def check_trial(rater: int, trial: int) -> None:
        if trial not in range(len(study.raters[rater].order)):
            raise HTTPException(404)

    @app.get("/rate/{secret}/")
    def rating_page(secret: str) -> Response:
        rater_of(secret)
        return _page("rate.html")

    @app.get("/rate/{secret}/page/{name}")
    def part_of_rating_page(secret: str, name: str) -> Response:
        rater_of(secret)
        return _page(name, _OF_RATERS)

    @app.get("/rate/{secret}/state")
    def state(secret: str) -> dict[str, Any]:
        """All that the rater's page needs, and nothing that tells what is shown."""
        number = rater_of(secret)
        rater, said = study.raters[number], ratings.last(number)
        return {
            "study": study.id,
            "title": study.title,
            "rater": rater.name,
            "instructions": instructions,
            "criteria": [
                {"name": criterion.name, "explanation": criterion.explanation}
                for criterion in criteria
            ],
            "most": STARS,
            "window": study.window_hu,
            "closed": ratings.closed_at() is not None,
            "trials": [
                {
                    "width": study.slices[trial.slice].width,
                    "height": study.slices[trial.slice].height,
                    "pixel_mm": study.slices[trial.slice].pixel_mm,
                    **_said(said.get(place), len(names)),
                }
                for place, trial in enumerate(rater.order)
            ],
        }

    @app.get("/rate/{secret}/image/{trial}/{side}")
    def image(secret: str, trial: int, side: Literal["left", "right"]) -> Response:
        rater = rater_of(secret)
        check_trial(rater, trial)
        path = study.image(study.raters[rater].order[trial], side)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ReadError(f"{path} cannot be read ({error.strerror}); put it back.") from None
        # Kept for going back, by this browser alone. No date and no tag of the file is sent.
        caching = {"cache-control": "private, max-age=86400"}
        return Response(data, media_type="image/png", headers=caching)

    @app.post("/rate/{secret}/trial/{trial}")
    def rate(secret: str, trial: int, given: Given) -> Response:
        rater = rater_of(secret)
        check_trial(rater, trial)
        if len(given.stars) != len(names):
            raise HTTPException(422)
        shown = study.image(study.raters[rater].order[trial], "right").name
        rating = Rating(tuple(given.stars), given.remark, given.revision, shown)
        try:
            stored = ratings.store(rater, trial, rating)
        except ConflictError as error:
            now = _said(ratings.last(rater).get(trial), len(names))
            return JSONResponse({"error": str(error), "trial": now}, 409)
        return JSONResponse(_said(stored, len(names)))

    @app.get("/owner/{secret}/")
    def owner_page(secret: str) -> Response:
        check_owner(secret)
        return _page("owner.html")

    @app.get("/owner/{secret}/page/{name}")
    def part_of_owner_page(secret: str, name: str) -> Response:
        check_owner(secret)
        return _page(name, _OF_OWNER)

    @app.get("/owner/{secret}/progress")
    def progress(secret: str, request: Request) -> dict[str, Any]:
        check_owner(secret)
        base = network_base or str(request.base_url).rstrip("/")
        addresses = links.addresses(base, study)
        return {
            "title": study.title,
            "closed_at": ratings.closed_at(),
            "slices": len(study.slices),
            "methods": len(study.methods),
            "raters": [
                {"name": r.name, "done": r.done, "trials": r.trials, "last": r.last}
                | {"link": addresses[r.name]}
                for r in progress_of(study)
            ],
        }

    @app.post("/owner/{secret}/close")
    def close(secret: str) -> dict[str, Any]:
        check_owner(secret)
        ratings.close()
        return {"closed_at": ratings.closed_at()}

    @app.get("/owner/{secret}/report")
    def report(secret: str) -> Response:
        """What the study found, once it is closed."""
        check_owner(secret)
        if ratings.closed_at() is None:
            return JSONResponse({"error": "The study is still open."}, 409)
        from .analysis import analyse
        from .report import report_html

        try:
            text = report_html(analyse(study.folder))
        except MicroCTSRError as error:
            return JSONResponse({"error": str(error)}, 409)
        policy = {"content-security-policy": _STATIC_POLICY}
        return Response(text, media_type="text/html; charset=utf-8", headers=policy)

    @app.exception_handler(StarletteHTTPException)
    def refused(request: Request, error: StarletteHTTPException) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return _message(error.status_code)
        return JSONResponse(
            {"error": _REASONS.get(error.status_code, _REASONS[404])}, error.status_code
        )

    @app.exception_handler(RequestValidationError)
    def not_understood(_: Request, error: RequestValidationError) -> Response:
        del error  # it holds what was sent
        return JSONResponse({"error": "That is no rating."}, 422)

    @app.exception_handler(StudyClosedError)
    def closed(_: Request, error: StudyClosedError) -> Response:
        return JSONResponse({"error": str(error)}, 410)

    @app.exception_handler(MicroCTSRError)
    def not_stored(_: Request, error: MicroCTSRError) -> Response:
        # The sentence names files; it is for the owner, who reads it where the server was started.
        _LOG.error(str(error))
        return JSONResponse({"error": "The study cannot be reached at the moment."}, 503)

    return app


_REASONS = {
    404: "There is nothing here. Please open the link that you were sent, whole.",
    422: "That is no rating.",
}


def _said(rating: Rating | None, criteria: int) -> dict[str, Any]:
    if rating is None:
        return {"stars": [None] * criteria, "remark": "", "revision": 0}
    return {"stars": rating.stars, "remark": rating.remark, "revision": rating.revision}


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
