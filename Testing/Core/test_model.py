"""Model packages: saved and loaded whole, and refused with one clear sentence when damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from microctsr_core import Model, ModelError, WriteError, list_models, load_model
from microctsr_core.card import find_package, load_card, read_card
from microctsr_core.preparation import HUWindow
from toy_models import make_card, make_model, make_network


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A model package on disk."""
    make_model().save(tmp_path / "toy")
    return tmp_path / "toy"


def edit_card(package: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    card = json.loads((package / "card.json").read_text())
    change(card)
    (package / "card.json").write_text(json.dumps(card))


def test_a_loaded_model_computes_what_the_saved_one_did(package: Path) -> None:
    model = load_model(package)
    x = torch.rand(1, 5, 16, 16)
    assert torch.equal(model.network(x), make_network()(x))
    assert (model.name, model.version, model.scale) == ("toy", "1.0.0", 8)
    assert model.intensity == HUWindow(-1000, 3000)
    assert model.path == package


def test_a_loaded_model_is_ready_to_infer(package: Path) -> None:
    network = load_model(str(package)).network
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_hash_is_that_of_the_weights_file_before_and_after_saving(package: Path) -> None:
    expected = hashlib.sha256((package / "weights.safetensors").read_bytes()).hexdigest()
    assert load_model(package).sha256 == expected
    assert make_model().sha256 == expected
    assert json.loads((package / "card.json").read_text())["weights_sha256"] == expected


def test_saving_over_a_package_replaces_it_and_leaves_nothing_else(package: Path) -> None:
    Model(make_network(), make_card(version="2.0.0")).save(package)
    assert load_model(package).version == "2.0.0"
    assert sorted(path.name for path in package.iterdir()) == ["card.json", "weights.safetensors"]


def test_saving_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match="cannot be written"):
        make_model().save(tmp_path / "file" / "toy")


def test_an_invalid_card_is_not_saved(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="'modality'"):
        Model(make_network(), make_card(modality="MR")).save(tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_an_unknown_model_lists_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microctsr_core.card.list_models", lambda: ["ear", "mouse"])
    with pytest.raises(ModelError, match="no model 'nose'; available models: ear, mouse"):
        load_model("nose")


def test_every_bundled_model_loads_under_its_own_name() -> None:
    for name in list_models():
        assert load_model(name).name == name


@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_damaged_weights_are_recognised_by_their_hash(package: Path, damage: str) -> None:
    path = package / "weights.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        del data[-100:]
    else:
        data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(ModelError, match=r"weights\.safetensors are damaged .* \(SHA-256"):
        load_model(package)


def test_missing_weights_and_a_folder_without_a_card_are_told_apart(package: Path) -> None:
    (package / "weights.safetensors").unlink()
    with pytest.raises(ModelError, match=r"weights\.safetensors are missing"):
        load_model(package)
    (package / "card.json").unlink()
    with pytest.raises(ModelError, match=r"is not a model package: it has no readable card\.json"):
        load_model(package)


def test_weights_that_are_a_pickle_are_never_read(package: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"stem.weight": Trap()}, package / "weights.safetensors")
    data = (package / "weights.safetensors").read_bytes()
    edit_card(package, lambda c: c.update(weights_sha256=hashlib.sha256(data).hexdigest()))
    with pytest.raises(ModelError, match="is not a safetensors file"):
        load_model(package)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda c: c.pop("scale"), "'scale' is a required property"),
        (lambda c: c.update(scale="eight"), "'scale'"),
        (lambda c: c.update(voxel_size_low_mm=[0.15]), "'voxel_size_low_mm'"),
        (lambda c: c["intensity"].update(kind="percentile"), "'intensity"),
        (lambda c: c["dropout"].update(rate=1.5), r"'dropout\.rate'"),
        (lambda c: c["scanner"].pop("psf_sigma_mm"), "'scanner'"),
        (lambda c: c.update(weights_sha256="abc"), "'weights_sha256'"),
        (lambda c: c.update(colour="red"), "colour"),
        (lambda c: c.update(uncertainty_scale={"factor": 0, "measured_on": "-"}), "factor"),
        (lambda c: c.update(uncertainty_scale={"factor": 2}), "measured_on"),
    ],
)
def test_a_card_that_does_not_validate_names_the_key(
    package: Path, change: Callable[[dict[str, Any]], Any], named: str
) -> None:
    edit_card(package, change)
    with pytest.raises(ModelError, match=rf"card\.json is not valid .*{named}"):
        load_model(package)


def test_a_card_that_is_not_json_is_refused(package: Path) -> None:
    (package / "card.json").write_text("{")
    with pytest.raises(ModelError, match=r"card\.json is not valid JSON"):
        read_card(package)
    (package / "card.json").write_text("[]")
    with pytest.raises(ModelError, match=r"card\.json is not a JSON object"):
        load_card(package)


def test_a_card_is_read_unchecked_by_programs_that_cannot_check_it(package: Path) -> None:
    edit_card(package, lambda c: c.pop("scale"))
    assert load_card(package)["name"] == "toy"
    with pytest.raises(ModelError, match="'scale' is a required property"):
        read_card(package)


def test_a_package_is_found_by_name_or_by_folder(package: Path) -> None:
    assert find_package(package) == find_package(str(package)) == package
    assert load_card(find_package()) == load_model().card


def test_a_network_that_does_not_exist_or_does_not_fit_its_weights_is_refused(
    package: Path,
) -> None:
    edit_card(package, lambda c: c["network"]["arguments"].update(width=12))
    with pytest.raises(ModelError, match="does not hold the weights of the network in its card"):
        load_model(package)
    edit_card(package, lambda c: c["network"].update(name="vit"))
    with pytest.raises(ModelError, match="no network 'vit'"):
        load_model(package)


def test_a_card_whose_scale_is_not_the_networks_is_refused() -> None:
    with pytest.raises(ModelError, match="says scale 4, but its network enlarges 8 times"):
        Model(make_network(), make_card(scale=4))


def test_every_entry_of_the_schema_for_scanners_and_limits_is_accepted(tmp_path: Path) -> None:
    card = make_card(scanner={"psf_sigma_mm": [0.18, 0.22], "noise_sd_hu": 0}, limits="Many.")
    assert Model(make_network(), card).save(tmp_path / "toy").card["limits"] == "Many."


def test_the_recipe_of_the_bundled_model_says_what_its_card_says() -> None:
    recipe = Path(__file__).resolve().parents[2] / "Resources" / "Recipes" / "ear.yaml"
    told = yaml.safe_load(recipe.read_text(encoding="utf-8"))["card"]
    card = read_card(find_package("ear"))
    training = told.pop("training")
    assert {key: card[key] for key in told} == told
    assert {key: card["training"][key] for key in training} == training
