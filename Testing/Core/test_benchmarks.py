"""The benchmarks that compare methods: their pairs, their study, and what they keep."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from microctsr_core import write_volume
from microctsr_core.evaluation.comparison import load_study
from microctsr_core.phantom import Ear, UnseenScanner, make_case
from microctsr_core.posterior import Posterior
from microctsr_core.training import changed, load_config

sys.path.append(str(Path(__file__).resolve().parents[1] / "Benchmarks"))
import ablation
import adaptive_passes
import held_out
import uncertainty_picture
import uncertainty_quality


def test_pair_is_made_once_and_then_read_from_the_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "SHAPE", (2, 4, 4))
    first = held_out.pair(tmp_path, 5, 1, 0.3)
    monkeypatch.setattr(held_out, "make_case", None)
    second = held_out.pair(tmp_path, 5, 1, 0.3)
    assert len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(first.low.array, second.low.array)
    np.testing.assert_array_equal(first.truth, second.truth)
    assert first.low.origin == second.low.origin
    assert first.scanner == second.scanner


def test_pair_is_a_scan_by_an_unseen_scanner_and_the_truth_in_the_middle_of_its_slices(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(held_out, "SHAPE", (2, 4, 4))
    pair = held_out.pair(tmp_path, 5, 1, 0.3)
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
    version = held_out.phantoms_version.__wrapped__  # the one that does not remember
    before = version()
    assert version() == before
    monkeypatch.setattr(owner, name, replacement)
    assert version() != before


def test_pair_of_other_phantoms_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "SHAPE", (2, 4, 4))
    first = held_out.pair(tmp_path, 5, 1, 0.3)
    (note,) = tmp_path.rglob("case.json")
    note.write_text('{"phantoms": "others"}')
    write_volume(first.low, note.with_name("truth.nrrd"))
    again = held_out.pair(tmp_path, 5, 1, 0.3)
    np.testing.assert_array_equal(again.truth, first.truth)


def test_study_names_the_pairs_with_their_truth_and_the_models(tmp_path, monkeypatch):
    monkeypatch.setattr(held_out, "SHAPE", (2, 4, 4))
    held_out.pair(tmp_path, 5, 0, 0.3)
    held_out.pair(tmp_path, 6, 0, 0.3)  # of another seed
    (tmp_path / "unet").mkdir()
    models = [f"U-Net={tmp_path / 'unet'}", "MicroCTSR=ear"]
    study = load_study(held_out.write_study(tmp_path, 5, 0.3, models, 8))
    assert [case.name for case in study.cases] == ["case_000"]
    assert study.cases[0].truth is not None
    assert study.cases[0].box == held_out.BOX
    assert [method.name for method in study.methods] == ["cubic", "U-Net", "MicroCTSR"]
    assert study.against == "MicroCTSR"


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
    column = np.indices(deviation.shape)[2]
    truth = np.select([column < 16, column < 32], [1500.0, 0.0], -1000.0)  # bone, fluid, air
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
