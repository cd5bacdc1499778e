"""A small reader study: two slices of two scans by three methods, and three raters."""

from __future__ import annotations

import http.client
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from microctsr_core.study import Case, ReaderStudy, create_study
from microctsr_core.study.order import Trial
from toy_studies import low, truth

METHODS = ("SmoothNet", "NoisyNet", "OurNet")
RATERS = ("Anna", "Ben", "Chloé")


def toy_cases(count: int = 2) -> list[Case]:
    """Scans by methods that even a child can tell apart."""
    random = np.random.default_rng(5)
    cases = []
    for number in range(count):
        scan, true = low(number), truth(number)
        noise = random.normal(0, 400, true.shape).astype(np.float32)
        smooth = np.repeat(np.repeat(scan.array, 8, axis=1), 8, axis=2)
        made = (smooth, true.array + noise, true.array)
        results = {name: true.with_array(a) for name, a in zip(METHODS, made, strict=True)}
        cases.append(Case(f"ear_{number}", scan, results))
    return cases


def toy_study(folder: Path, **options: Any) -> ReaderStudy:
    settings: dict[str, Any] = {"slices": 2, "repeated": 0.25, "raters": RATERS, "seed": 7}
    return create_study(folder, toy_cases(), **settings | options)


def ask(
    url: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    method: str | None = None,
    timeout: float = 20,
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer; a body to send makes it a POST of JSON."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        data = None if body is None else json.dumps(body).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(
            method or ("GET" if data is None else "POST"), path, data, kind | (headers or {})
        )
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def rate_all(
    study: ReaderStudy, stars: Callable[[int, int, Trial], tuple[int | None, ...]]
) -> None:
    """Store ratings of all raters at once; ``stars(rater, position, trial)`` says which."""
    study.ratings.check([criterion.name for criterion in study.criteria])
    with closing(sqlite3.connect(study.ratings.path)) as connection, connection:
        for number, rater in enumerate(study.raters):
            for place, trial in enumerate(rater.order):
                image = study.image(trial, "right").name
                given = json.dumps(stars(number, place, trial))
                remark = "=nice, “sharp”" if place == 0 else ""
                row = (number, place, 1, image, given, remark, "2026-01-01T12:00:00.000+00:00")
                connection.execute("INSERT INTO ratings VALUES (?, ?, ?, ?, ?, ?, ?)", row)
