"""The documentation leads where it says, and shows what is there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from documents import DOCS, PAGES, REPOSITORY, anchors, blocks, links, tokens

PICTURES = DOCS / "pictures"


def local_links(page: Path) -> list[str]:
    return [link for link in links(page) if "://" not in link and not link.startswith("mailto:")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_local_link_leads_to_a_file_and_a_heading(page):
    for link in local_links(page):
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert target.is_relative_to(REPOSITORY), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


def test_every_page_is_reached_from_the_overview_and_stands_in_the_navigation():
    overview = {link.partition("#")[0] for link in local_links(DOCS / "index.md")}
    # Not parsed: what MkDocs reads in it, a plain reader of YAML does not.
    lines = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.name for page in PAGES if page.parent == DOCS} - {"index.md"}
    assert pages <= overview
    for page in pages:
        assert f": {page}\n" in lines, page


def test_every_picture_is_shown_somewhere():
    shown = {
        (page.parent / link).resolve().name for page in PAGES for link in local_links(page)
    } | {"MicroCTSR.png"}
    assert {path.name for path in PICTURES.iterdir()} <= shown


def test_the_moving_picture_moves_and_is_small():
    from PIL import Image

    path = PICTURES / "slider.gif"
    assert path.stat().st_size < 1.5e6
    with Image.open(path) as picture:
        assert picture.n_frames > 20
        assert picture.info["loop"] == 0  # for ever
        frames = []
        for number in range(picture.n_frames):
            picture.seek(number)
            frames.append(picture.convert("L").tobytes())
    assert all(one != other for one, other in pairwise(frames))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_training_settings_in_the_pages_are_settings(page):
    from microctsr_core.training import changed, load_config

    for block in blocks(page):
        is_settings = block.language == "yaml" and "methods:" not in block.text
        if is_settings and "wrong.yaml" not in block.text:
            changed(load_config("cyclegan", "compact"), **yaml.safe_load(block.text))


def test_the_site_builds_without_a_warning(tmp_path):
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", tmp_path / "site"],
        cwd=REPOSITORY,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr, built.stderr
    # GitHub and MkDocs read Markdown differently: no list, table or block of code may get lost.
    for page in set(DOCS.glob("*.md")) - {DOCS / "reference.md"}:
        html = (tmp_path / "site" / f"{page.stem}.html").read_text(encoding="utf-8")
        article = html[html.index("<article") : html.index("</article>")]
        kinds = [token.type for token in tokens(page)]
        for kind, tag in (("list_item_open", "<li"), ("table_open", "<table"), ("fence", "<pre")):
            assert article.count(tag) == kinds.count(kind), f"{page.name}: {tag}"
    reference = (tmp_path / "site" / "reference.html").read_text(encoding="utf-8")
    assert "Super-resolve a box of a scan" in reference
    # Nothing of the site is loaded from elsewhere.
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert not re.findall(
        r'<(?:script|img|iframe)[^>]+src="https?:|<link[^>]+stylesheet[^>]+https?:', index
    )
