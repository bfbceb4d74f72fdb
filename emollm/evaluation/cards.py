"""A benchmark card: which corpus, which labels, which headline. Cards never name systems."""

from __future__ import annotations

import tomllib
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from emollm import catalog
from emollm.errors import DataError


class SceneCard(BaseModel):
    """One benchmark over rendered scenes; needs no data and no language model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    kind: Literal["scenes"]
    about: str
    seed: int
    each: int  # scenes of every case
    headline: Literal["main_accuracy"]


class MeasureCard(BaseModel):
    """One benchmark over clips of `emollm synth` with their truth; needs no language model."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    kind: Literal["measures"]
    about: str
    headline: Literal["units_correlation"]


class Card(BaseModel):
    """One benchmark over a folder with index.jsonl."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    about: str
    corpus: str
    modality: Literal["face", "speech", "text"]
    labels: tuple[str, ...]
    headline: Literal["accuracy", "uar", "weighted_f1"]


def load_card(name: str) -> Card | SceneCard | MeasureCard:
    """A card by name or by a path to a `.toml`.

    Raises:
        RecipeError: Unknown name.
        DataError: Faulty file.
    """
    path = catalog.find("eval", name)
    try:
        row = tomllib.loads(path.read_text("utf-8"))
        kinds: dict[str, type[Card | SceneCard | MeasureCard]] = {"scenes": SceneCard, "measures": MeasureCard}
        return kinds.get(row.get("kind", ""), Card).model_validate(row)
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{path.name} is faulty: {error}") from None
