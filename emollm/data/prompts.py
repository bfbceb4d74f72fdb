"""Pools of question and answer sentences, read from instruct_data/prompts; the only place that opens them."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from typing import Any

from emollm import catalog

ADJECTIVES = {
    "neutral": "neutral",
    "calm": "calm",
    "happy": "happy",
    "sad": "sad",
    "surprise": "surprised",
    "angry": "angry",
    "fear": "afraid",
    "disgust": "disgusted",
    "contempt": "contemptuous",
    "bored": "bored",
}
NOUNS = {
    "neutral": "a neutral mood",
    "calm": "calm",
    "happy": "happiness",
    "sad": "sadness",
    "surprise": "surprise",
    "angry": "anger",
    "fear": "fear",
    "disgust": "disgust",
    "contempt": "contempt",
    "bored": "boredom",
}


@cache
def pools(name: str) -> dict[str, Any]:
    """The tables of one prompt file."""
    path = catalog.folder("instruct_data") / "prompts" / f"{name}.toml"
    return tomllib.loads(path.read_text("utf-8"))


@cache
def wordings(kind: str, view: str) -> tuple[str, ...]:
    """All ways to put a kind of question about what there is to perceive; the first is the one evaluation uses.

    Emotions begin with the short pool that `label_question` takes from, so that the same variant is the same sentence in both.
    """
    table = pools("tasks")[kind]
    known = pools("recognise").get(view, ()) if kind == "emotion" else ()
    return (*known, *(table[view] if view in table else table["any"]))


def worded(pool: Sequence[str], variant: int, options: Sequence[str] = (), **values: str) -> str:
    """One sentence of a pool, filled; every question of training, evaluation and app is put here."""
    return pool[variant % len(pool)].format(options=", ".join(options), **values)


def label_question(options: Sequence[str], *, kind: str = "clip", variant: int = 0) -> str:
    """The question that asks for one of the options; evaluation uses variant 0, training all."""
    return worded(pools("recognise")[kind], variant, options)
