"""Studies as they are written in YAML, and one sentence for what they may not say."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from conftest import REPOSITORY
from microctsr_core import MicroCTSRError, write_volume
from microctsr_core.card import find_package
from microctsr_core.evaluation.comparison import load_study
from toy_studies import low, truth, write_phantoms, write_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("study")
    write_study(place)
    write_volume(low(0), place / "scan.nrrd")
    write_volume(truth(0), place / "truth.nrrd")
    (place / "empty").mkdir()
    return place


def written(folder: Path, text: str) -> Path:
    """The study of the folder, with the entries of a YAML text instead of its own."""
    entries = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    path = folder / "changed.yaml"
    path.write_text(yaml.safe_dump(entries | yaml.safe_load(text), sort_keys=False))
    return path


def test_a_folder_of_phantoms_gives_cases_with_their_truth(folder):
    study = load_study(folder / "study.yaml")
    assert [case.name for case in study.cases] == ["case_000", "case_001"]
    assert study.cases[1].truth == folder / "phantoms" / "case_001" / "truth.nrrd"
    assert study.cases[1].low.path == folder / "phantoms" / "case_001" / "low.nrrd"


def test_methods_keep_their_order_and_the_last_is_the_one_compared_with(folder):
    study = load_study(folder / "study.yaml")
    assert [method.name for method in study.methods] == ["cubic", "elsewhere", "Toy & co"]
    assert study.against == "Toy & co"
    assert study.rivals == ("cubic", "elsewhere")
    assert load_study(written(folder, "against: cubic")).rivals == ("elsewhere", "Toy & co")


def test_paths_are_relative_to_the_file_wherever_the_command_runs(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    methods = load_study(folder / "study.yaml").methods
    assert methods[1].place == folder / "elsewhere"
    assert methods[2].place == folder / "toy"


def test_a_bundled_model_is_known_by_its_name(folder):
    study = load_study(written(folder, "methods: {ours: {model: ear}}"))
    assert study.methods[0].place == find_package("ear")


def test_cases_can_be_named_one_by_one_with_a_box_each(folder):
    text = (
        "box: 0:1,0:4,0:4\n"
        "cases:\n"
        "- {name: first, low: scan.nrrd, truth: truth.nrrd, box: '0:2,1:3,2:4'}\n"
        "- {name: second, low: scan.nrrd}\n"
    )
    first, second = load_study(written(folder, text)).cases
    assert first.box == ((0, 2), (1, 3), (2, 4))
    assert first.truth == folder / "truth.nrrd"
    assert second.box == ((0, 1), (0, 4), (0, 4))
    assert second.truth is None


def test_scans_in_a_folder_are_called_by_their_files_without_the_suffix(folder, tmp_path):
    write_volume(low(0), tmp_path / "scans" / "ear_1.nii.gz")
    text = f"cases: {tmp_path / 'scans'}\nreferences: truth.nrrd"
    assert [case.name for case in load_study(written(folder, text)).cases] == ["ear_1"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sample: 8", ["sample is no entry that is known"]),
        ("samples: 0", ["samples is not valid"]),
        ("seed: -1", ["seed is not valid"]),
        ("methods: {}", ["methods is not valid"]),
        ("methods: {ours: bicubic}", ["methods.ours", "'bicubic'", "no method"]),
        ("methods: {ours: {modell: ear}}", ["methods.ours", "no method", "{model: NAME"]),
        ("methods: {ours: {model: nonesuch}}", ["methods.ours", "no bundled model 'nonesuch'"]),
        ("methods: {ours: {results: nonesuch}}", ["methods.ours", "nonesuch does not exist"]),
        ("against: U-Net", ["against is 'U-Net'", "cubic, elsewhere, Toy & co"]),
        ("cases: nonesuch", ["nonesuch does not exist"]),
        ("cases: empty", ["empty holds no volume file"]),
        ("cases: []", ["cases is []", "write a folder"]),
        ("cases: [{name: a, low: nonesuch.nrrd}]", ["nonesuch.nrrd does not exist", "scan of a"]),
        (
            "cases: [{name: a, low: scan.nrrd, truth: nonesuch.nrrd}]",
            ["nonesuch.nrrd does not exist", "truth of a"],
        ),
        ("cases: [{name: a, low: phantoms}]", ["holds 2 scans", "the one that a is"]),
        ("cases: [{name: a, low: scan.nrrd}]", ["no case has a truth", "no references"]),
        (
            "cases: [{name: a, low: scan.nrrd, truth: truth.nrrd}, {name: a, low: scan.nrrd}]",
            ["two cases are called 'a'"],
        ),
        ("cases: [{name: ../a, low: scan.nrrd, truth: truth.nrrd}]", ["'../a' cannot be the name"]),
        ("cases: [{name: a, low: scan.nrrd, thruth: t}]", ["thruth is no entry that is known"]),
        ("references: empty", ["empty holds no volume file"]),
        ("references: nonesuch", ["nonesuch does not exist"]),
        ("box: 0:4", ["box", "'0:4' is not a box"]),
        ("form: outline", ["form is not valid", "outline"]),
        ("figure: {cases: [case_009]}", ["figure.cases", "'case_009'"]),
        ("figure: {window: [2000, -1000]}", ["figure.window runs backwards"]),
        ("figure: {zoom: 3}", ["figure.zoom is not valid"]),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_a_study_that_cannot_be_ends_in_one_sentence_that_names_the_entry(folder, text, words):
    path = written(folder, text)
    with pytest.raises(MicroCTSRError) as caught:
        load_study(path)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_study_that_is_missing_or_no_yaml_is_named(tmp_path):
    with pytest.raises(MicroCTSRError, match=r"nonesuch\.yaml cannot be read"):
        load_study(tmp_path / "nonesuch.yaml")
    (tmp_path / "bad.yaml").write_text("methods: {")
    with pytest.raises(MicroCTSRError, match=r"bad\.yaml is not valid YAML"):
        load_study(tmp_path / "bad.yaml")


def test_the_example_of_the_documentation_is_a_study(tmp_path):
    text = (REPOSITORY / "Docs" / "evaluation.md").read_text(encoding="utf-8")
    example = (
        text.partition("## Comparing methods")[2].partition("```yaml\n")[2].partition("```")[0]
    )
    (tmp_path / "study.yaml").write_text(example, encoding="utf-8")
    write_phantoms(tmp_path / "phantoms", 2)
    (tmp_path / "runs" / "unet").mkdir(parents=True)
    (tmp_path / "theirs").mkdir()
    study = load_study(tmp_path / "study.yaml")
    assert [method.name for method in study.methods] == ["cubic", "U-Net", "elsewhere", "MicroCTSR"]
    assert len(study.cases) == 2
    assert study.cases[0].box == ((2, 5), (0, 48), (0, 48))
