"""Nothing is installed unasked, and what is missing is named."""

import sys

import pytest
import slicer

import host
from panel import add_ct, pretend_missing


@pytest.fixture
def installation(panel):
    """A fresh look at what is installed; the panel uses it, too."""
    fresh = sys.modules["MicroCTSRLib.Installation"].Installation()
    before, panel.logic.installation = panel.logic.installation, fresh
    yield fresh
    panel.logic.installation = before


@pytest.fixture
def not_testing(monkeypatch):
    """Slicer's own installer does nothing while testing."""
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)


@pytest.fixture(params=["with slicer.packaging", "without"])
def generation(request, monkeypatch):
    """Slicer from 5.12 on, and Slicer before, which has slicer.util.pip_install alone."""
    if request.param == "without":
        monkeypatch.delattr(slicer, "packaging", raising=False)
        monkeypatch.delitem(sys.modules, "slicer.packaging", raising=False)
    return request.param


def test_nothing_is_missing_here_and_nothing_is_asked(installation):
    installation.ensure()
    assert installation.missing() == []
    assert host.answers.asked == []
    assert host.answers.installed == []


def test_a_declined_installation_changes_nothing(
    panel, installation, generation, not_testing, monkeypatch
):
    pretend_missing(monkeypatch, "safetensors")
    panel.parameters.inputVolume = add_ct()
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    host.answers.confirm = False

    host.click(panel.ui.applyButton)

    assert len(host.answers.asked) == 1
    assert "safetensors" in host.answers.asked[0]
    assert host.answers.installed == []
    assert panel.logic.queue.current is None
    assert "Not installed: safetensors" in panel.ui.statusLabel.text
    assert "nothing was changed" in panel.ui.statusLabel.text
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes


def test_an_agreed_installation_installs_what_is_missing_alone(
    installation, generation, not_testing, monkeypatch
):
    pretend_missing(monkeypatch, "safetensors", "rich")
    host.answers.confirm = True

    installation.ensure()

    names = sorted(str(word).split(">")[0] for word in host.answers.installed)
    assert names == ["rich", "safetensors"]
    assert installation.missing() == []


def test_torch_comes_through_the_pytorch_extension_alone(installation, not_testing, monkeypatch):
    pretend_missing(monkeypatch, "torch")
    host.answers.confirm = True

    installation.ensure()

    (asked,) = host.answers.torch_installations
    assert asked["askConfirmation"] is True
    assert asked["torchVersionRequirement"].startswith(">=")
    assert host.answers.installed == []


def test_declining_torch_is_told(panel, installation, not_testing, monkeypatch):
    pretend_missing(monkeypatch, "torch")
    panel.parameters.inputVolume = add_ct()
    host.answers.confirm = False

    host.click(panel.ui.applyButton)

    assert "Not installed: torch" in panel.ui.statusLabel.text


def test_without_the_pytorch_extension_it_is_named(panel, installation, monkeypatch):
    pretend_missing(monkeypatch, "torch")
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)  # importing it fails
    panel.parameters.inputVolume = add_ct()

    host.click(panel.ui.applyButton)

    assert "install the extension PyTorch in the Extensions Manager" in panel.ui.statusLabel.text
    assert panel.logic.queue.current is None


def test_an_installation_that_fails_is_told_with_its_cause(
    installation, generation, not_testing, monkeypatch
):
    pretend_missing(monkeypatch, "safetensors")
    host.answers.confirm = True
    host.answers.install_fails = "no network"
    failure = sys.modules["MicroCTSRLib.Installation"].NotInstalled

    with pytest.raises(failure, match=r"Not installed: safetensors.*no network"):
        installation.ensure()


def test_the_console_names_what_is_missing_and_installs_nothing(
    panel, installation, not_testing, monkeypatch
):
    pretend_missing(monkeypatch, "torch", "safetensors")
    failure = sys.modules["MicroCTSRLib.Installation"].NotInstalled

    with pytest.raises(failure, match=r"lacks torch>=[\d.]+, safetensors"):
        panel.logic.superResolve(add_ct())

    assert host.answers.installed == []
    assert host.answers.torch_installations == []


def test_packages_of_an_older_version_count_as_missing(installation, monkeypatch):
    import importlib.metadata

    real = importlib.metadata.version
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.1" if name == "rich" else real(name)
    )
    assert [line.split(">")[0] for line in installation.missing()] == ["rich"]
