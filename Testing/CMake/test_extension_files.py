"""The files by which Slicer's build system and the Extensions Index know the extension agree."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import check_extension_files
import pytest
from check_extension_files import REPOSITORY, complaints

CMAKE = (REPOSITORY / "CMakeLists.txt").read_text(encoding="utf-8")
METADATA = dict(re.findall(r'set\(EXTENSION_(\w+) "(.*)"\)', CMAKE))
NAME = re.findall(r"project\((\w+)\)", CMAKE)[0]
ENTRY = REPOSITORY / "Resources" / "ExtensionsIndex" / f"{NAME}.json"
PICTURES = "https://raw.githubusercontent.com/MicroCTSR/SlicerMicroCTSR/main/"


def test_every_file_of_a_module_is_listed_and_every_listed_file_exists() -> None:
    assert complaints(REPOSITORY) == []


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A module that lists what it has, in an extension of its own."""
    (tmp_path / "CMakeLists.txt").write_text("add_subdirectory(Ear)\n")
    folder = tmp_path / "Ear"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "__pycache__" / "Ear.pyc").touch()
    (folder / "Ear.py").touch()
    (folder / "Ear.ui").touch()
    (folder / "CMakeLists.txt").write_text(
        "set(MODULE_PYTHON_SCRIPTS\n  Ear.py\n)\nset(MODULE_PYTHON_RESOURCES\n  Ear.ui\n)\n"
    )
    assert complaints(tmp_path) == []
    return folder


def test_a_file_that_is_not_listed_is_named(module: Path) -> None:
    (module / "EarLib").mkdir()
    (module / "EarLib" / "Canal.py").touch()
    (complaint,) = complaints(module.parent)
    assert complaint.endswith("MODULE_PYTHON_SCRIPTS: EarLib/Canal.py is missing")
    check_extension_files.write(module.parent)
    assert complaints(module.parent) == []


def test_a_listed_file_that_is_gone_is_named(module: Path) -> None:
    (module / "Ear.ui").unlink()
    (complaint,) = complaints(module.parent)
    assert complaint.endswith("Ear.ui is listed, but there is no such resource")


def test_a_file_listed_twice_is_named(module: Path) -> None:
    lists = module / "CMakeLists.txt"
    lists.write_text(lists.read_text().replace("  Ear.py\n", "  Ear.py\n  Ear.py\n"))
    (complaint,) = complaints(module.parent)
    assert complaint.endswith("Ear.py is listed twice")


def test_a_module_that_the_extension_leaves_out_is_named(module: Path) -> None:
    (module.parent / "CMakeLists.txt").write_text("")
    assert complaints(module.parent) == ["CMakeLists.txt does not add the module Ear"]


def test_two_modules_with_one_path_would_overwrite_each_other(module: Path) -> None:
    other = module.with_name("Nose")
    other.mkdir()
    (other / "Ear.py").touch()
    (other / "CMakeLists.txt").write_text("set(MODULE_PYTHON_SCRIPTS\n  Ear.py\n)\n")
    (module.parent / "CMakeLists.txt").write_text("add_subdirectory(Ear) add_subdirectory(Nose)")
    assert complaints(module.parent) == [
        "Ear.py is in Ear and in Nose, which install into one folder"
    ]


def test_the_index_entry_has_the_keys_of_its_schema() -> None:
    entry = json.loads(ENTRY.read_text(encoding="utf-8"))
    assert entry.pop("$schema").endswith("/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert entry["scm_url"].endswith(f"/Slicer{NAME}.git")
    assert entry["tier"] in (1, 3, 5)
    optional = {"build_dependencies", "build_subdirectory", "enabled", "scm_revision", "scm_type"}
    assert {"category", "scm_url"} <= set(entry) <= {"category", "scm_url", "tier"} | optional


def test_the_index_entry_agrees_with_cmake() -> None:
    entry = json.loads(ENTRY.read_text(encoding="utf-8"))
    assert entry["category"] == METADATA["CATEGORY"]
    assert entry["build_dependencies"] == METADATA["DEPENDS"].split()
    assert entry["scm_url"] == METADATA["HOMEPAGE"] + ".git"


def test_the_addresses_of_icon_and_screenshots_name_files_of_the_repository() -> None:
    for address in [METADATA["ICONURL"], *METADATA["SCREENSHOTURLS"].split()]:
        assert address.startswith(PICTURES)
        assert (REPOSITORY / address.removeprefix(PICTURES)).is_file(), address


def test_icons_are_of_the_size_that_slicer_asks_for() -> None:
    icons = [REPOSITORY / f"{NAME}.png", *REPOSITORY.glob("*/Resources/Icons/MicroCTSR*.png")]
    assert len(icons) > 1
    for icon in icons:
        header = icon.read_bytes()[:24]
        assert header[1:4] == b"PNG"
        assert struct.unpack(">II", header[16:]) == (128, 128), icon
