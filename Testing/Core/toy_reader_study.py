"""A small reader study: two slices of two scans by three methods, and three raters."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from microctsr_core.study import ReaderStudy, create_study
from microctsr_core.study.cases import Case
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
