"""The card's scale makes the uncertainty as large as errors are, and changes nothing else."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import ndimage

from microctsr_core import Model, Volume, load_model, read_volume, stream, superresolve
from microctsr_core.trust import Thresholds, seed_labels
from toy_models import make_model

FACTOR = 11.5
SCALE = {"factor": FACTOR, "measured_on": "Nothing; this is a test."}


@pytest.fixture(scope="module")
def ct() -> Volume:
    """Walls between air, fluid and bone, with noise."""
    generator = np.random.default_rng(0)
    tissue = np.digitize(
        ndimage.gaussian_filter(generator.normal(size=(4, 24, 24)), 2), (-0.05, 0.05)
    )
    hu = np.array([-990, 0, 1500])[tissue] + generator.normal(0, 40, tissue.shape)
    return Volume(hu.astype(np.float32), (0.3, 0.3, 0.3))


@pytest.fixture(scope="module")
def plain() -> Model:
    return make_model(dropout_blocks=2)


@pytest.fixture(scope="module")
def scaled(plain) -> Model:
    return Model(plain.network, {**plain.card, "uncertainty_scale": SCALE})


@pytest.mark.parametrize("samples", [3, "auto"])
def test_the_uncertainty_is_that_of_the_passes_times_the_factor(ct, plain, scaled, samples):
    before, after = (superresolve(ct, model, samples=samples) for model in (plain, scaled))
    assert before.uncertainty.array.max() > 0
    np.testing.assert_allclose(
        after.uncertainty.array, FACTOR * before.uncertainty.array, rtol=1e-5
    )
    np.testing.assert_array_equal(after.mean.array, before.mean.array)
    np.testing.assert_array_equal(after.consistency.array, before.consistency.array)
    assert after.report["passes_mean"] == before.report["passes_mean"]


def test_seeds_lie_where_they_lay(ct, plain, scaled):
    before, after = (superresolve(ct, model, samples=3) for model in (plain, scaled))
    thresholds = [Thresholds(**of.report["seed_thresholds"]) for of in (before, after)]
    assert thresholds[1].air_hu == thresholds[0].air_hu
    assert thresholds[1].bone_hu == thresholds[0].bone_hu
    assert thresholds[1].uncertainty_hu == pytest.approx(FACTOR * thresholds[0].uncertainty_hu)
    seeds = [
        seed_labels(of.mean.array, of.uncertainty.array, limits)
        for of, limits in zip((before, after), thresholds, strict=True)
    ]
    assert np.mean(seeds[0] != seeds[1]) < 1e-3  # a voxel on the threshold may round either way
    assert seeds[0].any()


def test_results_say_so(ct, plain, scaled):
    before, after = (superresolve(ct, model, samples=2) for model in (plain, scaled))
    assert before.report["model"]["uncertainty_scale"] == 1
    assert after.report["model"]["uncertainty_scale"] == FACTOR
    assert before.uncertainty.metadata["content"] == "standard deviation of passes, HU"
    assert after.uncertainty.metadata["content"].endswith("(times 11.5)")
    assert after.mean.metadata["content"] == before.mean.metadata["content"]


def test_a_model_keeps_its_scale_on_disk_and_is_streamed_with_it(ct, scaled, tmp_path):
    model = load_model(scaled.save(tmp_path / "toy").path)
    assert model.uncertainty_scale == FACTOR
    whole = superresolve(ct, scaled, samples=2)
    stream(ct, model, tmp_path / "sr.nrrd", tmp_path / "u.nrrd", samples=2)
    streamed = read_volume(tmp_path / "u.nrrd")
    np.testing.assert_array_equal(streamed.array, whole.uncertainty.array)
    assert streamed.metadata["content"] == whole.uncertainty.metadata["content"]


def test_a_card_without_a_scale_has_none(plain, tmp_path):
    folder = plain.save(tmp_path / "toy").path
    assert "uncertainty_scale" not in json.loads((folder / "card.json").read_text())
    assert load_model(folder).uncertainty_scale == 1
