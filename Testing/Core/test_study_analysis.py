"""What a study's analysis says, against numbers computed by hand with scipy."""

from __future__ import annotations

import base64
import csv
import re
import time

import numpy as np
import pytest
from scipy import stats

from command_line import assert_one_line_error, run
from microctsr_core import Volume
from microctsr_core.errors import MicroCTSRError, ReadError
from microctsr_core.study import Case, analyse, create_study, open_study, write_analysis
from microctsr_core.study.report import readers_section
from toy_reader_study import METHODS, RATERS, rate_all, toy_study
from toy_studies import write_phantoms, write_results

A, B = "Resolution and noise", "Shape and structure"


def tiny_study(folder, methods, slices, **options):
    """A study of many slices of 8 x 8 pixels."""
    grid = Volume(np.zeros((slices, 8, 8), np.float32), (0.3, 0.1, 0.1))
    results = {name: grid.with_array(grid.array + n) for n, name in enumerate(methods)}
    options = {"slices": slices, "repeated": 0.2} | options
    return create_study(folder, [Case("ear", grid, results)], **options)


@pytest.fixture(scope="module")
def rated(tmp_path_factory):
    """Ten slices by three methods, rated at random by three raters, and what they gave."""
    study = tiny_study(tmp_path_factory.mktemp("rated") / "study", METHODS, 10, raters=RATERS)
    random = np.random.default_rng(11)
    given = {}

    def stars(rater, _, trial):
        level = 2 + 1.3 * METHODS.index(trial.method)
        values = np.clip(np.rint(random.normal(level, 1.0, 2)), 1, 6).astype(int)
        given[rater, trial.slice, trial.method, trial.showing] = values
        return tuple(int(value) for value in values)

    rate_all(study, stars)
    return study, given, analyse(study.folder)


def of(given, method, criterion, showing=1):
    return [v[criterion] for (_, _, m, s), v in given.items() if m == method and s == showing]


def test_summaries_are_those_of_the_first_ratings(rated):
    _, given, analysis = rated
    assert [(s.criterion, s.method) for s in analysis.summaries] == [
        (criterion, method) for criterion in (A, B) for method in METHODS
    ]
    for summary in analysis.summaries:
        values = of(given, summary.method, (A, B).index(summary.criterion))
        assert summary.count == len(values) == 30
        assert summary.mean == pytest.approx(np.mean(values))
        assert summary.sd == pytest.approx(np.std(values, ddof=1))
        assert summary.median == np.median(values)
        assert summary.quartile_1 == stats.scoreatpercentile(values, 25)
        assert summary.quartile_3 == stats.scoreatpercentile(values, 75)


def test_tests_and_effects_are_scipys(rated):
    _, given, analysis = rated
    by_hand = []
    for number in (0, 1):
        for rival in METHODS[:-1]:
            differences = [
                sum(
                    int(given[r, s, METHODS[-1], 1][number]) - int(given[r, s, rival, 1][number])
                    for r in range(3)
                )
                for s in range(10)
            ]
            by_hand.append(stats.wilcoxon(differences).pvalue)
    holm = [None] * 4
    least = 0.0
    for rank, place in enumerate(np.argsort(by_hand)):
        least = max(least, min(1.0, by_hand[place] * (4 - rank)))
        holm[place] = least
    assert [(c.criterion, c.method, c.rival) for c in analysis.comparisons] == [
        (criterion, METHODS[-1], rival) for criterion in (A, B) for rival in METHODS[:-1]
    ]
    for c, p, corrected in zip(analysis.comparisons, by_hand, holm, strict=True):
        ours, theirs = (of(given, m, (A, B).index(c.criterion)) for m in (c.method, c.rival))
        expected = stats.mannwhitneyu(ours, theirs, method="asymptotic")
        assert c.rank_sum_p == pytest.approx(expected.pvalue)
        pairs = [np.sign(int(x) - int(y)) for x in ours for y in theirs]
        assert c.delta == pytest.approx(np.mean(pairs))
        assert c.signed_rank.p == pytest.approx(p)
        assert c.signed_rank_p_holm == pytest.approx(corrected)


def test_agreement_between_raters_is_krippendorffs_of_a_published_example(tmp_path):
    # Krippendorff, Computing Krippendorff's alpha-reliability (2011), section C: twelve units,
    # four observers, ordinal alpha 0.815 (0.849 for interval, 0.743 for nominal data).
    blank = None
    table = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, blank, blank, blank],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, blank, 3],
        [blank, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, blank],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, blank],
    ]
    study = tiny_study(tmp_path / "study", ("a", "b"), 6, raters=4, repeated=0)
    rate_all(
        study,
        lambda rater, _, trial: (table[rater][2 * trial.slice + (trial.method == "b")], 3),
    )
    first, second = analyse(study.folder, close=True).between
    assert first.alpha == pytest.approx(0.815, abs=0.001)
    assert first.pairs == 11  # one unit was rated once
    assert second.alpha is None  # all stars are the same, so that chance gives full agreement too


def test_agreement_with_oneself_is_that_of_the_repeated_pairs(tmp_path):
    study = tiny_study(tmp_path / "study", ("a", "b"), 10, raters=["Anna", "Ben"])

    def stars(rater, _, trial):
        first = 1 + trial.slice % 5
        second_time = trial.showing == 2
        return (first, first + (second_time and rater == 1))

    rate_all(study, stars)
    within = {(w.rater, w.criterion): w for w in analyse(study.folder).within}
    assert len(within) == 4
    for (rater, criterion), each in within.items():
        assert each.pairs == 4  # a fifth of twenty
        changed = rater == "Ben" and criterion == B
        assert each.same == (0 if changed else 1)
        assert each.within_one == 1
        assert each.mean_change == (1 if changed else 0)
        assert each.alpha < 1 if changed else each.alpha == pytest.approx(1)


def test_a_study_is_unblinded_only_when_it_is_closed_or_finished(tmp_path):
    study = toy_study(tmp_path / "study")
    result = run("study", "analyse", study.folder)
    assert_one_line_error(result, "is still open, and 45 ratings are missing", "--close")
    assert study.ratings.closed_at() is None
    assert_one_line_error(run("study", "analyse", study.folder, "--close"), "holds no ratings")
    finished = toy_study(tmp_path / "finished")
    rate_all(finished, lambda *_: (3, 3))
    assert analyse(finished.folder).closed_at == finished.ratings.closed_at() != ""


def test_criteria_that_were_changed_after_the_rating_are_told(tmp_path):
    study = toy_study(tmp_path / "study")
    rate_all(study, lambda *_: (3, 3))
    (study.folder / "criteria.txt").write_text("Noise\n\nBeauty\n")
    with pytest.raises(MicroCTSRError, match="but the criteria are now 'Noise', 'Beauty'"):
        analyse(study.folder)


def test_stars_that_are_missing_leave_the_others_in_place(tmp_path):
    study = toy_study(tmp_path / "study")

    def stars(rater, _, trial):
        return (None, 4) if rater == 0 else (2 + rater, None if trial.slice == 1 else 5)

    rate_all(study, stars)
    with pytest.raises(MicroCTSRError, match="still open"):
        analyse(study.folder)
    analysis = analyse(study.folder, close=True)
    counts = {(s.criterion, s.method): s.count for s in analysis.summaries}
    assert set(counts.values()) == {8, 10}  # 2 raters x 4 slices; 4 + 2 x 3
    assert all(c.rank_sum_p == 1 and c.delta == 0 for c in analysis.comparisons)
    assert all(c.signed_rank.p is None for c in analysis.comparisons)  # four slices are too few
    write_analysis(analysis, tmp_path / "out")


def test_ratings_of_other_images_are_not_analysed(tmp_path):
    study, other = toy_study(tmp_path / "study"), toy_study(tmp_path / "other", seed=8)
    rate_all(study, lambda *_: (3, 3))
    (study.folder / "study.json").write_text(
        (other.folder / "study.json").read_text().replace(other.id, study.id)
    )
    for image in (other.folder / "images").iterdir():
        image.rename(study.folder / "images" / image.name)
    with pytest.raises(ReadError, match="a rating by Anna that is of no trial of this study"):
        analyse(study.folder)


def test_results_are_written_as_report_figures_and_csv(rated, tmp_path):
    study, given, analysis = rated
    result = run("study", "analyse", study.folder, "--output", tmp_path / "out")
    assert result.exit_code == 0, result.output
    files = {"report.html", "ratings.csv", "summary.csv", "comparisons.csv", "agreement.csv",
             "stars.png", "stars.svg"}  # fmt: skip
    assert {path.name for path in (tmp_path / "out").iterdir()} == files
    assert result.stdout.split() == [
        str(tmp_path / "out" / name) for name in ("report.html", *(
            "ratings.csv", "summary.csv", "comparisons.csv", "agreement.csv", "stars.png",
            "stars.svg",
        ))
    ]  # fmt: skip

    def read(name: str) -> list[dict[str, str]]:
        with (tmp_path / "out" / name).open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    ratings = read("ratings.csv")
    assert len(ratings) == 3 * 36
    for row in ratings:
        key = (RATERS.index(row["rater"]), int(row["slice"]), row["method"], int(row["showing"]))
        assert [int(row[A]), int(row[B])] == list(given[key])
    assert ratings[0]["remark"] == "'=nice, “sharp”"  # no formula for a spreadsheet
    assert float(read("summary.csv")[0]["mean"]) == pytest.approx(analysis.summaries[0].mean)
    first = read("comparisons.csv")[0]
    assert float(first["rank_sum_p"]) == pytest.approx(analysis.comparisons[0].rank_sum_p)
    assert first["slices"] == "10"
    kinds = [row["kind"] for row in read("agreement.csv")]
    assert kinds == ["between"] * 2 + ["within"] * 6
    report = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "{{" not in report
    assert all(name in report for name in (*METHODS, *RATERS, A, B, "α = ", "signed-rank p"))
    assert not re.findall(r'(?:src|href)="(?!data:)', report)
    (picture,) = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', report)
    assert base64.b64decode(picture) == (tmp_path / "out" / "stars.svg").read_bytes()


def test_the_report_of_a_comparison_has_a_section_on_the_readers(rated, tmp_path):
    study, _, analysis = rated
    assert readers_section(analysis).startswith("<h2>Judged by readers</h2>")
    write_phantoms(tmp_path / "cases", 2)
    write_results(tmp_path / "elsewhere", 2)
    yaml, html = tmp_path / "comparison.yaml", tmp_path / "report.html"
    yaml.write_text("methods:\n  cubic: cubic\n  ours: {results: elsewhere}\ncases: cases\n")
    options = ("--study", yaml, "--report", html, "--readers", study.folder)
    result = run("evaluate", "compare", *options)
    assert result.exit_code == 0, result.output
    text = html.read_text(encoding="utf-8")
    assert text.index("Slices side by side") < text.index("<h2>Judged by readers</h2>")
    assert text.count("<h1>") == 1


def test_names_in_a_study_cannot_put_anything_into_the_report(tmp_path):
    study = tiny_study(tmp_path / "study", ("<script>alert(1)</script>", "b & c"), 2, repeated=0)
    rate_all(study, lambda *_: (3, 4))
    report = write_analysis(analyse(study.folder), tmp_path / "out")[0].read_text(encoding="utf-8")
    assert "<script" not in report
    assert "&lt;script&gt;" in report
    assert "b &amp; c" in report


def test_a_large_study_is_analysed_within_ten_seconds(tmp_path):
    methods = [f"method {n}" for n in range(6)]
    study = tiny_study(tmp_path / "study", methods, 60, repeated=0.1)
    random = np.random.default_rng(2)
    rate_all(study, lambda *_: tuple(int(v) for v in random.integers(1, 7, 2)))
    start = time.monotonic()
    analysis = analyse(study.folder)
    write_analysis(analysis, tmp_path / "out")
    assert time.monotonic() - start < 10
    assert len(analysis.rows) == 3 * 396
    # Of raters that throw dice, none agrees with another or with himself more than by chance.
    assert all(abs(each.alpha) < 0.1 for each in analysis.between)
    assert open_study(study.folder).against == "method 5"
