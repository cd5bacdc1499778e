"""The demo shows the cochlea of the bundled scan and leaves all that a person may look at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matplotlib.image import imread
from typer.testing import CliRunner

from microctsr_core import ReadError, read_volume
from microctsr_core.cli import app
from microctsr_core.sample import COCHLEA_BOX, COCHLEA_SLICES, sample_volume_path
from toy_models import make_model

FILES = ["sr.nrrd", "uncertainty.nrrd", "consistency.nrrd", "preview.png", "report.json"]


def test_the_sample_is_the_scan_that_the_box_was_drawn_in():
    ct = read_volume(sample_volume_path())
    assert ct.shape == (54, 140, 160)
    assert ct.spacing == pytest.approx((0.7, 0.3125, 0.3125), abs=1e-3)
    cochlea = (28, 73, 80)
    assert all(
        first <= place < last for place, (first, last) in zip(cochlea, COCHLEA_BOX, strict=True)
    )
    assert ct.crop(COCHLEA_BOX).shape == (8, 64, 64)
    assert all(0 <= k < 8 for k in COCHLEA_SLICES)


def test_an_installation_without_the_sample_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("microctsr_core.sample.__file__", str(tmp_path / "a" / "b" / "sample.py"))
    with pytest.raises(ReadError, match="did not come with this installation"):
        sample_volume_path()


def test_an_installed_package_carries_its_own_copy(monkeypatch, tmp_path):
    package = tmp_path / "site-packages" / "microctsr_core"
    copy = package / "sample_data" / "temporal_bone_right.nrrd"
    copy.parent.mkdir(parents=True)
    copy.touch()
    monkeypatch.setattr("microctsr_core.sample.__file__", str(package / "sample.py"))
    assert sample_volume_path() == copy


def test_demo_writes_its_files_says_where_and_replaces_them_the_next_time(tmp_path, monkeypatch):
    model = tmp_path / "toy"
    make_model().save(model)
    # A thin box keeps the test quick; the box itself is checked above.
    monkeypatch.setattr("microctsr_core.sample.COCHLEA_BOX", ((27, 29), (58, 90), (64, 96)))
    monkeypatch.setattr("microctsr_core.sample.COCHLEA_SLICES", (0, 1))
    folder = tmp_path / "demo"
    arguments = ["demo", "--output", str(folder), "--model", str(model), "--samples", "2"]
    for _ in range(2):
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
        assert [Path(line) for line in result.stdout.splitlines()] == [folder / f for f in FILES]
        assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert read_volume(folder / "sr.nrrd").shape == (2, 256, 256)
    assert imread(folder / "preview.png").shape[1] == 1600
    assert json.loads((folder / "report.json").read_text())["passes_mean"] == 2
