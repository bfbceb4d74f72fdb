"""Sentence pools of instruct_data/open and how words are put into them; the only place that opens that folder."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Sequence
from functools import cache
from typing import Any

from emollm import catalog

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


@cache
def pool(name: str) -> dict[str, Any]:
    """The tables of one file."""
    return tomllib.loads((catalog.folder("instruct_data") / "open" / f"{name}.toml").read_text("utf-8"))


def number(count: int) -> str:
    """A count in words up to twelve."""
    return NUMBERS[count] if 0 <= count < len(NUMBERS) else str(count)


def listed(parts: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def capital(text: str) -> str:
    """The text with its first letter large."""
    return text[:1].upper() + text[1:]


def spaced(text: str) -> str:
    """The text with one space between words and none before a comma or the end of a sentence."""
    return re.sub(r"\s+(?=[,.!?](?:\s|$))", "", re.sub(r"[^\S\n]+", " ", text)).strip()


def fill(rng: random.Random, sentences: Sequence[str], **words: str) -> str:
    """One of some sentences with its places filled; a place that begins with a large letter gets its word so."""
    both = words | {capital(k): capital(v) for k, v in words.items()}
    said = capital(rng.choice(sentences).format(**both))
    # A quotation brings its own full stop or question mark.
    for end in ('."', '!"', '?"'):
        said = said.replace(f"{end}.", end).replace(f"{end},", f'{end[0]}",' if end[0] != "." else '",')
    return re.sub(r'\."(?= [a-z])', '"', said)


def seconds(time_s: float) -> str:
    """A time as it is told: tenths."""
    return f"{max(time_s, 0.0):.1f}"
