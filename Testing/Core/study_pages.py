"""What tests of the reader study do with its pages in a browser."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from microctsr_core.study import ReaderStudy

expect.set_options(timeout=60_000)  # for machines that do much else at once


def begin(page: Page) -> None:
    """Leave the instructions for the pair whose turn it is."""
    expect(page.locator("#begin")).to_be_focused()
    page.keyboard.press("Enter")
    shown(page)


def shown(page: Page, pair: int | None = None) -> None:
    """Wait until a pair is shown, whichever it is or that of a number."""
    place = page.locator("#place")
    if pair is None:
        expect(place).to_contain_text("Pair")
    else:
        expect(place).to_have_text(f"Pair {pair} of 15")
    expect(page.locator("#views")).not_to_have_class("waiting")


def stored(page: Page) -> None:
    """Wait until the page says that all is stored."""
    expect(page.locator("#saved")).to_have_text("All stored")


def stars_of(page: Page) -> list[int]:
    """The stars that are lit, by criterion."""
    rows = page.locator(".stars")
    return [rows.nth(n).locator("button.on").count() for n in range(rows.count())]


def given(study: ReaderStudy, rater: int) -> dict[int, tuple]:
    """The stars in the database, by trial."""
    return {trial: rating.stars for trial, rating in study.ratings.last(rater).items()}
