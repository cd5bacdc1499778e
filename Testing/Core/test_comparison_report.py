"""The report of a comparison: whole in one file, with figures for print beside it."""

from __future__ import annotations

import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from command_line import assert_one_line_error, run
from microctsr_core.evaluation.comparison.catalogue import MEASURES
from microctsr_core.evaluation.comparison.tables import mean_and_sd, p_text
from microctsr_core.evaluation.comparison.theme import colours
from toy_studies import write_results, write_study

EMBEDDED = re.compile(r"data:image/(webp|svg\+xml);base64,(.+)")


class Page(HTMLParser):
    """The tags of a page, their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The report of six cases by the command, with a method that is always better."""
    folder = tmp_path_factory.mktemp("report")
    write_results(folder / "worse", 6, error_hu=300)
    methods = {"cubic": "cubic", "<b>worse</b>": {"results": "worse"}, "toy": {"model": "toy"},
               "ours": {"results": "elsewhere"}}  # fmt: skip
    study = write_study(folder, cases=6, methods=methods, samples=1)
    result = run("evaluate", "compare", "--study", study, "--report", folder / "report.html")
    assert result.exit_code == 0, result.output
    assert result.stdout.split()[0] == str(folder / "report.html")
    for line in result.stdout.split():
        assert Path(line).is_file()
    return folder


@pytest.fixture(scope="module")
def page(made) -> Page:
    return Page((made / "report.html").read_text(encoding="utf-8"))


def test_report_needs_no_other_file_and_no_script(page):
    assert "script" not in {tag for tag, _ in page.tags}
    assert "link" not in {tag for tag, _ in page.tags}
    links = [of[key] for _, of in page.tags for key in ("src", "href", "srcset") if key in of]
    assert links
    assert all(link is not None and link.startswith("data:image/") for link in links)


def test_embedded_figures_can_be_read(page):
    found = [EMBEDDED.fullmatch(of["src"] or "") for tag, of in page.tags if tag == "img"]
    assert len(found) == 5  # slices of two cases, box plots, effects, uncertainty
    for match in found:
        assert match is not None
        data = base64.b64decode(match[2])
        if match[1] == "webp":
            assert Image.open(io.BytesIO(data)).size[0] > 1000
        else:
            assert b"<svg" in data


def test_figures_lie_beside_the_report_at_print_resolution(made):
    names = {path.name for path in (made / "report_files").iterdir()}
    figures = {"slices-1", "slices-2", "boxes", "effects", "uncertainty"}
    tables = {"study.yaml", "per_case.csv", "summary.csv", "table.md"}
    assert names == tables | {f"{name}.{kind}" for name in figures for kind in ("png", "svg")}
    for name in figures:
        with Image.open(made / "report_files" / f"{name}.png") as image:
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
            assert image.size[0] == round(7.2 * 300)


def test_names_in_the_study_cannot_break_the_page(page):
    assert "b" not in {tag for tag, _ in page.tags}
    assert "small" not in {tag for tag, _ in page.tags}
    assert "<b>worse</b>" in page.text
    assert "A <small> study" in page.text


def test_report_tells_the_settings_exactly(page, made):
    assert (made / "study.yaml").read_text() in page.text
    assert (made / "report_files" / "study.yaml").read_text() == (made / "study.yaml").read_text()
    assert re.search(r"toy 1\.0\.0\s*SHA-256 [0-9a-f]{64}", page.text)
    assert "synthetic, not for diagnosis" in page.text


def test_nothing_of_a_scans_header_is_in_the_report(made):
    for path in (made / "report.html", *(made / "report_files").iterdir()):
        assert b"Jane Doe" not in path.read_bytes()


def test_each_measure_is_explained(page):
    for key in ("psnr", "m_hum", "dice.fluid", "coverage.1"):
        assert MEASURES[key].meaning in page.text


def test_table_tells_p_and_effect_of_a_method_that_is_worse_in_every_case(made):
    # Of six pairs the least p is 2 / 2⁶; three methods are compared, so Holm makes it 6 / 2⁶.
    line = next(
        line
        for line in (made / "report_files" / "table.md").read_text().splitlines()
        if line.startswith("| PSNR")
    )
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    assert cells[1] == "20.0 ± 0.0 (p = 0.094, r = 1.00)"  # 300 HU of 3000
    assert cells[3] == "**30.5 ± 0.0**"


def test_a_report_that_exists_is_kept_unless_it_may_be_replaced(made):
    before = (made / "report.html").read_bytes()
    result = run(
        "evaluate", "compare", "--study", made / "study.yaml", "--report", made / "report.html"
    )
    assert_one_line_error(result, "report.html", "--overwrite")
    assert (made / "report.html").read_bytes() == before


def test_a_bad_study_ends_the_command_in_one_line_and_leaves_nothing(tmp_path):
    study = write_study(tmp_path, methods={"ours": {"model": "nonesuch"}})
    result = run("evaluate", "compare", "--study", study, "--report", tmp_path / "report.html")
    assert_one_line_error(result, "methods.ours", "nonesuch")
    assert not list(tmp_path.glob("report*"))


@pytest.mark.parametrize("package", ["yaml", "jinja2"])
def test_what_is_not_installed_is_named_before_any_work(tmp_path, monkeypatch, package):
    study = write_study(tmp_path)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "microctsr_core.evaluation.comparison.report", raising=False)
    result = run("evaluate", "compare", "--study", study, "--report", tmp_path / "report.html")
    assert_one_line_error(result, package, "pip install 'microctsr[evaluation]'")
    assert not list(tmp_path.glob("report*"))


def test_mean_and_sd_are_of_what_is_known():
    psnr = MEASURES["psnr"]
    assert mean_and_sd(np.array([20.0, np.nan, 22.0]), psnr) == "21.0 ± 1.4"
    assert mean_and_sd(np.array([-1.25]), psnr) == "\N{MINUS SIGN}1.2"
    assert mean_and_sd(np.array([np.nan]), psnr) == ""


def test_p_is_written_as_in_journals():
    assert p_text(0.0004) == "p < 0.001"
    assert p_text(0.0314) == "p = 0.031"


def test_better_is_nearer_to_the_value_wanted():
    coverage = MEASURES["coverage.1"]
    assert coverage.goodness(0.6) > coverage.goodness(0.9)
    assert MEASURES["m_hum"].goodness(0.1) > MEASURES["m_hum"].goodness(0.2)
    assert MEASURES["psnr"].goodness(20) > MEASURES["psnr"].goodness(19)


def test_every_method_has_a_colour_of_its_own():
    names = ["cubic", "U-Net", "SRGAN", "ours"]
    assert len(set(colours(names, "ours", "cubic").values())) == 4
