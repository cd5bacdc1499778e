"""Configurations that cannot be: each ends in one sentence that names the entry, before a run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from microctsr_core import MicroCTSRError
from microctsr_core.training.checks import check_config
from microctsr_core.training.presets import PRESETS, load_config

SMALL = {
    "cyclegan compact": {
        "network": {
            "arguments": {"width": 8, "blocks": 2, "upsampling": [8, 6, 4], "dropout_blocks": 1}
        },
        "batch": {"size": 2, "low_size": 2, "patch": 64},
        "losses": {"judge_filters": 4},
    },
    "cyclegan paper": {
        "network": {"arguments": {"filters": 4, "blocks": 1}},
        "batch": {"patch": 64},
        "losses": {"judge_filters": 4},
    },
    "unet compact": {
        "network": {"arguments": {"channels": [4, 8], "strides": [2]}},
        "batch": {"patch": 64},
    },
    "srgan compact": {
        "network": {"arguments": {"width": 4, "blocks": 1, "dropout_blocks": 1}},
        "batch": {"patch": 64},
        "losses": {"judge_filters": 4},
    },
}
COMPACT, PAPER, UNET, SRGAN = SMALL


def over(old: dict, new: dict) -> dict:
    """The entries of one dictionary over those of another, at every depth."""
    inner = {
        key: over(old[key], value)
        for key, value in new.items()
        if isinstance(value, dict) and isinstance(old.get(key), dict)
    }
    return {**old, **new, **inner}


def check(path: Path, preset: str, text: str, world_size: int = 1) -> None:
    """Read a small preset changed by YAML text, as a run would, and check it as a whole."""
    entries = yaml.safe_load(text)
    merged = over(SMALL[preset], entries)
    if "name" in merged["network"]:
        merged["network"] = entries["network"]  # another network has other arguments
    path.write_text(yaml.safe_dump(merged))
    check_config(load_config(*preset.split(), path), world_size)


ALONE = [  # an entry that is wrong by itself
    ("epochs: 0", "epochs is not valid", "greater than or equal to 1, not 0"),
    ("epochs: 2.5", "epochs", "not 2.5"),
    ("epochs: ten", "epochs", "not 'ten'"),
    ("epochs:", "epochs", "valid integer"),
    ("steps_per_epoch: -1", "steps_per_epoch", "not -1"),
    ("seed: -1", "seed", "greater than or equal to 0"),
    ("batch: {size: 0}", "batch.size", "not 0"),
    ("batch: {low_size: 0}", "batch.low_size", "not 0"),
    ("batch: {patch: -64}", "batch.patch", "not -64"),
    ("batch: {stride: 0}", "batch.stride", "not 0"),
    ("batch: {patches: 0}", "batch.patches", "not 0"),
    ("batch: 3", "batch is not valid", "dictionary"),
    ("optimiser: {rate: 0}", "optimiser.rate", "greater than 0"),
    ("optimiser: {judge_rate: -1}", "optimiser.judge_rate", "greater than 0"),
    ("optimiser: {betas: [0.5, 1]}", "optimiser.betas.1", "less than 1"),
    ("optimiser: {betas: [0.5]}", "optimiser.betas.1", "required"),
    ("optimiser: {judge_betas: [-0.1, 0.9]}", "optimiser.judge_betas.0", "not -0.1"),
    ("optimiser: {average_decay: 1.0}", "optimiser.average_decay", "less than 1"),
    ("optimiser: {clip: 0}", "optimiser.clip", "greater than 0"),
    ("optimiser: {rise: -5}", "optimiser.rise", "not -5"),
    ("optimiser: {rate: .nan}", "optimiser.rate", "finite"),
    ("optimiser: {schedule: sine}", "optimiser.schedule", "'cosine'"),
    ("optimiser: {learning rate: 1}", "optimiser.'learning rate'", "no entry"),
    ("optimiser: {rate: 1e-4}", "optimiser.rate", "write 1.0e-4"),
    ("optimiser: {betas: [0.5, 5e-1]}", "optimiser.betas.1", "write 5.0e-1"),
    ("losses: {cycle: -1}", "losses.cycle", "not -1"),
    ("losses: {alone: 1.5}", "losses.alone", "less than or equal to 1"),
    ("losses: {judge_filters: 0}", "losses.judge_filters", "not 0"),
    ("losses: {pool: -1}", "losses.pool", "not -1"),
    ("losses: {form: hinge}", "losses.form", "'least-squares'"),
    ("losses:", "losses is not valid", "dictionary"),
    ("augmentation: {noise: -1}", "augmentation.noise", "not -1"),
    ("augmentation: {scan_noise: -1}", "augmentation.scan_noise", "not -1"),
    ("augmentation: {blur_pixels: -1}", "augmentation.blur_pixels", "not -1"),
    ("augmentation: {noisy_from: 2}", "augmentation.noisy_from", "not 2"),
    ("validation: {cases: 0}", "validation.cases", "not 0"),
    ("validation: {slices: 0}", "validation.slices", "not 0"),
    ("validation: {edge: 0}", "validation.edge", "not 0"),
    ("validation: {samples: 0}", "validation.samples", "not 0"),
    ("data: {scale: 1}", "data is not valid", "scale is at least 2"),
    ("data: {low: {intensity: grey}}", "data.low.intensity", "'auto' or 'hu'"),
    ("data: {low: {intensity: [[0, 0], [1]]}}", "data.low.intensity.1.1", "required"),
    ("data: {window_hu: [3000, -1000]}", "data is not valid", "3000"),
    ("card: text", "card is not valid", "dictionary"),
    ("card: &a {inner: *a}", "wrong.yaml", "contains itself"),
    ("1: 2", "1 is not valid", "strings"),
]

TOGETHER = [  # entries that do not fit each other
    (COMPACT, "network: {name: dense}", "network.name", "'dense'", "compact, resnet"),
    (COMPACT, "network: {arguments: {breadth: 3}}", "network.arguments.breadth", "width"),
    (COMPACT, "network: {arguments: {width: 0}}", "network.arguments", "no channels"),
    (COMPACT, "network: {arguments: {width: -3}}", "network.arguments", "-3"),
    (
        COMPACT,
        "network: {arguments: {width: wide}}",
        "network.arguments.width",
        "integer, not 'wide'",
    ),
    (
        COMPACT,
        "network: {arguments: {upsampling: 8}}",
        "network.arguments.upsampling",
        "a list, not 8",
    ),
    (COMPACT, "network: {arguments: {dropout_rate: 1.5}}", "dropout_rate is 1.5"),
    (
        COMPACT,
        "network: {arguments: {dropout_rate: high}}",
        "network.arguments.dropout_rate",
        "not 'high'",
    ),
    (COMPACT, "network: {arguments: {in_slices: 5.0}}", "network.arguments.in_slices", "not 5.0"),
    (COMPACT, "network: {arguments: {scale: '8'}}", "network.arguments.scale", "not '8'"),
    (COMPACT, "network: {arguments: {in_slices: 4}}", "network.arguments", "odd in_slices"),
    (COMPACT, "data: {scale: 4}", "network.arguments", "give scale: 4", "more than 2 entries"),
    (COMPACT, "{data: {scale: 6}, batch: {patch: 60}}", "give scale: 6", "more than 1 entries"),
    (COMPACT, "network: {name: srresnet, arguments: {width: 4}}", "'srresnet'", "give compact"),
    (COMPACT, "network: {name: unet}", "'unet'", "give compact"),
    (COMPACT, "network: {name: resnet, arguments: {filters: 2}}", "'resnet'", "--preset paper"),
    (COMPACT, "batch: {patch: 60}", "batch.patch is 60", "multiple of 8", "give 56"),
    (COMPACT, "batch: {patch: 3}", "batch.patch is 3", "give 8"),
    (COMPACT, "batch: {patch: 16}", "batch.patch 16 is too small for the discriminators"),
    (COMPACT, "losses: {judge_filters: 1000000000000000}", "losses.judge_filters", "give fewer"),
    (COMPACT, "card: {training: x}", "card.training", "'x'", "no mapping"),
    (COMPACT, "card: {authors: Me}", "card", "'authors'", "'Me'"),
    (COMPACT, "card: {colour: red}", "card", "colour"),
    (COMPACT, "card: {scale: 4}", "card.scale", "leave it out"),
    (COMPACT, "card: {training: {day: 2024-01-01}}", "card", "in quotes"),
    (COMPACT, "validation: {folder: nowhere}", "validation.folder", "'nowhere'"),
    (PAPER, "network: {name: compact}", "'compact'", "scale 1;", "resnet or unet"),
    (PAPER, "network: {name: srresnet, arguments: {width: 4}}", "'srresnet'", "resnet or unet"),
    (PAPER, "network: {arguments: {norm: group}}", "network.arguments", "'group'"),
    (PAPER, "batch: {patch: 16}", "batch.patch 16 is too small for judge_layers 3"),
    (PAPER, "losses: {judge_layers: 5}", "batch.patch 64 is too small for judge_layers 5"),
    (UNET, "network: {name: compact}", "'compact'", "srresnet, unet or resnet"),
    (UNET, "network: {arguments: {strides: [2, 2]}}", "network.arguments", "one stride fewer"),
    (UNET, "network: {arguments: {strides: [3]}}", "batch.patch is 64", "multiple of 24"),
    (SRGAN, "network: {arguments: {scale: 4}}", "'srresnet'", "scale 1 or 8"),
    (SRGAN, "batch: {patch: 60}", "batch.patch is 60", "give 56"),
    (SRGAN, "losses: {judge_layers: 6}", "batch.patch 64 is too small for judge_layers 6"),
]


def assert_one_sentence(error: MicroCTSRError, *words: str) -> None:
    sentence = str(error)
    for word in words:
        assert word in sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    for stray in ("Value error", "literal[", "tuple[", ". is", ".;", ".)", "..", "instance of"):
        assert stray not in sentence


@pytest.mark.parametrize(("text", *"ab"), [row[:3] for row in ALONE])
def test_an_entry_that_is_wrong_by_itself_is_named(text, a, b, tmp_path):
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(MicroCTSRError) as caught:
        load_config(path=path)
    assert_one_sentence(caught.value, "wrong.yaml", a, b)


@pytest.mark.parametrize("row", TOGETHER, ids=lambda row: f"{row[0]}: {row[1]}")
def test_entries_that_do_not_fit_each_other_are_named(row, tmp_path):
    preset, text, *words = row
    with pytest.raises(MicroCTSRError) as caught:
        check(tmp_path / "wrong.yaml", preset, text)
    assert_one_sentence(caught.value, *words)


@pytest.mark.parametrize("entry", ["size", "low_size"])
def test_a_batch_smaller_than_the_processes_is_named(entry, tmp_path):
    text = f"batch: {{size: 4, low_size: 4, {entry}: 3}}"
    check(tmp_path / "config.yaml", COMPACT, text, world_size=3)
    with pytest.raises(MicroCTSRError, match=rf"batch\.{entry} is 3.*4 processes"):
        check(tmp_path / "config.yaml", COMPACT, text, world_size=4)


@pytest.mark.parametrize(("method", "preset"), PRESETS)
def test_every_preset_passes_and_draws_no_random_number(method, preset):
    before = torch.get_rng_state()
    check_config(load_config(method, preset))
    assert torch.equal(torch.get_rng_state(), before)


def test_what_fits_passes(tmp_path):
    path = tmp_path / "config.yaml"
    arguments = "{scale: 4, upsampling: [8, 4], in_slices: 3}"
    check(path, COMPACT, f"{{data: {{scale: 4}}, network: {{arguments: {arguments}}}}}")
    check(path, COMPACT, "card: {authors: [Me], training: {data: Ours.}}")
    check(path, SRGAN, "network: {name: unet, arguments: {channels: [4, 8], strides: [2]}}")
    check(path, COMPACT, "optimiser: {rate: 1.0e-4, average_decay: 0, clip: null}")
