"""The models to choose from: those that came with MicroCTSR, and the user's own packages."""

import hashlib
import html
import json
import re
import shutil
import string
from dataclasses import dataclass
from pathlib import Path

import slicer
from slicer.i18n import tr as _

from microctsr_core import card as cards
from microctsr_core.errors import ModelError

_IN_A_NAME = frozenset(string.ascii_lowercase + string.digits + "-._")
# What training calls a model that nobody gave a name.
_OF_A_PRESET = re.compile(r"(cyclegan|unet|srgan)-(compact|paper)$")


@dataclass(frozen=True)
class ModelEntry:
    """A model package in the list.

    Args:
        key: what the library calls it by: a bundled model's name, or the package's folder.
        folder: where it lies.
        card: its card.
        isBundled: whether it came with MicroCTSR and cannot be deleted.
    """

    key: str
    folder: Path
    card: dict
    isBundled: bool

    @property
    def title(self):
        return f"{self.card.get('name', self.folder.name)} {self.card.get('version', '')}".strip()

    def summary(self):
        """The card in short, as rich text."""
        return self._asText(_("What"), _("For"), _("Limits"))

    def whole(self):
        """All that a reader of the card wants to know, as rich text."""
        return self._asText(*self._facts())

    def _asText(self, *names):
        facts = self._facts()
        lines = [f"<b>{name}:</b> {html.escape(facts[name])}" for name in names if facts[name]]
        return "<br>".join(lines)

    def _facts(self):
        low, high = self.card["voxel_size_low_mm"]
        quality = self.card.get("quality") or {}
        return {
            _("What"): self.card.get("description", ""),
            _("For"): _("CT voxels of {low:g} to {high:g} mm").format(low=low, high=high),
            _("Limits"): " ".join(self.card.get("limits", [])),
            _("Trained on"): self.card.get("training", {}).get("data", ""),
            _("Measured on"): quality.get("measured_on", ""),
            _("Intended use"): self.card.get("intended_use", ""),
            _("Licence"): self.card.get("licence", ""),
        }


class Models:
    """Bundled packages, and those in a folder of the user's.

    Args:
        folder: the user's models, one package in each folder; made when first needed.
    """

    def __init__(self, folder=None):
        self.folder = Path(folder) if folder else _userFolder()

    def entries(self):
        """Every model whose card can be read, the default first."""
        bundled = [(name, cards.find_package(name), True) for name in cards.list_models()]
        own = sorted(path.parent for path in self.folder.glob(f"*/{cards.CARD}"))
        places = bundled + [(str(folder), folder, False) for folder in own]
        return [entry for place in places if (entry := self._entry(*place)) is not None]

    def importRun(self, run):
        """Copy the model of a training run, under its own name or that of the run's folder.

        A model that is there already is not copied again; another one of that name stays, and the
        new one gets a number.

        Returns:
            ModelEntry

        Raises:
            ModelError: the run has no model yet, is writing one, or it cannot be copied.
        """
        run = Path(run)
        card = self._card(run)
        if card.get("weights_sha256") != _digest(run / cards.WEIGHTS):
            raise ModelError(
                _("The run in {folder} is just writing its model; try again in a moment.").format(
                    folder=run
                )
            )
        for entry in self.entries():
            same = entry.card.get("weights_sha256") == card.get("weights_sha256")
            if same and not entry.isBundled:
                return entry
        base = card["name"] if not _OF_A_PRESET.match(card["name"]) else _modelName(run.name)
        name, number = base, 1
        while (self.folder / _folderName({**card, "name": name})).exists():
            number += 1
            name = f"{base}-{number}"
        return self.importPackage(run, name)

    def importPackage(self, source, name=None):
        """Copy a model package into the user's folder.

        Args:
            source: folder of the package.
            name: the model's in the list, instead of the one in its card.

        Returns:
            ModelEntry

        Raises:
            ModelError: the folder is no package, or one of that name is there already.
        """
        source = Path(source)
        card = self._card(source)
        if name is not None:
            card = {**card, "name": name}
        if not (source / cards.WEIGHTS).is_file():
            raise ModelError(
                _("{folder} holds no {weights}; choose the folder of a model package.").format(
                    folder=source, weights=cards.WEIGHTS
                )
            )
        target = self.folder / _folderName(card)
        if target.exists():
            raise ModelError(
                _("The model {name} is there already; delete it first to replace it.").format(
                    name=target.name
                )
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir()
            shutil.copyfile(source / cards.WEIGHTS, partial / cards.WEIGHTS)
            text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
            (partial / cards.CARD).write_text(text, encoding="utf-8")
            partial.rename(target)
        except OSError as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise ModelError(
                _("The model could not be copied to {folder}: {why}").format(
                    folder=self.folder, why=error.strerror
                )
            ) from None
        return ModelEntry(str(target), target, card, False)

    def delete(self, entry):
        """Delete one of the user's own packages.

        Raises:
            ModelError: it came with MicroCTSR, or cannot be deleted.
        """
        if entry.isBundled:
            raise ModelError(
                _("The model {name} came with MicroCTSR and stays.").format(name=entry.title)
            )
        try:
            shutil.rmtree(entry.folder)
        except OSError as error:
            raise ModelError(
                _("{folder} could not be deleted: {why}").format(
                    folder=entry.folder, why=error.strerror
                )
            ) from None

    def _entry(self, key, folder, isBundled):
        try:
            return ModelEntry(key, folder, self._card(folder), isBundled)
        except ModelError:
            return None  # a damaged package is not to be chosen

    def _card(self, folder):
        try:
            return cards.read_card(folder)
        except ImportError:  # the schema's checker is installed at first use
            return cards.load_card(folder)


def _userFolder():
    return Path(slicer.app.slicerUserSettingsFilePath).parent / "MicroCTSR" / "models"


def _digest(path):
    """SHA-256 of a file, or nothing where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _modelName(text):
    """A name that a card may have."""
    letters = (letter if letter in _IN_A_NAME else "-" for letter in text.lower())
    return "".join(letters).strip("-._") or "model"


def _folderName(card):
    name = f"{card['name']}-{card['version']}"
    return "".join(letter if letter.isalnum() or letter in "-._" else "_" for letter in name)
