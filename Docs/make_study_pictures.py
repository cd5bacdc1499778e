"""Draw the pictures of the reader study: its real pages in a browser, and the box plots.

    python Docs/make_study_pictures.py

The images are of phantoms; the ratings are made up. It needs Debian's chromium, and takes some
minutes.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, expect, sync_playwright
from scipy.ndimage import gaussian_filter

from microctsr_core import load_model, superresolve
from microctsr_core.phantom import make_case
from microctsr_core.preview.planes import interpolate_cubic
from microctsr_core.study import (
    Case,
    ReaderStudy,
    RunningServer,
    analyse,
    create_study,
    start_server,
    write_analysis,
)
from microctsr_core.study.ratings import Rating

PICTURES = Path(__file__).parent / "pictures"
SEED, CASES, SLICES = 90_001, 2, 6
OURS = "MicroCTSR"
# What the raters of the box plots are made to think of each method, on average, by criterion.
OPINIONS = {"cubic": (2.1, 3.1), "sharpened": (2.8, 3.3), OURS: (4.9, 4.6)}
RATERS = ("Anna Keller", "Ben Osei", "Chloé Martin")
LAPTOP, TABLET = {"width": 1280, "height": 800}, {"width": 834, "height": 1112}


def cases(
    count: int = CASES, shape: tuple[int, int, int] = (SLICES, 48, 64), samples: int = 5
) -> list[Case]:
    """Phantoms by cubic interpolation, by unsharp masking, and by the bundled model."""
    found = []
    slices, rows, columns = shape
    box = ((1, 1 + slices), (0, rows), (0, columns))
    for number in range(count):
        scan = make_case(SEED, number, 0.15, shape=(slices + 2, rows, columns)).low
        ours = superresolve(scan, load_model(), box=box, samples=samples).mean
        cubic = np.stack([interpolate_cubic(scan, ours, k) for k in range(slices)])
        sharp = cubic + 1.5 * (cubic - gaussian_filter(cubic, (0, 6, 6)))
        results = {"cubic": cubic, "sharpened": sharp, OURS: ours.array}
        found.append(
            Case(f"ear {number}", scan, {m: ours.with_array(a) for m, a in results.items()})
        )
    return found


def rate(study: ReaderStudy, rater: int, count: int, chance: np.random.Generator) -> None:
    """Give made-up ratings of a rater's first trials that have none yet."""
    kindness = chance.normal(0, 0.3)
    for place in range(len(study.ratings.last(rater)), count):
        trial = study.raters[rater].order[place]
        # What a pair is worth is the same to all raters, and each time.
        worth = np.random.default_rng([trial.slice, len(trial.method)]).normal(0, 0.45, 2)
        wanted = np.array(OPINIONS[trial.method]) + worth + kindness + chance.normal(0, 0.35, 2)
        stars = tuple(int(value) for value in np.clip(np.rint(wanted), 1, 6))
        image = study.image(trial, "right").name
        study.ratings.store(rater, place, Rating(stars, "", 1, image))


def shot(page: Page, name: str) -> None:
    page.mouse.move(0, 0)
    page.wait_for_timeout(500)  # for what is faded in
    page.screenshot(path=PICTURES / f"study-{name}.png")


def pages(study: ReaderStudy, server: RunningServer, chance: np.random.Generator) -> None:
    order = study.raters[0].order
    place = next(n for n, trial in enumerate(order) if n > 8 and trial.method == OURS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        page = browser.new_page(viewport=LAPTOP)
        page.goto(server.raters[RATERS[0]])
        expect(page.locator("#begin")).to_be_focused()
        page.evaluate("document.activeElement.blur()")
        shot(page, "instructions")

        rate(study, 0, place, chance)
        rate(study, 1, len(order), chance)
        rate(study, 2, 4, chance)
        page.goto(f"{server.raters[RATERS[0]]}?again#{place + 1}")
        expect(page.locator(".stars button").first).to_be_enabled()
        page.keyboard.press("5")
        expect(page.locator("#saved")).to_have_text("All stored")
        shot(page, "trial")

        page.set_viewport_size(TABLET)
        page.keyboard.press("+")
        page.keyboard.press("+")
        shot(page, "tablet")

        page = browser.new_page(viewport={"width": 1000, "height": 560})
        page.goto(server.owner)
        expect(page.locator(".rater").first).to_be_visible()
        shot(page, "owner")
        browser.close()


def main() -> None:
    chance = np.random.default_rng(4)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "study"
        study = create_study(
            folder, cases(), slices=SLICES, raters=RATERS, title="Sharper ears", repeated=0.2
        )
        with start_server(folder, port=0) as server:
            pages(study, server, chance)
        for rater in range(len(RATERS)):
            rate(study, rater, len(study.raters[rater].order), chance)
        analysis = analyse(folder, close=True)
        write_analysis(analysis, Path(temporary) / "analysis")
        shutil.copy(Path(temporary) / "analysis" / "stars.png", PICTURES / "study-stars.png")
        for each in (*analysis.summaries, *analysis.between):
            print(each)  # noqa: T201


if __name__ == "__main__":
    main()
