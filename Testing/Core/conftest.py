"""What several tests start from: the shared data, and scans that lie oblique in the patient."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microctsr_core import Volume

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout; tests that need it skip where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the shared test data is not there ({folder})")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An empty folder for outputs, apart from the inputs."""
    folder = tmp_path / "output"
    folder.mkdir()
    return folder


@pytest.fixture
def oblique_volume() -> Callable[..., Volume]:
    """A function (seed, shape, dtype) that makes a volume of noise at a random place and angle."""
    return make_oblique_volume


def make_oblique_volume(
    seed: int = 0, shape: tuple[int, int, int] = (4, 5, 6), dtype: type = np.int16
) -> Volume:
    random = np.random.default_rng(seed)
    direction, _ = np.linalg.qr(random.normal(size=(3, 3)))
    return Volume(
        array=random.integers(-1000, 3000, shape).astype(dtype),
        spacing=tuple(random.uniform(0.1, 0.8, 3)),
        origin=tuple(random.uniform(-200, 200, 3)),
        direction=direction,
        metadata={"modality": "CT"},
    )


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's chromium; tests that need it skip where it is missing."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if path is None:
        pytest.skip("the browser is missing; install the package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path)
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """A function that opens an address in a browser of its own, or beside another page.

    The pages must not report errors, but for those that the tests cause: lost connections, and
    refusals of other sites.
    """
    contexts: list[Any] = []
    errors: list[str] = []

    def note(said: Any) -> None:
        caused = re.search("Failed to load resource|blocked by CORS policy", said.text)
        if said.type == "error" and not caused:
            errors.append(said.text)

    def opened(address: str, beside: Any = None, **options: Any) -> Any:
        if beside is None:
            laptop = {"viewport": {"width": 1366, "height": 768}}
            contexts.append(browser.new_context(**laptop | options))
        page = (contexts[-1] if beside is None else beside.context).new_page()
        page.set_default_timeout(90_000)  # for machines that do much else at once
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", note)
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert errors == []
