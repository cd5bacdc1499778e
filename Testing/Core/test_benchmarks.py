"""The benchmarks that compare methods: their statistics, their tables and what they keep."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from microctsr_core.phantom import Ear, UnseenScanner, make_case
from microctsr_core.posterior import Posterior
from microctsr_core.training import changed, load_config

sys.path.append(str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import ablation
import adaptive_passes
import methods_table
import uncertainty_picture
import uncertainty_quality


def test_pair_is_made_once_and_then_read_from_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(methods_table, "SHAPE", (2, 4, 4))
    first = methods_table.pair(tmp_path, 5, 1, 0.3)
    monkeypatch.setattr(methods_table, "make_case", None)
    second = methods_table.pair(tmp_path, 5, 1, 0.3)
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(first.low.array, second.low.array)
    np.testing.assert_array_equal(first.truth, second.truth)
    assert first.low.origin == second.low.origin
    assert first.scanner == second.scanner


def test_pair_is_a_scan_by_an_unseen_scanner_and_the_truth_in_the_middle_of_its_slices(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(methods_table, "SHAPE", (2, 4, 4))
    pair = methods_table.pair(tmp_path, 5, 1, 0.3)
    assert isinstance(pair.scanner, UnseenScanner)
    case = make_case(5, 1, 0.3, (2, 4, 4), scanner=pair.scanner)
    np.testing.assert_array_equal(pair.low.array, case.low.array)
    np.testing.assert_allclose(pair.low.corners_lps(), case.low.corners_lps(), atol=1e-9)
    # Slices are eight planes thick: the middle of the second lies between planes 11 and 12.
    expected = (case.truth.array[11] + case.truth.array[12]) / 2
    np.testing.assert_allclose(pair.truth[1], expected, rtol=1e-6)
    assert pair.fine_mm == pytest.approx(0.3 / 8)


@pytest.mark.parametrize(
    ("owner", "name", "replacement"),
    [(Ear, "_ossicles", lambda *_: []), (UnseenScanner, "_rings", lambda *_: 0.0)],
    ids=["anatomy", "scanner"],
)
def test_pairs_are_made_anew_when_phantoms_change(monkeypatch, owner, name, replacement):
    version = methods_table.phantoms_version.__wrapped__  # the one that does not remember
    before = version()
    assert version() == before
    monkeypatch.setattr(owner, name, replacement)
    assert version() != before


def test_p_is_that_of_the_exact_signed_rank_test():
    # Of 2⁵ equally likely signs, one has all five differences positive and one all negative.
    assert methods_table.paired_p([2, 4, 6, 8, 10], [1, 2, 3, 4, 5]) == pytest.approx(2 / 2**5)
    # Ranks of the negative differences add up to 1: none or {1}, and the same mirrored.
    assert methods_table.paired_p([0, 4, 6, 8, 10], [1, 2, 3, 4, 5]) == pytest.approx(4 / 2**5)


def test_p_leaves_out_pairs_in_which_a_measure_is_unknown():
    first, second = [2, 4, np.nan, 6, 8, 10, 12], [1, 2, 3, 3, 4, 5, np.nan]
    assert methods_table.paired_p(first, second) == pytest.approx(2 / 2**5)


def test_p_is_one_where_nothing_differs_or_is_known():
    assert methods_table.paired_p([1, 2, 3], [1, 2, 3]) == 1
    assert methods_table.paired_p([np.nan, np.nan], [1, 2]) == 1


def test_summary_compares_each_method_with_the_last():
    values = {"truth": [0, 0, 0, 0, 0], "cubic": [2, 4, 6, 8, 10], "ours": [1, 2, 3, 4, 5]}
    rows = {name: [{"m-HuM": value} for value in of] for name, of in values.items()}
    answer = methods_table.summary(rows)
    cubic = answer["cubic"]["m-HuM"]
    assert cubic["values"] == [2, 4, 6, 8, 10]
    assert cubic["mean"] == 6
    assert cubic["sd"] == pytest.approx(np.sqrt((16 + 4 + 0 + 4 + 16) / 4))
    assert cubic["p"] == pytest.approx(2 / 2**5)
    assert answer["truth"]["m-HuM"]["p"] == pytest.approx(2 / 2**5)
    assert "p" not in answer["ours"]["m-HuM"]


def test_summary_is_of_the_pairs_in_which_a_measure_is_known():
    rows = {"ours": [{"Dice air": value} for value in (0.5, np.nan, 0.7)]}
    dice = methods_table.summary(rows)["ours"]["Dice air"]
    assert dice["mean"] == pytest.approx(0.6)
    assert dice["sd"] == pytest.approx(np.sqrt(2 * 0.1**2))


def test_table_shows_mean_sd_and_p_of_the_measures_there_are():
    answer = {
        "cubic": {
            "m-HuM": {"mean": 0.12344, "sd": 0.01236, "p": 0.0009},
            "PSNR dB": {"mean": 20.04, "sd": 1.26, "p": 0.0404},
        },
        "ours": {"Dice fluid": {"mean": 0.9, "sd": 0.0306}},
    }
    cells = methods_table.formatted(answer)
    assert cells == {
        "cubic": ["0.1234 ± 0.0124 (p < 0.001)", "", "", "20.0 ± 1.3 (p = 0.040)", "", "", ""],
        "ours": ["", "0.900 ± 0.031", "", "", "", "", ""],
    }


def test_markdown_is_a_table_with_a_column_for_each_measure():
    cells = {"cubic": [str(n) for n in range(7)], "ours": [""] * 7}
    assert methods_table.markdown("12 pairs", cells).splitlines() == [
        "**12 pairs**",
        "",
        "| | m-HuM | Dice fluid | Dice air | PSNR dB | SSIM | invented /cm² | missed /cm² |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| cubic | 0 | 1 | 2 | 3 | 4 | 5 | 6 |",
        "| ours |  |  |  |  |  |  |  |",
    ]


@pytest.mark.parametrize("size", [{}, ablation.SMALL], ids=["as bundled", "small"])
@pytest.mark.parametrize("part", ablation.PARTS)
def test_each_part_of_the_method_can_be_taken_away(part, size):
    whole = changed(load_config(), **size)
    assert changed(whole, **ablation.PARTS[part]) != whole


def test_departure_of_adaptive_passes_is_that_of_the_standard_deviation_and_of_the_mean_per_sigma():
    def posterior(mean, sigma):
        return Posterior(np.full((4, 4), mean), np.full((4, 4), sigma**2), (10,))

    everywhere = (slice(0, 4), slice(0, 4))
    of_sigma, of_mean = adaptive_passes.departure(
        posterior(5.0, 2.02), posterior(4.0, 2.0), everywhere
    )
    assert of_sigma == pytest.approx(0.01, rel=0.01)  # 2.02 is 1 % more than 2
    assert of_mean == pytest.approx(0.5)


def seen(seed: int) -> uncertainty_quality.Seen:
    """Errors four times as large as the passes spread; a gradient that knows nothing of them."""
    generator = np.random.default_rng(seed)
    deviation = generator.uniform(1, 20, (2, 48, 48))
    truth = np.where(np.indices(deviation.shape)[2] < 24, 1500.0, 0.0)
    mean = truth + 4 * generator.normal(0, deviation)
    gradient = generator.uniform(size=truth.shape)
    return uncertainty_quality.Seen(mean, deviation, truth, gradient, gradient, 0.05)


def test_uncertainty_is_judged_before_and_after_scaling_over_all_pairs():
    pairs = [seen(seed) for seed in range(3)]
    before, after = (uncertainty_quality.measured(pairs, scale) for scale in (1.0, 4.0))
    assert after["coverage of 1 SD"]["mean"] == pytest.approx(0.683, abs=0.01)
    assert before["coverage of 1 SD"]["mean"] == pytest.approx(0.197, abs=0.01)  # of 1/4 SD
    assert before["AUSE"] == after["AUSE"]
    assert len(before["AUSE"]["values"]) == 3
    assert abs(after["rank correlation of the scan's gradient"]["mean"]) < 0.05


def test_picture_of_uncertainty_is_drawn(tmp_path):
    pairs = [seen(seed) for seed in range(2)]
    curves = {"0.3 mm": uncertainty_quality.curves(pairs, 4.0)}
    np.testing.assert_allclose(curves["0.3 mm"]["after"], 4 * curves["0.3 mm"]["before"])
    example = (pairs[0].mean[0], pairs[0].error[0], pairs[0].deviation[0])
    uncertainty_picture.draw(tmp_path / "u.png", curves, example, 4.0)
    assert (tmp_path / "u.png").read_bytes().startswith(b"\x89PNG")
