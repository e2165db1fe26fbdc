"""The models that there are: those shipped, and one's own; and which of each kind is in use."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from models.abuse import ABUSE_UNITS
from models.card import ModelCard, ModelName
from models.classifier import CARD_FILE, CLEARCUT_UNITS, TrainedModel, load_model
from tiles.errors import ModelError, OutputError
from tiles.placing import written_beside

SHIPPED: Final = Path(__file__).parent / "weights"
MODELS_FOLDER: Final = "models"
IN_USE_FILE: Final = "in-use.json"

_UNITS: Final[Mapping[ModelName, Mapping[str, str]]] = {
    ModelName.CLEARCUT: CLEARCUT_UNITS,
    ModelName.ABUSE: ABUSE_UNITS,
}
_HELD_BESIDE: Final[Mapping[ModelName, tuple[tuple[str, str, int], ...]]] = {
    ModelName.CLEARCUT: (("brier", "all", -1), ("average_precision", "all", 1)),
    # Reviews may well take it away from the rules: that is then said, and forced.
    ModelName.ABUSE: (("agreement_with_rules_spearman", "simulated alerts", 1),),
}
"""Figures of the cards that say which model is worse: 1 where more is better."""


@dataclass(frozen=True)
class Entry:
    """A model that there is.

    Parameters
    ----------
    id, folder
        Its name and version, and where it is.
    is_shipped
        Whether it came with Sylvigie.
    card
        None where it cannot be used.
    problem
        Why it cannot.
    """

    id: str
    folder: Path
    is_shipped: bool
    card: ModelCard | None
    problem: str | None = None


class Registry:
    """The models shipped, and those under a data directory.

    Parameters
    ----------
    data_dir
        One's own are in its folder ``models``.
    shipped
        Folder of those that came with Sylvigie.
    """

    def __init__(self, data_dir: Path, shipped: Path = SHIPPED) -> None:
        self._own, self._shipped = data_dir / MODELS_FOLDER, shipped

    def entries(self) -> list[Entry]:
        """All models, by name, then from the oldest version to the newest; one's own before the shipped."""
        found: dict[str, Entry] = {}
        for folder, is_shipped in ((self._shipped, True), (self._own, False)):
            for card_file in sorted(folder.glob(f"*/{CARD_FILE}")):
                entry = _entry(card_file.parent, is_shipped)
                found[entry.id] = entry
        return sorted(found.values(), key=lambda entry: _order(entry.id))

    def in_use(self, name: ModelName) -> Entry | None:
        """The model of a kind that is in use; None where there is none.

        It is that which was chosen, else the newest that was shipped.

        Raises
        ------
        ModelError
            When that which was chosen is gone or spoilt.
        """
        chosen = self._chosen().get(name.value)
        if chosen is not None:
            return self.entry(chosen)
        shipped = [one for one in self.entries() if one.is_shipped and one.card is not None and one.card.name is name]
        return shipped[-1] if shipped else None

    def load(self, name: ModelName) -> TrainedModel | None:
        """The model of a kind that is in use; None where there is none.

        Raises
        ------
        ModelError
            When it will not do.
        """
        entry = self.in_use(name)
        return None if entry is None else load_model(entry.folder, _UNITS[name])

    def entry(self, model_id: str) -> Entry:
        """A model by its name and version.

        Raises
        ------
        ModelError
            When there is none, or it cannot be used.
        """
        entry = next((one for one in self.entries() if one.id == model_id), None)
        if entry is None:
            raise ModelError(f"There is no model {model_id}: `sylvigie models list` shows those that there are.")
        if entry.problem is not None:
            raise ModelError(entry.problem)
        return entry

    def use(self, model_id: str, *, force: bool = False) -> str | None:
        """Put a model to use.

        Parameters
        ----------
        model_id
            Name and version.
        force
            Whether it may be worse than that which is in use.

        Returns
        -------
        str or None
            The model that was in use.

        Raises
        ------
        ModelError
            When there is none, or it is worse.
        OutputError
            When the disk does not take it.
        """
        new = self.entry(model_id)
        assert new.card is not None
        before = self.in_use(new.card.name)
        if before is not None and before.card is not None and before.id != new.id and not force:
            why = why_worse(new.card, before.card)
            if why is not None:
                raise ModelError(f"{new.id} is not put to use in place of {before.id}: {why}; --force does it.")
        chosen = self._chosen() | {new.card.name.value: new.id}
        try:
            with written_beside(self._own / IN_USE_FILE) as partial:
                partial.write_text(json.dumps(chosen, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        except OSError as error:
            raise OutputError(f"{self._own / IN_USE_FILE} cannot be written ({error.strerror or error}).") from error
        return None if before is None else before.id

    def _chosen(self) -> dict[str, str]:
        path = self._own / IN_USE_FILE
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            return {str(name): str(model_id) for name, model_id in told.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{path} cannot be read ({error}): remove it, and choose by `sylvigie models use`."
            ) from error


def why_worse(new: ModelCard, before: ModelCard) -> str | None:
    """Why a model is worse than another by what their cards tell, or cannot be held beside it; None where it is not."""
    for name, subset, better in _HELD_BESIDE[new.name]:
        one, other = new.score(name, subset), before.score(name, subset)
        if one is None or other is None:
            return f"the card of {(new if one is None else before).id} has no {name} to hold it beside"
        if better * (one.value - other.value) < 0:
            return f"its {name} is {one.value:.6g}, and {other.value:.6g} was reached"
    return None


def _entry(folder: Path, is_shipped: bool) -> Entry:
    try:
        card = ModelCard.from_json((folder / CARD_FILE).read_text(encoding="utf-8"), str(folder / CARD_FILE))
        load_model(folder, _UNITS[card.name])
    except (OSError, ModelError) as error:
        return Entry(folder.name, folder, is_shipped, None, str(error))
    return Entry(card.id, folder, is_shipped, card)


def _order(model_id: str) -> tuple[str, tuple[tuple[int, str], ...]]:
    """By name, then by the numbers of the version."""
    name, _, version = model_id.partition("-")
    return name, tuple((int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"[.\-]", version))
