"""Pools of question and answer sentences, read from instruct_data/prompts; the only place that opens them."""

from __future__ import annotations

import tomllib
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


def label_question(options: list[str], *, kind: str = "clip", variant: int = 0) -> str:
    """The question that asks for one of the options; evaluation uses variant 0, training all."""
    pool = pools("recognise")[kind]
    return str(pool[variant % len(pool)]).format(options=", ".join(options))
