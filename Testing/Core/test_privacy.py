"""Nothing that identifies a patient leaves a scan, whatever is made of it (see Docs/privacy.md)."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from command_line import run
from identifiers import (
    IDENTIFIERS,
    NAMES,
    found_in,
    found_under,
    packed_samples,
    write_identified_images,
    write_identified_series,
)
from microctsr_core import Cancelled, load_model, read_volume, stream, write_volume
from microctsr_core.training import changed, load_config, train
from toy_ears import ear, micro_grey
from toy_models import make_model
from toy_reader_study import ask

PLACE = "Placeqx"
"""In the path of every scan: what a user calls folders and files may name a patient, too."""
LOW_MM, FINE_MM = 0.2, 0.025
SHAPE = (6, 16, 16)
SMALL: dict[str, Any] = {
    "epochs": 1,
    "steps_per_epoch": 2,
    "batch": {"size": 2, "low_size": 2, "patch": 64},
    "validation": {"cases": 1, "slices": 1, "edge": 8, "samples": 1},
    "network": {
        "arguments": {"width": 8, "blocks": 2, "upsampling": [8, 6, 4], "dropout_blocks": 1}
    },
    "losses": {"judge_filters": 4, "alone": 0.5},
    "data": {"high": {"spacing": [FINE_MM] * 3}},
}


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Path:
    """Clinical scans as DICOM, one of each character set, and micro-CT in other formats."""
    folder = tmp_path_factory.mktemp("scans") / PLACE
    for number, charset in enumerate(NAMES):
        hu = ear(number, SHAPE, 1.5).astype(np.int16)
        write_identified_series(folder / "low" / f"{PLACE}{number}", hu, charset, LOW_MM)
    write_identified_images(folder / "high", micro_grey(0, (24, 96, 96)), FINE_MM)
    return folder


@pytest.fixture(scope="module")
def scan(scans) -> Path:
    return scans / "low" / f"{PLACE}2"


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "toy"
    make_model().save(folder)
    return folder


def test_the_scans_hold_every_identifier_and_the_search_finds_it(scans):
    found = found_under(scans)
    written = {word for words in found.values() for word in words}
    assert written >= {word for word in IDENTIFIERS if not re.search(r"\d[-.:]\d", word)}
    assert {name.rpartition("/")[2] for name in found} >= {
        *(f"slice_{number:03d}.dcm" for number in range(6)),
        *("micro.nrrd", "micro.nii.gz", "micro.mha", "micro.tif"),
    }


@pytest.mark.parametrize("packed", packed_samples(""))
def test_the_search_finds_what_is_packed_or_escaped(packed):
    data = packed_samples("of Müßchenbröck")[packed]
    assert found_in(data, ("Müßchenbröck",)) == {"Müßchenbröck"}


def test_volumes_report_and_preview_tell_nothing_of_the_patient(scan, model, out):
    for suffix in (".nrrd", ".zarr"):  # the others are written as what is read, see below
        volumes = [out / f"{name}{suffix}" for name in ("sr", "uncertainty", "consistency")]
        options = ("--report", out / f"report{suffix}.json", "--preview", out / f"p{suffix}.png")
        made = run(
            "superresolve", scan, volumes[0], "--uncertainty", volumes[1], "--consistency",
            volumes[2], *options, "--model", model, "--samples", 2, "--box",
            "0:3,0:6,0:6", "--debug",
        )  # fmt: skip
        assert made.exit_code == 0, made.output
        assert found_in(made.output.encode()) == set()
    raw = ("superresolve", scan, out / "raw.nrrd", "--no-compress", "--model", model)
    assert run(*raw, "--samples", 1, "--box", "0:3,0:6,0:6").exit_code == 0
    assert len(list(out.iterdir())) == 2 * 5 + 1
    assert found_under(out, (*IDENTIFIERS, PLACE)) == {}


def test_a_scan_written_again_tells_nothing_of_the_patient(scans, out):
    from microctsr_core.io.ome_zarr import write_ome_zarr

    sources = [*(scans / "low").iterdir(), *(scans / "high").glob("micro.*")]
    for number, source in enumerate(sources):
        volume = read_volume(source)
        for suffix in (".nrrd", ".nii", ".nii.gz", ".mha"):
            write_volume(volume, out / f"{number}{suffix}")
        write_volume(volume, out / f"{number}-raw.nrrd", compress=False)
        write_ome_zarr(volume, out / f"{number}.zarr", slab=4)
    assert len(list(out.iterdir())) == 7 * 6
    assert found_under(out, (*IDENTIFIERS, PLACE)) == {}


def test_an_unfinished_run_keeps_no_more_than_where_a_scan_on_disk_lies(scan, scans, model, out):
    """The same command finds its scan again; of scans read from DICOM it keeps nothing at all."""
    raw = scans / "raw.nrrd"
    write_volume(read_volume(scan), raw, compress=False)
    for source, known in ((read_volume(scan), set()), (raw, {"run.json"})):
        folder = out / f"{len(known)}"
        slabs = folder / "sr.nrrd.run"

        def one_is_done(slabs: Path = slabs) -> bool:
            return bool(list(slabs.glob("slab-*.npz")))

        with pytest.raises(Cancelled):
            stream(
                source, load_model(model), folder / "sr.nrrd", samples=2, slab=2,
                box=((0, 6), (0, 6), (0, 6)), cancel=one_is_done,
            )  # fmt: skip
        assert slabs.is_dir()
        assert found_under(folder) == {}
        assert {Path(name).name for name in found_under(folder, (PLACE,))} == known


@pytest.fixture(scope="module")
def trained(scans, tmp_path_factory) -> Path:
    """A run that is stopped and resumed, with all that it told."""
    output = tmp_path_factory.mktemp("runs") / "run"
    settings = changed(load_config(), **SMALL)
    told: list[str] = []
    with pytest.raises(Cancelled):
        train(
            scans / "low", scans / "high", output, settings, cancel=lambda: True, tell=told.append
        )
    options = {"resume": True, "progress": lambda _, message: told.append(message)}
    train(scans / "low", scans / "high", output, settings, tell=told.append, **options)
    (output / "told.txt").write_text("\n".join(told), encoding="utf-8")
    return output


def test_a_training_run_keeps_nothing_of_the_patients(trained):
    names = {path.name for path in trained.rglob("*") if path.is_file()}
    assert {"checkpoint.pt", "history.jsonl", "state.json", "epoch_001-0.png"} <= names
    assert any(name.startswith("events.") for name in names)
    assert found_under(trained) == {}


def test_a_model_package_and_what_training_draws_name_no_case(trained):
    named = found_under(trained, (PLACE,))
    # Where the scans lie, for who goes on with the run; what was said about cases names them.
    assert set(named) == {"state.json", "told.txt"}


def test_the_check_of_two_folders_names_cases_by_their_files_alone(scans, out):
    (scans / "low" / f"{PLACE}0" / "slice_003.dcm").rename(out / "away.dcm")
    try:
        options = ("--high", scans / "high", "--check", "--json", out / "check.json", "--debug")
        checked = run("train", "--low", scans / "low", *options)
    finally:
        (out / "away.dcm").rename(scans / "low" / f"{PLACE}0" / "slice_003.dcm")
    assert "left out" in checked.output
    assert found_in(checked.output.encode()) == set()
    assert json.loads((out / "check.json").read_text())["low"]["cases"]
    assert found_under(out) == {}


def test_calibration_on_scans_tells_nothing_of_them(scan, tmp_path, out):
    make_model("resnet", norm="instance").save(tmp_path / "resnet")
    made = run(
        "model", "calibrate", tmp_path / "resnet", scan, "--output", out / "calibrated",
        "--box", "0:2,0:8,0:8",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert found_in(made.output.encode()) == set()
    assert found_under(out, (*IDENTIFIERS, PLACE)) == {}


@pytest.fixture(scope="module")
def compared(scans, model, tmp_path_factory) -> Path:
    """A comparison by truth, its report, and a reader study of the same cases."""
    folder = tmp_path_factory.mktemp("compared")
    cases = []
    for number in range(1, 2):
        low = scans / "low" / f"{PLACE}{number}"
        made = run("superresolve", low, folder / f"truth{number}.nrrd", "--model", model,
                   "--samples", 1, "--box", "1:3,2:8,2:8", "--seed", 7)  # fmt: skip
        assert made.exit_code == 0, made.output
        cases.append({"name": f"ear {number}", "low": str(low), "truth": f"truth{number}.nrrd"})
    entries = {"methods": {"cubic": "cubic", "toy": {"model": str(model)}}, "cases": cases,
               "samples": 1, "box": "1:3,2:8,2:8",
               "references": "micro.nrrd"}  # fmt: skip
    shutil.copy(scans / "high" / "micro.nrrd", folder)
    study = folder / "study.yaml"
    study.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    made = run("evaluate", "compare", "--study", study, "--report", folder / "out/report.html")
    assert made.exit_code == 0, made.output
    made = run("study", "create", folder / "out/readers", "--comparison", study, "--slices", 1)
    assert made.exit_code == 0, made.output
    return folder


def test_a_report_tells_nothing_of_the_patients_and_no_path_of_cases_that_are_named(compared):
    report, files = compared / "out/report.html", compared / "out/report_files"
    assert "ear 1" in report.read_text(encoding="utf-8")
    assert (files / "per_case.csv").is_file()
    assert found_under(files, (*IDENTIFIERS, PLACE)) == {}
    assert found_in(report.read_bytes(), (*IDENTIFIERS, PLACE)) == set()


def test_measures_of_a_result_tell_nothing_of_the_patient(scan, compared, scans, out):
    result = compared / "truth1.nrrd"
    fidelity = ("--generated", result, "--truth", result, "--input", scan)
    m_hum = ("--generated", scan, "--reference", scans / "high" / "micro.nrrd")
    for name, options in (("fidelity", fidelity), ("m-hum", m_hum)):
        made = run("evaluate", name, *options, "--json", out / f"{name}.json", "--debug")
        assert "Traceback" not in made.output
        assert found_in(made.output.encode()) == set()
    assert found_under(out) == {}


def test_a_reader_study_shows_and_keeps_nothing_of_the_patients(compared):
    from microctsr_core.study import start_server

    folder = compared / "out/readers"
    with start_server(folder, port=0) as server:
        link = server.raters["Rater 1"]
        answers = [ask(link + path) for path in ("", "state", "image/0/left", "image/0/right")]
        answers += [ask(link + f"page/{name}") for name in ("rate.js", "rate.css")]
        answers.append(ask(link + "trial/0", {"revision": 1, "stars": [3] * 2, "remark": ""}))
        answers += [ask(server.owner + path) for path in ("", "progress")]
        answers += [ask(server.owner + "close", {}), ask(server.owner + "report")]
        complaints = server.complained()
    for _, headers, body in answers:
        assert found_in(f"{headers}".encode() + body, (*IDENTIFIERS, PLACE)) == set()
    assert found_in(complaints.encode()) == set()
    assert run("study", "analyse", folder).exit_code == 0
    assert found_under(folder, (*IDENTIFIERS, PLACE)) == {}


def test_errors_tell_nothing_of_the_patient_even_with_their_traceback(scan, model, tmp_path, out):
    hu = ear(0, SHAPE, 1.5).astype(np.int16)
    for name, harm in {
        "two": lambda folder: write_identified_series(folder / "b", hu, "GB18030", LOW_MM),
        "cut": lambda folder: _cut_short(folder / "slice_004.dcm"),
        "gap": lambda folder: (folder / "slice_004.dcm").unlink(),
        "nowhere": lambda folder: _changed(folder, ImagePositionPatient=None),
    }.items():
        folder = tmp_path / name
        write_identified_series(folder, hu, "ISO_IR 192", LOW_MM)
        harm(folder)
        if name == "two":
            for number, path in enumerate(sorted((folder / "b").iterdir())):
                _changed_file(path, SeriesInstanceUID="1.9.8.7")
                path.rename(folder / f"other_{number}.dcm")
            (folder / "b").rmdir()
        failed = run("superresolve", folder, out / "sr.nrrd", "--model", model, "--debug")
        assert failed.exit_code == 1, name
        assert "Traceback" in failed.output
        told = found_in(failed.output.encode())
        # Which of several series is meant can be told by their UIDs alone, and to the user alone.
        assert told <= ({"1.2.276.0.7230010"} if name == "two" else set()), name
    failed = run("superresolve", scan, out / "sr.nrrd", "--box", "0:99,0:1,0:1", "--debug")
    assert failed.exit_code == 1
    assert found_in(failed.output.encode()) == set()


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-200])


def _changed(folder: Path, **fields: Any) -> None:
    _changed_file(folder / "slice_004.dcm", **fields)


def _changed_file(path: Path, **fields: Any) -> None:
    import pydicom

    dataset = pydicom.dcmread(path)
    for name, value in fields.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.save_as(path)
